# SPDX-License-Identifier: ISC
"""Whose processes they are: the user and the group of each pool."""

import grp
import os
import pathlib
import pwd
import re
import subprocess

import pytest

from ganger import GANGERD

pytestmark = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can be somebody else"
)

ID = 'command "id" { argv = {"id"} }'


def account(user, group):
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError as error:
        pytest.skip(str(error))


def ids_of(pid):
    """All of a process's user ids and group ids, supplementary ones too."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()

    def numbers(name):
        return {int(n) for n in re.search(rf"{name}:(.*)", text)[1].split()}

    return numbers("Uid"), numbers("Gid") | numbers("Groups")


def start(daemons, pools, top):
    daemon = daemons.make(pools, top=top)
    daemon.dir.chmod(0o755)
    uid = pwd.getpwnam("nobody").pw_uid
    done = subprocess.run([GANGERD, "-V"], user=uid, capture_output=True)
    if done.returncode != 0:
        pytest.skip("the build is hidden from others")
    return daemon.start()


def test_pool_with_only_a_group_keeps_the_daemons_user(daemons):
    uid, gid = account("nobody", "games")
    daemon = start(
        daemons,
        f'pool "default" {{ processes = 1 group = "games" {ID} }}',
        'user = "nobody"',
    )
    (pid,) = daemon.wait_workers(1)
    assert ids_of(pid) == ({uid}, {gid})
    assert ids_of(daemon.broker_pid())[0] == {uid}
    with daemon.client() as client:
        text = client.call("id")["result"]
    assert re.search(rf"\buid={uid}\b", text), text
    assert re.search(rf"\bgid={gid}\b", text), text
    assert "(root)" not in text


def test_pool_of_its_own_user_has_that_users_group(daemons):
    account("daemon", "daemon")
    entry = pwd.getpwnam("daemon")
    daemon = start(
        daemons,
        'pool "default" { processes = 1 user = "daemon" }',
        'user = "nobody"',
    )
    (pid,) = daemon.wait_workers(1)
    assert ids_of(pid)[0] == {entry.pw_uid}
    assert entry.pw_gid in ids_of(pid)[1]
    assert 0 not in ids_of(pid)[1]


def test_pool_with_only_a_group_of_a_root_daemon_stays_root(daemons):
    _, gid = account("nobody", "games")
    daemon = start(
        daemons, 'pool "default" { processes = 1 group = "games" }', ""
    )
    (pid,) = daemon.wait_workers(1)
    assert ids_of(pid) == ({0}, {gid})

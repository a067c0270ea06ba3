# SPDX-License-Identifier: ISC
"""Whose processes they are: the user and the group of each pool."""

import grp
import os
import pathlib
import pwd
import re
import shutil
import subprocess

import pytest

from ganger import GANGERD, SANITIZED

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


def start(daemons, pools, top, **kwargs):
    daemon = daemons.make(pools, top=top, **kwargs)
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


# New processes of an old daemon


@pytest.fixture
def binary(folder):
    """A program of its own, which anybody may run."""
    path = folder / "gangerd"
    shutil.copy(GANGERD, path)
    path.chmod(0o755)
    return path


def assert_users(daemon, broker, worker):
    """Who they run as, and that there is no way back for them."""
    (pid,) = daemon.wait_workers(1)
    for found, user in (daemon.broker_pid(), broker), (pid, worker):
        entry = pwd.getpwnam(user)
        uids, gids = ids_of(found)
        assert uids == {entry.pw_uid}
        assert entry.pw_gid in gids and 0 not in gids
        text = pathlib.Path(f"/proc/{found}/status").read_text()
        assert re.search(r"NoNewPrivs:\t1$", text, re.M)
    assert ids_of(daemon.pid)[0] == {0}


@pytest.mark.parametrize("method", ["server.reload", "server.upgrade"])
def test_new_workers_have_the_new_user_and_the_broker_its_own(
    daemons, binary, method
):
    account("nobody", "daemon")
    pool = f'pool "default" {{ processes = 1 %s {ID} }}'
    daemon = start(daemons, pool % "", 'user = "nobody"', program=[binary])
    broker = daemon.broker_pid()
    with daemon.client() as client:
        assert_users(daemon, "nobody", "nobody")
        for user, more in ("daemon", 'user = "daemon"'), ("nobody", ""):
            (old,) = daemon.wait_workers(1)
            daemon.configure(pool % more, 'user = "nobody"')
            client.rpc(method)
            daemon.wait_workers(1, other_than=[old])
            assert_users(daemon, "nobody", user)
            uid = pwd.getpwnam(user).pw_uid
            assert f"uid={uid}" in client.call("id")["result"]
    assert daemon.broker_pid() == broker
    assert "the broker stays" not in daemon.log()
    for pid in (daemon.pid, broker):
        assert os.readlink(f"/proc/{pid}/exe") == str(binary)


def test_broker_that_may_not_run_the_new_binary_stays_as_it_is(
    daemons, binary
):
    """No call fails for it, and the next upgrade takes it along."""
    account("nobody", "daemon")
    daemon = start(
        daemons,
        f'pool "default" {{ processes = 1 {ID} }}',
        'user = "nobody"',
        program=[binary],
    )
    broker = daemon.broker_pid()

    def install(mode):
        fresh = binary.with_suffix(".new")
        shutil.copy(GANGERD, fresh)
        fresh.chmod(mode)
        fresh.rename(binary)

    with daemon.client() as client:
        install(0o700)
        client.rpc("server.upgrade")
        assert "the broker stays with the old binary" in daemon.log()
        assert os.readlink(f"/proc/{broker}/exe").endswith("(deleted)")
        assert os.readlink(f"/proc/{daemon.pid}/exe") == str(binary)
        assert_users(daemon, "nobody", "nobody")
        assert "uid=" in client.call("id")["result"]
        install(0o755)
        client.rpc("server.upgrade")
        assert os.readlink(f"/proc/{broker}/exe") == str(binary)
        assert_users(daemon, "nobody", "nobody")
        assert "uid=" in client.call("id")["result"]
    assert daemon.broker_pid() == broker


def test_worker_without_room_for_its_threads_says_so(daemons):
    if SANITIZED:
        pytest.skip("the sanitizer may want a thread of its own")
    daemon = start(
        daemons,
        'pool "default" { processes = 1 threads = 3 rlimit_nproc = 1 }',
        'user = "nobody"',
    )
    daemon.wait_log("worker cannot start: no room for its threads: .*nproc")
    daemon.stop()

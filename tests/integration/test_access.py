# SPDX-License-Identifier: ISC
"""Who may: the peer's uid and gid, for each class of methods."""

import json
import os
import subprocess
import sys

import pytest

from ganger import GANGERD, POOL

pytestmark = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can be somebody else"
)

NOBODY = 65534

ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(30)
s.connect(sys.argv[1])
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while data := s.recv(65536):
    sys.stdout.buffer.write(data)
"""

REQUESTS = {
    "submit": ("task.submit", {"name": "echo"}),
    "observe": ("server.info", {}),
    "admin": ("server.stop", {"mode": "slow"}),  # refused either way
}


def ask(daemon, user=NOBODY, group=NOBODY, groups=()):
    """What a user gets for a request of each class: its error's code."""
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": name, "method": m, "params": p})
        for name, (m, p) in REQUESTS.items()
    ]
    done = subprocess.run(
        [sys.executable, "-c", ASK, daemon.socket],
        input="\n".join(lines).encode() + b"\n",
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
        user=user,
        group=group,
        extra_groups=list(groups),
    )
    answers = {}
    for line in done.stdout.splitlines():
        answer = json.loads(line)
        answers[answer["id"]] = answer.get("error", {}).get("code", 0)
    return answers


def start(daemons, access):
    daemon = daemons.make(POOL, top=f'socket_mode = "0666"\n{access}')
    daemon.dir.chmod(0o755)
    return daemon.start()


def test_by_default_a_stranger_may_submit_and_see(daemons):
    daemon = start(daemons, "")
    assert ask(daemon) == {"submit": 0, "observe": 0, "admin": -32001}
    assert ask(daemon, 0, 0) == {"submit": 0, "observe": 0, "admin": -32602}


def test_stranger_is_refused_by_class(daemons):
    daemon = start(
        daemons, 'access { submit = {"root"} observe = {"nobody"} admin = {} }'
    )
    assert ask(daemon) == {"submit": -32001, "observe": 0, "admin": -32001}
    assert ask(daemon, 0, 0)["submit"] == 0


def test_group_may_be_named(daemons):
    daemon = start(daemons, 'access { submit = {"root"} admin = {"@daemon"} }')
    assert ask(daemon)["admin"] == -32001
    assert ask(daemon, group=1)["admin"] == -32602
    assert ask(daemon, groups=[1])["submit"] == -32001


def test_socket_keeps_strangers_out_by_its_mode(daemons):
    daemon = daemons.make(POOL, top='socket_mode = "0600"')
    daemon.dir.chmod(0o755)
    daemon.start()
    with pytest.raises(subprocess.CalledProcessError):
        ask(daemon)


def test_daemon_of_root_can_take_on_a_user(daemons, handlers):
    done = subprocess.run(
        [GANGERD, "-V"], user=NOBODY, group=NOBODY, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("the build is hidden from others")
    daemon = daemons.make(
        f'pool "default" {{ processes = 1 modules = {{"{handlers}"}} }}',
        top='user = "nobody"',
    )
    daemon.dir.chmod(0o755)
    daemon.start()

    def uid_of(pid):
        return os.stat(f"/proc/{pid}").st_uid

    info = daemon.rpc("server.info")
    assert uid_of(info["pid"]) == 0
    assert uid_of(info["broker_pid"]) == NOBODY
    assert [uid_of(pid) for pid in daemon.worker_pids()] == [NOBODY]

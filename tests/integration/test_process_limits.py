# SPDX-License-Identifier: ISC
"""What a pool's processes may use: rlimits, processors, umask, privileges."""

import os
import resource

import pytest

from ganger import SANITIZED

SHELL = 'command "sh" {{ argv = {{"/bin/sh", "-c", "{script}"}} }}'


def pool(settings, script, name="default"):
    return (
        f'pool "{name}" {{ processes = 1 threads = 1 {settings}\n'
        + SHELL.format(script=script)
        + "\n}\n"
    )


def run(daemons, settings, script):
    """What a shell in a pool of such settings prints."""
    daemon = daemons.start(pool(settings, script))
    with daemon.client() as client:
        return str(client.call("sh")["result"]).strip()


def status_of(daemons, settings):
    """/proc/self/status of a program in such a pool, as a dict."""
    text = run(daemons, settings, "cat /proc/self/status")
    return dict(
        line.split(":\t", 1) for line in text.splitlines() if ":\t" in line
    )


LIMITS = [
    ("rlimit_nofile = 77", "Max open files", "77"),
    ("rlimit_core = 0", "Max core file size", "0"),
    ('rlimit_fsize = "3M"', "Max file size", str(3 << 20)),
    ('rlimit_cpu = "2m"', "Max cpu time", "120"),
    ('rlimit_stack = "4M"', "Max stack size", str(4 << 20)),
    ('rlimit_data = "1G"', "Max data size", str(1 << 30)),
    ('rlimit_memlock = "32K"', "Max locked memory", str(32 << 10)),
    ("rlimit_nproc = 5000", "Max processes", "5000"),
    ('rlimit_as = "1T"', "Max address space", str(1 << 40)),
]


@pytest.mark.parametrize("settings, name, value", LIMITS)
def test_limit_is_both_soft_and_hard(daemons, settings, name, value):
    if SANITIZED and settings.startswith(("rlimit_as", "rlimit_data")):
        pytest.skip("a sanitizer maps more than that")
    text = run(daemons, settings, "cat /proc/self/limits")
    line = next(line for line in text.splitlines() if line.startswith(name))
    assert line[len(name) :].split()[:2] == [value, value]


def test_limits_left_out_are_the_daemons(daemons):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = run(daemons, "rlimit_core = 0", "ulimit -Sn; ulimit -Hn")
    assert text.split() == [str(soft), str(hard)]


def test_umask_is_set(daemons):
    assert run(daemons, 'umask = "0027"', "umask") in ("0027", "027")


def test_umask_left_out_is_the_daemons(daemons):
    old = os.umask(0o031)
    try:
        printed = run(daemons, "", "umask")
    finally:
        os.umask(old)
    assert int(printed, 8) == 0o031


def test_workers_run_on_their_processors_only(daemons):
    last = max(os.sched_getaffinity(0))
    status = status_of(daemons, f'cpus = "{last}"')
    assert status["Cpus_allowed_list"] == str(last)


def test_processors_left_out_are_the_daemons(daemons):
    allowed = run(
        daemons, "", "grep Cpus_allowed: /proc/self/status"
    ).split()[1]
    mask = int(allowed.replace(",", ""), 16)
    assert mask == sum(1 << cpu for cpu in os.sched_getaffinity(0))


def test_no_program_gains_privileges_unless_the_pool_says_so(daemons):
    assert status_of(daemons, "")["NoNewPrivs"] == "1"
    assert status_of(daemons, "no_new_privs = no")["NoNewPrivs"] == "0"


def test_broker_never_gains_privileges(daemons):
    daemon = daemons.start(pool("no_new_privs = no", "true"))
    with open(f"/proc/{daemon.broker_pid()}/status") as file:
        assert "NoNewPrivs:\t1" in file.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root raises its limits")
def test_root_raises_a_hard_limit_before_it_leaves_its_user(daemons):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("the hard limit is as high as can be")
    text = run(
        daemons,
        'user = "nobody" rlimit_core = "unlimited"',
        "ulimit -Hc; id -un",
    )
    assert text.split() == ["unlimited", "nobody"]


def test_each_pool_has_its_own_limits(daemons):
    daemon = daemons.start(
        pool("rlimit_nofile = 70 umask = 022", "ulimit -n; umask", "a")
        + 'pool "b" { processes = 1 queues = {"b"} rlimit_nofile = 90\n'
        + 'command "two" { argv = {"/bin/sh", "-c", "ulimit -n; umask"} }\n}\n'
    )
    with daemon.client() as client:
        first = str(client.call("sh")["result"]).split()
        second = str(client.call("two", queue="b")["result"]).split()
    assert first[0] == "70" and int(first[1], 8) == 0o022
    assert second[0] == "90"


# New workers of an old daemon


SHOW = (
    "ulimit -Hn; umask; "
    "grep -E 'NoNewPrivs|Cpus_allowed_list' /proc/self/status"
)


@pytest.mark.parametrize("method", ["server.reload", "server.upgrade"])
def test_what_changed_holds_for_new_workers(daemons, method):
    last = max(os.sched_getaffinity(0))
    daemon = daemons.start(pool("", SHOW))
    with daemon.client() as client:
        old = client.call("sh")["result"].split()
        for _ in range(2):
            daemon.configure(
                pool(
                    'rlimit_nofile = 77 umask = "0027" no_new_privs = no '
                    f'cpus = "{last}"',
                    SHOW,
                )
            )
            client.rpc(method)
            text = client.call("sh")["result"].split()
            assert (text[0], int(text[1], 8)) == ("77", 0o027)
            status = dict(zip(text[2::2], text[3::2]))
            assert status == {
                "NoNewPrivs:": "0",
                "Cpus_allowed_list:": str(last),
            }
            # What is left out again is the daemon's again.
            daemon.configure(pool("", SHOW))
            client.rpc(method)
            assert client.call("sh")["result"].split() == old
    for pid in daemon.broker_pid(), *daemon.wait_workers(1):
        with open(f"/proc/{pid}/status") as file:
            assert "NoNewPrivs:\t1" in file.read()

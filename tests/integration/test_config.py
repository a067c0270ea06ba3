# SPDX-License-Identifier: ISC
"""The configuration: -t, -T, -p, and how mistakes are told."""

import json
import os
import re
import resource
import subprocess

import pytest

from ganger import GANGERD, run_gangerd

TOP = 'socket = "{dir}/s"\nstate_dir = "{dir}/state"\n'


def write(folder, text):
    path = folder / "ganger.conf"
    path.write_text(TOP.replace("{dir}", str(folder)) + text)
    return path


def check(folder, text, *args):
    return run_gangerd("-t", "-c", write(folder, text), *args)


def lines_told(done, path):
    """The numbers of the lines that mistakes were told of."""
    return [
        int(number)
        for number in re.findall(
            rf"^{re.escape(str(path))}:(\d+): \S", done.stderr, re.M
        )
    ]


GOOD = [
    "",
    'pool "a" { }\n',
    'pool "a" { processes = "auto" threads = 4 }\n',
    'pool "a" { queues = {"x", "mail:3"} order = "strict" }\n',
    'pool "a" { command "c" { argv = {"true"} timeout = "30s" } }\n',
    'pool "a" { queues = {"mail"} }\n'
    'queue "mail" { priority = 5 retries = 3 timeout = "0" }\n',
    '# a comment\n/* another */\nlog_level = "debug" // a third\n',
    'graceful_timeout = "250ms"\nmax_message = "64K"\nresult_ttl = "1h"\n',
    'access { submit = {"*"} observe = {"root"} admin = {"@root", "0"} }\n',
    'reload_timeout = "5m"\npool "a" { soft_timeout = "1s" timeout = "2s" }\n',
    'pool "a" { min_processes = 2 max_processes = 4 idle_timeout = "1s" }\n',
    'pool "a" { processes = 3 max_processes = 3 }\n',
    'pool "a" { processes = "auto" max_processes = 1 }\n',
    'pool "a" { umask = "0027" cpus = "" no_new_privs = no }\n',
    'pool "a" { rlimit_core = 0 rlimit_cpu = "5m" rlimit_nofile = 64 }\n',
    'pool "a" { max_memory = "64M" heartbeat_timeout = 0 }\n',
]


@pytest.mark.parametrize("text", GOOD)
def test_good_configuration_is_ok(folder, text):
    done = check(folder, text)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_starts_nothing(folder):
    done = check(folder, 'pool "a" { }\n')
    assert done.returncode == 0
    assert not (folder / "s").exists()
    assert not (folder / "state").exists()


# A text, and the lines in it that are wrong.  TOP has two lines.
BAD = [
    ('log_level = "loud"\n', [3]),
    ('graceful_timeout = "3 parsecs"\n', [3]),
    ('max_message = "huge"\n', [3]),
    ('max_message = "-1"\n', [3]),
    ("max_clients = 0\n", [3]),
    ('socket_mode = "0999"\n', [3]),
    ('drain = "some"\n', [3]),
    ('sync = "sometimes"\n', [3]),
    ('when_full = "panic"\n', [3]),
    ('priority_age = "old"\n', [3]),
    ('max_store = "-1"\n', [3]),
    ('min_free = "half"\n', [3]),
    ('cancel_grace = "10"\n', [3]),
    ('queue "default" {\n    rate = "10"\n}\n', [4]),
    ('queue "default" {\n    rate = "10/d"\n}\n', [4]),
    ('queue "default" {\n    rate = "1000001/s"\n}\n', [4]),
    ('queue "default" {\n    max_running = -1\n}\n', [4]),
    ('queue "default" {\n    durable = "mostly"\n}\n', [4]),
    ('colour = "red"\n', [3]),
    ("max_clients = \n", [3, 4]),
    ('log_level = "info\n', [3, 4]),
    ('pool "a" {\n    processes = 0\n}\n', [4]),
    ('pool "a" {\n    threads = 1000000\n}\n', [4]),
    ('pool "a" {\n    order = "sideways"\n}\n', [4]),
    ('pool "a" {\n    colour = "red"\n}\n', [4]),
    ('pool "a" {\n    queues = {"x:heavy"}\n}\n', [4]),
    ('pool "a" {\n    queues = {"x:0"}\n}\n', [4]),
    ('pool "a/b" { }\n', [3]),
    ('pool "a" { }\n\npool "a" { }\n', [3, 5]),
    ('pool "a" {\n    command "c" {\n    }\n}\n', [4, 5]),
    ('pool "a" {\n    command "c" { argv = {""} }\n}\n', [4]),
    ('pool "a" {\n    command "c" { argv = {"x"} timeout = "x" }\n}\n', [4]),
    ('queue "default" {\n    priority = 10\n}\n', [4]),
    ('queue "nobody takes it" { }\n', [3]),
    ('access {\n    admin = {"no-such-user-anywhere"}\n}\n', [4]),
    ('include("no-such-file.conf")\n', [3]),
    ('pool "a" {\n    min_processes = 2\n}\n', [4]),
    ('pool "a" {\n    min_processes = 3\n    max_processes = 2\n}\n', [4]),
    ('pool "a" {\n    processes = 3\n    max_processes = 2\n}\n', [4]),
    (
        'pool "a" {\n    processes = 1\n'
        "    min_processes = 2\n    max_processes = 3\n}\n",
        [4],
    ),
    ('pool "a" {\n    max_processes = 2000\n}\n', [4]),
    ('pool "a" {\n    umask = "0999"\n}\n', [4]),
    ('pool "a" {\n    cpus = "three"\n}\n', [4]),
    ('pool "a" {\n    cpus = "3-1"\n}\n', [4]),
    ('pool "a" {\n    rlimit_core = "big"\n}\n', [4]),
    ('pool "a" {\n    rlimit_nofile = "64K"\n}\n', [4]),
    ('pool "a" {\n    rlimit_cpu = "1500ms"\n}\n', [4]),
    ('pool "a" {\n    no_new_privs = "perhaps"\n}\n', [4]),
    (
        'pool "a" {\n    timeout = "1s"\n    soft_timeout = "2s"\n}\n',
        [5],
    ),
    (
        'queue "default" {\n    timeout = "1s"\n'
        '    soft_timeout = "2s"\n}\n',
        [5],
    ),
]


@pytest.mark.parametrize("text, where", BAD)
def test_mistake_is_told_with_its_line(folder, text, where):
    done = check(folder, text)
    assert done.returncode == 78
    told = lines_told(done, folder / "ganger.conf")
    assert told and set(told) <= set(where), done.stderr


def test_all_mistakes_in_values_are_told_at_once(folder):
    text = (
        'log_level = "loud"\n'  # 3
        'graceful_timeout = "soon"\n'  # 4
        'max_message = "huge"\n'  # 5
        'pool "a" {\n'
        "    processes = 0\n"  # 7
        '    order = "sideways"\n'  # 8
        '    command "c" { argv = {"true"} timeout = "long" }\n'  # 9
        "}\n"
        'queue "default" { priority = 11 }\n'  # 11
    )
    done = check(folder, text)
    assert done.returncode == 78
    told = lines_told(done, folder / "ganger.conf")
    assert told == [3, 4, 5, 7, 8, 9, 11], done.stderr


def test_processor_that_is_not_there_is_named(folder):
    missing = max(os.sched_getaffinity(0)) + 1
    if missing >= 1024:
        pytest.skip("this machine has as many processors as can be named")
    done = check(folder, f'pool "a" {{\n    cpus = "0-{missing}"\n}}\n')
    assert done.returncode == 78
    assert lines_told(done, folder / "ganger.conf") == [4]
    assert re.search(rf"\b{missing}\b to run on", done.stderr)


def test_limit_above_the_hard_one_is_a_mistake_unless_root(folder):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f'pool "a" {{\n    rlimit_nofile = {hard + 1}\n}}\n'
    done = check(folder, text)
    if os.geteuid() == 0:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 78
    assert lines_told(done, folder / "ganger.conf") == [4]
    assert str(hard) in done.stderr


def test_printed_limits_are_read_back_the_same(folder):
    path = write(
        folder,
        'pool "a" { min_processes = 2 max_processes = 4 umask = 077\n'
        "    rlimit_cpu = 90 rlimit_as = unlimited rlimit_core = 0 }\n",
    )
    first = run_gangerd("-T", "-c", path)
    assert first.returncode == 0
    for line in ('rlimit_cpu = "90s"', "processes = 2", 'umask = "0077"'):
        assert f"\t{line}\n" in first.stdout
    path.write_text(first.stdout)
    assert run_gangerd("-T", "-c", path).stdout == first.stdout


def test_mistake_says_what_is_wrong(folder):
    done = check(folder, 'log_level = "loud"\n')
    assert "log_level" in done.stderr
    assert "loud" in done.stderr
    assert "debug" in done.stderr


def test_mistake_in_an_included_file_is_told_there(folder):
    other = folder / "other.conf"
    other.write_text('\nlog_level = "loud"\n')
    done = check(folder, f'include("{other}")\n')
    assert done.returncode == 78
    assert lines_told(done, other) == [2], done.stderr


def test_start_with_mistakes_is_78_and_leaves_nothing(folder):
    path = write(folder, 'log_level = "loud"\n')
    done = run_gangerd("-c", path)
    assert done.returncode == 78
    assert lines_told(done, path) == [3]
    assert not (folder / "s").exists()


# -p


def test_override_is_laid_over_the_file(folder):
    path = write(folder, "max_clients = 5\n")
    done = run_gangerd("-T", "-c", path, "-p", "max_clients=7")
    assert re.search(r"max_clients\s*=\s*\"?7\b", done.stdout)
    assert not re.search(r"max_clients\s*=\s*\"?5\b", done.stdout)


@pytest.mark.parametrize(
    "override",
    ["colour=red", "max_clients=many", "max_clients", "=1", "pool=x"],
)
def test_bad_override_is_told(folder, override):
    done = check(folder, "", "-p", override)
    assert done.returncode == 78
    assert override in done.stderr


# -T

FULL = """
graceful_timeout = "1500ms"
max_message = "64K"
log_level = "warn"
access { submit = {"*"} admin = {"root"} }
pool "two words are not allowed" { }
"""

EVERYTHING = """
socket_mode = "0600"
graceful_timeout = "1500ms"
drain = "all"
sync = "normal"
priority_age = "7m"
cancel_grace = "11s"
max_store = "12G"
min_free = "13M"
when_full = "hold"
max_message = "65537"
max_clients = 11
max_queued = 12345
result_ttl = "90s"
log_level = "warn"
log_format = "json"
debug_handlers = yes
access { submit = {"*"} observe = {"@root"} admin = {"root", "1"} }
pool "b" {
    processes = 3
    threads = 5
    queues = {"default", "mail:3"}
    order = "strict"
    command "c" {
        argv = {"sh", "-c", "echo \\"$1\\" \\\\ 'x'", "{args.in}", "tab\\there"}
        timeout = "30s"
    }
    chdir = "/"
    env = {"A=b c", "D=\\"e\\""}
    nice = 3
    boot_timeout = "7s"
    timeout = "1h"
    max_tasks = 10
}
pool "a" { processes = "auto" }
queue "mail" {
    priority = 5 retries = 1 timeout = "2m"
    durable = no max_running = 14 rate = "15/h"
}
"""


@pytest.mark.parametrize("text", ["", 'pool "a" { }\n', EVERYTHING])
def test_printed_configuration_reads_as_itself(folder, text):
    path = write(folder, text)
    first = run_gangerd("-T", "-c", path)
    assert first.returncode == 0, first.stderr
    again = folder / "printed.conf"
    again.write_text(first.stdout)
    second = run_gangerd("-T", "-c", again)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout


def test_printed_configuration_has_every_value(folder):
    done = run_gangerd("-T", "-c", write(folder, EVERYTHING))
    for value in ["1500ms", "65537", "12345", "0600", "mail:3", "{args.in}"]:
        assert value in done.stdout, value
    for line in [
        'sync = "normal"',
        'priority_age = "7m"',
        'cancel_grace = "11s"',
        'max_store = "12G"',
        'min_free = "13M"',
        'when_full = "hold"',
        "durable = no",
        "max_running = 14",
        'rate = "15/h"',
    ]:
        assert line in done.stdout, line


def test_rate_that_is_none_is_told_how_it_is_written(folder):
    done = check(folder, 'queue "default" { rate = "5/day" }\n')
    assert (
        'rate: "5/day" is not a rate like "10/s", "5/m", "100/h"'
        in done.stderr
    )


def test_nothing_is_printed_of_a_mistaken_configuration(folder):
    done = run_gangerd("-T", "-c", write(folder, FULL))
    assert done.returncode == 78
    assert done.stdout == ""


def ask(path):
    """What the program answers to a daemon that asks it about a file."""
    read_end, write_end = os.pipe()
    env = {**os.environ, "GANGER_CHECK_FD": str(write_end)}
    with subprocess.Popen(
        [GANGERD, "-t", "-c", path], pass_fds=[write_end], env=env
    ) as asked, os.fdopen(read_end) as answer:
        os.close(write_end)
        try:
            return json.loads(answer.readline())
        finally:
            # It stays until it is ended.
            asked.kill()


def test_answer_to_a_daemon_is_the_effective_configuration(folder):
    path = write(
        folder,
        'pool "a" { }\npool "b" { command "c" { argv = {"true"} } }\n'
        'pool "d" { queues = {"q"} env = {"A=caf\xe9 \\xe9"} }\n',
    )
    answer = ask(path)
    assert answer["config"] == run_gangerd("-T", "-c", path).stdout
    assert answer["file"] is True
    assert list(answer["names"]) == ["a", "b", "d"]
    assert "c" in answer["names"]["b"] and "c" not in answer["names"]["a"]
    assert "mistakes" not in answer


def test_answer_to_a_daemon_has_each_mistake(folder):
    path = write(folder, 'log_level = "loud"\npool "a" { threads = 0 }\n')
    answer = ask(path)
    assert [line.startswith(f"{path}:") for line in answer["mistakes"]] == [
        True,
        True,
    ]
    assert "config" not in answer

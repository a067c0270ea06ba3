# SPDX-License-Identifier: ISC
"""The documents: their examples run, and they leave nothing out."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from ganger import GANGER, LIMIT, ROOT, run_gangerd, wait_until

MAN = ROOT / "etc" / "man"
README = ROOT / "README.md"
PROTOCOL = "ganger-protocol.7"

# What differs from run to run: only its type is compared.
CHANGING = {
    "broker_pid",
    "clients",
    "connections_total",
    "finished_at",
    "kept_bytes",
    "path",
    "pid",
    "requests_total",
    "rss_bytes",
    "run_at",
    "socket",
    "started_at",
    "store_bytes",
    "store_commits",
    "store_dirty",
    "submitted_at",
    "uptime_ms",
    "version",
}

# The daemon of the protocol page's examples.
ONE_WORKER = 'pool "default" { processes = 1 threads = 4 }\n'


def page(name):
    return (MAN / name).read_text()


def section(text, title):
    """What stands under a .Sh or .Ss of this title."""
    title = re.escape(title)
    match = re.search(
        rf"^\.S[hs] {title}\n(.*?)(?=^\.S[hs] |\Z)", text, re.M | re.S
    )
    assert match, f"there is no section {title}"
    return match[1]


# The protocol page's examples


def examples(kind):
    """The (arrow, line) of each block behind a comment of this kind."""
    blocks = re.findall(
        rf'^\.\\" {kind}\n\.Bd[^\n]*\n(.*?)^\.Ed',
        page(PROTOCOL),
        re.M | re.S,
    )
    lines = []
    for line in "".join(blocks).splitlines():
        line = line.replace(r"\e", "\\")
        if line.startswith(("--> ", "<-- ")):
            lines.append([line[:3], line[4:]])
        else:
            lines[-1][1] += line.strip()
    return lines


def assert_like(found, told, where="answer"):
    """found is what the page tells, but for what changes."""
    if where.rpartition(".")[2] in CHANGING:
        assert type(found) is type(told), f"{where}: {found}"
    elif isinstance(told, dict) and isinstance(found, dict):
        assert found.keys() == told.keys(), where
        for key in told:
            assert_like(found[key], told[key], f"{where}.{key}")
    elif isinstance(told, list) and isinstance(found, list):
        assert len(found) == len(told), where
        for i, (a, b) in enumerate(zip(found, told)):
            assert_like(a, b, f"{where}[{i}]")
    else:
        assert found == told and type(found) is type(told), where


def play(client, lines):
    for arrow, text in lines:
        if arrow == "-->":
            client.send_raw(text.encode() + b"\n")
        else:
            assert_like(client.recv(), json.loads(text), text[:40])


def test_protocol_page_examples_run(daemons):
    daemon = daemons.start(ONE_WORKER)
    lines = examples("example")
    assert len(lines) > 30
    with daemon.client() as client:
        play(client, lines)
        play(client, examples("example: last"))
    assert daemon.wait_exit() == 0


def test_protocol_page_worker_examples_name_what_is_sent():
    lines = [json.loads(text) for _, text in examples("example: worker")]
    channel = page(PROTOCOL).partition("\n.Sh WORKERS\n")[2]
    told = set(re.findall(r"^\.It Ic ([a-z]+\.[a-z]+)", channel, re.M))
    source = "".join(
        (ROOT / path).read_text()
        for path in ("master/broker/chan.c", "worker/order.c")
    )
    assert told == set(re.findall(r'"((?:task|worker)\.[a-z]+)"', source))
    assert {line["method"] for line in lines if "method" in line} <= told


# The protocol page against rpc.discover


def documented_params(name):
    return {
        param: (type_, required == ", required")
        for param, type_, required in re.findall(
            r"^\.It Va (\w+) No \(([a-z ]+)(, required)?\)$",
            section(page(PROTOCOL), name),
            re.M,
        )
    }


def test_protocol_page_has_every_method_and_no_other(client):
    methods = client.rpc("rpc.discover")["methods"]
    text = page(PROTOCOL).partition("\n.Sh METHODS\n")[2]
    told = re.findall(r"^\.Ss (\S+)$", text.partition("\n.Sh ")[0], re.M)
    assert sorted(told) == sorted(method["name"] for method in methods)


def test_protocol_page_has_every_parameter_with_its_type(client):
    for method in client.rpc("rpc.discover")["methods"]:
        told = documented_params(method["name"])
        if method["name"] == "task.call":
            told |= documented_params("task.submit")
        assert told == {
            param["name"]: (param["type"], param["required"])
            for param in method["params"]
        }, method["name"]


def test_protocol_page_has_every_class(client):
    for method in client.rpc("rpc.discover")["methods"]:
        text = section(page(PROTOCOL), method["name"])
        assert f"\nClass {method['class']}" in text, method["name"]


def test_protocol_page_has_every_error_code():
    header = (ROOT / "ipc" / "proto.h").read_text()
    codes = re.findall(r"^\tRPC_\w+ = (-\d+),", header, re.M)
    told = re.findall(r"^\.It Er (-\d+)$", page(PROTOCOL), re.M)
    assert sorted(told) == sorted(codes)


def test_protocol_page_has_every_state():
    source = (ROOT / "master" / "broker" / "task.c").read_text()
    states = re.findall(r'^\s+\[TASK_\w+\] = "(\w+)"', source, re.M)
    text = section(page(PROTOCOL), "States")
    told = re.findall(r"^\.It Li (\w+)$", text, re.M)
    assert len(states) == 8
    assert sorted(told) == sorted(states)


# gangerd.8


def test_daemon_page_has_every_option_and_no_other():
    usage = run_gangerd("-h")
    assert usage.returncode == 0
    options = set(re.findall(r"^  -(\w)\b", usage.stdout, re.M))
    in_brackets = set(re.findall(r"\[-(\w)", usage.stdout))
    told = set(re.findall(r"^\.It Fl (\w)\b", page("gangerd.8"), re.M))
    assert told - {"h"} == options == in_brackets


def test_daemon_page_has_every_signal_and_the_readme_too():
    source = (ROOT / "master" / "supervisor" / "signals.c").read_text()
    taken = re.search(r"taken\[\] = \{([^}]*)\}", source)[1]
    names = set(re.findall(r"SIG\w+", taken)) - {"SIGCHLD"}
    items = re.findall(
        r"^\.It Dv (.*)$", section(page("gangerd.8"), "SIGNALS"), re.M
    )
    assert set(" , ".join(items).split(" , ")) == names
    table = README.read_text().partition("\n## Signals\n")[2]
    rows = " ".join(re.findall(r"^\| ([A-Z0-9, ]+) \|", table, re.M))
    assert {f"SIG{name}" for name in re.findall(r"\w+", rows)} == names


def test_every_signal_of_the_page_does_what_it_says(daemons):
    daemon = daemons.start()
    says = {
        "USR1": "log opened anew",
        "USR2": "upgrade: workers of the new binary follow",
        "TTIN": "processes 2 -> 3",
        "TTOU": "processes 3 -> 2",
        "HUP": "reload: the new configuration is in use",
        "WINCH": "the workers are drained",
    }
    text = page("gangerd.8").split(".Sh SIGNALS")[1].split(".Sh")[0]
    for name, said in says.items():
        assert f"SIG{name}" in text
        daemon.send_signal(getattr(signal, f"SIG{name}"))
        daemon.wait_log(said)
    assert daemon.rpc("server.ping") == "pong"


# References between the pages


@pytest.mark.parametrize(
    "name", sorted(path.name for path in MAN.glob("*.[1-9]"))
)
def test_pages_refer_to_pages_that_are_there(name):
    references = r"^\.Xr (ganger\S*|libganger) (\d)"
    for other, volume in re.findall(references, page(name), re.M):
        assert (MAN / f"{other}.{volume}").exists(), f"{other}({volume})"


# ganger-module.3


def test_module_page_has_every_function_and_member():
    header = (ROOT / "worker" / "handler.h").read_text()
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    text = page("ganger-module.3")
    functions = set(re.findall(r"\b(ganger_\w+)\(", header))
    assert functions == set(re.findall(r"^\.Fo (ganger_\w+)", text, re.M))
    members = re.findall(r"\(\*(\w+)\)\(void\);", header)
    assert len(members) == 4
    for member in members:
        assert re.search(rf"\b{member}\b", text), member


def test_module_page_example_compiles_and_runs(daemons, folder):
    source = re.search(
        r'^\.\\" example\n\.Bd[^\n]*\n(.*?)^\.Ed',
        page("ganger-module.3"),
        re.M | re.S,
    )[1]
    source = source.replace(r"\e", "\\").replace(r"\&", "")
    include = folder / "include" / "ganger"
    include.mkdir(parents=True)
    shutil.copy(ROOT / "worker" / "handler.h", include)
    (folder / "area.c").write_text(source)
    subprocess.run(
        ["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        + ["-I", folder / "include", "-o", folder / "area.so"]
        + [folder / "area.c", "-ljansson"],
        check=True,
    )
    module = folder / "area.so"
    daemon = daemons.start(f'pool "default" {{ modules = {{"{module}"}} }}')
    with daemon.client() as client:
        args = {"width": 3, "height": 4}
        assert client.call("area", args)["result"] == {"area": 12}
        error = client.error("task.call", {"name": "area", "args": {}})
        assert error.data["task"]["state"] == "failed"


# The README's commands


def blocks(name):
    """The fenced blocks behind the comment <!-- test: NAME -->."""
    found = re.findall(
        rf"^<!-- test: {name} -->\n```(?:sh|python|console)?\n(.*?)^```$",
        README.read_text(),
        re.M | re.S,
    )
    assert found, f"no block is marked {name}"
    return found


def run_script(lines, home, **env):
    """Run shell commands in the source folder, as if they were pasted."""
    keep = [n for n in os.environ if n.endswith("SAN_OPTIONS")]
    keep += [n for n in ("PATH", "BUILD", "MAKEFLAGS") if n in os.environ]
    return subprocess.run(
        ["sh", "-euc", "\n".join(lines)],
        cwd=ROOT,
        env={**{n: os.environ[n] for n in keep}, "HOME": str(home), **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT * 4,
    )


class Tour:
    """A home in which the tour was taken up to its last block, the stop."""

    def __init__(self, home):
        self.home = home
        self.socket = home / "ganger-tour" / "ganger.sock"
        self.pidfile = home / "ganger-tour" / "state" / "gangerd.pid"
        *self.begin, self.end = blocks("tour")
        self.done = run_script(self.begin, home)

    def stop(self):
        """Paste the last block, in a shell that has the others' settings."""
        lines = "".join(self.begin).splitlines()
        exports = [line for line in lines if line.startswith("export ")]
        return run_script([*exports, self.end], self.home)

    def kill(self):
        if self.pidfile.exists():
            os.kill(int(self.pidfile.read_text()), signal.SIGQUIT)
            wait_until(lambda: not self.pidfile.exists(), "the daemon ends")


@pytest.fixture(scope="module")
def tour():
    home = pathlib.Path(tempfile.mkdtemp(prefix="ganger-", dir="/tmp"))
    taken = Tour(home)
    yield taken
    taken.kill()
    shutil.rmtree(home)


def test_readme_tour_runs_as_it_stands(tour):
    assert tour.done.returncode == 0, tour.done.stdout
    out = tour.done.stdout
    assert "example.conf: the configuration is valid" in out
    assert re.search(r'^\{"path":".*","lines":\d+,"words":', out, re.M)
    assert re.search(r'^\[\{"word":"\w+","count":\d+\},', out, re.M)
    assert tour.socket.exists()


def test_readme_python_block_runs(tour):
    for script in blocks("python"):
        done = subprocess.run(
            ["python3", "-c", script],
            env={
                "PATH": os.environ["PATH"],
                "GANGER_SOCKET": str(tour.socket),
            },
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert done.returncode == 0, done.stderr
        assert "'state': 'succeeded'" in done.stdout, done.stdout


@pytest.mark.skipif(shutil.which("nc") is None, reason="there is no nc")
def test_readme_netcat_block_runs(tour):
    for script in blocks("nc"):
        done = run_script([script], tour.home, GANGER_SOCKET=str(tour.socket))
        assert done.returncode == 0, done.stdout
        assert '"result":' in done.stdout


def test_readme_tour_ends_with_a_stop(tour):
    done = tour.stop()
    assert done.returncode == 0, done.stdout
    assert not tour.socket.exists()
    assert not tour.pidfile.exists()


def test_readme_configuration_is_valid(folder):
    (text,) = blocks("configuration")
    module = '"/usr/lib/ganger/mine.so"'
    assert module in text
    path = folder / "ganger.conf"
    path.write_text(text.replace(module, ""))
    done = run_gangerd("-t", "-c", path)
    assert done.returncode == 0, done.stderr


def test_readme_names_every_command():
    usage = subprocess.run(
        [GANGER, "-h"], capture_output=True, text=True, timeout=LIMIT
    )
    commands = re.findall(r"^  ([a-z]+)  +[A-Z]", usage.stdout, re.M)
    assert len(commands) > 10
    text = README.read_text()
    for command in commands:
        assert re.search(rf"`[^`]*\b{command}\b[^`]*`", text), command

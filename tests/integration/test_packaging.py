# SPDX-License-Identifier: ISC
"""The files for systemd, logrotate and the like, as `make install` writes them."""

import re
import shutil
import subprocess

import pytest

from ganger import GANGERD, ROOT

NAMES = [
    "lib/systemd/system/ganger.service",
    "lib/systemd/system/ganger.socket",
    "lib/tmpfiles.d/ganger.conf",
    "lib/sysusers.d/ganger.conf",
    "etc/logrotate.d/ganger",
]


@pytest.fixture
def installed(folder):
    """They, with all paths in a folder, where there is a gangerd too."""
    subprocess.run(
        ["make", "-s", "install-system", f"PREFIX={folder}", "DESTDIR="]
        + [f"SYSCONFDIR={folder}/etc", f"RUNDIR={folder}/run"]
        + [f"LOCALSTATEDIR={folder}/var"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (folder / "sbin").mkdir()
    shutil.copy(GANGERD, folder / "sbin" / "gangerd")
    return folder


def tool(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        pytest.skip(f"SKIPPED: there is no {name}")
    return path


def test_paths_are_filled_in(installed):
    for name in NAMES:
        text = (installed / name).read_text()
        assert not re.search(r"@[A-Z]+@", text), name
    service = (installed / NAMES[0]).read_text()
    assert f"ExecStart={installed}/sbin/gangerd" in service
    assert f"={installed}/run/ganger/ganger.sock\n" in (
        installed / NAMES[1]
    ).read_text()


def test_stop_is_given_the_time_that_it_may_take(installed):
    """The unit's over the daemon's, by default."""
    unit = (installed / NAMES[0]).read_text()
    limit = int(re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.M)[1])
    done = subprocess.run([GANGERD, "-T"], capture_output=True, text=True)
    grace = int(re.search(r'graceful_timeout = "(\d+)s"', done.stdout)[1])
    assert limit >= grace + 5


def test_units_are_valid(installed):
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no"]
        + [installed / name for name in NAMES[:2]],
        capture_output=True,
        text=True,
    )
    # It is lenient: a key that it does not know is but a line.
    said = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if "ganger" in line
    ]
    assert (done.returncode, said) == (0, [])


def test_account_is_valid(installed):
    subprocess.run(
        [tool("systemd-sysusers"), "--dry-run", installed / NAMES[3]],
        check=True,
        capture_output=True,
    )


def test_log_rotation_is_valid(installed):
    (installed / "var/log/ganger").mkdir(parents=True)
    (installed / "var/log/ganger/ganger.log").write_text("a line\n")
    done = subprocess.run(
        [tool("logrotate"), "-d", "-s", installed / "state"]
        + [installed / NAMES[4]],
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "ganger.log" in said
    assert "error:" not in said


def test_daemon_page_tells_of_them(installed):
    page = (ROOT / "etc/man/gangerd.8").read_text()
    for name in NAMES:
        assert name.rsplit("/", 1)[-1] in page, name

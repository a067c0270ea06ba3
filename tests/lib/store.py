# SPDX-License-Identifier: ISC
"""The durable store's files, and ways to make writing them fail."""

import contextlib
import hashlib
import os
import pathlib
import subprocess

import pytest

from ganger import ROOT, SANITIZED

DATABASE = "tasks.db"


def database(daemon):
    return daemon.dir / "state" / DATABASE


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Disk:
    """A small file system of its own, which can be filled up."""

    def __init__(self, path, size):
        self.path = path
        self.ballast = path / "ballast"
        path.mkdir(parents=True, exist_ok=True)
        if os.getuid() != 0:
            pytest.skip("only root can mount")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            pytest.skip(f"mounting is not possible here: {done.stderr}")

    def remount(self, options):
        subprocess.run(
            ["mount", "-o", f"remount,{options}", self.path], check=True
        )

    def fill(self, size=None):
        """Write so many bytes, or as many as there is room for."""
        with open(self.ballast, "ab", buffering=0) as file:
            if size is not None:
                file.write(bytes(size))
                return
            for size in 1 << 20, 1 << 12, 1:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def make_room(self):
        self.ballast.unlink()

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=True)


class Faults:
    """A library that makes the writes of files under `folder` fail at will.

    It is given to a daemon by env; see store_faults.c for what a word says.
    """

    def __init__(self, folder, under):
        if SANITIZED:
            pytest.skip("a sanitizer must be loaded first")
        self.control = folder / "faults"
        self.trace = folder / "trace"
        self.control.write_bytes(b"")
        library = folder / "store_faults.so"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
            + ["-D_GNU_SOURCE", "-pthread", "-o", library]
            + [ROOT / "tests" / "lib" / "store_faults.c", "-ldl"],
            check=True,
        )
        self.env = {
            "LD_PRELOAD": str(library),
            "FAULTS_CONTROL": str(self.control),
            "FAULTS_UNDER": str(under) + "/",
        }

    def set(self, words):
        new = pathlib.Path(f"{self.control}.new")
        new.write_text(words)
        new.rename(self.control)

    def fail(self, number):
        """Let every write fail with this errno value."""
        self.set(f"fail {number}")

    def kill_at(self, count):
        """Let the process die in the midst of its count-th write."""
        self.set(f"kill {count}")

    def record(self):
        """Let every change be written to the trace."""
        self.env["FAULTS_TRACE"] = str(self.trace)

    def end(self):
        self.set("")

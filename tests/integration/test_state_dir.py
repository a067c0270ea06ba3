# SPDX-License-Identifier: ISC
"""Whose state_dir is, when root's daemon has a broker of another user."""

import os
import pathlib
import pwd
import subprocess

import pytest

from ganger import GANGERD, POOL

NOBODY = 65534

pytestmark = pytest.mark.skipif(
    os.getuid() != 0, reason="only root can be somebody else"
)


@pytest.fixture(autouse=True)
def build_is_seen():
    """A worker is not exec'd, but others must be able to come this far."""
    try:
        assert pwd.getpwnam("nobody").pw_uid == NOBODY
    except (KeyError, AssertionError):
        pytest.skip("nobody is somebody else here")
    done = subprocess.run(
        [GANGERD, "-V"], user=NOBODY, group=NOBODY, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("the build is hidden from others")


@pytest.fixture
def daemon(daemons):
    daemon = daemons.make(POOL, top='user = "nobody"')
    daemon.dir.chmod(0o755)
    return daemon


def state_of(daemon):
    return daemon.dir / "state"


def owner(path):
    st = path.stat()
    return st.st_uid, st.st_gid


def assert_refused(daemon, *reasons):
    daemon.spawn()
    assert daemon.process.wait(30) == 73, daemon.log()
    for reason in reasons:
        assert reason in daemon.log(), daemon.log()


def test_folder_that_is_made_is_the_brokers(daemon):
    daemon.start()
    state = state_of(daemon)
    assert owner(state)[0] == NOBODY
    assert state.stat().st_mode & 0o777 == 0o750
    # The broker can keep tasks there.
    subprocess.run(
        ["touch", state / "probe"], check=True, user=NOBODY, group=NOBODY
    )


def test_empty_folder_of_roots_is_given_to_the_broker(daemon):
    state_of(daemon).mkdir(mode=0o700)
    daemon.start()
    assert owner(state_of(daemon))[0] == NOBODY


def test_store_of_roots_goes_with_its_folder(daemon):
    """The daemon ran as root before it was given a user."""
    state = state_of(daemon)
    state.mkdir(mode=0o750)
    names = ["tasks.db", "tasks.db-wal", "tasks.db-shm"]
    for name in names:
        (state / name).touch(mode=0o600)
    daemon.start()
    for name in names:
        if (state / name).exists():
            assert owner(state / name)[0] == NOBODY, name


def test_folder_with_files_of_others_is_left_alone(daemon):
    state = state_of(daemon)
    state.mkdir(mode=0o755)
    (state / "thesis.tex").touch()
    assert_refused(
        daemon,
        f"state_dir {state}:",
        "not given to nobody",
        "thesis.tex",
        "nobody can't write in it: Permission denied",
    )
    assert owner(state) == (0, 0)


def test_folder_that_anybody_can_write_to_is_not_given_away(daemon):
    """A file in it by the store's name may be a link to any other."""
    state = state_of(daemon)
    state.mkdir()
    state.chmod(0o1777)
    victim = daemon.dir / "shadow"
    victim.touch(mode=0o600)
    os.link(victim, state / "tasks.db")
    assert_refused(daemon, "others can write to it", "Permission denied")
    assert owner(state) == (0, 0)
    assert owner(victim) == (0, 0)


def test_link_by_the_stores_name_is_not_followed(daemon):
    state = state_of(daemon)
    state.mkdir(mode=0o755)
    victim = daemon.dir / "shadow"
    victim.touch(mode=0o600)
    (state / "tasks.db").symlink_to(victim)
    assert_refused(daemon, "tasks.db")
    assert owner(victim) == (0, 0)


def test_folder_of_somebody_else_is_refused(daemon):
    state = state_of(daemon)
    state.mkdir(mode=0o755)
    os.chown(state, 1, 1)
    assert_refused(daemon, "nobody can't write in it: Permission denied")
    assert owner(state) == (1, 1)


def test_store_of_somebody_else_in_it_is_refused(daemon):
    state = state_of(daemon)
    state.mkdir(mode=0o755)
    os.chown(state, NOBODY, NOBODY)
    (state / "tasks.db").touch(mode=0o600)
    assert_refused(daemon, "nobody can't write in it: Permission denied")
    assert owner(state / "tasks.db") == (0, 0)


def test_folder_behind_a_closed_one_is_refused(daemon):
    daemon.dir.chmod(0o700)
    assert_refused(daemon, "nobody can't write in it: Permission denied")


def test_folder_that_a_group_can_write_to_does(daemon):
    state = state_of(daemon)
    state.mkdir()
    group = pwd.getpwnam("nobody").pw_gid
    os.chown(state, 0, group)
    state.chmod(0o770)
    daemon.start()
    assert owner(state) == (0, group)


def test_folder_of_a_daemon_without_a_user_stays_roots(daemons):
    daemon = daemons.start(POOL)
    assert owner(state_of(daemon)) == (0, 0)


def test_pid_file_with_a_second_name_is_not_written(daemons):
    daemon = daemons.make(POOL)
    victim = pathlib.Path(daemon.dir / "precious")
    victim.write_text("precious")
    os.link(victim, daemon.pidfile)
    daemon.spawn()
    assert daemon.process.wait(30) == 73, daemon.log()
    assert victim.read_text() == "precious"

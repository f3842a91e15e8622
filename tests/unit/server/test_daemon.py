"""Pid files, names of users and groups, limits: what of becoming a daemon needs no process."""

import os
import resource
from pathlib import Path

import pytest

from openserd.errors import ConfigError, ResourceError
from openserd.server import daemon
from openserd.server.daemon import READY, Launch, PidFile, drop_privileges, group_id, is_alive, set_limits, user_id

Calls = list[tuple[str, object]]


@pytest.fixture
def pid_file(tmp_path: Path) -> PidFile:
    return PidFile(str(tmp_path / "pid"))


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process has any pid."""

    def kill(pid: int, number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)


def test_a_pid_file_holds_the_number_and_a_line_end(pid_file: PidFile) -> None:
    pid_file.write(4711)
    assert pid_file.path.read_text() == "4711\n"


def test_a_pid_file_of_a_living_process_refuses_a_second_server(pid_file: PidFile) -> None:
    pid_file.write(os.getppid())
    with pytest.raises(ResourceError, match=f"already running as process {os.getppid()}, says {pid_file.path}"):
        pid_file.check()


def test_a_process_that_has_ended_and_only_waits_to_be_collected_does_not_live(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self: "4711 (a) odd) name) Z 1 2 3")
    assert not is_alive(os.getpid())
    monkeypatch.setattr(Path, "read_text", lambda self: "4711 (Z) S 1 2 3")
    assert is_alive(os.getpid())


def test_a_process_of_somebody_else_lives_too(pid_file: PidFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", kill)
    pid_file.write(1)
    assert is_alive(1)
    with pytest.raises(ResourceError):
        pid_file.check()


def test_a_pid_file_of_a_dead_process_is_no_obstacle(pid_file: PidFile, no_process: None) -> None:
    pid_file.write(4711)
    pid_file.check()


def test_one_s_own_pid_is_no_obstacle(pid_file: PidFile) -> None:
    pid_file.write(os.getpid())
    pid_file.check()


@pytest.mark.parametrize("text", ["", "\n", "no number\n", "12x"])
def test_a_pid_file_without_a_number_is_no_obstacle(pid_file: PidFile, text: str) -> None:
    pid_file.path.write_text(text)
    pid_file.check()


def test_an_absent_pid_file_is_no_obstacle_and_can_be_removed_twice(pid_file: PidFile) -> None:
    pid_file.check()
    pid_file.write(1)
    pid_file.remove()
    pid_file.remove()
    assert not pid_file.path.exists()


def test_a_pid_file_that_cannot_be_written_says_which_and_why(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "pid"
    with pytest.raises(ResourceError, match=f"cannot write {path}: No such file or directory"):
        PidFile(str(path)).write(1)


def test_users_and_groups_are_known_by_name_and_number() -> None:
    assert user_id("root") == user_id("0") == (0, 0)
    assert group_id("root") == group_id("0") == 0


def test_unknown_users_and_groups_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="there is no user 'nobody-here'"):
        user_id("nobody-here")
    with pytest.raises(ConfigError, match="there is no group 'nobody-here'"):
        group_id("nobody-here")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What would be asked of the system."""
    made: Calls = []
    for name in ("chroot", "chdir", "setgroups", "setgid", "setuid"):
        monkeypatch.setattr(os, name, lambda value, name=name: made.append((name, value)))
    monkeypatch.setattr(daemon, "user_id", lambda name: (1000, 1001))
    monkeypatch.setattr(daemon, "group_id", lambda name: 2002)
    return made


def test_root_directory_then_group_then_user_are_given_up_in_that_order(calls: Calls) -> None:
    drop_privileges("/srv/sip", "sip", "phones")
    assert calls == [
        ("chroot", "/srv/sip"),
        ("chdir", "/"),
        ("setgroups", []),
        ("setgid", 2002),
        ("setuid", 1000),
    ]


def test_a_user_without_a_group_brings_its_own(calls: Calls) -> None:
    drop_privileges("", "sip", "")
    assert calls == [("setgroups", []), ("setgid", 1001), ("setuid", 1000)]


def test_nothing_asked_for_is_nothing_given_up(calls: Calls) -> None:
    drop_privileges("", "", "")
    assert calls == []


def test_a_refusal_of_the_system_is_the_machine_s_fault(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chroot", refuse)
    with pytest.raises(ResourceError, match="cannot change to /srv: Operation not permitted"):
        drop_privileges("/srv", "", "")


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> dict[int, tuple[int, int]]:
    """The limits that would be set; the hard ones are 1000."""
    made: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10, 1000))
    monkeypatch.setattr(resource, "setrlimit", made.__setitem__)
    return made


@pytest.mark.parametrize(("disabled", "soft"), [(False, 1000), (True, 0)])
def test_core_dumps_are_as_large_as_may_be_or_off(
    limits: dict[int, tuple[int, int]], disabled: bool, soft: int
) -> None:
    set_limits(disabled, -1)
    assert limits == {resource.RLIMIT_CORE: (soft, 1000)}


@pytest.mark.parametrize(("wanted", "expected"), [(500, (500, 1000)), (4000, (4000, 4000))])
def test_the_limit_of_open_files_is_raised_when_asked(
    limits: dict[int, tuple[int, int]], wanted: int, expected: tuple[int, int]
) -> None:
    set_limits(False, wanted)
    assert limits[resource.RLIMIT_NOFILE] == expected


def test_a_limit_that_cannot_be_raised_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kind: int, limit: tuple[int, int]) -> None:
        if kind == resource.RLIMIT_NOFILE:
            raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(ResourceError, match="open files to 99999999"):
        set_limits(False, 99_999_999)


def test_a_launch_that_has_not_detached_leaves_the_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "dup2", lambda *_: pytest.fail("the terminal was left"))
        launch = Launch()
        launch.leave_terminal(keep_stderr=False)
        launch.ready()


@pytest.mark.parametrize(("keeps", "left"), [(False, [0, 1, 2]), (True, [0, 1])])
def test_a_daemon_leaves_the_terminal_but_for_a_log_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, keeps: bool, left: list[int]
) -> None:
    given_up: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(os, "dup2", lambda null, standard: given_up.append(standard))
        launch = Launch()
        launch.pipe = 99
        launch.leave_terminal(keep_stderr=keeps)
    assert given_up == left


def test_only_the_master_tells_the_starter_that_the_server_is_up() -> None:
    reader, writer = os.pipe()
    launch = Launch()
    launch.pipe = os.dup(writer)
    launch.forget()
    launch.ready()
    launch.pipe = writer
    launch.ready()
    assert os.read(reader, 10) == READY
    assert os.read(reader, 10) == b"", "the end is closed"
    os.close(reader)

"""The master's decisions: when a dead process's successor may start, what a death asks for."""

import logging
import os
import signal
from types import SimpleNamespace

import pytest

from openserd.core.context import Core
from openserd.errors import ResourceError
from openserd.server import master
from openserd.server.master import QUICK_DEATH, QUICK_DEATHS, RESPAWN_PAUSE, WAKE_UP, Lives, Master, send_signal
from openserd.server.processes import ProcessTable, Role


class Memory:
    """Notes which rows were recovered."""

    def __init__(self) -> None:
        self.recovered: list[int] = []

    def recover(self, row: int) -> list[tuple[str, int]]:
        self.recovered.append(row)
        return []


def die(lives: Lives, now: float, age: float) -> float:
    """A process starts, dies at the age of `age`; gives back how long its successor has to wait."""
    lives.started = now - age
    lives.died(now)
    return lives.start_at - now


def test_the_first_deaths_are_followed_at_once() -> None:
    lives = Lives()
    assert [die(lives, 100.0 + n, 0.1) for n in range(QUICK_DEATHS - 1)] == [0.0] * (QUICK_DEATHS - 1)


def test_from_the_fifth_quick_death_on_successors_come_once_a_second() -> None:
    lives = Lives()
    pauses = [die(lives, 100.0 + n, 0.1) for n in range(20)]
    assert pauses[QUICK_DEATHS - 1 :] == [RESPAWN_PAUSE] * (20 - QUICK_DEATHS + 1)
    assert RESPAWN_PAUSE >= 1.0 and QUICK_DEATHS <= 5


def test_a_long_life_ends_the_back_off() -> None:
    lives = Lives()
    for n in range(10):
        die(lives, 100.0 + n, 0.1)
    assert die(lives, 200.0, QUICK_DEATH + 1) == 0.0
    assert die(lives, 201.0, 0.1) == 0.0


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Master:
    """A master of three rows whose processes are never forked: pids 1001 and 1002 fill rows 1 and 2."""
    table = ProcessTable()
    for title in ("attendant", "receiver child=0 sock= 127.0.0.1:5060", "timer"):
        table.add(Role(title, 0, lambda: None))
    table.words = memoryview(bytearray(4 * 2 * 3)).cast("I")
    core = Core()
    core.shared = Memory()  # type: ignore[assignment]
    made = Master(core, table, lambda: None)
    for row, pid in ((1, 1001), (2, 1002)):
        made.rows[pid] = row
        table.set_pid(row, pid)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("nothing is forked in a unit test"))
    return made


def dead(monkeypatch: pytest.MonkeyPatch, *deaths: tuple[int, int]) -> None:
    """Makes waitpid tell these deaths, then that nobody else has died."""
    told = [*deaths, (0, 0)]
    monkeypatch.setattr(os, "waitpid", lambda pid, options: told.pop(0))


def test_a_death_frees_the_row_repairs_memory_and_lines_up_a_successor(
    supervisor: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead(monkeypatch, (1001, signal.SIGKILL))
    with caplog.at_level(logging.ERROR, "openserd"):
        supervisor.reap()
    assert supervisor.core.memory.recovered == [1]  # type: ignore[attr-defined]
    assert (supervisor.table.pid(1), supervisor.table.pid(2)) == (0, 1002)
    assert (supervisor.waiting, supervisor.rows) == ({1}, {1002: 2})
    assert caplog.messages == ["process 1001 (receiver child=0 sock= 127.0.0.1:5060) died of signal 9"]


def test_the_log_tells_an_exit_code_from_a_signal(
    supervisor: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead(monkeypatch, (1002, 3 << 8))
    with caplog.at_level(logging.ERROR, "openserd"):
        supervisor.reap()
    assert caplog.messages == ["process 1002 (timer) died of exit code 3"]


def test_several_deaths_behind_one_signal_are_all_collected(
    supervisor: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(monkeypatch, (1001, 9), (4711, 0), (1002, 9))
    supervisor.reap()
    assert supervisor.waiting == {1, 2}


def test_a_master_without_children_has_nobody_to_collect(supervisor: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_children(pid: int, options: int) -> tuple[int, int]:
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", no_children)
    supervisor.reap()
    assert supervisor.waiting == set()


def test_successors_start_when_their_time_has_come_and_no_sooner(
    supervisor: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    monkeypatch.setattr(supervisor, "start", started.append)
    monkeypatch.setattr(master, "time", SimpleNamespace(monotonic=lambda: 50.0))
    supervisor.waiting = {1, 2}
    supervisor.lives[1].start_at, supervisor.lives[2].start_at = 50.0, 50.75
    assert supervisor.pause() == 0.0
    supervisor.start_waiting()
    assert (started, supervisor.waiting) == ([1], {2})
    assert supervisor.pause() == 0.75


def refuse() -> int:
    raise BlockingIOError(11, "Resource temporarily unavailable")


def test_a_successor_that_the_system_refuses_is_tried_again_a_second_later(
    supervisor: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(master, "time", SimpleNamespace(monotonic=lambda: 50.0))
    supervisor.waiting = {2}
    with caplog.at_level(logging.ERROR, "openserd"):
        supervisor.start_waiting()
    assert caplog.messages == ["cannot start timer again yet: Resource temporarily unavailable"]
    assert (supervisor.waiting, supervisor.pause()) == ({2}, RESPAWN_PAUSE)


def test_a_first_start_that_the_system_refuses_is_an_error_and_leaves_no_process(
    supervisor: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fork", refuse)
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(os, "waitpid", lambda pid, options: (pid, 0))
    with pytest.raises(ResourceError, match="cannot start a process: Resource temporarily unavailable"):
        supervisor.start_all()
    assert sent == [(1001, signal.SIGTERM), (1002, signal.SIGTERM)]
    assert supervisor.rows == {}


def test_with_nothing_put_off_the_master_wakes_up_now_and_then(supervisor: Master) -> None:
    assert supervisor.pause() == WAKE_UP


def test_a_signal_to_a_process_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(pid: int, number: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "kill", gone)
    send_signal(1, signal.SIGTERM)

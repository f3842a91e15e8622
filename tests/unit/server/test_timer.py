"""The timer loop on a clock of its own: whose turn it is, how long to wait, what a failing task does."""

import logging
from types import SimpleNamespace

import pytest

from openserd.server import timer
from openserd.server.timer import SLOWEST_TICK, TimerLoop


class Work:
    """Counts its runs; raises while `broken`."""

    def __init__(self) -> None:
        self.n_runs = 0
        self.broken = False

    def __call__(self) -> None:
        self.n_runs += 1
        if self.broken:
            raise RuntimeError("no disk")


def test_a_task_first_runs_one_interval_after_the_start() -> None:
    work = Work()
    loop = TimerLoop([("sweep", 5.0, work)], 100.0)
    assert loop.run_due(100.0) == 5.0
    assert loop.run_due(104.5) == 0.5
    assert work.n_runs == 0
    assert loop.run_due(105.0) == 5.0
    assert work.n_runs == 1


def test_each_task_has_its_own_interval_and_the_pause_is_that_of_the_next() -> None:
    often, seldom = Work(), Work()
    loop = TimerLoop([("often", 0.1, often), ("seldom", 60.0, seldom)], 0.0)
    pauses = [loop.run_due(tick * 0.1 + 0.001) for tick in range(1, 601)]
    assert (often.n_runs, seldom.n_runs) == (600, 1)
    assert max(pauses) <= 0.1


def test_a_late_tick_does_not_shift_later_ones() -> None:
    work = Work()
    loop = TimerLoop([("t", 10.0, work)], 0.0)
    loop.run_due(13.0)
    assert loop.run_due(19.0) == 1.0
    loop.run_due(20.0)
    assert work.n_runs == 2


def test_missed_turns_are_not_made_up_for_one_by_one() -> None:
    work = Work()
    loop = TimerLoop([("t", 1.0, work)], 0.0)
    for now in (3600.0, 3600.0, 3600.5):
        loop.run_due(now)
    assert work.n_runs == 2
    loop.run_due(3601.0)
    assert work.n_runs == 3


def test_a_task_that_fails_is_logged_by_name_and_others_and_later_turns_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken, sound = Work(), Work()
    broken.broken = True
    loop = TimerLoop([("usrloc expire", 1.0, broken), ("sound", 1.0, sound)], 0.0)
    with caplog.at_level(logging.ERROR, "openserd"):
        loop.run_due(1.0)
        loop.run_due(2.0)
    assert (broken.n_runs, sound.n_runs) == (2, 2)
    assert [record.getMessage() for record in caplog.records] == ["timer task usrloc expire failed"] * 2
    assert "no disk" in caplog.text


def test_without_tasks_the_loop_only_wakes_up() -> None:
    assert TimerLoop([], 0.0).run_due(5.0) == SLOWEST_TICK


def test_the_loop_sleeps_until_the_next_turn_and_ends_after_the_task_that_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now[0] += seconds

    monkeypatch.setattr(timer, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    runs: list[float] = []
    loop = TimerLoop([("t", 2.5, lambda: runs.append(now[0])), ("end", 5.0, lambda: loop.stop())], 0.0)
    loop.run()
    assert runs == [2.5, 5.0]
    assert slept[:3] == [1.0, 1.0, 0.5], "never longer than SLOWEST_TICK"

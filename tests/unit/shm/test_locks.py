"""Locks and their recovery.  Processes are played by one: `enter` changes the row it writes."""

import os
import signal
import threading
import time

import pytest

from openserd.shm import locks as module
from openserd.shm.locks import HOLDS, LEVELS, RELEASING, ROW_WORDS, WANTS, Locks, LockSet
from openserd.shm.segment import Segment


def values(lock_set: LockSet) -> list[int]:
    return [semaphore.get_value() for semaphore in lock_set.semaphores]


def write_word(locks: Locks, process: int, level: int, word: int) -> None:
    """What a process that died at this moment would have left."""
    locks._words[locks._rows + process * ROW_WORDS + LEVELS + level] = word


def test_a_lock_is_free_again_after_release(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 4)
    stripes.acquire(2)
    assert values(stripes) == [1, 1, 0, 1]
    assert locks.held(0) == [("stripes", 2, HOLDS)]
    stripes.release(2)
    assert values(stripes) == [1, 1, 1, 1]
    assert locks.held(0) == []
    assert len(stripes) == 4


def test_a_lock_taken_cannot_be_taken_again(locks: Locks) -> None:
    lock = locks.lock("one")
    with lock:
        assert not lock.try_acquire()
        assert locks.held(0) == [("one", 0, HOLDS)]
    assert lock.try_acquire()
    lock.release()


def test_releasing_what_is_not_held_is_an_assertion(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 2)
    with pytest.raises(AssertionError, match="does not hold"):
        stripes.release(0)
    stripes.acquire(0)
    with pytest.raises(AssertionError):
        stripes.release(1)
    stripes.release(0)
    with pytest.raises(AssertionError):
        stripes.release(0)
    assert values(stripes) == [1, 1]


def test_locks_may_be_released_in_any_order(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 3)
    for i in range(3):
        stripes.acquire(i)
    stripes.release(0)
    assert locks.held(0) == [("stripes", 1, HOLDS), ("stripes", 2, HOLDS)]
    stripes.release(1)
    stripes.release(2)
    assert values(stripes) == [1, 1, 1]
    assert locks.held(0) == []


def test_too_many_locks_at_once_are_an_assertion(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 20)
    for i in range(ROW_WORDS - LEVELS):
        stripes.acquire(i)
    with pytest.raises(AssertionError, match="too many"):
        stripes.acquire(19)
    for i in range(ROW_WORDS - LEVELS):
        stripes.release(i)


def test_processes_have_rows_of_their_own(locks: Locks) -> None:
    lock = locks.lock("one")
    locks.enter(2)
    lock.acquire()
    locks.enter(0)
    assert locks.held(2) == [("one", 0, HOLDS)]
    assert locks.held(0) == []
    locks.enter(2)
    lock.release()


def test_a_row_out_of_range_is_an_assertion(locks: Locks) -> None:
    with pytest.raises(AssertionError):
        locks.enter(4)


def test_the_dead_holders_locks_are_free_and_reported(locks: Locks) -> None:
    repaired = []
    stripes = locks.lock_set("stripes", 4, lambda i: repaired.append((i, stripes.semaphores[i].get_value())))
    other = locks.lock("other")
    locks.enter(1)
    stripes.acquire(3)
    other.acquire()
    locks.enter(0)
    assert locks.free_dead(1) == [("other", 0), ("stripes", 3)]
    assert repaired == [(3, 0)]
    assert values(stripes) == [1, 1, 1, 1]
    assert other.try_acquire()
    assert locks.held(1) == [] and locks.pid(1) == 0


def test_who_died_idle_leaves_nothing_to_free(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 1)
    locks.enter(1)
    locks.enter(0)
    assert locks.free_dead(1) == []
    assert values(stripes) == [1]


@pytest.mark.parametrize("state", [WANTS, RELEASING])
def test_who_died_beside_a_free_lock_did_not_hold_it(locks: Locks, state: int) -> None:
    stripes = locks.lock_set("stripes", 1)
    write_word(locks, 1, 0, state)
    assert locks.free_dead(1) == []
    assert values(stripes) == [1]


@pytest.mark.parametrize("state", [WANTS, RELEASING])
def test_who_died_beside_a_lock_that_is_held_did_not_hold_it(locks: Locks, state: int) -> None:
    stripes = locks.lock_set("stripes", 1)
    locks.enter(2)
    stripes.acquire(0)
    locks.enter(0)
    write_word(locks, 1, 0, state)
    assert locks.free_dead(1) == []
    assert values(stripes) == [0]


@pytest.mark.parametrize("state", [WANTS, RELEASING])
def test_a_lock_that_nobody_alive_has_is_freed_once(locks: Locks, state: int) -> None:
    stripes = locks.lock_set("stripes", 1)
    stripes.semaphores[0].acquire(False)
    write_word(locks, 1, 0, state)
    assert locks.free_dead(1) == [("stripes", 0)]
    assert values(stripes) == [1]
    assert locks.free_dead(1) == []
    assert values(stripes) == [1]


def test_a_lock_named_by_two_levels_is_freed_once(locks: Locks) -> None:
    """As left by a process that died while it released an outer lock before an inner one."""
    stripes = locks.lock_set("stripes", 2)
    stripes.semaphores[1].acquire(False)
    write_word(locks, 1, 0, 1 << 2 | HOLDS)
    write_word(locks, 1, 1, 1 << 2 | HOLDS)
    assert locks.free_dead(1) == [("stripes", 1)]
    assert values(stripes) == [1, 1]


def test_of_two_dead_only_one_frees_the_lock(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 1)
    locks.enter(1)
    stripes.acquire(0)
    locks.enter(0)
    write_word(locks, 2, 0, WANTS)
    assert locks.free_dead(2) == []
    assert locks.free_dead(1) == [("stripes", 0)]
    assert values(stripes) == [1]


def test_a_waiter_that_has_not_shown_that_it_waits_makes_the_master_doubt(
    locks: Locks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DOUBT_S", 0.15)
    stripes = locks.lock_set("stripes", 1)
    stripes.semaphores[0].acquire(False)
    locks.enter(2)
    write_word(locks, 2, 0, WANTS)
    locks.enter(0)
    write_word(locks, 1, 0, WANTS)
    began = time.monotonic()
    assert locks.free_dead(1) == [("stripes", 0)]
    assert time.monotonic() - began >= 0.15


def test_a_waiter_that_beats_is_believed(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 1)
    stripes.semaphores[0].acquire(False)
    locks.enter(2)
    write_word(locks, 2, 0, WANTS)
    beats = [0] * 4
    assert locks._worst(0, 1, beats) == WANTS
    locks.beat()
    assert locks._worst(0, 1, beats) == 0


def test_the_watchdog_reports_and_goes_on_waiting(locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MASTER_WATCHDOG_S", 0.005)
    monkeypatch.setattr(module, "STALL_S", 0.02)
    stalls: list[tuple[str, int, float]] = []
    stripes = locks.lock_set("stripes", 2)

    def on_stall(name: str, i: int, seconds: float) -> None:
        stalls.append((name, i, seconds))
        if len(stalls) == 2:
            stripes.semaphores[1].release()

    locks.on_stall = on_stall
    stripes.semaphores[1].acquire(False)
    stripes.acquire(1)
    assert [stall[:2] for stall in stalls] == [("stripes", 1)] * 2
    assert 0.02 <= stalls[0][2] < stalls[1][2]
    assert locks._words[locks._rows + module.BEATS] > 2
    stripes.release(1)


def test_what_a_signal_handler_raises_ends_the_wait(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 1)
    stripes.semaphores[0].acquire(False)
    told: list[int] = []

    def handler(number: int, _: object) -> None:
        told.append(number)
        raise SystemExit

    before = signal.signal(signal.SIGUSR1, handler)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(SystemExit):
            stripes.acquire(0)
    finally:
        signal.signal(signal.SIGUSR1, before)
        timer.join()
    assert told == [signal.SIGUSR1]


@pytest.mark.parametrize(("process", "watchdog"), [(0, "MASTER_WATCHDOG_S"), (1, "WATCHDOG_S")])
def test_whoever_waits_asks_again_and_again_whether_to_go_on(
    locks: Locks, monkeypatch: pytest.MonkeyPatch, process: int, watchdog: str
) -> None:
    monkeypatch.setattr(module, watchdog, 0.001)
    stripes = locks.lock_set("stripes", 1)
    stripes.semaphores[0].acquire(False)
    asked: list[int] = []

    def on_wait() -> None:
        asked.append(process)
        if len(asked) == 3:
            raise SystemExit

    locks.enter(process)
    locks.on_wait = on_wait
    with pytest.raises(SystemExit):
        stripes.acquire(0)
    assert len(asked) == 3


def test_a_lock_released_by_another_wakes_the_waiter(locks: Locks) -> None:
    stripes = locks.lock_set("stripes", 1)
    stripes.semaphores[0].acquire(False)
    timer = threading.Timer(0.02, stripes.semaphores[0].release)
    timer.start()
    stripes.acquire(0)
    timer.join()
    assert locks.held(0) == [("stripes", 0, HOLDS)]


def test_an_abandoned_lock_is_repaired_before_it_is_free(locks: Locks) -> None:
    repaired = []
    stripes = locks.lock_set("stripes", 2, lambda i: repaired.append((i, stripes.semaphores[i].get_value())))
    stripes.acquire(1)
    stripes.abandon(1)
    assert repaired == [(1, 0)] and values(stripes) == [1, 1]
    lock = locks.lock("plain")
    lock.acquire()
    lock.abandon()
    assert lock.try_acquire()


def test_numbers_of_sets_do_not_overlap(segment: Segment, locks: Locks) -> None:
    first, second = locks.lock_set("first", 3), locks.lock_set("second", 2)
    second.acquire(0)
    first.acquire(2)
    assert locks.held(0) == [("second", 0, HOLDS), ("first", 2, HOLDS)]


def test_a_process_cannot_bury_itself(locks: Locks) -> None:
    with pytest.raises(AssertionError):
        locks.free_dead(0)


def test_a_master_that_waits_frees_the_locks_of_all_its_dead(locks: Locks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two died at once, and recovering the first takes a lock that the second holds."""
    monkeypatch.setattr(module, "MASTER_WATCHDOG_S", 0.005)
    stripes = locks.lock_set("stripes", 2)
    locks.enter(2)
    stripes.acquire(1)
    locks.enter(3)
    stripes.acquire(0)
    locks.enter(0)
    locks._words[locks._rows + 2 * ROW_WORDS] = 0  # nobody has this pid any more
    stripes.acquire(1)
    assert locks.held(0) == [("stripes", 1, HOLDS)]
    assert locks.held(3) == [("stripes", 0, HOLDS)]
    stripes.release(1)
    assert locks.free_dead(2) == [("stripes", 1)]
    assert values(stripes) == [0, 1]
    locks.enter(3)
    stripes.release(0)


def test_a_process_is_gone_when_it_was_reaped_or_never_was() -> None:
    assert module.is_gone(0)
    assert not module.is_gone(os.getpid()) and not module.is_gone(1)
    assert module.is_gone((1 << 22) + 1)

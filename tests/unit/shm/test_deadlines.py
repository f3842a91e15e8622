"""Due times, on both sides of the clock's wrap."""

import random

import pytest

from openserd.shm.deadlines import CHUNK, HALF, TICK_MASK, Deadlines, ticks
from openserd.shm.segment import Segment

N_SLOTS = 3000


@pytest.fixture
def deadlines(segment: Segment) -> Deadlines:
    return Deadlines(segment, N_SLOTS)


def test_nothing_is_due_at_first(deadlines: Deadlines) -> None:
    assert deadlines.due(0, N_SLOTS) == deadlines.due(TICK_MASK, N_SLOTS) == []


def test_a_slot_is_due_from_its_tick_on(deadlines: Deadlines) -> None:
    deadlines.arm(7, 1000)
    assert deadlines.due(999, N_SLOTS) == []
    assert deadlines.due(1000, N_SLOTS) == [7] == deadlines.due(5000, N_SLOTS)
    assert not deadlines.is_due(7, 999) and deadlines.is_due(7, 1000)
    assert deadlines.due_of(7) == 1000


def test_the_last_arming_counts(deadlines: Deadlines) -> None:
    deadlines.arm(7, 1000)
    deadlines.arm(7, 2000)
    assert deadlines.due(1500, N_SLOTS) == []
    deadlines.disarm(7)
    assert deadlines.due(9000, N_SLOTS) == [] and not deadlines.is_due(7, 9000)


def test_slots_above_the_high_water_mark_are_not_looked_at(deadlines: Deadlines) -> None:
    deadlines.arm(10, 5)
    deadlines.arm(11, 5)
    assert deadlines.due(5, 10) == [10]
    assert deadlines.due(5, 0) == []


def test_slots_of_all_chunks_are_found_in_order(deadlines: Deadlines) -> None:
    slots = [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, N_SLOTS]
    for slot in reversed(slots):
        deadlines.arm(slot, 50)
    assert deadlines.due(60, N_SLOTS) == slots


@pytest.mark.parametrize("now", [1, 1000, HALF - 1, HALF, HALF + 1, TICK_MASK - 5, TICK_MASK, TICK_MASK + 3])
@pytest.mark.parametrize("ahead", [-HALF + 2, -70000, -2, -1, 0, 1, 2, 70000, HALF - 2])
def test_due_is_what_lies_behind_wherever_the_clock_wraps(deadlines: Deadlines, now: int, ahead: int) -> None:
    if not (now + ahead) & TICK_MASK:
        ahead += 1  # tick 0 is written as 1
    deadlines.arm(3, now + ahead)
    assert deadlines.due(now, N_SLOTS) == ([3] if ahead <= 0 else [])
    assert deadlines.is_due(3, now) == (ahead <= 0)


@pytest.mark.parametrize("start", [1000, HALF - 3000, TICK_MASK - 3000])
def test_scan_after_scan_finds_what_is_due_whatever_changed_between(deadlines: Deadlines, start: int) -> None:
    chance = random.Random(start)
    slots = range(1, N_SLOTS + 1)
    found = 0
    for now in range(start, start + 6000, 100):
        for slot in chance.choices(slots, k=40):
            deadlines.arm(slot, now + chance.randrange(-200, 4000)) if chance.random() < 0.8 else deadlines.disarm(slot)
        due = deadlines.due(now, N_SLOTS)
        assert due == [slot for slot in slots if deadlines.is_due(slot, now)]
        for slot in due[::2]:
            deadlines.disarm(slot)
        found += len(due)
    assert found > 100


def test_tick_0_is_armed_all_the_same(deadlines: Deadlines) -> None:
    deadlines.arm(3, TICK_MASK + 1)
    assert deadlines.due(5, N_SLOTS) == [3]


def test_ticks_are_milliseconds_of_the_monotonic_clock() -> None:
    first = ticks()
    assert 0 <= first <= TICK_MASK
    assert (ticks() - first) & TICK_MASK < 60_000

"""Counters: rows, resets, the time before the fork."""

import pytest

from openserd.shm.counters import Counters
from openserd.shm.segment import Segment


@pytest.fixture
def counters(segment: Segment) -> Counters:
    return Counters(segment, 3)


def test_a_counter_is_the_sum_of_all_processes(counters: Counters) -> None:
    first, second = counters.add("first"), counters.add("second")
    counters.freeze()
    for process in range(3):
        counters.enter(process)
        counters.bump(first)
        counters.bump(second, 10)
    assert counters.value(first) == 3 and counters.value(second) == 30
    assert counters.own(second, 1) == 10
    assert counters.names == ["first", "second"]


def test_a_gauge_may_go_down_in_another_process(counters: Counters) -> None:
    gauge = counters.add("dialogs")
    counters.freeze()
    counters.enter(1)
    counters.bump(gauge, 2)
    counters.enter(2)
    counters.bump(gauge, -2)
    assert counters.value(gauge) == 0 and counters.own(gauge, 2) == -2


def test_what_was_counted_before_freeze_is_kept(counters: Counters) -> None:
    first = counters.add("first")
    counters.bump(first, 5)
    assert counters.value(first) == 5
    second = counters.add("second")
    counters.freeze()
    counters.bump(first)
    assert counters.value(first) == 6 and counters.value(second) == 0


def test_reset_counts_from_0_without_touching_the_rows(counters: Counters) -> None:
    first = counters.add("first")
    counters.bump(first)
    counters.reset(first)
    assert counters.value(first) == 0
    counters.freeze()
    counters.enter(1)
    counters.bump(first, 7)
    counters.enter(2)
    counters.reset(first)
    assert counters.value(first) == 0 and counters.own(first, 1) == 7
    counters.bump(first, 2)
    assert counters.value(first) == 2


def test_adding_after_freeze_is_an_assertion(counters: Counters) -> None:
    counters.freeze()
    counters.freeze()
    with pytest.raises(AssertionError):
        counters.add("late")


def test_a_row_out_of_range_is_an_assertion(counters: Counters) -> None:
    counters.freeze()
    with pytest.raises(AssertionError):
        counters.enter(3)


def test_many_counters_do_not_overlap(counters: Counters) -> None:
    indexes = [counters.add(f"c{i}") for i in range(100)]
    counters.freeze()
    for process in range(3):
        counters.enter(process)
        for i in indexes:
            counters.bump(i, i)
    assert [counters.value(i) for i in indexes] == [3 * i for i in range(100)]

"""The free list: order, and what is left when someone dies half-way."""

import pytest

from openserd.shm.freelist import FREE, FreeList, reserved_by
from openserd.shm.segment import Segment


@pytest.fixture
def words(segment: Segment) -> memoryview:
    return segment.words(0, segment.size // 4)


@pytest.fixture
def free(segment: Segment, words: memoryview) -> FreeList:
    return FreeList(words, segment.reserve(8))


UNITS = [1000, 1002, 1004, 1006]


def test_what_was_given_last_is_taken_first(free: FreeList) -> None:
    free.give(UNITS)
    assert len(free) == 4
    assert free.take(2, 1) == [1004, 1006]
    assert free.take(9, 1) == [1000, 1002]
    assert free.take(1, 1) == []
    assert len(free) == 0


def test_states_say_who_has_a_unit(free: FreeList, words: memoryview) -> None:
    free.give(UNITS)
    free.take(1, 3)
    assert words[1006] == reserved_by(3)
    assert words[1004] == FREE


def test_rebuild_makes_the_list_from_the_free_units(free: FreeList, words: memoryview) -> None:
    free.give(UNITS)
    words[1006] = reserved_by(1)  # killed in `take` after its first store
    assert free.rebuild(unit for unit in UNITS if words[unit] == FREE) == 3
    assert sorted(free.take(9, 2)) == [1000, 1002, 1004]


def test_clear_forgets_but_does_not_touch_the_units(free: FreeList, words: memoryview) -> None:
    free.give(UNITS)
    free.clear()
    assert len(free) == 0 and words[1000] == FREE
    assert free.take(1, 1) == []

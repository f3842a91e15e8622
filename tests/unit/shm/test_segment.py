"""The segment: what it hands out, what it refuses, what it leaves behind."""

import pytest

from openserd.errors import ResourceError
from openserd.shm import segment as module
from openserd.shm.segment import MEGABYTE, Segment
from tests.support.server import left_in_shm, shared_names

from .conftest import touched_bytes


def test_reservations_do_not_overlap_and_are_aligned(segment: Segment) -> None:
    first = segment.reserve(10)
    second = segment.reserve(100, 4096)
    third = segment.reserve(1)
    assert first % 64 == 0 and second % 4096 == 0
    assert first + 10 <= second and second + 100 <= third
    assert segment.reserved == third + 1


def test_offset_0_is_never_handed_out(segment: Segment) -> None:
    assert segment.reserve(8) > 0


def test_exhaustion_is_a_resource_error_that_names_the_option_to_raise(segment: Segment) -> None:
    with pytest.raises(ResourceError, match="raise -m to 10 or more"):
        segment.reserve(9 * MEGABYTE)
    assert segment.reserve(64) > 0


def test_the_heap_at_the_end_is_not_handed_out(segment: Segment) -> None:
    segment.ceiling = MEGABYTE
    with pytest.raises(ResourceError):
        segment.reserve(2 * MEGABYTE)


def test_views_share_one_memory(segment: Segment) -> None:
    at = segment.reserve(16)
    words, longs = segment.words(at, 4), segment.longs(at, 2)
    words[1] = 1
    assert longs[0] == 1 << 32
    segment.signed_longs(at, 2)[0] = -1
    assert words[0] == words[1] == 0xFFFFFFFF
    assert segment.buf[at : at + 8] == b"\xff" * 8


def test_a_view_cannot_leave_the_segment(segment: Segment) -> None:
    with pytest.raises(AssertionError):
        segment.words(segment.size - 4, 2)


def test_nothing_can_be_reserved_once_sealed(segment: Segment) -> None:
    segment.seal()
    with pytest.raises(AssertionError):
        segment.reserve(4)


def test_size_is_rounded_up_to_pages_and_memory_is_zero() -> None:
    small = Segment(1)
    assert small.size >= 4096
    assert not any(small.buf[:])
    small.close()


def test_nothing_of_it_is_seen_in_dev_shm() -> None:
    before = shared_names()
    made = Segment(MEGABYTE)
    assert not left_in_shm(before)
    made.close()


def test_pages_that_nobody_uses_are_not_touched() -> None:
    before = touched_bytes()
    big = Segment(256 * MEGABYTE)
    words = big.words(big.reserve(200 * MEGABYTE), 1)
    assert touched_bytes() == before
    words[0] = 1
    touched = touched_bytes() - before
    big.close()
    assert 0 < touched <= 8192


def test_a_machine_without_room_is_a_resource_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "shm_room", lambda: 3 * MEGABYTE)
    with pytest.raises(ResourceError, match=r"3 MB free"):
        Segment(4 * MEGABYTE)


def test_more_than_word_indexes_can_address_is_refused() -> None:
    with pytest.raises(ResourceError, match="lower -m"):
        Segment(module.MAX_SIZE + 1)


def test_views_are_dead_after_close() -> None:
    made = Segment(MEGABYTE)
    words = made.words(64, 1)
    made.close()
    with pytest.raises(ValueError):
        words[0]

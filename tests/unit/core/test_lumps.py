"""Lumps: edits of a received message, applied to a stretch of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.core.lumps import Lump, apply_lumps
from tests.support.recording import RecordingListener

BUF = b"0123456789"
LISTENER = RecordingListener("udp", "192.0.2.1", 5060)


def applied(*lumps: Lump, start: int = 0, end: int = len(BUF)) -> bytes:
    return apply_lumps(BUF, start, end, list(lumps), LISTENER)


def test_without_lumps_the_stretch_is_unchanged() -> None:
    assert applied() == BUF
    assert applied(start=3, end=6) == b"345"


@pytest.mark.parametrize(
    ("lump", "result"),
    [
        ((0, 0, b"AB"), b"AB0123456789"),
        ((10, 10, b"AB"), b"0123456789AB"),
        ((3, 3, b"AB"), b"012AB3456789"),
        ((3, 5, b""), b"01256789"),
        ((3, 5, b"ABC"), b"012ABC56789"),
        ((0, 10, b"X"), b"X"),
    ],
)
def test_one_lump_inserts_deletes_or_replaces(lump: Lump, result: bytes) -> None:
    assert applied(lump) == result


def test_lumps_apply_by_place_whatever_the_order_they_were_made_in() -> None:
    assert applied((8, 9, b"C"), (1, 2, b"A"), (5, 5, b"B")) == b"0A234B567C9"


def test_lumps_at_one_place_keep_the_order_they_were_made_in() -> None:
    assert applied((5, 5, b"first"), (5, 5, b"second")) == b"01234firstsecond56789"


def test_of_two_that_overlap_the_first_range_wins_and_both_data_stay() -> None:
    assert applied((2, 6, b"A"), (4, 8, b"B")) == b"01AB89"
    assert applied((2, 8, b"A"), (4, 6, b"B")) == b"01AB89"
    assert applied((2, 8, b""), (2, 8, b"")) == b"0189"


def test_lumps_that_begin_outside_the_stretch_are_left_out() -> None:
    assert applied((0, 1, b"A"), (4, 5, b"B"), (9, 9, b"C"), start=3, end=7) == b"3B56"


def test_data_may_depend_on_the_listener_and_is_left_out_without_one() -> None:
    lump: Lump = (5, 5, lambda listener: b"<%b>" % listener.sent_by)
    assert applied(lump) == b"01234<192.0.2.1>56789"
    assert apply_lumps(BUF, 0, 10, [lump], None) == BUF


def test_the_list_of_lumps_is_not_changed() -> None:
    lumps: list[Lump] = [(8, 8, b"B"), (1, 1, b"A")]
    apply_lumps(BUF, 0, 10, lumps, None)
    assert lumps == [(8, 8, b"B"), (1, 1, b"A")]


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 4), st.binary(max_size=3)), max_size=6))
def test_nothing_is_lost_but_what_was_deleted(edits: list[tuple[int, int, bytes]]) -> None:
    lumps: list[Lump] = [(start, min(start + size, 10), data) for start, size, data in edits]
    gone = {at for start, end, _ in lumps for at in range(start, end)}
    result = apply_lumps(BUF, 0, 10, lumps, None)
    assert len(result) == 10 - len(gone) + sum(len(data) for _, _, data in edits)

"""AVP lists: newest first, two kinds of names and values, classes, and the way into shared memory and
back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.core.avp import AvpList

NAMES = st.one_of(st.integers(0, 2**32), st.binary(min_size=1, max_size=8))
VALUES = st.one_of(st.integers(), st.binary(max_size=40))


def made(*avps: tuple[int | bytes, int | bytes]) -> AvpList:
    avps_list = AvpList()
    for name, value in avps:
        avps_list.add(name, value)
    return avps_list


def test_an_empty_list_holds_nothing_and_packs_to_nothing() -> None:
    avps = AvpList()
    assert (avps.get(b"x"), avps.all(b"x"), avps.drop(b"x")) == (None, [], 0)
    assert len(avps) == 0 and not avps
    assert avps.pack() == b"" and len(AvpList.unpack(b"")) == 0


def test_the_newest_value_comes_first() -> None:
    avps = made((b"x", b"old"), (b"y", 1), (b"x", b"new"))
    assert avps.get(b"x") == b"new"
    assert avps.all(b"x") == [b"new", b"old"]


def test_numbers_and_text_are_different_names() -> None:
    avps = made((5, b"number"), (b"5", b"text"))
    assert (avps.get(5), avps.get(b"5")) == (b"number", b"text")


def test_remove_drops_all_values_or_only_the_newest() -> None:
    avps = made((b"x", 1), (b"x", 2), (b"y", 3), (b"x", 4))
    assert avps.drop(b"x", all=False) == 1
    assert avps.all(b"x") == [2, 1]
    assert avps.drop(b"x") == 2
    assert (avps.get(b"x"), avps.get(b"y")) == (None, 3)
    assert avps.drop(b"x", all=False) == 0


def test_classes_select_values_on_reading_and_removing() -> None:
    avps = AvpList()
    avps.add(42, b"plain")
    avps.add(42, b"third", 1 << 3)
    avps.add(42, b"newest")
    assert avps.get(42) == b"newest"
    assert avps.get(42, 1 << 3) == b"third"
    assert avps.entries(42) == [(b"newest", 0), (b"third", 8), (b"plain", 0)]
    assert avps.drop(42, flags=1 << 3) == 1
    assert avps.all(42) == [b"newest", b"plain"]
    avps.add(42, b"again", 2)
    avps.add(42, b"last")
    assert avps.drop(42, all=False, flags=2) == 1 and avps.all(42) == [b"last", b"newest", b"plain"]


@given(st.lists(st.tuples(NAMES, VALUES, st.integers(0, 2**31))))
def test_packed_avps_come_back_as_they_were(avps: list[tuple[int | bytes, int | bytes, int]]) -> None:
    before = AvpList()
    for avp in avps:
        before.add(*avp)
    after = AvpList.unpack(before.pack())
    assert after == before


@pytest.mark.parametrize("cut", [1, 5, 7])
def test_damaged_bytes_are_not_taken_for_avps(cut: int) -> None:
    packed = made((b"name", b"value")).pack()
    with pytest.raises((AssertionError, ValueError)):
        AvpList.unpack(packed[:-cut])


def test_one_of_several_equal_avps_can_be_dropped_or_replaced() -> None:
    avps = AvpList()
    for flags in (0, 4, 0):
        avps.add(b"x", b"v", flags)
    avps.add(b"y", b"v")
    newest, with_class, oldest = avps.matching(b"x")
    assert avps.matching(b"x", 4) == [with_class]
    avps.put(oldest, (b"x", 7, 1))
    avps.discard(newest)
    assert avps.entries(b"x") == [(b"v", 4), (7, 1)]
    avps.discard(newest)
    assert len(avps) == 3
    assert AvpList().matching(b"x") == []

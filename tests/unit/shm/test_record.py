"""Records: what is packed is unpacked, and the layout is what it says."""

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.shm.record import F64, I32, I64, U8, U16, U32, U64, Bytes, Record, Ref


@dataclass(slots=True)
class Binding(Record):
    """All kinds, Bytes last."""

    expires: U32
    q: I32
    flags: U8
    port: U16
    last_reply: Ref
    ping: F64
    seen: U64
    skew: I64
    contact: Bytes
    path: Bytes = b""


@dataclass(slots=True)
class Mixed(Record):
    """Bytes between the others, and defaults."""

    name: Bytes
    count: U16 = 3
    tail: Bytes = b"end"
    first: Ref = 0
    second: Ref = 0


@dataclass(slots=True)
class Fixed(Record):
    """Nothing of variable length."""

    a: U32
    b: U8


@dataclass(slots=True)
class One(Record):
    """A single field."""

    data: Bytes


BINDING = Binding(3600, -1, 7, 5060, 99, 1.5, 1 << 40, -(1 << 40), b"sip:alice@example.com", b"<sip:p>")


def test_what_is_packed_is_unpacked() -> None:
    assert Binding.unpack(BINDING.pack()) == BINDING
    assert Binding.unpack(b"junk" + BINDING.pack() + b"more", 4) == BINDING
    assert len(BINDING.pack()) == BINDING.size == 39 + 8 + 21 + 7


def test_the_fixed_part_comes_first_and_little_endian() -> None:
    packed = BINDING.pack()
    assert packed[:4] == (3600).to_bytes(4, "little")
    assert packed[39:47] == (21).to_bytes(4, "little") + (7).to_bytes(4, "little")
    assert packed[47:] == b"sip:alice@example.com<sip:p>"


def test_fields_keep_their_order_when_bytes_stand_between() -> None:
    record = Mixed(b"n", 5, b"t", 6, 7)
    assert Mixed.unpack(record.pack()) == record
    assert Mixed.unpack(Mixed(b"only").pack()) == Mixed(b"only", 3, b"end", 0, 0)


def test_records_without_bytes_and_of_one_field() -> None:
    assert Fixed.unpack(Fixed(1, 2).pack()) == Fixed(1, 2)
    assert Fixed(1, 2).size == 5 == len(Fixed(1, 2).pack())
    assert One.unpack(One(b"x").pack()) == One(b"x")


def test_many_records_follow_each_other() -> None:
    records = [One(b""), One(b"a"), One(b"bc")]
    assert One.unpack_many(One.pack_many(records)) == records
    assert One.unpack_many(b"") == []
    assert One.unpack_from(One.pack_many(records), 4) == (One(b"a"), 9)


def test_refs_are_read_without_unpacking() -> None:
    assert Binding.refs(BINDING.pack()) == [99]
    assert Mixed.refs(b"??" + Mixed(b"n", 5, b"t", 6, 7).pack(), 2) == [6, 7]
    assert Mixed.refs(Mixed(b"n", 5, b"t", 0, 7).pack()) == [7]
    assert One.refs(One(b"x").pack()) == [] == One.refs_many(One(b"x").pack())
    many = Mixed.pack_many([Mixed(b"n" * 9, first=1), Mixed(b""), Mixed(b"m", second=2, first=3)])
    assert Mixed.refs_many(many) == [1, 3, 2]


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(struct.error):
        Fixed(1, 256).pack()


@pytest.mark.parametrize("n_bytes", [0, 3, 46, 60])
def test_bytes_cut_short_are_refused(n_bytes: int) -> None:
    with pytest.raises(struct.error):
        Binding.unpack(BINDING.pack()[:n_bytes])


def test_layout_is_the_byte_map() -> None:
    lines = [line.split(maxsplit=2) for line in Binding.layout().splitlines()]
    assert lines[0] == ["0", "4", "expires"]
    assert ["11", "4", "last_reply (blob)"] in lines
    assert ["39", "4", "length of contact"] in lines
    assert ["47", "n", "contact"] in lines
    assert lines[-1] == ["n", "path"]


def test_a_field_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Bad\.name"):

        @dataclass(slots=True)
        class Bad(Record):
            name: str


def test_fields_of_a_base_class_come_first() -> None:
    @dataclass(slots=True)
    class Longer(Fixed):
        c: Bytes

    assert Longer.unpack(Longer(1, 2, b"c").pack()) == Longer(1, 2, b"c")


@given(
    st.builds(
        Mixed,
        st.binary(max_size=300),
        st.integers(0, 0xFFFF),
        st.binary(max_size=300),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 0xFFFFFFFF),
    )
)
def test_any_record_survives(record: Mixed) -> None:
    packed = record.pack()
    assert Mixed.unpack_from(packed) == (record, len(packed))
    assert len(packed) == record.size

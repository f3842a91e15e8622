"""Bindings as rows and back."""

import pytest

from openserd.core.database import Condition, Delete, Insert, Replace, moment
from openserd.mods.usrloc.binding import SYNC, Binding
from openserd.mods.usrloc.rows import BadRow, Columns, Rows, q_of, signed, unsigned
from tests.unit.mods.location_kit import NOW
from tests.unit.mods.location_tables import made

PLAIN = Rows(Columns(), use_domain=False, by_call_id=False)
FULL = Rows(Columns(), use_domain=True, by_call_id=True)


def back(rows: Rows, aor: bytes, binding: Binding) -> tuple[bytes, Binding]:
    """What a row says after it was written."""
    row = rows.row(aor, binding)
    values = tuple(row[name] for name in rows.read)
    return rows.aor(values), rows.binding(values)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"expires": 0},
        {"q": 0},
        {"q": 333},
        {"q": 1000},
        {"cseq": 2**32 - 1, "cflags": 2**31, "methods": 2**31 + 5, "flags": 2**31},
        {"methods": 2**32 - 1},
        {"socket": b"udp:[::1]:5060", "received": b"sip:192.0.2.1:1024", "path": b"<sip:p1;lr>,<sip:p2>"},
        {"user_agent": b""},
        {"expires": 2**32 - 1, "last_modified": 0},
    ],
    ids=str,
)
def test_a_binding_comes_back_as_it_was(changes: dict[str, int | bytes]) -> None:
    binding = made(b"sip:a@192.0.2.10", **changes)
    aor, found = back(PLAIN, b"alice", binding)
    assert aor == b"alice"
    assert found.is_same(binding)
    assert found.state == SYNC


@pytest.mark.parametrize("aor", [b"alice@example.com", b"a@b@example.com", b"example.com"])
def test_an_aor_with_a_domain_comes_back_as_it_was(aor: bytes) -> None:
    assert back(FULL, aor, made())[0] == aor


def test_user_and_domain_have_columns_of_their_own() -> None:
    row = FULL.row(b"alice@example.com", made())
    assert (row["username"], row["domain"]) == (b"alice", b"example.com")
    assert "domain" not in PLAIN.row(b"alice", made())


def test_what_a_contact_has_not_is_null() -> None:
    row = PLAIN.row(b"alice", made(methods=2**32 - 1))
    assert [row[name] for name in ("received", "path", "socket", "methods")] == [None] * 4
    assert row["q"] == -1.0


def test_columns_have_the_names_they_are_given() -> None:
    names = {name: name.upper() for name in Columns.__slots__}
    rows = Rows(Columns(**names), use_domain=True, by_call_id=True)
    assert set(rows.row(b"a@b", made())) == {*names.values(), "last_modified"}
    assert set(rows.read) == {*names.values(), "last_modified"}
    assert rows.key_columns == ("USER", "CONTACT", "DOMAIN", "CALLID")


def test_rows_are_found_by_what_bindings_are_matched_by() -> None:
    binding = made(b"sip:a", call_id=b"id")
    assert PLAIN.delete("t", b"alice", binding) == Delete(
        "t", [Condition("username", b"alice"), Condition("contact", b"sip:a")]
    )
    assert FULL.delete("t", b"alice@h", binding) == Delete(
        "t",
        [Condition("username", b"alice"), Condition("domain", b"h"), Condition("contact", b"sip:a"),
         Condition("callid", b"id")],
    )  # fmt: skip
    assert PLAIN.replace("t", b"alice", binding) == Replace("t", PLAIN.row(b"alice", binding), ("username", "contact"))
    assert PLAIN.insert("t", b"alice", binding) == Insert("t", PLAIN.row(b"alice", binding))
    assert (PLAIN.key(binding), FULL.key(binding)) == (b"sip:a", (b"sip:a", b"id"))


def test_rows_that_have_expired_are_those_before_now_that_are_not_permanent() -> None:
    assert PLAIN.expired(NOW) == [Condition("expires", moment(NOW), "<="), Condition("expires", moment(0), "!=")]


GOOD = dict(zip(FULL.read, (FULL.row(b"alice@h", made())[name] for name in FULL.read), strict=True))


@pytest.mark.parametrize(
    ("column", "value"),
    [("contact", None), ("contact", b""), ("callid", None), ("callid", b""), ("expires", None), ("cseq", None),
     ("flags", None), ("cflags", None), ("cseq", b"x"), ("q", b"x"), ("q", moment(NOW)), ("q", float("nan"))],
)  # fmt: skip
def test_a_row_that_is_no_binding_is_refused(column: str, value: object) -> None:
    with pytest.raises(BadRow):
        FULL.binding(tuple((GOOD | {column: value}).values()))  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [PLAIN, FULL])
def test_a_row_of_nobody_is_refused(rows: Rows) -> None:
    nobody = GOOD | {"username": b"", "domain": None}
    with pytest.raises(BadRow):
        rows.aor(tuple(nobody.values()))  # type: ignore[arg-type]


def test_rows_that_are_no_bindings_are_left_out_and_named() -> None:
    bad: list[BadRow] = []
    rows = [tuple(GOOD.values()), tuple((GOOD | {"contact": None}).values())]
    assert [one.uri for one in FULL.bindings(rows, bad.append)] == [b"sip:a@h"]
    assert len(bad) == 1


def test_flags_of_a_row_never_say_memory_only() -> None:
    assert FULL.binding(tuple((GOOD | {"flags": 3}).values())).flags == 2


@pytest.mark.parametrize(
    ("value", "q"), [(None, -1), (-1.0, -1), (0.0, 0), (0.5, 500), (1, 1000), (7.0, 1000), (b"0.25", 250), (0.29, 290)]
)
def test_q_is_read_within_its_range(value: float | bytes | None, q: int) -> None:
    assert q_of(value) == q


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_numbers_of_32_bits_fit_a_signed_column(number: int) -> None:
    assert -(2**31) <= signed(number) < 2**31
    assert unsigned(signed(number)) == number

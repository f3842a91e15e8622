"""The rules by which bindings are matched, judged and ordered; no memory, no clock."""

import pytest

from openserd.mods.usrloc.binding import (
    CONTACT_CALLID,
    DELETED,
    DIRTY,
    MAX_TIME,
    MEMORY_ONLY,
    NEW,
    REFUSED,
    SYNC,
    Binding,
    Rules,
    Verdict,
    next_expiry,
)

NOW = 1000


def made(uri: bytes = b"sip:a@h", **changes: int | bytes) -> Binding:
    fields: dict[str, int | bytes] = {
        "expires": NOW + 60, "cseq": 5, "flags": 0, "cflags": 0, "methods": 1, "last_modified": NOW, "q": -1,
        "uri": uri, "call_id": b"c", "user_agent": b"ua", "socket": b"", "received": b"", "path": b"",
    }  # fmt: skip
    return Binding(**(fields | changes))  # type: ignore[arg-type]


def uris(bindings: list[Binding]) -> list[bytes]:
    return [binding.uri for binding in bindings]


def test_a_binding_survives_packing() -> None:
    binding = made(b"sip:a@h;x=\xff", q=500, received=b"sip:1.2.3.4", path=b"<sip:p;lr>", cflags=2**32 - 1)
    again = Binding.unpack(binding.pack())
    assert all(getattr(again, name) == getattr(binding, name) for name in Binding.__annotations__)


@pytest.mark.parametrize(("expires", "valid"), [(NOW + 1, True), (NOW, False), (NOW - 1, False), (0, True), (1, False)])
def test_a_binding_is_valid_before_it_expires_and_for_ever_at_zero(expires: int, valid: bool) -> None:
    assert made(expires=expires).is_valid(NOW) is valid


def test_a_permanent_binding_has_the_most_seconds_left() -> None:
    assert made(expires=0).seconds_left(NOW) == MAX_TIME
    assert made(expires=NOW + 7).seconds_left(NOW) == 7


def test_contacts_are_found_by_their_exact_uri() -> None:
    bindings = [made(b"sip:a@h"), made(b"sip:b@h")]
    assert Rules().find(bindings, b"sip:b@h", b"any") == 1
    assert Rules().find(bindings, b"SIP:b@h", b"any") == -1


def test_matching_mode_1_finds_contacts_by_uri_and_call_id() -> None:
    rules = Rules(matching_mode=CONTACT_CALLID)
    bindings = [made(call_id=b"one"), made(call_id=b"two")]
    assert rules.find(bindings, b"sip:a@h", b"two") == 1
    assert rules.find(bindings, b"sip:a@h", b"three") == -1


@pytest.mark.parametrize(
    ("call_id", "cseq", "age", "verdict"),
    [
        (b"c", 6, 0, Verdict.UPDATE),
        (b"c", 5, 19, Verdict.RETRANSMISSION),
        (b"c", 5, 20, Verdict.OUT_OF_ORDER),
        (b"c", 4, 0, Verdict.OUT_OF_ORDER),
        (b"other", 1, 0, Verdict.UPDATE),
    ],
)
def test_cseq_decides_within_one_call_id(call_id: bytes, cseq: int, age: int, verdict: Verdict) -> None:
    assert Rules(cseq_delay=20).judge(made(), call_id, cseq, NOW + age) is verdict


def test_new_contacts_are_ordered_by_q_and_then_by_age() -> None:
    bindings: list[Binding] = []
    for uri, q in ((b"none", -1), (b"low", 100), (b"high", 900), (b"low2", 100), (b"zero", 0), (b"none2", -1)):
        Rules().insert(bindings, made(uri, q=q))
    assert uris(bindings) == [b"high", b"low", b"low2", b"zero", b"none", b"none2"]


def test_a_refresh_with_another_q_moves_the_contact() -> None:
    rules = Rules()
    bindings = [made(b"a", q=900), made(b"b", q=500)]
    rules.replace(bindings, 0, made(b"a", q=100))
    assert uris(bindings) == [b"b", b"a"]


def test_a_refresh_with_the_same_q_keeps_the_place() -> None:
    bindings = [made(b"a", q=500), made(b"b", q=500)]
    Rules().replace(bindings, 0, made(b"a", q=500, cseq=6))
    assert uris(bindings) == [b"a", b"b"]
    assert bindings[0].cseq == 6


def test_desc_time_order_puts_the_contact_refreshed_last_first() -> None:
    rules = Rules(desc_time_order=True)
    bindings: list[Binding] = []
    for uri in (b"a", b"b", b"c"):
        rules.insert(bindings, made(uri, q=900))
    assert uris(bindings) == [b"c", b"b", b"a"]
    rules.replace(bindings, 2, made(b"a", q=100))
    assert uris(bindings) == [b"a", b"c", b"b"]


def test_applying_an_expired_binding_removes_it_and_never_adds_it() -> None:
    bindings = [made()]
    assert Rules().apply(bindings, made(cseq=6, expires=1), NOW)
    assert bindings == []
    assert Rules().apply(bindings, made(cseq=7, expires=1), NOW)
    assert bindings == []


def test_applying_a_retransmission_changes_nothing_and_is_no_error() -> None:
    bindings = [made(expires=NOW + 60)]
    assert Rules().apply(bindings, made(expires=NOW + 99), NOW)
    assert bindings[0].expires == NOW + 60


def test_applying_an_older_cseq_is_refused_and_changes_nothing() -> None:
    bindings = [made()]
    assert not Rules().apply(bindings, made(cseq=4, expires=1), NOW)
    assert len(bindings) == 1


def test_removal_of_all_takes_what_other_call_ids_have_made() -> None:
    assert Rules().without_all([made(), made(call_id=b"x", cseq=99)], b"c", 6, NOW) == []


def test_removal_of_all_is_refused_when_it_is_older_than_one_binding() -> None:
    assert Rules().without_all([made(), made(cseq=9)], b"c", 6, NOW) is None


def test_the_next_expiry_ignores_permanent_bindings() -> None:
    assert next_expiry([made(expires=0), made(expires=70), made(expires=50)]) == 50
    assert next_expiry([made(expires=0)]) == 0


# --- with a database ----------


@pytest.mark.parametrize(
    ("state", "flags", "expires", "pending"),
    [(NEW, 0, NOW, True), (NEW, MEMORY_ONLY, NOW, False), (SYNC, 0, NOW, False), (DIRTY, 0, NOW, True),
     (REFUSED, 0, NOW, False), (SYNC, 0, DELETED, True), (REFUSED, 0, DELETED, True)],
)  # fmt: skip
def test_a_binding_waits_until_the_database_knows_of_it(state: int, flags: int, expires: int, pending: bool) -> None:
    assert made(state=state, flags=flags, expires=expires).is_pending is pending


def test_what_is_kept_of_a_deleted_binding_is_never_valid_and_finds_its_row() -> None:
    gone = made(b"sip:a@h", state=SYNC).deleted()
    assert not gone.is_valid(NOW)
    assert (gone.uri, gone.call_id, gone.state) == (b"sip:a@h", b"c", SYNC)


def test_two_versions_are_the_same_when_all_but_the_state_is_equal() -> None:
    assert made(state=SYNC).is_same(made(state=DIRTY))
    for name in Binding.__annotations__:
        if name != "state":
            other = made(**{name: b"other" if isinstance(getattr(made(), name), bytes) else 77})
            assert not made().is_same(other)


def test_bindings_from_a_database_are_put_in_order() -> None:
    bindings = [
        made(b"3", q=-1, last_modified=1),
        made(b"2", q=500, last_modified=9),
        made(b"1", q=500, last_modified=5),
    ]
    assert uris(Rules().ordered(bindings)) == [b"1", b"2", b"3"]
    assert uris(Rules(desc_time_order=True).ordered(bindings)) == [b"2", b"1", b"3"]

"""uac_redirect: which contacts are followed, and how many."""

import pytest

from openserd.core.message import SipMsg
from openserd.errors import ConfigError
from openserd.mods.uac_redirect.contacts import Limits, contacts_of, parse_limits
from openserd.mods.uac_redirect.filters import RESET_ADDED, RESET_DEFAULT, Decision, Filters, compile_filter
from tests.support.recording import reply


def decision(accept: str = "", deny: str = "", accepts_others: bool = True) -> Decision:
    return Decision(compile_filter(accept), compile_filter(deny), accepts_others)


@pytest.mark.parametrize(
    ("accept", "deny", "others", "accepted"),
    [
        ("", "", True, True),
        ("", "", False, False),
        ("BILOXI", "", False, True),
        ("", "biloxi", True, False),
        ("biloxi", "biloxi", True, True),
        ("chicago", "chicago", True, True),
        ("chicago", "", False, False),
    ],
)
def test_accept_filters_come_before_deny_filters(accept: str, deny: str, others: bool, accepted: bool) -> None:
    assert decision(accept, deny, others).accepts(b"sip:bob@biloxi.example") is accepted


def test_filters_of_the_script_are_added_or_take_the_place_of_others() -> None:
    filters = Filters(compile_filter("one"))
    assert filters.add(compile_filter("two"), 0)
    assert filters.match(b"one") and filters.match(b"two")
    assert filters.add(compile_filter("three"), RESET_ADDED)
    assert filters.match(b"one") and filters.match(b"three") and not filters.match(b"two")
    assert filters.add(compile_filter("four"), RESET_DEFAULT)
    assert not filters.match(b"one") and filters.match(b"three") and filters.match(b"four")
    assert filters.add(compile_filter(""), RESET_ADDED | RESET_DEFAULT)
    assert not any(filters.match(text) for text in (b"one", b"three", b"four"))


def test_there_are_six_filters_of_a_kind_at_most() -> None:
    filters = Filters(None)
    assert [filters.add(None, 0) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("text", "limits"),
    [("*", (0, 0)), ("0", (0, 0)), ("*:2", (0, 2)), ("6:*", (6, 0)), ("6:2", (6, 2)), ("255", (255, 0))],
)
def test_limits(text: str, limits: tuple[int, int]) -> None:
    assert parse_limits(text) == limits


@pytest.mark.parametrize("text", ["", "x", "256", "-1", "1:x", "1:2:3"])
def test_limits_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="no limit"):
        parse_limits(text)


def test_room_for_the_next_reply() -> None:
    assert Limits(0, 0).room(50) is None
    assert Limits(3, 0).room(1) == 2
    assert Limits(3, 2).room(0) == 2
    assert Limits(3, 2).room(2) == 1
    assert Limits(3, 2).room(3) == 0
    assert Limits(0, 2).room(9) == 2


def moved(*contacts: str) -> SipMsg:
    return reply(302, headers=[f"Contact: {contact}" for contact in contacts])


def test_contacts_are_sorted_by_q_and_filtered() -> None:
    found = contacts_of(
        moved("<sip:a@x>;q=0.2, <sip:none@x>", "<sip:b@x>;q=0.9, <sip:evil@y>", "<sip:c@x>;q=0.9"), decision(deny="@y")
    )
    assert [contact.uri for contact in found] == [b"sip:b@x", b"sip:c@x", b"sip:a@x", b"sip:none@x"]
    assert [contact.q for contact in found] == [900, 900, 200, 10]


def test_at_most_sixteen_contacts_of_a_reply() -> None:
    assert len(contacts_of(moved(*(f"<sip:{n}@x>" for n in range(20))), decision())) == 16


def test_contacts_that_cannot_be_read() -> None:
    assert contacts_of(moved("<sip:a"), decision()) == []
    assert contacts_of(moved("<sip:a@x>;q=7, <sip:b@x>"), decision())[0].uri == b"sip:b@x"
    assert contacts_of(moved(), decision()) == []

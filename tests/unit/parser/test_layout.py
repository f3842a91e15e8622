"""Which header fields a message has, and in which lines."""

import time

import pytest

from openserd.parser import names
from openserd.parser.layout import ABSENT, LONGEST_NAMES, MOST_LAYOUTS, SEVERAL, Layout, Layouts
from openserd.parser.message import Message

ODD = names.OTHER


def test_each_field_is_found_in_its_first_line() -> None:
    layout = Layout((names.VIA, names.VIA, names.TO, ODD, names.FROM, names.CSEQ, names.CALL_ID, names.MAX_FORWARDS))
    assert (layout.via, layout.target, layout.sender, layout.cseq) == (0, 2, 4, 5)
    assert (layout.call_id, layout.max_forwards, layout.content_length) == (6, 7, ABSENT)
    assert layout.first[names.VIA] == 0
    assert names.VIA not in layout.only
    assert layout.only[names.TO] == 2
    assert layout.is_complete


@pytest.mark.parametrize("absent", [names.VIA, names.FROM, names.TO, names.CALL_ID, names.CSEQ])
def test_a_layout_without_a_field_that_every_message_needs_is_not_complete(absent: int) -> None:
    needed = (names.VIA, names.FROM, names.TO, names.CALL_ID, names.CSEQ)
    assert Layout(needed).is_complete
    assert not Layout(tuple(hid for hid in needed if hid != absent)).is_complete


def test_one_content_length_has_a_line_and_two_are_several() -> None:
    assert Layout((names.VIA, names.CONTENT_LENGTH)).content_length == 1
    assert Layout((names.CONTENT_LENGTH, names.CONTENT_LENGTH)).content_length == SEVERAL


def test_fields_that_may_be_there_once_are_named_when_they_are_repeated() -> None:
    assert Layout((names.VIA, names.VIA, names.ROUTE, names.ROUTE, ODD, ODD, names.TO)).repeated == ()
    assert Layout((names.TO, names.FROM, names.TO, names.FROM)).repeated == (names.FROM, names.TO)


def test_a_reply_takes_what_rfc_3261_names_and_record_route_where_it_makes_a_dialog() -> None:
    layout = Layout(
        (names.VIA, names.RECORD_ROUTE, names.MAX_FORWARDS, names.TO, names.FROM, names.CALL_ID, names.CSEQ)
    )
    lines = [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]
    assert b"".join(layout.copied(lines)) == b"03456"
    assert b"".join(layout.copied_with_route(lines)) == b"013456"
    assert [*Layout((names.VIA, names.SUBJECT)).copied(lines)] == [b"0"]
    assert not Layout((names.SUBJECT,)).copied(lines)


def test_messages_with_the_same_fields_in_the_same_order_share_their_layout() -> None:
    one = Message(b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\nTo: b\r\n\r\n")
    two = Message(b"OPTIONS sip:c SIP/2.0\r\nVia: y\r\nTo: d\r\n\r\n")
    other = Message(b"OPTIONS sip:c SIP/2.0\r\nTo: d\r\nVia: y\r\n\r\n")
    assert one.layout is two.layout
    assert other.layout.ids == (names.TO, names.VIA)


def test_a_line_without_a_name_is_not_taken_for_no_line() -> None:
    assert Message(b"OPTIONS sip:a SIP/2.0\r\n: x\r\n\r\n").hdr_ids == (ODD,)
    assert Message(b"OPTIONS sip:a SIP/2.0\r\n\r\n").hdr_ids == ()
    assert Message(b"OPTIONS sip:a SIP/2.0\r\nVia\r\nTo: b\r\n\r\n").hdr_ids == (ODD, names.TO)


@pytest.mark.parametrize("fold", [" b", "\tb", " b: c", " ", "\t:"])
def test_a_line_that_goes_on_with_the_one_before_is_told_by_its_first_letter(fold: str) -> None:
    assert Layouts()[f"Via:{fold.partition(':')[0]}:To".encode()].is_folded
    message = Message(f"OPTIONS sip:a SIP/2.0\r\nSubject: a\r\n{fold}\r\nTo: d\r\n\r\n".encode())
    assert message.hdr_ids == (names.SUBJECT, names.TO)
    assert message.value(0) == f"a  {fold}".strip().encode()


def test_layouts_are_forgotten_before_they_become_too_many() -> None:
    layouts = Layouts()
    for number in range(MOST_LAYOUTS + 10):
        assert layouts[b"Via:X-%d" % number].ids == (names.VIA, ODD)
    assert len(layouts) == 10


def test_a_layout_with_very_many_names_is_not_kept() -> None:
    layouts = Layouts()
    assert len(layouts[b":".join([b"X"] * LONGEST_NAMES)].ids) == LONGEST_NAMES
    assert not layouts


def test_thirteen_thousand_lines_are_laid_out_in_linear_time() -> None:
    ids = (ODD,) * 6500 + tuple(range(1, 80)) + (names.VIA,) * 6500
    started = time.process_time()
    Layout(ids)
    assert time.process_time() - started < 0.5

"""What a receiver works on, as its master tells it when the receiver has died."""

import logging

import pytest

from openserd.server.fatal import FatalMessages
from openserd.server.in_hand import LARGEST_DATAGRAM, InHand


def hold(in_hand: InHand, data: bytes) -> None:
    in_hand.room[: len(data)] = data
    in_hand.length[0] = len(data)


def told(in_hand: InHand, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.ERROR, "openserd"):
        in_hand.tell()
    return caplog.messages


def test_nothing_is_told_of_a_receiver_that_waited(caplog: pytest.LogCaptureFixture) -> None:
    assert told(InHand(FatalMessages()), caplog) == []


def test_a_message_is_told_in_hex_and_once(caplog: pytest.LogCaptureFixture) -> None:
    in_hand = InHand(FatalMessages())
    hold(in_hand, b"\x00OPTIONS" * 40)
    lines = told(in_hand, caplog)
    assert lines[0] == "it was handling this message of 320 bytes, in hex:"
    assert b"".join(bytes.fromhex(line.partition(": ")[2]) for line in lines[1:]) == b"\x00OPTIONS" * 40
    assert [line.partition(":")[0].strip() for line in lines[1:]] == ["0", "256"]
    caplog.clear()
    assert told(in_hand, caplog) == []


def test_a_message_that_has_killed_twice_is_refused_by_all(caplog: pytest.LogCaptureFixture) -> None:
    fatal = FatalMessages()
    receivers = [InHand(fatal), InHand(fatal)]
    for in_hand in receivers:
        assert not fatal.words[0]
        hold(in_hand, b"poison")
        told(in_hand, caplog)
    assert fatal.words[0] == 1
    assert fatal.holds(b"poison") and not fatal.holds(b"poison ")
    assert caplog.messages[-1] == "it is the second process that this message has killed: it is not handled again"


def test_the_largest_datagram_has_room_and_its_beginning_is_told(caplog: pytest.LogCaptureFixture) -> None:
    in_hand = InHand(FatalMessages())
    hold(in_hand, b"x" * LARGEST_DATAGRAM)
    lines = told(in_hand, caplog)
    assert len(lines) == 34
    assert lines[-1] == "and 57343 bytes more"


def test_a_length_that_a_dying_process_has_spoilt_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    in_hand = InHand(FatalMessages())
    in_hand.length[0] = 2**64 - 1
    assert told(in_hand, caplog)[0] == "it was handling this message of 65535 bytes, in hex:"

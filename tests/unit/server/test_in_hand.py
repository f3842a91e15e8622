"""What a receiver works on, as its master tells it when the receiver has died."""

import logging

import pytest

from openserd.server.in_hand import LARGEST_DATAGRAM, InHand


def hold(in_hand: InHand, data: bytes) -> None:
    in_hand.room[: len(data)] = data
    in_hand.length[0] = len(data)


def told(in_hand: InHand, caplog: pytest.LogCaptureFixture) -> list[str]:
    with caplog.at_level(logging.ERROR, "openserd"):
        in_hand.tell()
    return caplog.messages


def test_nothing_is_told_of_a_receiver_that_waited(caplog: pytest.LogCaptureFixture) -> None:
    assert told(InHand(), caplog) == []


def test_a_message_is_told_in_hex_and_once(caplog: pytest.LogCaptureFixture) -> None:
    in_hand = InHand()
    hold(in_hand, b"\x00OPTIONS" * 40)
    lines = told(in_hand, caplog)
    assert lines[0] == "it was handling this message of 320 bytes, in hex:"
    assert b"".join(bytes.fromhex(line.partition(": ")[2]) for line in lines[1:]) == b"\x00OPTIONS" * 40
    assert [line.partition(":")[0].strip() for line in lines[1:]] == ["0", "256"]
    caplog.clear()
    assert told(in_hand, caplog) == []


def test_the_largest_datagram_has_room_and_its_beginning_is_told(caplog: pytest.LogCaptureFixture) -> None:
    in_hand = InHand()
    hold(in_hand, b"x" * LARGEST_DATAGRAM)
    lines = told(in_hand, caplog)
    assert len(lines) == 34
    assert lines[-1] == "and 57343 bytes more"


def test_a_length_that_a_dying_process_has_spoilt_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    in_hand = InHand()
    in_hand.length[0] = 2**64 - 1
    assert told(in_hand, caplog)[0] == "it was handling this message of 65535 bytes, in hex:"

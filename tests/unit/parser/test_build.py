import pytest

from openserd.parser.build import build_message, format_name_addr, header_line, request_line, status_line
from openserd.parser.message import Message
from openserd.parser.nameaddr import one_address


def test_start_lines():
    assert request_line(b"BYE", b"sip:a@b") == b"BYE sip:a@b SIP/2.0\r\n"
    assert status_line(404) == b"SIP/2.0 404 Not Found\r\n"
    assert status_line(200, b"Fine") == b"SIP/2.0 200 Fine\r\n"


def test_header_line_refuses_line_breaks():
    assert header_line(b"Subject", b"x") == b"Subject: x\r\n"
    with pytest.raises(AssertionError):
        header_line(b"Subject", b"x\r\nEvil: y")


@pytest.mark.parametrize("display", [b"", b"Bob", b"Bob B.", b"Bell, A", b'a"\\b', b"\xc3\xa4"])
def test_display_name_comes_back(display):
    text = format_name_addr(display, b"sip:a@b", b";tag=1")
    address = one_address(text, 0, len(text))
    assert (address.name, address.uri, address.tag) == (display, b"sip:a@b", b"1")


def test_built_message_parses():
    built = build_message(status_line(200), [(b"Via", b"SIP/2.0/UDP a"), (b"Subject", b"x")], b"body")
    msg = Message(built)
    assert (msg.status, msg.top_via().host, msg.content_length, msg.body) == (200, b"a", 4, b"body")

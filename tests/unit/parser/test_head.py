import pytest

from openserd.errors import SipError
from openserd.parser import names
from openserd.parser.head import parse_start_line, split_careful, split_head
from openserd.parser.message import Message

HEAD = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\nSubject: y\r\n\r\nbody\r\n\r\nrest"


def test_lines_keep_their_ends_and_the_offset_is_that_of_the_empty_line():
    buf, lines, end = split_head(HEAD)
    assert buf is HEAD
    assert lines == [b"OPTIONS sip:a SIP/2.0\r\n", b"Via: x\r\n", b"Subject: y\r\n"]
    assert end == 43
    assert buf[end : end + 2] == b"\r\n"


def test_line_breaks_before_the_start_line_are_skipped():
    assert split_head(b"\r\n\r\n\n" + HEAD) == split_head(HEAD)


def test_folds_become_spaces_of_the_same_length():
    folded = b"OPTIONS sip:a SIP/2.0\r\nSubject: a\r\n b\r\n\t\r\n  c\r\nVia: x\r\n\r\n"
    buf, lines, _ = split_careful(folded)
    assert len(buf) == len(folded)
    assert lines[1] == b"Subject: a   b  \t    c\r\n"
    message = Message(folded)
    assert (message.buf, message.lines, message.hdr_ids) == (buf, lines[1:], (names.SUBJECT, names.VIA))


@pytest.mark.parametrize("end", [b"\n", b"\r\r\n"])
def test_slack_line_ends_get_crlf_and_the_body_stays(end):
    slack = b"OPTIONS sip:a SIP/2.0" + end + b"Via: x" + end + b" y" + end + end + b"one\ntwo\r\n\r\n"
    buf, lines, _ = split_head(slack)
    assert lines == [b"OPTIONS sip:a SIP/2.0\r\n", b"Via: x   y\r\n"]
    assert buf.endswith(b"\r\n\r\none\ntwo\r\n\r\n")


def test_one_slack_line_end_among_good_ones_is_found():
    _, lines, _ = split_head(b"OPTIONS sip:a SIP/2.0\r\nVia: x\nTo: y\r\n\r\n")
    assert len(lines) == 3


def test_body_after_bare_lf_head_may_hold_an_empty_crlf_line():
    buf, lines, end = split_head(b"OPTIONS sip:a SIP/2.0\nVia: x\n\nbody\r\n\r\nmore")
    assert len(lines) == 2
    assert buf[end:] == b"\r\nbody\r\n\r\nmore"


@pytest.mark.parametrize(
    "buf", [b"", b"\r\n\r\n", b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n", b"OPTIONS sip:a SIP/2.0", b"\x00" * 40]
)
def test_head_without_empty_line_is_refused(buf):
    with pytest.raises(SipError, match="No empty line"):
        split_head(buf)


def test_cr_inside_a_line_is_refused_at_its_offset():
    with pytest.raises(SipError, match="Bare CR") as caught:
        split_head(b"OPTIONS sip:a SIP/2.0\r\nVia: x\rEvil: y\r\n\r\n")
    assert caught.value.offset == 29


def test_request_line_is_read():
    assert parse_start_line(b"INVITE sip:bob@b SIP/2.0\r\n") == (True, b"INVITE", b"sip:bob@b", 0, b"", None)


def test_unknown_method_and_lower_case_version_are_read():
    assert parse_start_line(b"Fetch sip:b sip/2.0\r\n") == (True, b"Fetch", b"sip:b", 0, b"", None)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"SIP/2.0 200 OK\r\n", 200, b"OK"),
        (b"SIP/2.0 100 \r\n", 100, b""),
        (b"SIP/2.0 100\r\n", 100, b""),
        (b"sip/2.0 699 \xc3\xa4 b, c\r\n", 699, b"\xc3\xa4 b, c"),
    ],
)
def test_status_line_is_read(line, status, reason):
    assert parse_start_line(line) == (False, b"", b"", status, reason, None)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"INVITE  sip:b SIP/2.0\r\n", 400),
        (b"INVITE sip:b  SIP/2.0\r\n", 400),
        (b"INVITE sip:b SIP/2.0 \r\n", 400),
        (b"INVITE sip:b; lr SIP/2.0\r\n", 400),
        (b"INVITE sip:b SIP/7.0\r\n", 505),
        (b"INVITE sip:b SIP/2.00\r\n", 505),
    ],
)
def test_broken_request_line_can_still_be_answered(line, code):
    is_request, method, ruri, _, _, error = parse_start_line(line)
    assert (is_request, method) == (True, b"INVITE")
    assert ruri.startswith(b"sip:b")
    assert error is not None
    assert error.code == code


@pytest.mark.parametrize(
    "line",
    [
        b"\r\n", b"INVITE\r\n", b"INVITE sip:b\r\n", b"GET / HTTP/1.1\r\n", b"IN(VITE sip:b SIP/2.0\r\n",
        b"SIP/2.0 099 x\r\n", b"SIP/2.0 700 x\r\n", b"SIP/2.0 20 x\r\n", b"SIP/2.0 2000 x\r\n",
        b"SIP/2.0\r\n",
        b"SIP/2.0  200 OK\r\n", b" INVITE sip:b SIP/2.0\r\n",
    ],
)  # fmt: skip
def test_hopeless_start_line_is_refused(line):
    with pytest.raises(SipError) as caught:
        parse_start_line(line)
    assert caught.value.code == 400


def test_reply_of_another_version_is_refused():
    with pytest.raises(SipError) as caught:
        parse_start_line(b"SIP/3.0 200 OK\r\n")
    assert caught.value.code == 505

import contextlib

import pytest

from openserd.errors import SipError
from openserd.parser import methods, names
from openserd.parser.message import Message

INVITE = (
    b"INVITE sip:bob@example.org SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b;branch=z9hG4bK2\r\n"
    b"v: SIP/2.0/TLS c\r\n"
    b"Max-Forwards: 70\r\n"
    b"Route: <sip:r1;lr>, <sip:r2;lr>\r\n"
    b"Route: <sip:r3;lr>\r\n"
    b'f: "A, B" <sip:alice@example.com>;tag=11\r\n'
    b"TO: sip:bob@example.org\r\n"
    b"call-id: x@y\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"X-Odd:  one \r\n"
    b"x-odd: two\r\n"
    b"Allow: INVITE, ACK\r\n"
    b"Supported: path, timer\r\n"
    b"k: 100rel\r\n"
    b"Expires: 60\r\n"
    b"m: <sip:alice@h>;q=0.5\r\n"
    b"c: text/plain\r\n"
    b"l: 4\r\n\r\nbody tail"
)


def edit(old, new, buf=INVITE):
    assert old in buf
    return Message(buf.replace(old, new))


def without(line, buf=INVITE):
    return edit(line, b"", buf)


def test_request_line_and_offsets():
    msg = Message(INVITE)
    assert (msg.is_request, msg.method, msg.ruri, msg.status) == (True, b"INVITE", b"sip:bob@example.org", 0)
    assert msg.buf[msg.line_end :].startswith(b"Via:")
    assert msg.buf[msg.body_start :] == b"body tail"
    assert len(msg.hdr_starts) == len(msg.hdr_ids) + 1
    assert msg.buf[msg.hdr_starts[-1] : msg.body_start] == b"\r\n"


def test_status_line():
    msg = Message(b"SIP/2.0 183 Session Progress\r\nCSeq: 7 INVITE\r\n\r\n")
    assert (msg.is_request, msg.method, msg.ruri, msg.status, msg.reason) == (
        False,
        b"",
        b"",
        183,
        b"Session Progress",
    )
    assert msg.cseq.method == b"INVITE"


def test_lines_are_found_by_id_and_by_name():
    msg = Message(INVITE)
    assert msg.find(names.ROUTE) == 3
    assert msg.find(names.DATE) == -1
    assert msg.indexes(names.VIA) == msg.indexes_named(b"V") == msg.indexes_named(b"via") == [0, 1]
    assert msg.indexes_named(b"X-ODD") == [9, 10]
    assert msg.indexes_named(b"X-None") == []
    assert (msg.name(1), msg.value(9), msg.header(names.DATE)) == (b"v", b"one", None)
    assert msg.header(names.CONTENT_TYPE) == b"text/plain"
    assert msg.headers(names.SUPPORTED) == [b"path, timer", b"100rel"]
    assert msg.buf[slice(*msg.line_span(9))] == b"X-Odd:  one \r\n"
    assert msg.buf[slice(*msg.value_span(9))] == b"one"


def test_header_line_without_colon_or_with_bad_name_is_kept_and_counted():
    msg = edit(b"X-Odd:  one \r\n", b"no colon here\r\nbad name: x\r\n: y\r\nX-Odd: one\r\n")
    assert msg.bad_headers == 3
    assert (msg.name(9), msg.value(9)) == (b"no colon here", b"")
    start, end = msg.value_span(9)
    assert start == end
    msg.validate_request()


def test_empty_value_has_an_empty_span():
    msg = edit(b"X-Odd:  one \r\n", b"Subject:  \r\n")
    assert msg.value(9) == b""
    start, end = msg.value_span(9)
    assert start == end


def test_addresses_and_tags():
    msg = Message(INVITE)
    assert (msg.from_.uri, msg.from_.tag, msg.from_tag) == (b"sip:alice@example.com", b"11", b"11")
    assert (msg.to.uri, msg.to_tag) == (b"sip:bob@example.org", None)
    assert msg.from_.line == 5
    assert [contact.q for contact in msg.contacts] == [500]
    assert msg.from_ is msg.from_
    assert msg.contacts is msg.contacts


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (b"<sip:a@b>;tag=1", b"1"), (b"<sip:a@b>", None), (b"sip:a@b;tag=2", b"2"),
        (b"<sip:a@b;tag=no>", None),
        (b'"a <b>;tag=no" <sip:a@b>;x;TAG=3', b"3"), (b"<sip:a@b> ; tag = 4 ", b"4"),
        (b'"\\"" <sip:a@b>;tag=5', b"5"),
        (b"<sip:a@b>;tag=6 ", b"6"), (b"<sip:a@b>;tag=7;x=y", b"7"), (b"<sip:a@b>;tagx=8", None),
        (b"<sip:a@b>;tag=", b""),
    ],
)  # fmt: skip
def test_tag_is_the_same_by_the_quick_and_the_careful_way(value, tag):
    msg = edit(b"sip:bob@example.org\r\nc", value + b"\r\nc")
    assert msg.to_tag == msg.to.tag == tag


def test_vias_over_lines_and_lists():
    msg = Message(INVITE)
    assert [via.transport for via in msg.vias()] == [b"UDP", b"TCP", b"TLS"]
    assert [via.line for via in msg.vias()] == [0, 0, 1]
    assert (msg.top_via().branch, msg.top_via().line) == (b"z9hG4bK1", 0)
    assert msg.vias() is msg.vias()
    assert msg.top_via() is msg.top_via()


def test_routes_know_their_place():
    msg = Message(INVITE)
    assert [route.uri for route in msg.routes] == [b"sip:r1;lr", b"sip:r2;lr", b"sip:r3;lr"]
    assert [msg.buf[route.start : route.end] for route in msg.routes] == [
        b"<sip:r1;lr>",
        b"<sip:r2;lr>",
        b"<sip:r3;lr>",
    ]
    assert [route.line for route in msg.routes] == [3, 3, 4]
    assert msg.record_routes == msg.paths == []


@pytest.mark.parametrize(
    ("which", "removed"),
    [(0, b"<sip:r1;lr>, "), (1, b", <sip:r2;lr>"), (2, b"Route: <sip:r3;lr>\r\n")],
)
def test_removal_leaves_a_list_that_parses(which, removed):
    msg = Message(INVITE)
    start, end = msg.removal_span(msg.routes[which])
    assert msg.buf[start:end] == removed
    rest = Message(msg.buf[:start] + msg.buf[end:])
    assert [route.uri for route in rest.routes] == [route.uri for i, route in enumerate(msg.routes) if i != which]


def test_removal_of_the_first_via_leaves_the_second():
    msg = Message(INVITE)
    start, end = msg.removal_span(msg.top_via())
    rest = Message(msg.buf[:start] + msg.buf[end:])
    assert [via.host for via in rest.vias()] == [b"b", b"c"]


def test_numbers_tokens_and_body():
    msg = Message(INVITE)
    assert (msg.max_forwards, msg.content_length, msg.expires) == (70, 4, 60)
    assert msg.supported == [b"path", b"timer", b"100rel"]
    assert msg.require == msg.proxy_require == []
    assert msg.allow_methods == methods.INVITE | methods.ACK
    assert (msg.body, msg.content_type, msg.event) == (b"body", b"text/plain", None)
    assert msg.buf[: msg.end].endswith(b"body")


def test_absent_fields_are_none():
    msg = Message(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\nall of it")
    assert msg.max_forwards is msg.content_length is msg.expires is msg.allow_methods is msg.content_type is None
    assert msg.body == b"all of it"
    assert msg.end == len(msg.buf)
    assert msg.contacts == msg.routes == []
    assert not msg.contact_star


@pytest.mark.parametrize(
    ("fields", "body", "end"),
    [
        (b"Content-Length: 4\r\n", b"body", 0),
        (b"Content-Length: 4\r\n", b"body and more", -9),
        (b"Content-Length: 4\r\nl: 4\r\n", b"body and more", -9),
        (b"Content-Length: 5\r\n", b"body", 0),
        (b"Content-Length: -4\r\n", b"body", 0),
        (b"", b"body", 0),
    ],
)
def test_a_message_ends_with_its_body_as_long_as_that_is_whole(fields: bytes, body: bytes, end: int) -> None:
    msg = Message(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n%b\r\n%b" % (fields, body))
    with contextlib.suppress(SipError):
        msg.check_length()
    assert msg.end == len(msg.buf) + end


def test_contact_star():
    msg = edit(b"<sip:alice@h>;q=0.5", b" * ")
    assert msg.contact_star
    assert msg.contacts == []
    with pytest.raises(SipError, match="not alone"):
        _ = edit(b"m: <sip:alice@h>;q=0.5", b"m: *\r\nContact: <sip:a>").contacts
    with pytest.raises(SipError):
        _ = edit(b"<sip:alice@h>;q=0.5", b"<sip:a>, *").contacts


def test_credentials_of_every_line():
    msg = edit(b"X-Odd:", b'Authorization: Digest realm="a"\r\nAuthorization: Digest realm="b"\r\nX-Odd:')
    assert [each.realm for each in msg.credentials(names.AUTHORIZATION)] == [b"a", b"b"]
    assert msg.credentials(names.PROXY_AUTHORIZATION) == []


@pytest.mark.parametrize("field", [b"Via", b"f", b"TO", b"call-id", b"CSeq"])
def test_request_without_a_mandatory_field_is_refused(field):
    kept = [
        line
        for line in INVITE.split(b"\r\n")
        if not line.startswith((field + b":", b"v:" if field == b"Via" else b"-"))
    ]
    with pytest.raises(SipError, match="Missing") as caught:
        Message(b"\r\n".join(kept)).validate_request()
    assert caught.value.code == 400


@pytest.mark.parametrize("line", [b"From: <sip:x>", b"t: <sip:x>", b"i: z", b"CSeq: 1 INVITE", b"Max-Forwards: 70"])
def test_repeated_single_field_is_refused_at_the_second(line):
    msg = edit(b"X-Odd:", line + b"\r\nX-Odd:")
    with pytest.raises(SipError, match="Repeated") as caught:
        msg.validate_request()
    assert caught.value.offset == msg.hdr_starts[9]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"1 INVITE", b"1 ACK", 400), (b"1 INVITE", b"4294967296 INVITE", 400), (b"1 INVITE", b"INVITE", 400),
        (b"70", b"256", 400), (b"70", b"-1", 400), (b"70", b"", 400), (b"l: 4", b"l: -4", 400),
        (b"l: 4", b"l: 10", 400),
        (b"l: 4", b"l: 4\r\nContent-Length: 5", 400), (b"l: 4", b"l: 4\r\nContent-Length: x", 400),
        (b"l: 4", b"l: 99999999999", 400), (b"x@y", b"", 400), (b"x@y", b"x y", 400),
        (b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia", 505),
        (b"sip:bob@example.org S", b"<sip:bob@example.org> S", 400),
        (b"sip:bob@example.org S", b"sip:b ob@example.org S", 400),
        (b"sip:bob@example.org S", b"sip:bob@\texample.org S", 400),
        (b"sip:bob@example.org S", b"sip:b@h?Route=x S", 400),
        (b"sip:bob@example.org S", b"sip:2001:db8::1 S", 400),
        (b"sip:bob@example.org S", b"sip:a@b@c S", 400),
        (b"sip:bob@example.org S", b"nothing S", 400), (b"SIP/2.0/UDP a", b"SIP/2.0/UDP a;;x", 400),
        (b'"A, B"', b"A, B", 400), (b"TO: sip:", b"TO: <sip:", 400),
    ],
)  # fmt: skip
def test_faulty_request_is_refused_with_its_code(old, new, code):
    with pytest.raises(SipError) as caught:
        edit(old, new).validate_request()
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"l: 4", b"l: 4\r\nContent-Length: 04"), (b"l: 4", b"l: 9"), (b"l: 4", b"l: 0"), (b"70", b"0255"),
        (b"70", b"0"),
        (b"Max-Forwards: 70\r\n", b""), (b"sip:bob@example.org S", b"tel:+1 S"),
        (b"sip:bob@example.org S", b"foo:x S"),
        (b"sip:bob@example.org S", b"SIP:a;b?c:p@[::1]:12345;x=y S"), (b"1 INVITE", b"4294967295 INVITE"),
    ],
)  # fmt: skip
def test_good_variations_are_accepted(old, new):
    edit(old, new).validate_request()


def test_unknown_scheme_is_refused_when_asked():
    edit(b"sip:bob@example.org S", b"TEL:+1 S").check_ruri_scheme()
    msg = edit(b"sip:bob@example.org S", b"foo:x S")
    with pytest.raises(SipError) as caught:
        msg.check_ruri_scheme()
    assert caught.value.code == 416
    msg.check_ruri_scheme((b"foo",))


def test_reply_is_checked_for_what_a_proxy_needs_of_it_and_no_more():
    reply = INVITE.replace(b"INVITE sip:bob@example.org SIP/2.0", b"SIP/2.0 200 OK")
    Message(reply).validate_reply()
    without(b"call-id: x@y\r\n", reply).validate_reply()
    with pytest.raises(SipError, match="Content-Length larger"):
        edit(b"l: 4", b"l: 9999", reply).validate_reply()
    with pytest.raises(SipError, match="CSeq"):
        edit(b"1 INVITE", b"9292394834772304023312 INVITE", reply).validate_reply()


def test_missing_fields_raise_when_asked():
    msg = Message(b"OPTIONS sip:a SIP/2.0\r\nSubject: x\r\n\r\n")
    with pytest.raises(SipError, match="Missing"):
        msg.top_via()
    for name in ("from_", "to", "from_tag", "to_tag", "call_id", "cseq"):
        with pytest.raises(SipError, match="Missing"):
            getattr(msg, name)
    assert msg.vias() == []


def test_subclass_may_add_slots():
    class Mine(Message):
        __slots__ = ("extra",)

    msg = Mine(INVITE)
    msg.extra = 1
    assert msg.top_via().host == b"a"
    with pytest.raises(AttributeError):
        msg.unknown = 2

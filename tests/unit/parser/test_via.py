import pytest

from openserd.errors import SipError
from openserd.parser.via import all_vias, first_via, follows_rfc3261


def via(text, before=b""):
    return first_via(before + text, len(before), len(before) + len(text))


def test_common_form_is_read():
    one = via(b"SIP/2.0/UDP pc33.example.com:5070;branch=z9hG4bK776;rport")
    assert (one.transport, one.host, one.port, one.branch) == (
        b"UDP",
        b"pc33.example.com",
        5070,
        b"z9hG4bK776",
    )
    assert (one.rport, one.received, one.maddr, one.ttl, one.alias, one.i) == (
        b"",
        None,
        None,
        None,
        None,
        None,
    )
    assert one.params == b";branch=z9hG4bK776;rport"
    assert one.sent_by == b"pc33.example.com:5070"
    assert follows_rfc3261(one.branch)


def test_offsets_span_the_parts():
    text = b"  SIP/2.0/TCP [2001:db8::1]:5061;received=192.0.2.9;rport=77;branch=z9hG4bKx;i=3f  , SIP/2.0/UDP b"
    buf = b"Via:" + text
    one = first_via(buf, 4, len(buf))
    assert buf[one.start : one.end] == text.split(b",")[0].strip()
    assert buf[one.host_start : one.sent_by_end] == b"[2001:db8::1]:5061"
    assert buf[slice(*one.rport_span)] == b"rport=77"
    assert (one.received, one.rport, one.branch, one.i) == (b"192.0.2.9", b"77", b"z9hG4bKx", b"3f")


@pytest.mark.parametrize(
    "text",
    [
        b"SIP/2.0/UDP h;rport", b"SIP/2.0/UDP h;branch=x;rport", b"SIP/2.0/UDP h;rport;branch=x",
        b"SIP/2.0/UDP h;rport ;branch=x", b"SIP/2.0/UDP h;ttl=1;rport;alias", b"SIP/2.0/UDP h; RPORT",
    ],
)  # fmt: skip
def test_bare_rport_is_found_wherever_it_stands(text):
    one = via(text, b"Via: ")
    assert one.rport == b""
    assert (b"Via: " + text)[slice(*one.rport_span)].lower() == b"rport"


def test_parameter_that_only_begins_like_rport_is_another():
    one = via(b"SIP/2.0/UDP h;rportx=1;branch=b")
    assert one.rport is None
    assert one.rport_span == (0, 0)
    assert one.branch == b"b"


def test_white_space_case_quotes_and_comment_are_read_with_care():
    text = b"SIP / 2.0 / udp first.example.com: 4000;ttl=16 ;maddr=224.2.0.1"
    one = via(text + b' ;x="a,;b" ; branch = z9hG4bKa7 (Acme \\(R\\))')
    assert (one.transport, one.host, one.port) == (b"UDP", b"first.example.com", 4000)
    assert (one.ttl, one.maddr, one.branch) == (b"16", b"224.2.0.1", b"z9hG4bKa7")
    assert one.param(b"X") == b'"a,;b"'


def test_parameter_by_name():
    one = via(b"SIP/2.0/TLS h;alias;comp=sigcomp")
    assert (one.param(b"ALIAS"), one.param(b"comp"), one.param(b"none")) == (b"", b"sigcomp", None)
    assert one.alias == b""
    assert "TLS" in repr(one)


def test_list_is_read_in_order():
    text = b'SIP/2.0/UDP a;branch=1 ,\tSIP/2.0/TCP b:1 , SIP/2.0/X c ;x=","'
    vias = all_vias(text, 0, len(text))
    assert [(each.host, each.port) for each in vias] == [(b"a", 0), (b"b", 1), (b"c", 0)]
    assert [text[each.start : each.end][:8] for each in vias] == [b"SIP/2.0/"] * 3


@pytest.mark.parametrize("branch", [b"z9hG4bK", b"1", b"Z9HG4BKx"])
def test_cookie_alone_or_missing_is_no_rfc_3261_branch(branch):
    assert not follows_rfc3261(via(b"SIP/2.0/UDP h;branch=" + branch).branch)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"", 0), (b"SIP/2.0/UDP", 0), (b"SIP/2.0/UDP ", 0), (b"SIP/3.0/UDP h", 0), (b"HTTP/2.0/UDP h", 0),
        (b"SIP/2.0/UDP h:0", 14), (b"SIP/2.0/UDP h:65536", 14), (b"SIP/2.0/UDP h:123456", 13),
        (b"SIP/2.0/UDP h;;branch=x", 13), (b"SIP/2.0/UDP h;", 13), (b"SIP/2.0/UDP h;branch=", 14),
        (b"SIP/2.0/UDP h;branch=a;branch=b", 23), (b"SIP/2.0/UDP h x", 14), (b"SIP/2.0/UDP 2001:db8::1", 16),
        (b'SIP/2.0/UDP h;x="a', 16), (b"SIP/2.0/UDP h;=x", 13),
    ],
)  # fmt: skip
def test_malformed_via_is_refused_at_its_offset(text, offset):
    with pytest.raises(SipError) as caught:
        via(text)
    assert caught.value.offset == offset


@pytest.mark.parametrize("text", [b"SIP/2.0/UDP a,", b"SIP/2.0/UDP a,,SIP/2.0/UDP b", b",SIP/2.0/UDP a"])
def test_empty_list_member_is_refused(text):
    with pytest.raises(SipError):
        all_vias(text, 0, len(text))

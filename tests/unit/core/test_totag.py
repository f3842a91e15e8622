"""To tags made here: stable for a request, different between requests and signers, recognised when they come back."""

from openserd.core.message import SipMsg
from openserd.core.totag import ToTags
from tests.support.recording import RecordingListener, request

ADDRESSES = [b"udp:192.0.2.1:5060"]
TAGS = ToTags(b"OpenSER-TM/tags", b"-", ADDRESSES)


def with_via(via: str) -> SipMsg:
    text = request().buf.replace(b"SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller", via.encode())
    return SipMsg(text, ("192.0.2.10", 5062), RecordingListener())


def test_replies_to_one_request_have_one_tag() -> None:
    assert TAGS.tag(request()) == TAGS.tag(request())


def test_another_branch_another_sender_or_another_signer_has_another_tag() -> None:
    tags = {
        TAGS.tag(request()),
        TAGS.tag(with_via("SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKother")),
        TAGS.tag(with_via("SIP/2.0/UDP 192.0.2.11:5062;branch=z9hG4bKcaller")),
        TAGS.tag(with_via("SIP/2.0/UDP 192.0.2.10:5063;branch=z9hG4bKcaller")),
        ToTags(b"OpenSER-SL", b".", ADDRESSES).tag(request()),
        ToTags(b"OpenSER-TM/tags", b"-", [b"udp:192.0.2.2:5060"]).tag(request()),
    }
    assert len(tags) == 6


def test_a_request_without_a_branch_is_told_by_its_call_id() -> None:
    one = with_via("SIP/2.0/UDP 192.0.2.10:5062")
    other = SipMsg(one.buf.replace(b"1@atlanta", b"2@atlanta"), one.source, one.listener)
    assert TAGS.tag(one) != TAGS.tag(other)


def test_a_tag_is_recognised_by_its_signer_only() -> None:
    tag = TAGS.tag(request())
    assert TAGS.is_ours(tag) and TAGS.is_ours(tag.upper()) is False
    assert not ToTags(b"OpenSER-SL", b".", ADDRESSES).is_ours(tag)
    assert not TAGS.is_ours(None) and not TAGS.is_ours(b"") and not TAGS.is_ours(tag[:20])


def test_a_tag_is_a_token_of_32_digits_a_separator_and_8_more() -> None:
    prefix, separator, rest = TAGS.tag(request()).partition(b"-")
    assert (len(prefix), separator, len(rest)) == (32, b"-", 8)
    assert int(prefix, 16) and int(rest, 16) >= 0

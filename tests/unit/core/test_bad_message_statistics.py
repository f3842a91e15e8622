"""The statistics of what could not be understood: URIs, methods, header fields."""

import pytest

from openserd.testing import Script
from openserd.testing.messages import Headers

NAMES = ("bad_URIs_rcvd", "unsupported_methods", "bad_msg_hdr")


def counted(text: str, line: str = "INVITE sip:bob@192.0.2.20", headers: Headers | None = None) -> dict[str, int]:
    """What one request counts, statistics at 0 left out."""
    with Script.text(text, ["sl", "tm", "rr", "textops"]) as script:
        script.request(line, headers=headers)
        counts = {name: script.statistic(f"core:{name}") for name in NAMES}
    return {name: count for name, count in counts.items() if count}


FORWARD = "route { forward(); }"


def test_a_sound_request_counts_nothing() -> None:
    assert counted(FORWARD) == {}


@pytest.mark.parametrize("line", ["INVITE sip:bob@", "INVITE sip:bob@host:99999", "INVITE sip:bob@host?a=b"])
def test_a_malformed_request_uri_is_counted(line: str) -> None:
    assert counted(FORWARD, line) == {"bad_URIs_rcvd": 1}


@pytest.mark.parametrize("relay", ["forward()", "t_relay()"])
def test_a_malformed_uri_that_the_script_made_is_counted(relay: str) -> None:
    assert counted(f'route {{ subst_uri("/bob@.*/bob@/"); {relay}; }}') == {"bad_URIs_rcvd": 1}


@pytest.mark.parametrize(("method", "count"), [("INVITE", 0), ("PUBLISH", 0), ("DANCE", 1), ("invite", 1)])
def test_a_method_that_openser_does_not_know_is_counted(method: str, count: int) -> None:
    assert counted(FORWARD, f"{method} sip:bob@192.0.2.20") == ({"unsupported_methods": 1} if count else {})


@pytest.mark.parametrize(
    "headers",
    [{"From": None}, {"CSeq": "x INVITE"}, {"Max-Forwards": "many"}, {"Call-ID": "a b"}, {"To": "<sip:a@b"}],
)
def test_a_malformed_or_missing_header_field_is_counted(headers: Headers) -> None:
    assert counted(FORWARD, headers=headers) == {"bad_msg_hdr": 1}


def test_a_field_that_only_a_function_reads_is_counted_then() -> None:
    headers = {"Route": "<sip:192.0.2.1;lr>, nonsense"}
    assert counted(FORWARD, headers=headers) == {}
    assert counted("route { loose_route(); }", headers=headers) == {"bad_msg_hdr": 1}


def test_a_reply_with_a_malformed_header_field_is_counted() -> None:
    with Script.text("route { forward(); }") as script:
        request = script.request("INVITE sip:bob@192.0.2.20").request
        script.reply(request, 200, headers={"CSeq": "x INVITE"})
        assert (script.statistic("bad_msg_hdr"), script.statistic("err_replies")) == (1, 1)


def test_a_reply_that_is_not_for_this_server_is_no_malformed_one() -> None:
    with Script.text("check_via=yes route { forward(); }") as script:
        request = script.request("INVITE sip:bob@192.0.2.20").request
        script.reply(request, 200, headers={"Via": "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKx"})
        assert (script.statistic("bad_msg_hdr"), script.statistic("err_replies")) == (0, 1)

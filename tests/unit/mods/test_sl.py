"""sl: stateless replies, what they say, and the ACKs that end with them."""

import re
from typing import Any

import pytest

from openserd.core.context import Core
from openserd.core.error_reply import error_reply
from openserd.core.message import SipMsg
from openserd.core.module import ERROR, REQUEST
from openserd.core.totag import ToTags
from openserd.errors import ConfigError, SipError
from openserd.mods.sl import Sl, StatelessReplies
from openserd.shm.memory import SharedMemory
from tests.support.recording import RecordingListener, call, lines_of, make_core, request


class Setup:
    """A module sl in a server, and its clock."""

    def __init__(self, **params: int) -> None:
        self.listener = RecordingListener()
        self.core: Core = make_core(self.listener)
        self.sl = Sl(**params)
        self.now = 1000.0
        self.start(self.sl)

    def start(self, sl: Sl) -> None:
        sl.core = self.core
        sl.on_init(self.core)
        sl.replies.clock = lambda: self.now

    def request(self, *args: Any, **options: Any) -> SipMsg:
        return request(*args, listener=self.listener, **options)

    def send_reply(self, msg: SipMsg, code: str, reason: str) -> int:
        return call(self.sl, self.core, "sl_send_reply", msg, code, reason)

    @property
    def replies(self) -> list[bytes]:
        return [data for data, _ in self.listener.sent]

    def ack(self, reply: bytes) -> SipMsg:
        tag = re.search(rb"To:.*;tag=(\S+)", reply)
        return self.request("ACK", to_tag=tag[1].decode() if tag else "")


def test_a_reply_is_built_from_the_request_and_goes_back_where_it_came_from() -> None:
    setup = Setup()
    setup.core.params.server_signature = False
    assert setup.send_reply(setup.request("OPTIONS"), "200", "alive") == 1
    tag = setup.sl.replies.tags.tag(setup.request("OPTIONS")).decode()
    assert setup.listener.sent == [
        (
            (
                "SIP/2.0 200 alive\r\n"
                "Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller\r\n"
                "From: <sip:alice@atlanta.example>;tag=from1\r\n"
                f"To: <sip:bob@biloxi.example>;tag={tag}\r\n"
                "Call-ID: 1@atlanta\r\n"
                "CSeq: 7 OPTIONS\r\n"
                "Content-Length: 0\r\n\r\n"
            ).encode(),
            ("192.0.2.10", 5062),
        )
    ]


@pytest.mark.conformance("MSG-11", "MSG-13")
def test_retransmissions_get_equal_replies() -> None:
    setup = Setup()
    for _ in range(3):
        setup.send_reply(setup.request(), "404", "Not Found")
    assert len(set(setup.replies)) == 1 and len(setup.replies) == 3


def test_the_tag_is_the_stateless_signature() -> None:
    setup = Setup()
    setup.send_reply(setup.request(), "404", "Not Found")
    tag = lines_of(setup.replies[0], "To")[0].rpartition("tag=")[2]
    assert re.fullmatch(r"[0-9a-f]{32}\.[0-9a-f]+", tag)
    assert not ToTags(b"OpenSER-TM/tags", b"-", [b"udp:198.51.100.1:5060"]).is_ours(tag.encode())


def test_a_tag_of_the_request_is_kept() -> None:
    setup = Setup()
    setup.send_reply(setup.request(to_tag="callee"), "481", "Gone")
    assert lines_of(setup.replies[0], "To") == ["<sip:bob@biloxi.example>;tag=callee"]


def test_100_has_no_tag() -> None:
    setup = Setup()
    setup.send_reply(setup.request(), "100", "Trying")
    assert lines_of(setup.replies[0], "To") == ["<sip:bob@biloxi.example>"]


def test_code_and_reason_may_be_variables() -> None:
    setup = Setup()
    msg = setup.request()
    msg.avps.add(b"code", b"486")
    assert setup.send_reply(msg, "$avp(s:code)", "Busy $rU") == 1
    assert setup.replies[0].startswith(b"SIP/2.0 486 Busy bob\r\n")


@pytest.mark.parametrize("code", [b"none", b"42", b"700"])
def test_a_variable_that_holds_no_reply_code_sends_nothing(code: bytes) -> None:
    setup = Setup()
    msg = setup.request()
    msg.avps.add(b"code", code)
    assert setup.send_reply(msg, "$avp(s:code)", "x") == -1
    assert not setup.replies


@pytest.mark.parametrize(("code", "reason"), [("99", "x"), ("700", "x"), ("two", "x"), ("200", "")])
def test_arguments_are_checked_when_the_script_is_read(code: str, reason: str) -> None:
    setup = Setup()
    with pytest.raises(ConfigError):
        setup.send_reply(setup.request(), code, reason)


def test_an_ack_is_never_replied_to() -> None:
    setup = Setup()
    assert setup.send_reply(setup.request("ACK"), "404", "Not Found") == -1
    assert call(setup.sl, setup.core, "sl_reply_error", setup.request("ACK")) == -1
    assert not setup.replies


def test_a_refused_send_is_false_and_not_counted() -> None:
    setup = Setup()
    setup.listener.broken = True
    assert setup.send_reply(setup.request(), "404", "Not Found") == -1
    assert setup.sl.sent_replies.value() == 0


# -- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SipError("Send failed", 0, 477), b"SIP/2.0 477 Send failed (477/SL)\r\n"),
        (SipError("no listener for tcp", 0, 477), b"SIP/2.0 477 Send failed (477/SL)\r\n"),
        (SipError("x", 0, 476), b"SIP/2.0 476 Unresolvable destination (476/SL)\r\n"),
        (SipError("x", 0, 475), b"SIP/2.0 475 Bad URI (475/SL)\r\n"),
        (SipError("x", 0, 473), b"SIP/2.0 473 Filtered destination (473/SL)\r\n"),
        (SipError("Malformed Via"), b"SIP/2.0 400 Bad Request (400/SL)\r\n"),
        (SipError("Bad To"), b"SIP/2.0 400 Bad To (13/SL)\r\n"),
        (SipError("x", 0, 416), b"SIP/2.0 416 Unsupported URI Scheme (416/SL)\r\n"),
        (SipError("Forking capacity exceeded", 0, 500), b"SIP/2.0 500 Forking capacity exceeded (12/SL)\r\n"),
        (SipError("x", 0, 500), b"SIP/2.0 500 Server error occurred (500/SL)\r\n"),
        (None, b"SIP/2.0 500 Server error occurred (1/SL)\r\n"),
    ],
)
def test_sl_reply_error_says_what_went_wrong(error: SipError | None, line: bytes) -> None:
    setup = Setup()
    msg = setup.request()
    msg.error = error
    assert call(setup.sl, setup.core, "sl_reply_error", msg) == 1
    assert setup.replies[0].startswith(line)


def test_others_sign_the_error_with_their_own_name() -> None:
    assert error_reply(SipError("x", 0, 477), b"TM") == (477, b"Send failed (477/TM)")


# -- ACKs ---------------------------------------------------------------------------------------------------


def test_an_ack_to_a_stateless_reply_is_swallowed() -> None:
    setup = Setup()
    setup.send_reply(setup.request(), "404", "Not Found")
    assert setup.sl.on_ack_in(setup.ack(setup.replies[0])) is False
    assert setup.sl.received_acks.value() == 1


def test_an_ack_to_another_reply_passes() -> None:
    setup = Setup()
    setup.send_reply(setup.request(), "404", "Not Found")
    assert setup.sl.on_ack_in(setup.request("ACK", to_tag="callee")) is True
    assert setup.sl.on_ack_in(setup.request("ACK")) is True


@pytest.mark.parametrize(("wait", "passes"), [(1.9, False), (2.1, True)])
def test_acks_are_looked_at_for_two_seconds(wait: float, passes: bool) -> None:
    setup = Setup()
    setup.send_reply(setup.request(), "404", "Not Found")
    setup.now += wait
    assert setup.sl.on_ack_in(setup.ack(setup.replies[0])) is passes


def test_without_any_reply_sent_acks_pass() -> None:
    setup = Setup()
    tag = setup.sl.replies.tags.tag(setup.request()).decode()
    assert setup.sl.on_ack_in(setup.request("ACK", to_tag=tag)) is True


def test_a_reply_of_one_process_is_known_to_the_others() -> None:
    setup = Setup()
    setup.core.shared = SharedMemory(4, 2)
    try:
        setup.start(setup.sl)
        setup.send_reply(setup.request(), "404", "Not Found")
        other = StatelessReplies(setup.core, None, [])
        other.clock, other.quiet_after = setup.sl.replies.clock, setup.sl.replies.quiet_after
        assert other.is_own_ack(setup.ack(setup.replies[0]))
    finally:
        setup.core.shared.close()


# -- statistics and other modules ------------------------------------------------------------------------------


def test_replies_are_counted_by_class() -> None:
    setup = Setup()
    for code in ("100", "180", "202", "302", "404", "486", "503", "603"):
        setup.send_reply(setup.request(), code, "x")
    counts = {name: getattr(setup.sl, stat.attribute).value() for name, stat in setup.sl.stats.items()}
    assert counts == {
        "1xx_replies": 2,
        "2xx_replies": 1,
        "3xx_replies": 1,
        "4xx_replies": 2,
        "5xx_replies": 1,
        "6xx_replies": 1,
        "sent_replies": 8,
        "sent_err_replies": 0,
        "received_ACKs": 0,
    }


def test_error_replies_are_counted_twice() -> None:
    setup = Setup()
    call(setup.sl, setup.core, "sl_reply_error", setup.request())
    values = setup.sl.sent_err_replies.value(), setup.sl.sent_replies.value(), setup.sl.replies_5xx.value()
    assert values == (1, 1, 1)


def test_enable_stats_off_registers_and_counts_nothing() -> None:
    setup = Setup(enable_stats=0)
    call(setup.sl, setup.core, "sl_reply_error", setup.request())
    setup.sl.on_ack_in(setup.ack(setup.replies[0]))
    assert setup.sl.statistics() == []
    assert setup.sl.sent_replies.value() == setup.sl.sent_err_replies.value() == setup.sl.received_acks.value() == 0


def test_other_modules_reply_through_sl() -> None:
    setup = Setup()
    replies: StatelessReplies = setup.core.require("sl")
    told: list[Any] = []
    replies.register(lambda *values: told.append(values))
    msg = setup.request()
    assert replies.reply(msg, 480, b"Away", b"mine")
    assert lines_of(setup.replies[0], "To") == ["<sip:bob@biloxi.example>;tag=mine"]
    assert told == [(msg, setup.replies[0], 480, b"Away", ("192.0.2.10", 5062))]


def test_routes_are_those_of_openser() -> None:
    assert Sl.functions["sl_send_reply"].routes == REQUEST | ERROR
    assert Sl.functions["sl_reply_error"].routes == REQUEST

"""One message in: what is dropped, refused, shown to modules, run through the script."""

import pytest

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.module import ERROR, ONREPLY, REQUEST
from openserd.core.receive import SHORTEST, Receiver
from openserd.errors import SipError
from tests.support.recording import CALLER, RecordingListener, make_core, reply, request

REQUEST_BYTES = request().buf
REPLY_BYTES = reply().buf


class Script:
    """A server whose routes and hooks note what they see."""

    def __init__(self) -> None:
        self.listener = RecordingListener()
        self.core: Core = make_core(self.listener)
        self.receiver = Receiver(self.core)
        self.ran: list[str] = []
        self.numbers: list[int] = []
        self.error: SipError | None = None
        self.core.routes.request = self.request
        self.core.request_out.append(lambda msg: self.ran.append("out"))

    def request(self, msg: SipMsg) -> int:
        assert msg.route_kind == REQUEST
        self.ran.append("request")
        self.numbers.append(msg.number)
        msg.error = self.error
        return 1

    def error_route(self, msg: SipMsg) -> int:
        assert msg.route_kind == ERROR and msg.error is not None
        self.ran.append(f"error {msg.error.code}")
        return 1

    def get(self, data: bytes) -> list[str]:
        self.ran.clear()
        self.receiver.receive(data, CALLER, self.listener)
        return list(self.ran)

    def count(self, name: str) -> int:
        return next(self.core.statistics.select(f"core:{name}")).value()


@pytest.fixture
def script() -> Script:
    return Script()


def test_a_request_runs_through_the_script_and_what_follows(script: Script) -> None:
    assert script.get(REQUEST_BYTES) == ["request", "out"]
    assert script.get(REQUEST_BYTES) == ["request", "out"]
    assert script.numbers == [1, 2]
    assert script.count("rcv_requests") == 2


MADDR = [
    ("sip:bob@other.example:5060;MADDR=198.51.100.1;x=1", "sip:bob@other.example;x=1"),
    ("sip:bob@other.example;lr;maddr=198.51.100.1;transport=UDP", "sip:bob@other.example;lr"),
    (
        "sip:bob@other.example;maddr=198.51.100.1;transport=tcp",
        "sip:bob@other.example;maddr=198.51.100.1;transport=tcp",
    ),
    ("sip:bob@other.example:5099;maddr=198.51.100.1", "sip:bob@other.example:5099;maddr=198.51.100.1"),
    ("sip:bob@other.example;maddr=192.0.2.7", "sip:bob@other.example;maddr=192.0.2.7"),
    ("sip:maddr=198.51.100.1@other.example", "sip:maddr=198.51.100.1@other.example"),
]


@pytest.mark.conformance("PRX-10")
@pytest.mark.parametrize(("received", "seen"), MADDR)
def test_an_maddr_that_names_this_server_has_done_its_work(script: Script, received: str, seen: str) -> None:
    uris: list[tuple[bytes, bytes]] = []

    def note(msg: SipMsg) -> int:
        uris.append((msg.ruri, msg.original_ruri))
        return 1

    script.core.routes.request = note
    script.get(request(uri=received).buf)
    assert uris == [(seen.encode(), received.encode())]


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\0\0\0\0", b"x" * (SHORTEST - 1)])
def test_keep_alives_are_nothing_at_all(script: Script, data: bytes) -> None:
    assert script.get(data) == []
    assert (script.receiver.number, script.count("err_requests"), script.listener.sent) == (0, 0, [])


@pytest.mark.parametrize(
    ("data", "statistic"), [(b"x" * 100, "err_requests"), (b"SIP/2.0 nonsense " + b"x" * 50, "err_replies")]
)
def test_what_is_no_message_is_counted_and_dropped(script: Script, data: bytes, statistic: str) -> None:
    assert script.get(data) == []
    assert (script.count(statistic), script.listener.sent) == (1, [])


@pytest.mark.parametrize(("data", "statistic"), [(REQUEST_BYTES, "drop_requests"), (REPLY_BYTES, "drop_replies")])
def test_what_processes_have_died_of_is_counted_as_dropped(script: Script, data: bytes, statistic: str) -> None:
    script.receiver.drop(data, CALLER)
    assert script.count(statistic) == 1
    assert script.ran == []


def test_a_request_that_breaks_the_protocol_is_answered_and_never_seen_by_the_script(script: Script) -> None:
    assert script.get(REQUEST_BYTES.replace(b"CSeq: 7 INVITE", b"CSeq: 7 BYE")) == []
    assert script.listener.sent[0][0].startswith(b"SIP/2.0 400 ")
    assert (script.count("rcv_requests"), script.count("err_requests")) == (1, 1)


def test_the_error_route_takes_over_the_answer(script: Script) -> None:
    script.core.routes.error = script.error_route
    assert script.get(REQUEST_BYTES.replace(b"CSeq: 7 INVITE", b"CSeq: 7 BYE")) == ["error 400"]
    assert script.listener.sent == []


def test_the_error_route_runs_after_a_script_that_met_an_error(script: Script) -> None:
    script.core.routes.error = script.error_route
    script.error = SipError("Bad URI", 0, 475)
    assert script.get(REQUEST_BYTES) == ["request", "error 475", "out"]


def test_a_module_may_take_an_ack_before_the_script(script: Script) -> None:
    script.core.ack_in.append(lambda msg: False)
    assert script.get(REQUEST_BYTES.replace(b"INVITE", b"ACK")) == []
    assert script.count("drop_requests") == 1


def test_no_module_is_shown_another_request_before_the_script(script: Script) -> None:
    script.core.ack_in.append(lambda msg: False)
    assert script.get(REQUEST_BYTES) == ["request", "out"]
    assert script.count("drop_requests") == 0


def test_a_reply_goes_to_the_next_via(script: Script) -> None:
    assert script.get(REPLY_BYTES) == []
    assert script.listener.sent[0][1] == ("192.0.2.10", 5062)
    assert (script.count("rcv_replies"), script.count("fwd_replies"), script.count("drop_replies")) == (1, 1, 0)


def test_a_reply_that_belongs_to_a_module_is_not_forwarded(script: Script) -> None:
    script.core.reply_in.append(lambda msg: True)
    script.get(REPLY_BYTES)
    assert script.listener.sent == [] and script.count("drop_replies") == 0


def test_a_reply_with_nowhere_to_go_is_counted_as_dropped(script: Script) -> None:
    script.get(REPLY_BYTES.replace(b"Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller\r\n", b""))
    assert (script.listener.sent, script.count("drop_replies")) == ([], 1)


@pytest.mark.parametrize(("code", "forwarded"), [(180, False), (200, True), (486, True)])
def test_the_script_may_drop_a_provisional_reply_but_no_final_one(script: Script, code: int, forwarded: bool) -> None:
    def drop(msg: SipMsg) -> int:
        assert msg.route_kind == ONREPLY
        msg.dropped = True
        return 0

    script.core.routes.reply = drop
    script.get(reply(code).buf)
    assert bool(script.listener.sent) is forwarded
    assert script.count("drop_replies") == (not forwarded)


def test_with_check_via_a_reply_must_name_this_server(script: Script) -> None:
    script.core.params.set("check_via", [1])
    script.get(REPLY_BYTES)
    script.get(REPLY_BYTES.replace(b"UDP 198.51.100.1;", b"UDP 198.51.100.2;"))
    assert (len(script.listener.sent), script.count("err_replies")) == (1, 1)


def test_a_broken_reply_is_counted_and_dropped(script: Script) -> None:
    script.get(REPLY_BYTES.replace(b"Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKserver", b"Via: nonsense"))
    assert (script.listener.sent, script.count("err_replies")) == ([], 1)


def test_a_server_without_a_request_route_still_takes_replies(script: Script) -> None:
    script.core.routes.request = None
    assert script.get(REQUEST_BYTES) == ["out"]

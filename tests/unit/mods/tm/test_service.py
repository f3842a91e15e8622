"""What other modules and management do with transactions: watching, requests made here, MI commands."""

import pytest

from openserd.core.destinations import append_branch
from openserd.core.management.mi import Command, Reply
from openserd.core.message import SipMsg
from openserd.errors import SipError
from openserd.mods.tm.surface.api import LocalRequest, TransactionService
from openserd.mods.tm.surface.hooks import Event, Watcher
from openserd.parser import names
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from tests.unit.mods.tm.conftest import CALLEE, CALLER, SECOND_CALLEE, World
from tests.unit.mods.tm.test_calls import is_gone, statuses


class Notes(Watcher):
    """Writes down what it is told; `world.core.process` says where."""

    def __init__(self, acks: bool = False) -> None:
        self.wants_acks = acks
        self.events: list[tuple[str, int, bytes]] = []
        self.last: Event | None = None

    def note(self, name: str, event: Event) -> None:
        self.events.append((name, event.code, event.data))
        self.last = event

    def reply_in(self, event: Event) -> None:
        self.note("reply_in", event)

    def reply_out(self, event: Event) -> None:
        self.note("reply_out", event)

    def completed(self, event: Event) -> None:
        self.note("completed", event)

    def failure(self, event: Event) -> None:
        self.note("failure", event)

    def ack_in(self, event: Event) -> None:
        self.note("ack_in", event)

    def forwarded(self, event: Event) -> None:
        self.note("forwarded", event)
        event.request.add_header(b"X-Watched", b"yes")

    def answered(self, event: Event) -> None:
        self.note("answered", event)


class Watched(World):
    """A world in which every INVITE is watched."""

    def __init__(self, memory: SharedMemory) -> None:
        self.notes = Notes(acks=True)
        super().__init__(memory)
        self.tm.service.request_in.append(self.choose)

    def prepare(self) -> None:
        self.tm.service.add_watcher("notes", self.notes)

    def choose(self, msg: SipMsg) -> None:
        if msg.method == b"INVITE":
            self.tm.service.watch(msg, "notes", b"mine")

    def kinds(self) -> list[tuple[str, int]]:
        """What was told since the last call."""
        assert all(data == b"mine" for _, _, data in self.notes.events)
        told = [(name, code) for name, code, _ in self.notes.events]
        self.notes.events.clear()
        return told


@pytest.fixture
def watched(memory: SharedMemory) -> Watched:
    return Watched(memory)


# -- watching ----------


def test_a_watcher_is_told_of_a_call_from_its_beginning_to_its_ack(watched: Watched) -> None:
    assert watched.tm.t_relay(watched.request()) == 1
    assert watched.kinds() == [("forwarded", 0)]
    invite = watched.take_to(CALLEE)[0]
    assert invite.indexes_named(b"X-Watched") != []
    watched.reply(invite, 180)
    assert watched.kinds() == [("reply_in", 180), ("reply_out", 180)]
    watched.core.process = 1
    watched.reply(invite, 200)
    assert watched.kinds() == [("reply_in", 200), ("reply_out", 200), ("completed", 200)]
    assert watched.notes.last is not None
    assert watched.notes.last.request.method == b"INVITE"
    assert watched.notes.last.datagram.startswith(b"SIP/2.0 200")
    watched.tm.t_relay(watched.request("ACK", branch="z9hG4bKack", to_tag="b"))
    assert watched.kinds() == [("ack_in", 200)]
    watched.tm.t_relay(watched.request("ACK", branch="z9hG4bKother", to_tag="b", cseq=9))
    assert watched.kinds() == []
    watched.advance(33_000)
    assert is_gone(watched)


def test_a_watcher_may_make_branches_when_all_have_failed(watched: Watched) -> None:
    def failure(event: Event) -> None:
        append_branch(event.request, b"sip:bob@192.0.2.21")
        watched.tm.t_relay(event.request)

    watched.tm.t_relay(watched.request())
    watched.notes.failure = failure  # type: ignore[method-assign]
    watched.reply(watched.take_to(CALLEE)[0], 302)
    second = watched.take_to(SECOND_CALLEE)[0]
    watched.reply(second, 200)
    assert statuses(watched) == [200]


def test_a_watcher_is_told_of_a_failure_and_of_the_reply_made_here(watched: Watched) -> None:
    watched.tm.t_relay(watched.request())
    watched.kinds()
    watched.advance(30_100)
    assert watched.kinds() == [("failure", 408), ("reply_out", 408), ("completed", 408)]


def test_what_goes_wrong_in_a_watcher_is_its_own(watched: Watched) -> None:
    def broken(event: Event) -> None:
        raise ValueError("watcher")

    watched.notes.reply_in = broken  # type: ignore[method-assign]
    watched.tm.t_relay(watched.request())
    watched.reply(watched.take_to(CALLEE)[0], 200)
    assert statuses(watched) == [200]


def test_other_requests_are_not_watched(watched: Watched) -> None:
    watched.tm.t_relay(watched.request("OPTIONS"))
    assert watched.transactions()[0].script is None


def test_the_data_of_a_watcher_can_be_read_and_changed(watched: Watched) -> None:
    service = watched.tm.service
    msg = watched.request("OPTIONS")
    assert service.watched(msg, "notes") is None
    service.watch(msg, "notes", b"1")
    service.watch(msg, "notes", b"2")
    assert service.watched(msg, "notes") == b"2"
    watched.tm.t_newtran(msg)
    assert service.watched(msg, "notes") == b"2"
    service.watch(msg, "notes", b"3")
    assert service.watched(watched.request("OPTIONS"), "notes") == b"3"


# -- requests made here ----------


def options(method: bytes = b"OPTIONS", **more: object) -> LocalRequest:
    return LocalRequest(method, b"sip:bob@192.0.2.20", b"<sip:me@192.0.2.1>", b"<sip:bob@a>", **more)  # type: ignore[arg-type]


def test_a_request_made_here_is_repeated_and_its_answer_told_in_any_process(watched: Watched) -> None:
    watched.tm.service.send(options(), "notes", b"mine")
    sent = watched.take_to(CALLEE)[0]
    assert sent.buf.startswith(b"OPTIONS sip:bob@192.0.2.20 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")
    assert (sent.cseq.number, len(sent.vias())) == (10, 1)
    assert sent.from_tag is not None
    assert sent.find(names.USER_AGENT) >= 0
    assert sent.max_forwards is None
    watched.advance(600)
    assert [m.buf for m in watched.take_to(CALLEE)] == [sent.buf]
    watched.core.process = 1
    watched.reply(sent, 200)
    assert watched.kinds()[-1] == ("answered", 200)
    assert watched.notes.last is not None
    assert watched.notes.last.reply is not None
    assert watched.take() == []
    watched.advance(6_000)
    assert is_gone(watched)


@pytest.mark.parametrize(("method", "status"), [(b"OPTIONS", 404), (b"INVITE", 486)])
def test_a_refusal_of_a_request_made_here_is_told(watched: Watched, method: bytes, status: int) -> None:
    watched.tm.service.send(options(method), "notes", b"mine")
    watched.reply(watched.take_to(CALLEE)[0], status)
    assert watched.kinds()[-1] == ("answered", status)
    assert watched.notes.last is not None
    assert watched.notes.last.reply is not None
    assert watched.notes.last.reply.status == status
    assert [m.method for m in watched.take_to(CALLEE)] == ([b"ACK"] if method == b"INVITE" else [])
    watched.advance(40_000)
    assert is_gone(watched)


def test_a_request_made_here_that_nobody_answers_ends_with_408(watched: Watched) -> None:
    watched.tm.service.send(options(), "notes", b"mine")
    watched.advance(30_100)
    assert watched.kinds() == [("answered", 408)]
    assert watched.notes.last is not None
    assert watched.notes.last.reply is None


@pytest.mark.parametrize("provisional", [0, 1])
def test_provisional_replies_are_told_where_a_parameter_says_so(memory: SharedMemory, provisional: int) -> None:
    world = World(memory, pass_provisional_replies=provisional)
    notes = Notes()
    world.tm.service.add_watcher("notes", notes)
    world.tm.service.send(options(), "notes")
    world.reply(world.take_to(CALLEE)[0], 183)
    assert ("answered", 183, b"") in notes.events or not provisional


def test_each_2xx_to_an_invite_made_here_is_acknowledged_on_its_route(watched: Watched) -> None:
    watched.tm.service.send(options(b"INVITE"), "notes", b"mine")
    sent = watched.take_to(CALLEE)[0]
    reply = watched.reply_to(sent, 200)
    extra = b"Contact: <sip:bob@192.0.2.77>\r\nRecord-Route: <sip:192.0.2.21;lr>\r\nContent-Length"
    data = reply.buf.replace(b"Content-Length", extra)
    for _ in range(2):
        watched.tm.on_reply_in(SipMsg(data, CALLEE, watched.wire))
    acks = watched.take_to(SECOND_CALLEE)
    assert [(m.method, m.ruri, m.to_tag, m.cseq.number) for m in acks] == [
        (b"ACK", b"sip:bob@192.0.2.77", b"b", 10)
    ] * 2
    assert acks[0].value(acks[0].find(names.ROUTE)) == b"<sip:192.0.2.21;lr>"
    assert acks[0].top_via().branch != sent.top_via().branch
    assert [kind for kind, _ in watched.kinds() if kind == "answered"] == ["answered"]


def test_a_request_made_here_tries_the_next_address_of_its_destination(watched: Watched) -> None:
    watched.core.resolver.hosts = {"gw.example.com": ("192.0.2.20", "192.0.2.21")}
    watched.tm.service.send(LocalRequest(b"OPTIONS", b"sip:gw.example.com", b"<sip:a@b>", b"<sip:a@b>"), "notes")
    watched.reply(watched.take_to(CALLEE)[0], 503)
    [again] = watched.take_to(SECOND_CALLEE)
    watched.reply(again, 503)
    assert [event[:2] for event in watched.notes.events if event[0] == "answered"] == [("answered", 503)]


def test_a_request_that_cannot_be_sent_to_is_told_at_once(world: World) -> None:
    with pytest.raises(SipError):
        world.tm.service.send(LocalRequest(b"OPTIONS", b"sip:[::1]", b"<sip:a@b>", b"<sip:a@b>"))


def test_the_service_is_published(world: World) -> None:
    assert isinstance(world.core.require("tm"), TransactionService)


# -- management ----------


class Carried:
    """Answers that come later."""

    def __init__(self, world: World) -> None:
        self.answers: list[tuple[str, Reply]] = []
        world.core.mi.carriers["test"] = lambda ticket, reply: self.answers.append((ticket, reply))


HEADERS = "From: <sip:me@a>\nTo: <sip:bob@a>\nContact: <sip:!!>\nSubject: x"


def uac(world: World, *arguments: str, ticket: str = "test:1") -> Reply | None:
    command = Command("t_uac_dlg", world.tm.mi_t_uac_dlg, 5, 6, "tm", True)
    return command.call_later(list(arguments), ticket)


def test_t_uac_dlg_answers_when_the_final_reply_is_there(world: World) -> None:
    carried = Carried(world)
    assert uac(world, "OPTIONS", "sip:bob@192.0.2.20", ".", ".", HEADERS) is None
    sent = world.take_to(CALLEE)[0]
    assert sent.value(sent.find(names.CONTACT)) == b"<sip:192.0.2.1:5060>"
    assert sent.value(sent.find(names.SUBJECT)) == b"x"
    assert len(sent.indexes(names.FROM)) == len(sent.indexes(names.CALL_ID)) == 1
    world.reply(sent, 180)
    assert carried.answers == []
    world.reply(sent, 404)
    [(ticket, reply)] = carried.answers
    assert ticket == "test:1"
    assert [node.value for node in reply.nodes[:4]] == [b"404 Because", ".", ".", "."]
    assert b"CSeq: 10 OPTIONS\r\n" in bytes(reply.nodes[4].value)  # type: ignore[arg-type]


def test_t_uac_dlg_tells_a_time_out(world: World) -> None:
    carried = Carried(world)
    headers = HEADERS + "\nCall-ID: mine\nCSeq: 7 INFO\nContent-Type: text/plain"
    uac(world, "INFO", "sip:bob@a", "sip:192.0.2.21:5062", "udp:192.0.2.1:5060", headers, "hello")
    [sent] = world.take_to(("192.0.2.21", 5062))
    assert (sent.ruri, sent.call_id, sent.cseq.number, sent.body) == (b"sip:bob@a", b"mine", 7, b"hello")
    world.advance(30_100)
    assert [node.value for node in carried.answers[0][1].nodes] == ["408 Request Timeout", ".", ".", ".", "."]


def test_t_uac_dlg_without_somebody_who_waits_is_accepted(world: World) -> None:
    reply = uac(world, "OPTIONS", "sip:bob@192.0.2.20", ".", ".", HEADERS, ticket="")
    assert reply is not None
    assert (reply.code, reply.reason) == (202, "Accepted")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("OPTIONS", "bob", ".", ".", HEADERS), 400, "Invalid RURI"),
        (("OPTIONS", "sip:bob@a", "x", ".", HEADERS), 400, "Invalid NEXTHOP"),
        (("OPTIONS", "sip:bob@a", ".", "udp:x:y", HEADERS), 404, "Invalid local socket"),
        (("OPTIONS", "sip:bob@a", ".", "udp:192.0.2.9:5060", HEADERS), 404, "Local socket not found"),
        (("OPTIONS", "sip:bob@a", ".", ".", "From: <sip:a@b>"), 400, "To missing"),
        (("OPTIONS", "sip:bob@a", ".", ".", "To: <sip:a@b>"), 400, "From missing"),
        (("OPTIONS", "sip:bob@a", ".", ".", "To: <sip:a@b>\nFrom: <sip:a"), 400, "Error in From"),
        (("INFO", "sip:bob@a", ".", ".", HEADERS, "body"), 400, "Content-Type missing"),
        (
            ("INFO", "sip:bob@a", ".", ".", HEADERS + "\nContent-Type: a/b\nContent-Length: 4", "body"),
            400,
            "Content-Length disallowed",
        ),
        (("INFO", "sip:bob@a", ".", ".", HEADERS + "\nCSeq: x INFO"), 400, "Bad CSeq number"),
        (("INFO", "sip:bob@a", ".", ".", HEADERS + "\nCSeq: 1 BYE"), 400, "CSeq method mismatch"),
        (("INFO", "sip:bob@a", "."), 400, "Too few or too many arguments"),
    ],
)
def test_t_uac_dlg_refuses_what_it_cannot_send(
    world: World, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    reply = uac(world, *arguments)
    assert reply is not None
    assert (reply.code, reply.reason) == (code, reason)
    assert world.take() == []


def test_t_uac_cancel_cancels_a_call(world: World) -> None:
    uac(world, "INVITE", "sip:bob@192.0.2.20", ".", ".", HEADERS + "\nCall-ID: mine\nCSeq: 3 INVITE")
    invite = world.take_to(CALLEE)[0]
    world.reply(invite, 180)
    assert world.tm.mi_t_uac_cancel("other", "3").code == 481
    assert world.tm.mi_t_uac_cancel("mine", "3").code == 200
    assert [m.method for m in world.take_to(CALLEE)] == [b"CANCEL"]


def told(world: World) -> tuple[SipMsg, str]:
    """A transaction that another program has been told of, and its name."""
    msg = world.request()
    world.tm.t_newtran(msg)
    [slot] = world.tm.store.table.slots()
    return msg, f"{slot}:{world.tm.store.label(world.tm.store.table.generation(slot))}"


def test_t_reply_answers_a_transaction(world: World) -> None:
    _, ident = told(world)
    tm = world.tm
    assert tm.mi_t_reply("180", "Ringing", ident, "tag1", ".").code == 200
    assert tm.mi_t_reply("200", "OK", ident, "tag1", "X-A: 1\nX-B: 2", "body").code == 200
    ringing, answer = world.take_to(CALLER)
    assert (ringing.status, ringing.to_tag) == (180, b"tag1")
    assert (answer.status, answer.to_tag, answer.body) == (200, b"tag1", b"body")
    assert [answer.value(answer.indexes_named(name)[0]) for name in (b"X-A", b"X-B")] == [b"1", b"2"]
    late = tm.mi_t_reply("486", "Busy", ident, "tag1", ".")
    assert (late.code, late.reason) == (500, "Reply failed")


@pytest.mark.parametrize(
    ("code", "ident", "expected"),
    [("99", "1:1", "Invalid reply code"), ("200", "1-1", "Invalid trans_id"), ("200", "1:1", "Transaction not found")],
)
def test_t_reply_refuses_what_it_cannot_use(world: World, code: str, ident: str, expected: str) -> None:
    assert world.tm.mi_t_reply(code, "x", ident, "t", ".").reason == expected


def test_a_message_of_the_parser_is_what_a_reply_is(world: World) -> None:
    uac(world, "INVITE", "sip:bob@192.0.2.20", ".", ".", HEADERS)
    carried = Carried(world)
    sent: Message = world.take_to(CALLEE)[0]
    data = world.reply_to(sent, 200).buf.replace(b"Content-Length", b"Contact: <sip:b@192.0.2.20>\r\nContent-Length")
    world.tm.on_reply_in(SipMsg(data, CALLEE, world.wire))
    assert [node.value for node in carried.answers[0][1].nodes[1:4]] == ["sip:b@192.0.2.20", "sip:b@192.0.2.20", "."]

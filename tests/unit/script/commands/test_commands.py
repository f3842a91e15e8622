"""Every function of the core: its names, arguments, effect and return codes."""

import logging
import re
from types import SimpleNamespace
from typing import Any

import pytest

from openserd.core.context import Core
from openserd.core.destinations import MAX_BRANCHES, Branch
from openserd.core.log import ALERT, NOTICE, python_level
from openserd.core.message import SipMsg
from openserd.core.module import ANY_ROUTE, FAILURE, REQUEST
from openserd.errors import ConfigError
from openserd.script.commands import COMMANDS
from openserd.script.commands.command import Peer, PeerArg
from tests.unit.script.pv_samples import BARE, INVITE, REPLY, Recorder, message

#: the table of functions: every name that is not control flow, with the numbers of arguments it takes
ARITIES = {
    "append_branch": (0, 1, 2),
    "diff_time_stamp": (2,),
    "error": (2,),
    "force_local_rport": (0,),
    "add_local_rport": (0,),
    "force_rport": (0,),
    "add_rport": (0,),
    "force_send_socket": (1,),
    "force_tcp_alias": (0, 1),
    "add_tcp_alias": (0, 1),
    "forward": (0, 1),
    "isbflagset": (1, 2),
    "isbranchflagset": (1, 2),
    "isdsturiset": (0,),
    "isduriset": (0,),
    "isflagset": (1,),
    "issflagset": (1,),
    "isscriptflagset": (1,),
    "log": (1, 2),
    "next_branches": (0,),
    "prefix": (1,),
    "reset_time_stamp": (0,),
    "resetbflag": (1, 2),
    "resetbranchflag": (1, 2),
    "resetdsturi": (0,),
    "resetduri": (0,),
    "resetflag": (1,),
    "resetsflag": (1,),
    "resetscriptflag": (1,),
    "revert_uri": (0,),
    "rewritehost": (1,),
    "sethost": (1,),
    "seth": (1,),
    "rewritehostport": (1,),
    "sethostport": (1,),
    "sethp": (1,),
    "rewriteport": (1,),
    "setport": (1,),
    "setp": (1,),
    "rewriteuri": (1,),
    "seturi": (1,),
    "rewriteuser": (1,),
    "setuser": (1,),
    "setu": (1,),
    "rewriteuserpass": (1,),
    "setuserpass": (1,),
    "setup": (1,),
    "send": (1,),
    "serialize_branches": (1,),
    "set_advertised_address": (1,),
    "set_advertised_port": (1,),
    "set_time_stamp": (1,),
    "setbflag": (1, 2),
    "setbranchflag": (1, 2),
    "setdebug": (0, 1),
    "setdsturi": (1,),
    "setduri": (1,),
    "setflag": (1,),
    "setsflag": (1,),
    "setscriptflag": (1,),
    "strip": (1,),
    "strip_tail": (1,),
    "use_blacklist": (1,),
}


class Server:
    """A core with recording listeners, and calls of functions as compiled scripts make them."""

    def __init__(self) -> None:
        self.core = Core()
        self.udp = Recorder()
        self.tcp = Recorder("tcp", "192.0.2.1", 5060)
        self.v6 = Recorder("udp", "2001:db8::1", 5062)
        for listener in (self.udp, self.tcp, self.v6):
            self.core.listening.add(listener)
        self.context: Any = SimpleNamespace(module=None, core=self.core)

    def values(self, name: str, *texts: str) -> list[Any]:
        """Arguments as the compiler prepares them."""
        form = COMMANDS[name].form(len(texts))
        assert len(texts) in form.arities
        return [kind.compile(text, self.context) for kind, text in zip(form.args, texts, strict=False)]

    def call(self, msg: SipMsg, name: str, *texts: str) -> int:
        """One call from a script."""
        return COMMANDS[name].bind(self.core)(msg, *self.values(name, *texts))


@pytest.fixture
def server() -> Server:
    return Server()


def test_every_function_has_its_names_and_numbers_of_arguments() -> None:
    found = {
        name: tuple(n for n in range(4) if n in command.form(n).arities and n in command.fn.arities)
        for name, command in COMMANDS.items()
    }
    assert found == ARITIES


def test_functions_may_be_called_from_any_route_but_next_branches() -> None:
    limited = {name: command.fn.routes for name, command in COMMANDS.items() if command.fn.routes != ANY_ROUTE}
    assert limited == {"next_branches": REQUEST | FAILURE}


def test_no_function_is_unavailable() -> None:
    assert [name for name, command in COMMANDS.items() if command.unavailable] == []


def test_use_blacklist_takes_a_list_that_the_script_defines(server: Server) -> None:
    server.core.params.blacklists["spammers"] = []
    assert server.call(message(), "use_blacklist", "spammers") == 1
    with pytest.raises(ConfigError):
        server.call(message(), "use_blacklist", "spam")


# -- request URI ----------------------------------------------------------------------------------------

URI = b"sip:bob:secret@biloxi.example:5070;transport=tcp"


@pytest.mark.parametrize(
    ("names", "argument", "expected"),
    [
        (("rewriteuri", "seturi"), "sip:x@y", b"sip:x@y"),
        (("rewritehost", "sethost", "seth"), "gw.example", b"sip:bob:secret@gw.example:5070;transport=tcp"),
        (("rewritehostport", "sethostport", "sethp"), "gw:5080", b"sip:bob:secret@gw:5080;transport=tcp"),
        (("rewritehostport",), "gw", b"sip:bob:secret@gw;transport=tcp"),
        (("rewriteport", "setport", "setp"), "5090", b"sip:bob:secret@biloxi.example:5090;transport=tcp"),
        (("rewriteport",), "", b"sip:bob:secret@biloxi.example;transport=tcp"),
        (("rewriteuser", "setuser", "setu"), "eve", b"sip:eve:secret@biloxi.example:5070;transport=tcp"),
        (("rewriteuserpass", "setuserpass", "setup"), "eve:pw", b"sip:eve:pw@biloxi.example:5070;transport=tcp"),
        (("prefix",), "00", b"sip:00bob:secret@biloxi.example:5070;transport=tcp"),
        (("strip",), "2", b"sip:b:secret@biloxi.example:5070;transport=tcp"),
        (("strip_tail",), "1", b"sip:bo:secret@biloxi.example:5070;transport=tcp"),
        (("strip",), "7", b"sip:biloxi.example:5070;transport=tcp"),
    ],
)
def test_the_request_uri_is_rewritten_and_reverted(
    server: Server, names: tuple[str, ...], argument: str, expected: bytes
) -> None:
    for name in names:
        msg = message()
        assert server.call(msg, name, argument) == 1
        assert msg.ruri == expected
        assert server.call(msg, "revert_uri") == 1
        assert msg.ruri == URI


def test_sips_stays_sips(server: Server) -> None:
    msg = message(BARE.replace(b"OPTIONS sip:", b"OPTIONS sips:"))
    server.call(msg, "rewritehost", "gw")
    assert msg.ruri == b"sips:gw"


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("rewritehost", "no host"),
        ("rewritehostport", "gw:x"),
        ("rewriteuser", "a b"),
        ("rewriteuserpass", "a:b c"),
        ("prefix", " "),
    ],
)
def test_what_would_be_no_uri_returns_minus_one(server: Server, name: str, argument: str) -> None:
    msg = message()
    assert server.call(msg, name, argument) == -1 and msg.ruri == URI


@pytest.mark.parametrize(("name", "argument"), [("rewriteport", "5060"), ("strip", "1"), ("strip_tail", "1")])
def test_a_reply_has_nothing_to_rewrite(server: Server, name: str, argument: str) -> None:
    assert server.call(message(REPLY), name, argument) == -1


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rewriteuri", ("nonsense",)),
        ("setdsturi", ("gw.example",)),
        ("append_branch", ("nonsense",)),
        ("append_branch", ("sip:a@b", "1.5")),
        ("append_branch", ("sip:a@b", "high")),
        ("rewriteport", ("http",)),
        ("rewriteport", ("70000",)),
        ("strip", ("-1",)),
        ("strip_tail", ("x",)),
        ("setflag", ("32",)),
        ("setflag", ("-1",)),
        ("setbflag", ("12", "1")),
        ("setbflag", ("1", "32")),
        ("setbflag", ("32",)),
        ("serialize_branches", ("2",)),
        ("set_advertised_port", ("0",)),
        ("forward", ("a b",)),
        ("forward", ("sctp:gw",)),
        ("send", ("gw:99999",)),
        ("force_send_socket", ("192.0.2.7",)),
        ("force_send_socket", ("tls:192.0.2.1",)),
        ("force_send_socket", ("192.0.2.1:5061",)),
        ("force_send_socket", ("//",)),
        ("log", ("L_LOUD", "text")),
        ("setdebug", ("much",)),
        ("force_tcp_alias", ("0",)),
    ],
)
def test_bad_arguments_are_refused_while_the_script_is_read(
    server: Server, name: str, arguments: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError):
        server.values(name, *arguments)


# -- destination set ------------------------------------------------------------------------------------


def test_the_destination_uri_is_set_tested_and_reset(server: Server) -> None:
    for prefix in ("", "d"):
        set_, test, reset = (
            ("setdsturi", "isdsturiset", "resetdsturi") if prefix else ("setduri", "isduriset", "resetduri")
        )
        msg = message()
        assert server.call(msg, test) == -1
        assert server.call(msg, set_, "sip:gw.example;lr") == 1
        assert (msg.dst_uri, server.call(msg, test)) == (b"sip:gw.example;lr", 1)
        assert server.call(msg, reset) == 1
        assert msg.dst_uri is None


def test_append_branch_copies_the_request_uri_and_moves_what_belongs_to_it(server: Server) -> None:
    msg = message()
    msg.dst_uri, msg.branch_flags, msg.force_listener = b"sip:gw", 5, server.tcp
    assert server.call(msg, "append_branch") == 1
    branch = msg.branches[0]
    assert (branch.uri, branch.dst_uri, branch.flags, branch.listener) == (URI, b"sip:gw", 5, server.tcp)
    assert (msg.ruri, msg.dst_uri, msg.branch_flags, msg.force_listener) == (URI, None, 0, None)


def test_append_branch_with_a_uri_leaves_the_request_uri_alone(server: Server) -> None:
    msg = message()
    msg.dst_uri = b"sip:gw"
    assert server.call(msg, "append_branch", "sip:a@x") == 1
    assert server.call(msg, "append_branch", "sip:b@x", "0.25") == 1
    assert [(branch.uri, branch.q) for branch in msg.branches] == [(b"sip:a@x", None), (b"sip:b@x", 250)]
    assert (msg.ruri, msg.dst_uri) == (URI, b"sip:gw")


def test_append_branch_returns_minus_one_when_the_set_is_full(server: Server) -> None:
    msg = message()
    results = [server.call(msg, "append_branch", "sip:a@x") for _ in range(MAX_BRANCHES)]
    assert results == [1] * (MAX_BRANCHES - 1) + [-1]


def test_branches_are_serialized_and_taken_up_again(server: Server) -> None:
    msg = message()
    msg.q = 100
    msg.branches += [Branch(b"sip:a@x", 900), Branch(b"sip:b@x", 900, listener=server.v6)]
    msg.route_kind = REQUEST
    assert server.call(msg, "serialize_branches", "1") == 1
    assert msg.branches == []
    assert server.call(msg, "next_branches") == 1
    assert msg.ruri == b"sip:a@x"
    assert [(branch.uri, branch.listener) for branch in msg.branches] == [(b"sip:b@x", server.v6)]
    msg.route_kind = FAILURE
    assert server.call(msg, "next_branches") == 1
    assert (msg.ruri, [branch.uri for branch in msg.branches]) == (b"sip:a@x", [b"sip:b@x", URI])
    assert server.call(msg, "next_branches") == -1


@pytest.mark.parametrize(("clean", "n_left"), [("1", 4), ("0", 8)])
def test_serialize_branches_drops_the_stored_list_when_told(server: Server, clean: str, n_left: int) -> None:
    msg = message()
    for argument in ("1", clean):
        msg.q = 100
        msg.branches.append(Branch(b"sip:a@x", 900))
        server.call(msg, "serialize_branches", argument)
    assert len(msg.avps) == n_left


# -- flags ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("set_", "reset", "test", "attribute"),
    [
        ("setflag", "resetflag", "isflagset", "flags"),
        ("setsflag", "resetsflag", "issflagset", "script_flags"),
        ("setscriptflag", "resetscriptflag", "isscriptflagset", "script_flags"),
        ("setbflag", "resetbflag", "isbflagset", "branch_flags"),
        ("setbranchflag", "resetbranchflag", "isbranchflagset", "branch_flags"),
    ],
)
@pytest.mark.parametrize("flag", [0, 5, 31])
def test_flags_are_set_tested_and_reset(
    server: Server, set_: str, reset: str, test: str, attribute: str, flag: int
) -> None:
    msg = message()
    other = "7"
    assert server.call(msg, test, str(flag)) == -1
    assert server.call(msg, set_, str(flag)) == server.call(msg, set_, other) == 1
    assert getattr(msg, attribute) == 1 << flag | 1 << 7
    assert server.call(msg, test, str(flag)) == 1
    assert server.call(msg, reset, str(flag)) == 1
    assert getattr(msg, attribute) == 1 << 7
    assert server.call(msg, test, str(flag)) == -1


def test_branch_flags_by_branch(server: Server) -> None:
    msg = message()
    msg.branches += [Branch(b"sip:a@x"), Branch(b"sip:b@x")]
    assert server.call(msg, "setbflag", "2", "3") == server.call(msg, "setbflag", "0", "4") == 1
    assert (msg.branch_flags, msg.branches[0].flags, msg.branches[1].flags) == (16, 0, 8)
    assert (server.call(msg, "isbflagset", "2", "3"), server.call(msg, "isbflagset", "1", "3")) == (1, -1)
    assert server.call(msg, "resetbflag", "2", "3") == 1 and msg.branches[1].flags == 0
    missing = [server.call(msg, name, "3", "3") for name in ("setbflag", "resetbflag", "isbflagset")]
    assert missing == [-1, -1, -1]


# -- sending --------------------------------------------------------------------------------------------


def test_forward_relays_to_the_request_uri(server: Server) -> None:
    msg = message(BARE.replace(b"OPTIONS sip:biloxi.example", b"OPTIONS sip:198.51.100.7:5070"), server.udp)
    assert server.call(msg, "forward") == 1
    data, destination = server.udp.sent[0]
    assert destination == ("198.51.100.7", 5070)
    assert data.startswith(b"OPTIONS sip:198.51.100.7:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK")
    assert server.core.stats.fwd_requests.value() == 1


@pytest.mark.parametrize(
    ("text", "listener", "destination"),
    [
        ("198.51.100.7", "udp", ("198.51.100.7", 5060)),
        ("198.51.100.7:5081", "udp", ("198.51.100.7", 5081)),
        ("tcp:198.51.100.7", "tcp", ("198.51.100.7", 5060)),
        ("UDP:[2001:db8::9]:5090", "v6", ("2001:db8::9", 5090)),
    ],
)
@pytest.mark.parametrize("name", ["forward", "send"])
def test_forward_and_send_to_a_fixed_address(
    server: Server, name: str, text: str, listener: str, destination: tuple[str, int]
) -> None:
    msg = message(INVITE, server.udp)
    assert server.call(msg, name, text) == 1
    data, where = getattr(server, listener).sent[0]
    assert where == destination
    assert (data == INVITE) == (name == "send")


@pytest.mark.parametrize("name", ["forward", "send"])
def test_what_cannot_be_sent_returns_minus_one(server: Server, name: str) -> None:
    server.core.resolver = SimpleNamespace(address=lambda host: None, addresses=lambda host: ())  # type: ignore[assignment]
    assert server.call(message(INVITE, server.udp), name, "unknown.invalid") == -1
    server = Server()
    server.udp.refuses = True
    assert server.call(message(INVITE, server.udp), name, "198.51.100.7") == -1
    assert server.call(message(INVITE, server.udp), name, "tls:198.51.100.7") == -1


def test_a_reply_is_not_forwarded_by_the_script(server: Server) -> None:
    assert server.call(message(REPLY), "forward") == -1


def test_addresses_are_read() -> None:
    kind = PeerArg("x")
    assert kind.read("gw") == Peer("", "gw", 0)
    assert (kind.read("tls:gw").port_used, kind.read("any:gw:1").port_used) == (5061, 1)
    assert kind.read("gw").transport == "udp"


def test_rport_and_advertised_address_change_the_via(server: Server) -> None:
    msg = message(BARE.replace(b"OPTIONS sip:biloxi.example", b"OPTIONS sip:198.51.100.7"), server.udp)
    for name in ("force_rport", "add_rport", "force_local_rport", "add_local_rport"):
        assert server.call(msg, name) == 1
    assert server.call(msg, "set_advertised_address", "public.example") == 1
    assert server.call(msg, "set_advertised_port", "5099") == 1
    server.call(msg, "forward")
    top, second = [line for line in server.udp.sent[0][0].split(b"\r\n") if line.startswith(b"Via:")]
    assert top.startswith(b"Via: SIP/2.0/UDP public.example:5099;") and top.endswith(b";rport")
    assert second.endswith(b";received=203.0.113.9;rport=5099")


@pytest.mark.parametrize("name", ["force_rport", "add_rport"])
def test_force_rport(server: Server, name: str) -> None:
    msg = message()
    assert server.call(msg, name) == 1 and msg.rport_forced and not msg.local_rport


@pytest.mark.parametrize("name", ["force_local_rport", "add_local_rport"])
def test_force_local_rport(server: Server, name: str) -> None:
    msg = message()
    assert server.call(msg, name) == 1 and msg.local_rport and not msg.rport_forced


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "udp"),
        ("192.0.2.1:5060", "udp"),
        ("udp:192.0.2.1", "udp"),
        ("tcp:192.0.2.1:5060", "tcp"),
        ("any:192.0.2.1", "udp"),
        ("[2001:DB8:0::1]:5062", "v6"),
        ("[2001:db8::1]", "v6"),
        ("here.example:5060", "udp"),
    ],
)
def test_a_socket_of_this_server_can_be_forced(server: Server, text: str, expected: str) -> None:
    server.core.resolver = SimpleNamespace(  # type: ignore[assignment]
        address=lambda host: "192.0.2.1" if host == b"here.example" else None
    )
    msg = message()
    assert server.call(msg, "force_send_socket", text) == 1
    assert msg.force_listener is getattr(server, expected)


def test_a_socket_that_is_not_listened_on_is_told_with_those_that_are(server: Server) -> None:
    with pytest.raises(ConfigError, match="does not listen on 192") as caught:
        server.values("force_send_socket", "192.0.2.9")
    assert "tcp:192.0.2.1:5060" in caught.value.expected


def test_the_socket_kind_also_finds_the_server_through_the_module(server: Server) -> None:
    context: Any = SimpleNamespace(module=SimpleNamespace(core=server.core))
    assert COMMANDS["force_send_socket"].fn.args[0].compile("192.0.2.1", context) is server.udp


@pytest.mark.parametrize("name", ["force_tcp_alias", "add_tcp_alias"])
def test_a_tcp_alias_is_nothing_on_udp_and_asked_of_a_stream_listener(server: Server, name: str) -> None:
    assert server.call(message(), name) == server.call(message(), name, "5061") == 1
    assert server.call(message(INVITE, server.tcp), name) == -1
    asked: list[int] = []
    server.tcp.add_alias = lambda msg, port: not asked.append(port)  # type: ignore[attr-defined]
    assert server.call(message(INVITE, server.tcp), name, "5061") == 1
    assert server.call(message(INVITE, server.tcp), name) == 1 and asked == [5061, 0]


# -- log ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "level", "text"),
    [
        (("hello\n",), logging.DEBUG, "hello"),
        (("-3", "x"), ALERT, "x"),
        (("-2", "x"), logging.CRITICAL, "x"),
        (("-1", "x"), logging.ERROR, "x"),
        (("1", "x"), logging.WARNING, "x"),
        (("2", "x"), NOTICE, "x"),
        (("3", "x"), logging.INFO, "x"),
        (("4", "100% $ru"), logging.DEBUG, "100% $ru"),
        (("L_ERR", "x"), logging.ERROR, "x"),
        (("L_ALERT", "x"), ALERT, "x"),
        (("L_CRIT", "x"), logging.CRITICAL, "x"),
        (("L_WARN", "x"), logging.WARNING, "x"),
        (("L_NOTICE", "x"), NOTICE, "x"),
        (("L_INFO", "x"), logging.INFO, "x"),
        (("L_DBG", "x"), logging.DEBUG, "x"),
        (("7", "x"), logging.DEBUG, "x"),
        (("3",), logging.DEBUG, "3"),
        (("\udcff",), logging.DEBUG, "\\xff"),
    ],
)
def test_log_writes_its_text_at_its_level(
    server: Server, caplog: pytest.LogCaptureFixture, arguments: tuple[str, ...], level: int, text: str
) -> None:
    with caplog.at_level(logging.DEBUG, "openserd"):
        assert server.call(message(), "log", *arguments) == 1
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(level, text)]


def test_what_is_not_logged_costs_no_line(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "openserd"):
        assert server.call(message(), "log", "3", "x") == 1
    assert caplog.records == []


def test_error_only_logs(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert server.call(message(), "error", "480", "gone") == 1
    assert 'error("480", "gone")' in caplog.text


def test_setdebug_changes_what_this_process_logs(server: Server) -> None:
    log = logging.getLogger("openserd")
    before = log.level
    try:
        assert server.call(message(), "setdebug", "4") == 1 and log.level == logging.DEBUG
        assert server.call(message(), "setdebug", "L_ERR") == 1 and log.level == logging.ERROR
        assert server.call(message(), "setdebug") == 1 and log.level == python_level(server.core.params.debug)
    finally:
        log.setLevel(before)


def test_the_stop_watch_logs_what_has_passed(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    msg = message()
    assert server.call(msg, "set_time_stamp", "begin") == server.call(msg, "reset_time_stamp") == 1
    assert server.call(msg, "diff_time_stamp", "-1", "lookup") == 1
    assert re.search(r"lookup: \d+ us since begin", caplog.text)

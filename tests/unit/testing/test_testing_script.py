"""The users' test tool: messages in, results out, time by hand, nothing left behind."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.errors import ConfigError
from openserd.script import ConfigErrors
from openserd.testing import Script
from openserd.testing.places import address_of, contact_source
from openserd.testing.script import START

PROXY = """
alias=example.com
loadmodule "sl.so" loadmodule "tm.so" loadmodule "rr.so" loadmodule "usrloc.so" loadmodule "registrar.so"
modparam("tm", "fr_timer", 5)
route {
    if (loose_route()) { t_relay(); exit; }
    if (method=="REGISTER") { save("location"); exit; }
    if (method=="INVITE") record_route();
    if (uri==myself && !lookup("location")) { sl_send_reply("404", "Not Found"); exit; }
    if (!t_relay()) sl_reply_error();
}
"""


@pytest.fixture
def proxy() -> Iterator[Script]:
    with Script.text(PROXY) as script:
        yield script


def test_a_script_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "openser.cfg"
    path.write_text('loadmodule "sl.so"\nroute {\n\tsl_send_reply("200", "OK");\n}\n')
    with Script.load(path) as script:
        assert script.request("OPTIONS sip:a@b").reply.status == 200


def test_what_is_wrong_with_a_script_is_raised() -> None:
    with pytest.raises(ConfigErrors, match="unknown function"):
        Script.text("route { nonsense(); }")
    with pytest.raises(ConfigError, match="needed"):
        Script.text("route { exit; }", ["registrar"])
    with pytest.raises(ConfigError, match="no UDP address"):
        Script.text("listen=tcp:127.0.0.1:5060 route { exit; }")


def test_what_the_compiler_warns_of_is_kept() -> None:
    with Script.text("tcp_max_connections=5 route { exit; }") as script:
        assert ["tcp_max_connections is not in effect yet" in one for one in script.warnings] == [True]


def test_definitions_and_the_environment_are_the_test_s() -> None:
    text = '#!ifdef TEST\nroute { xlog("L_ERR", "$env(WHO)"); }\n#!else\nroute { xlog("L_ERR", "no"); }\n#!endif\n'
    text = f'loadmodule "xlog.so"\n{text}'
    with Script.text(text, definitions={"TEST": ""}, environment={"WHO": "me"}) as script:
        assert script.request("OPTIONS sip:a@b").log == ["me"]
    with Script.text(text) as script:
        assert script.request("OPTIONS sip:a@b").log == ["no"]


# -- requests -------------------------------------------------------------------------------------------------


def test_a_request_has_all_that_a_phone_s_has() -> None:
    with Script.text("route { forward(); }") as script:
        sent = script.request("INVITE sip:bob@192.0.2.20:5080", body="v=0\r\n").request
    assert (sent.method, sent.uri, sent.status, sent.reason) == ("INVITE", "sip:bob@192.0.2.20:5080", 0, "")
    assert (sent.next_hop, sent.listener) == ("192.0.2.20:5080", "udp:198.51.100.1:5060")
    assert sent.headers("Via")[1] == "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKtest2"
    assert sent.header("f") == "<sip:alice@198.51.100.1>;tag=caller1"
    assert sent.header("To") == "<sip:bob@192.0.2.20:5080>"
    assert (sent.header("CSeq"), sent.header("Contact")) == ("1 INVITE", "<sip:alice@192.0.2.10:5060>")
    assert (sent.header("Content-Type"), sent.header("Content-Length"), sent.body) == (
        "application/sdp",
        "5",
        "v=0\r\n",
    )
    assert sent.header("Subject") is None
    assert sent.first_line == "INVITE sip:bob@192.0.2.20:5080 SIP/2.0"


def test_everything_about_a_request_can_be_said() -> None:
    with Script.text("route { forward(); }") as script:
        result = script.request(
            "MESSAGE sip:bob@192.0.2.20",
            source="[2001:db8::5]:5070",
            from_='"C" <sip:carol@x>',
            to="sip:b@y",
            to_tag="t",
            call_id="id",
            cseq=9,
            headers={"l": "0", "X-A": ["1", "2"], "Max-Forwards": None, "Subject": "hello"},
        )
    sent = result.request
    assert sent.header("From") == '"C" <sip:carol@x>;tag=caller1'
    assert (sent.header("To"), sent.header("Call-ID"), sent.header("CSeq")) == ("<sip:b@y>;tag=t", "id", "9 MESSAGE")
    assert (sent.headers("X-A"), sent.header("Max-Forwards"), sent.header("Subject")) == (["1", "2"], None, "hello")
    assert result.handled().source == ("2001:db8::5", 5070)


def test_two_requests_are_two_transactions_and_one_repeated_is_not(proxy: Script) -> None:
    first = proxy.request("INVITE sip:bob@192.0.2.20")
    second = proxy.request("INVITE sip:bob@192.0.2.20")
    assert len(first.forwarded) == len(second.forwarded) == 1
    again = proxy.repeat(first)
    assert [one.status for one in again.sent] == [100]


def test_a_message_can_be_given_whole() -> None:
    with Script.text("route { forward(); }") as script:
        whole = script.request("INVITE sip:bob@192.0.2.20").received
        assert script.receive(whole).forwarded
        text = whole.decode().replace("\r\n", "\n").rstrip("\n")
        assert script.receive("\n" + text).received == whole
        broken = script.receive("INVITE\n\n" + "x" * 40)
    assert broken.dropped and broken.message is None
    with pytest.raises(AssertionError, match="seen no message"):
        broken.variable("$ru")


def test_a_listener_can_be_chosen() -> None:
    text = 'listen=198.51.100.1:5060 listen=198.51.100.2:5070 route { xlog("L_ERR", "$Ri:$Rp"); }'
    with Script.text(f'loadmodule "xlog.so" {text}') as script:
        assert script.request("OPTIONS sip:a@b", listener="198.51.100.2:5070").log == ["198.51.100.2:5070"]
        assert script.request("OPTIONS sip:a@b").log == ["198.51.100.1:5060"]
        with pytest.raises(AssertionError, match="does not listen"):
            script.request("OPTIONS sip:a@b", listener="203.0.113.1")


def test_names_and_interfaces_in_listen_stand_for_the_address_that_tests_have() -> None:
    with Script.text("listen=eth0 listen=sip.example.com:5070 listen=tcp:10.0.0.1 route { exit; }") as script:
        assert [str(one) for one in script.core.listeners] == ["udp:198.51.100.1:5060", "udp:198.51.100.1:5070"]
    with Script.text("listen=eth0 route { exit; }", listen=["10.0.0.1:5090"]) as script:
        assert script.domain == "10.0.0.1:5090"


# -- what came of it ------------------------------------------------------------------------------------------


def test_variables_and_branches_are_seen_as_the_script_has_left_them() -> None:
    text = """route {
        $avp(s:limit) = 3; $var(word) = "x"; setflag(4); rewriteuser("carol");
        append_branch("sip:dave@192.0.2.30", "0.5");
    }"""
    with Script.text(text) as script:
        result = script.request("INVITE sip:bob@example.com")
        names = ("$avp(s:limit)", "$var(word)", "$avp(s:none)", "$rU", "$mf")
        assert [result.variable(name) for name in names] == [3, "x", None, "carol", 16]
        assert result.branches == ["sip:carol@example.com", "sip:dave@192.0.2.30"]
        assert result.dropped


def test_script_variables_live_across_messages_but_not_across_scripts() -> None:
    text = "route { $var(n) = $var(n) + 1; }"
    with Script.text(text) as one, Script.text(text) as other:
        assert [one.request("OPTIONS sip:a@b").variable("$var(n)") for _ in range(2)] == [1, 2]
        assert other.request("OPTIONS sip:a@b").variable("$var(n)") == 1
        assert one.request("OPTIONS sip:a@b").variable("$var(n)") == 3


def test_the_log_holds_what_debug_lets_through() -> None:
    text = 'debug=2 route { log(1, "one\\n"); log(3, "three"); setdebug(3); log(3, "four"); }'
    with Script.text(text) as script:
        lines = script.request("OPTIONS sip:a@b").log
        assert (lines, [line.level for line in lines]) == (["one", "four"], ["WARNING", "INFO"])
        assert script.request("OPTIONS sip:a@b").log == ["one", "three", "four"]
    with Script.text(text, debug=3) as script:
        assert script.request("OPTIONS sip:a@b").log == ["one", "three", "four"]


def test_what_is_missing_is_said_with_what_there_is(proxy: Script) -> None:
    result = proxy.request("ACK sip:bob@192.0.2.20")
    with pytest.raises(AssertionError, match=r"no reply was sent: <ACK .*<ACK sip:bob@192.0.2.20 to 192.0.2.20:5060>>"):
        _ = result.reply
    with pytest.raises(AssertionError, match="not one request was sent"):
        _ = proxy.request("INVITE sip:nobody@example.com").request


def test_a_mistake_of_a_module_reaches_the_test(proxy: Script) -> None:
    proxy.core.request_out.append(lambda msg: 1 // 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ZeroDivisionError):
        proxy.request("OPTIONS sip:bob@192.0.2.20")


def test_addresses_that_cannot_be_sent_to(proxy: Script) -> None:
    proxy.unreachable.add("192.0.2.20:5060")
    assert proxy.request("MESSAGE sip:bob@192.0.2.20").reply.status == 477


def test_only_the_test_s_names_can_be_resolved(proxy: Script) -> None:
    assert proxy.request("MESSAGE sip:bob@gw.example.net").reply.status == 476
    proxy.hosts["gw.example.net"] = "192.0.2.77"
    assert proxy.request("MESSAGE sip:bob@GW.example.net").request.next_hop == "192.0.2.77:5060"
    with Script.text("route { forward(); }", hosts={"a.example": "192.0.2.78"}) as script:
        assert script.request("MESSAGE sip:bob@a.example").request.next_hop == "192.0.2.78:5060"


# -- registrations and calls ----------------------------------------------------------------------------------


def test_users_register_with_the_script_s_domain(proxy: Script) -> None:
    done = proxy.register("bob", contact="sip:bob@192.0.2.20:5090", expires=60)
    assert (done.source, done.reply.header("Contact")) == ("192.0.2.20:5090", "<sip:bob@192.0.2.20:5090>;expires=60")
    assert proxy.request("INVITE sip:bob@example.com").request.uri == "sip:bob@192.0.2.20:5090"
    asked = proxy.register("bob@example.com", contact=None)
    assert asked.reply.header("Contact") == "<sip:bob@192.0.2.20:5090>;expires=60"
    proxy.register("sip:bob@example.com", contact="*", expires=0)
    assert proxy.request("INVITE sip:bob@example.com").reply.status == 404
    assert proxy.register("carol").reply.header("Contact") == "<sip:carol@192.0.2.10:5060>;expires=3600"


def test_bindings_expire_as_time_passes(proxy: Script) -> None:
    proxy.register("bob", contact="sip:bob@192.0.2.20", expires=60)
    proxy.advance(50)
    assert proxy.register("bob", contact=None).reply.header("Contact") == "<sip:bob@192.0.2.20>;expires=10"
    proxy.advance(20)
    assert proxy.request("INVITE sip:bob@example.com").reply.status == 404


def test_a_whole_call(proxy: Script) -> None:
    proxy.register("bob", contact="sip:bob@192.0.2.20")
    call = proxy.request("INVITE sip:bob@example.com", body="v=0\r\n")
    ringing = proxy.reply(call.request, 180)
    assert (ringing.reply.status, ringing.reply.next_hop) == (180, "192.0.2.10:5060")
    answered = proxy.reply(call.request, 200, "Fine", headers={"X-A": "1"}, body="v=1\r\n")
    assert (answered.reply.reason, answered.reply.header("X-A"), answered.reply.body) == ("Fine", "1", "v=1\r\n")
    ack = proxy.ack(call, answered.reply)
    assert (ack.request.uri, ack.request.next_hop) == ("sip:callee@192.0.2.20:5060", "192.0.2.20:5060")
    bye = proxy.within(call, answered.reply, "BYE")
    assert bye.request.header("CSeq") == "2 BYE"
    assert proxy.reply(bye.request, 200).reply.method == "BYE"
    assert proxy.advance(60).dropped


def test_a_refused_call_is_acknowledged_on_both_sides(proxy: Script) -> None:
    call = proxy.request("INVITE sip:bob@192.0.2.20")
    refused = proxy.reply(call.request, 486)
    assert [str(one) for one in refused.sent] == ["<ACK sip:bob@192.0.2.20 to 192.0.2.20:5060>",
                                                  "<486 Busy Here to 192.0.2.10:5060>"]  # fmt: skip
    assert [one.status for one in proxy.advance(1).replies] == [486]
    assert proxy.ack(call, refused.reply).dropped
    assert proxy.advance(2).dropped


def test_a_call_is_cancelled(proxy: Script) -> None:
    call = proxy.request("INVITE sip:bob@192.0.2.20")
    proxy.reply(call.request, 180)
    cancelled = proxy.cancel(call)
    assert (cancelled.request.method, cancelled.reply.status) == ("CANCEL", 200)
    proxy.reply(cancelled.request, 200)
    assert proxy.reply(call.request, 487).reply.status == 487


# -- time and management --------------------------------------------------------------------------------------


def test_transactions_time_out(proxy: Script) -> None:
    call = proxy.request("INVITE sip:bob@192.0.2.20")
    assert len(call.forwarded) == 1
    waiting = proxy.advance(4.5)
    assert [one.method for one in waiting.sent] == ["INVITE"] * 3
    assert proxy.advance(1).replies[0].status == 408


def test_time_is_the_test_s_only_while_the_script_runs() -> None:
    with Script.text('loadmodule "xlog.so" route { xlog("L_ERR", "$Ts"); }', start=1000.0) as script:
        before = time.time()
        assert script.request("OPTIONS sip:a@b").log == ["1000"]
        script.advance(3600)
        assert script.request("OPTIONS sip:a@b").log == ["4600"]
        assert before <= time.time() < before + 60 and START > 1000


def test_management_commands_and_statistics(proxy: Script) -> None:
    proxy.request("OPTIONS sip:bob@192.0.2.20")
    assert (proxy.statistic("core:rcv_requests"), proxy.statistic("UAS_transactions")) == (1, 1)
    assert [node.value for node in proxy.mi("get_statistics", "rcv_requests").nodes] == ["core:rcv_requests = 1"]
    with pytest.raises(AssertionError, match="no management command nonsense"):
        proxy.mi("nonsense")
    with pytest.raises(AssertionError, match="no statistic nonsense"):
        proxy.statistic("nonsense")


def test_nothing_is_left_of_a_script() -> None:
    logger = logging.getLogger("openserd")
    before = (list(logger.handlers), logger.level)
    script = Script.text(PROXY)
    script.request("OPTIONS sip:bob@192.0.2.20")
    script.close()
    script.close()
    assert (list(logger.handlers), logger.level) == before
    assert script.core.shared is None


@pytest.mark.parametrize(
    ("text", "address"),
    [("192.0.2.1", ("192.0.2.1", 5060)), ("192.0.2.1:70", ("192.0.2.1", 70)), ("[::1]:70", ("::1", 70)),
     ("[::1]", ("::1", 5060)), ("::1", ("::1", 5060))],
)  # fmt: skip
def test_addresses_are_written_with_or_without_port(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address


@pytest.mark.parametrize(
    ("contact", "source"),
    [("sip:bob@192.0.2.20", "192.0.2.20:5060"), ('"B" <sip:bob@192.0.2.20:70;x=1>;q=1', "192.0.2.20:70"),
     ("sip:192.0.2.20", "192.0.2.20:5060"), ("sip:bob@[2001:db8::1]:70", "[2001:db8::1]:70"),
     ("sip:bob@phone.example", ""), ("*", ""), ("", ""), (None, "")],
)  # fmt: skip
def test_a_registration_comes_from_its_contact(contact: str | None, source: str) -> None:
    assert contact_source(contact) == source

"""The harness itself: phones and the relay, without a server between them."""

import os
import threading
import time
from pathlib import Path

import pytest

from tests.support import Phone, Relay, Rule, Server, ServerError, TimedOut, wait_until
from tests.support.agents import Callee, call
from tests.support.relay import DOWN, UP
from tests.support.sip import Message, has_lr, is_request, parameter, split_commas, uri_of

NOWHERE = ("127.0.0.1", 9)  # the discard port


def direct(a: str = "alice", b: str = "bob") -> tuple[Phone, Phone]:
    """Two phones that are each other's proxy."""
    callee = Phone(b, NOWHERE)
    caller = Phone(a, callee.address)
    callee.proxy = caller.address
    return caller, callee


def test_message_reads_compact_names_folding_and_lists() -> None:
    message = Message(
        b"SIP/2.0 200 Fine by me\r\nv: SIP/2.0/UDP a;branch=z1,\r\n SIP/2.0/UDP b;branch=z2\r\n"
        b'f: "A, B" <sip:a@x;tag=no>;tag=yes\r\nt: <sip:b@x>\r\ni: id\r\nCSeq: 7 INVITE\r\n\r\nbody'
    )
    assert (message.code, message.reason, message.kind) == (200, "Fine by me", "200/INVITE")
    assert message.all("via") == ["SIP/2.0/UDP a;branch=z1", "SIP/2.0/UDP b;branch=z2"]
    assert (message.from_tag, message.to_tag, message.branch) == ("yes", "", "z1")
    assert (message.call_id, message.cseq, message.body) == ("id", 7, b"body")


def test_value_helpers_keep_quotes_and_brackets_whole() -> None:
    assert split_commas('"a,b" <sip:c,d@e>;q=1, <sip:f@g>') == ['"a,b" <sip:c,d@e>;q=1', "<sip:f@g>"]
    assert uri_of('"x" <sip:a@b;lr>;tag=c') == "sip:a@b;lr"
    assert uri_of("sip:a@b;tag=c") == "sip:a@b"
    assert parameter("<sip:a@b;expires=1>;expires=60", "expires") == "60"
    assert all(has_lr(f"<sip:a{text}>") for text in (";lr", ";lr=on", ";lr;x=y"))
    assert not any(has_lr(f"<sip:a{text}>") for text in ("", ";lrx", ";x=lr"))


def test_two_phones_hold_a_call() -> None:
    caller, callee = direct()
    with caller, callee, Callee(callee) as answering:
        seen = call(caller, "bob", answering)
    assert (seen.acked, seen.ended, seen.n_invites) == (True, True, 1)


def test_phone_keeps_what_was_not_asked_for_and_times_out_with_a_list_of_it() -> None:
    caller, callee = direct()
    with caller, callee:
        caller.request("OPTIONS", "sip:bob@b")
        caller.request("INFO", "sip:bob@b")
        assert callee.receive_request("INFO").method == "INFO"
        with pytest.raises(TimedOut, match="OPTIONS"):
            callee.receive_request("BYE", timeout=0.05)
        assert callee.receive().method == "OPTIONS"
        callee.receives_nothing(seconds=0.02)


def test_transact_repeats_a_request_until_it_is_answered() -> None:
    caller, callee = direct()
    with caller, callee:
        request = caller.request("OPTIONS", "sip:bob@b")
        with pytest.raises(TimedOut):
            caller.transact(request, timeout=0.3, t1=0.05)
        copies = callee.drain()
        assert len(copies) == 3  # at 0, 50 and 150 ms; the next would be at 350
        assert {copy.raw for copy in copies} == {request.raw}


def relayed(relay: Relay, callee: Phone) -> Phone:
    caller = Phone("alice", relay.inner, published=relay.outer)
    callee.proxy = relay.outer
    return caller


def test_relay_drops_what_a_rule_names_and_nothing_else() -> None:
    with Phone("bob", NOWHERE) as callee, Relay(callee.address) as relay:
        relay.add(Rule(UP, "INVITE", count=2))
        relay.add(Rule(DOWN, "180/INVITE"))
        with relayed(relay, callee) as caller, Callee(callee) as answering:
            assert call(caller, "bob", answering, t1=0.1).n_invites == 1
        assert relay.count(UP, "INVITE", "drop") == 2
        assert relay.count(UP, "INVITE") == 1
        assert relay.count(DOWN, "180/INVITE", "drop") == 1
        assert relay.count(UP, "ACK") == 1


def test_relay_doubles_and_delays() -> None:
    rules = [Rule(UP, "OPTIONS", action="delay", delay_ms=100), Rule(UP, "INFO", action="double")]
    with (
        Phone("bob", NOWHERE) as callee,
        Relay(callee.address, rules) as relay,
        relayed(relay, callee) as caller,
    ):
        caller.request("OPTIONS", "sip:bob@b")
        caller.request("INFO", "sip:bob@b")
        assert [callee.receive().method for _ in range(3)] == ["INFO", "INFO", "OPTIONS"]


def test_relay_with_one_seed_loses_the_same_datagrams_again() -> None:
    def survivors() -> list[int]:
        with Phone("bob", NOWHERE) as callee, Relay(callee.address, seed=5, drop=0.5) as relay:
            caller = relayed(relay, callee)
            for number in range(20):
                caller.request("INFO", "sip:bob@b", cseq=number)
                relay.report()
            caller.close()
            return [message.cseq for message in callee.drain(0.1)]

    first = survivors()
    assert survivors() == first
    assert 3 < len(first) < 17


def test_relay_ends_with_its_life() -> None:
    relay = Relay(NOWHERE, life=0.1)
    deadline = time.monotonic() + 3
    while relay._process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    relay.close()


def test_strict_route_goes_into_the_request_line() -> None:
    caller, callee = direct()
    with caller, callee:
        invite = caller.invite("bob")
        incoming = callee.receive_request("INVITE")
        headers = [("Record-Route", "<sip:second>, <sip:first>")]
        callee.reply(incoming, 200, headers=headers)
        caller.ack(invite, caller.receive_reply(invite, 200))
        ack = callee.receive(is_request("ACK"))
        assert ack.ruri == "sip:first"
        assert ack.all("route") == ["<sip:second>", f"<{callee.contact}>"]


def test_mi_client_speaks_the_fifo_protocol(tmp_path: Path) -> None:
    server = Server("", tmp_path)
    os.mkfifo(server.fifo)
    keep_open = os.open(server.fifo, os.O_RDWR)
    asked: list[bytes] = []

    def answer() -> None:
        request = os.read(keep_open, 4096)
        asked.append(request)
        reply_name = request.split(b"\n")[0].rsplit(b":", 1)[1].decode()
        with open(server.run / reply_name, "wb") as reply:
            reply.write(b"200 OK\nDomain:: location table=512 records=1\n\tAOR:: bob\n\t\tContact:: sip:b@h Q=1\n\n")

    thread = threading.Thread(target=answer)
    thread.start()
    reply = server.mi("ul_dump", "brief")
    thread.join()
    os.close(keep_open)
    assert asked[0].endswith(b"\nbrief\n\n") and asked[0].startswith(b":ul_dump:reply")
    assert (reply.code, reply.reason) == (200, "OK")
    (domain,) = reply.nodes()
    assert (domain.name, domain.value, domain.attributes) == (
        "Domain",
        "location",
        {"table": "512", "records": "1"},
    )
    (aor,) = domain.children
    assert (aor.value, aor.children[0].value, aor.children[0].attributes) == ("bob", "sip:b@h", {"Q": "1"})


def test_server_that_does_not_start_is_reported_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho no such module >&2\nexit 255\n")
    program.chmod(0o755)
    monkeypatch.setenv("OPENSERD", str(program))
    with pytest.raises(ServerError, match="ended while it was started") as caught, Server("", tmp_path):
        pass
    assert "no such module" in caught.value.__notes__[0]


def test_server_that_leaves_a_process_behind_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\ntrap 'exit 0' TERM\nsleep 60 &\nwhile :; do sleep 0.05; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("OPENSERD", str(program))
    server = Server("", tmp_path, probe=False)
    server.start()
    wait_until(lambda: len(server.children()) >= 1, 3, "the program has a child")
    with pytest.raises(ServerError, match=r"process \d+ still lives"):
        server.stop()
    assert server.children() == []

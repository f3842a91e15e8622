"""What can happen to a call between two registered phones, seen from the phones' side of the wire."""

import re
import time
from collections.abc import Iterator

import pytest

from tests.process.conftest import PhoneMaker
from tests.support import Message, Phone, Relay, Rule, Server, hello_world
from tests.support.agents import Callee, call
from tests.support.relay import DOWN, UP
from tests.support.sip import FINAL, PROVISIONAL, is_reply_to, is_request, uri_of

pytestmark = pytest.mark.xdist_group("call_cases")  # one server for all of them

FR_TIMER = 2
FR_INV_TIMER = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Hello World with timers short enough to wait for.

    `noisy_ctimer` is what makes a ringing call end with a 408: without it OpenSER lets it vanish silently.
    """
    script = hello_world(
        params=[
            f'"tm", "fr_timer", {FR_TIMER}',
            f'"tm", "fr_inv_timer", {FR_INV_TIMER}',
            '"tm", "noisy_ctimer", 1',
            '"registrar", "min_expires", 1',
            '"usrloc", "timer_interval", 1',
        ]
    )
    with Server(script, tmp_path_factory.mktemp("call-cases")) as running:
        yield running


@pytest.fixture
def pair(server: Server, phone: PhoneMaker) -> tuple[Phone, Phone]:
    """A caller and a registered callee."""
    caller, callee = phone("alice", server), phone("bob", server)
    callee.register()
    return caller, callee


def ring(caller: Phone, callee: Phone) -> tuple[Message, Message]:
    """A call that rings: the INVITE as sent and as received."""
    invite = caller.invite(callee.user)
    incoming = callee.receive_request("INVITE")
    callee.reply(incoming, 180)
    caller.receive_reply(invite, 180)
    return invite, incoming


def establish(caller: Phone, callee: Phone) -> tuple[Message, Message, Message, Message]:
    """A call in progress: INVITE sent, INVITE received, 200 sent, 200 received."""
    invite, incoming = ring(caller, callee)
    answer = callee.answers(incoming, ring=False)
    final = caller.receive_reply(invite, 200)
    caller.ack(invite, final)
    callee.receive_request("ACK")
    return invite, incoming, answer, final


def hang_up(caller: Phone, callee: Phone, invite: Message, final: Message) -> Message:
    """The caller ends the call; gives the BYE back as the callee received it."""
    bye = caller.in_dialog("BYE", invite, final)
    received = callee.receive_request("BYE")
    callee.reply(received, 200)
    caller.receive_reply(bye, 200)
    return received


# --- the plain call ----------


@pytest.mark.conformance("PRX-16", "PRX-17", "PRX-32", "PRX-39", "TRN-14")
def test_call_is_set_up_and_ended_through_the_server(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite = caller.invite(callee.user)
    trying = caller.receive_reply(invite, PROVISIONAL)
    assert (trying.code, trying.to_tag) == (100, "")
    incoming = callee.receive_request("INVITE")
    assert incoming.ruri == callee.contact
    assert incoming.get("max-forwards") == "69"
    assert incoming.body == invite.body
    assert len(incoming.all("via")) == 2
    assert len(incoming.all("record-route")) == 1
    callee.reply(incoming, 180)
    ringing = caller.receive_reply(invite, 180)
    assert len(ringing.all("via")) == 1
    assert ringing.all("record-route") == incoming.all("record-route")
    callee.answers(incoming, ring=False)
    final = caller.receive_reply(invite, 200)
    caller.ack(invite, final)
    ack = callee.receive_request("ACK")
    assert ack.cseq == incoming.cseq
    assert not ack.has("route")
    assert not hang_up(caller, callee, invite, final).has("route")
    caller.receives_nothing()
    callee.receives_nothing()


def test_callee_ends_the_call_on_the_recorded_route(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    _, incoming, answer, _ = establish(caller, callee)
    bye = callee.in_dialog_as_callee("BYE", incoming, answer)
    received = caller.receive_request("BYE")
    assert received.ruri == caller.contact
    caller.reply(received, 200)
    callee.receive_reply(bye, 200)


# --- negative replies ----------


@pytest.mark.conformance("PRX-50", "TRN-05")
@pytest.mark.parametrize(("code", "reason"), [(486, "Busy Here"), (603, "Decline")])
def test_refusal_reaches_the_caller_and_both_acks_stay_local(pair: tuple[Phone, Phone], code: int, reason: str) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    sent = callee.reply(incoming, code)
    final = caller.receive_reply(invite)
    assert (final.code, final.reason, final.to_tag) == (code, reason, sent.to_tag)
    ack = callee.receive_request("ACK")
    assert (ack.branch, ack.ruri, ack.cseq) == (incoming.branch, incoming.ruri, incoming.cseq)
    assert ack.to_tag == sent.to_tag
    caller.ack_negative(invite, final)
    caller.receives_nothing(seconds=0.8)
    callee.receives_nothing()


@pytest.mark.conformance("TRN-16", "TRN-18")
def test_refusal_is_repeated_until_the_caller_acknowledges(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    callee.reply(incoming, 486)
    first = caller.receive_reply(invite, 486)
    assert caller.receive_reply(invite, 486, timeout=1.2).raw == first.raw
    caller.ack_negative(invite, first)
    caller.drain(0.1)
    caller.receives_nothing(seconds=1.2)


@pytest.mark.conformance("TRN-07")
def test_repeated_refusal_of_the_callee_is_acknowledged_again(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    refusal = callee.reply(incoming, 486)
    callee.receive_request("ACK")
    final = caller.receive_reply(invite, 486)
    caller.ack_negative(invite, final)
    callee.send(refusal, incoming.source)
    callee.receive_request("ACK")
    caller.receives_nothing(is_reply_to(invite, FINAL))


@pytest.mark.conformance("PRX-26", "PRX-42")
def test_unanswered_call_ends_with_408_after_fr_inv_timer_and_is_cancelled(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    rang = time.monotonic()
    final = caller.receive_reply(invite, FINAL, timeout=FR_INV_TIMER + 3)
    assert final.code == 408
    assert FR_INV_TIMER - 1 <= time.monotonic() - rang <= FR_INV_TIMER + 2
    assert final.to_tag
    caller.ack_negative(invite, final)
    cancel = callee.receive_request("CANCEL")
    assert cancel.branch == incoming.branch
    callee.reply(cancel, 200)
    callee.reply(incoming, 487)
    callee.receive_request("ACK")
    caller.receives_nothing(is_reply_to(invite, FINAL))


@pytest.mark.conformance("PRX-24", "PRX-42", "TRN-03")
def test_silent_callee_gets_retransmissions_and_the_caller_408_after_fr_timer(
    pair: tuple[Phone, Phone],
) -> None:
    caller, callee = pair
    invite = caller.invite(callee.user)
    sent = time.monotonic()
    final = caller.receive_reply(invite, FINAL, timeout=FR_TIMER + 3)
    assert final.code == 408
    assert FR_TIMER - 1 <= time.monotonic() - sent <= FR_TIMER + 2
    caller.ack_negative(invite, final)
    copies = [message.raw for message in callee.drain() if message.method == "INVITE"]
    assert len(copies) >= 3
    assert len(set(copies)) == 1


@pytest.mark.conformance("PRX-14", "MSG-10")
def test_unknown_user_gets_404_with_a_to_tag(server: Server, phone: PhoneMaker) -> None:
    caller = phone("alice", server)
    invite = caller.invite("nobody-here")
    final = caller.receive_reply(invite)
    assert (final.code, final.reason) == (404, "Not Found")
    assert final.to_tag
    caller.ack_negative(invite, final)
    caller.receives_nothing()


@pytest.mark.conformance("PRX-05")
def test_exhausted_max_forwards_gets_483_and_goes_nowhere(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite = caller.invite(callee.user, max_forwards=0)
    final = caller.receive_reply(invite)
    assert (final.code, final.reason) == (483, "Too Many Hops")
    caller.ack_negative(invite, final)
    callee.receives_nothing()


@pytest.mark.conformance("HRD-08")
def test_oversized_message_gets_513_and_goes_nowhere(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite = caller.invite(callee.user, body="v=0\r\n" + "a=filler\r\n" * 250)
    final = caller.receive_reply(invite)
    assert (final.code, final.reason) == (513, "Message too big")
    caller.ack_negative(invite, final)
    callee.receives_nothing()


# --- CANCEL ----------


@pytest.mark.conformance("TRN-24", "TRN-25")
def test_cancel_before_any_reply_ends_the_call_at_once(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite = caller.invite(callee.user)
    incoming = callee.receive_request("INVITE")
    caller.receive_reply(invite, 100)
    cancel = caller.cancel(invite)
    answer = caller.receive_reply(cancel)
    assert (answer.code, answer.reason) == (200, "canceling")
    final = caller.receive_reply(invite)
    assert final.code == 487
    caller.ack_negative(invite, final)
    callee.receives_nothing(is_request("CANCEL"), 0.2)
    callee.reply(incoming, 180)
    late = callee.receive_request("CANCEL")
    assert (late.branch, late.ruri, late.cseq) == (incoming.branch, incoming.ruri, incoming.cseq)
    callee.reply(late, 200)
    callee.reply(incoming, 487)
    callee.receive_request("ACK")
    caller.receives_nothing(is_reply_to(invite, FINAL))


def test_cancel_after_180_is_passed_on_and_the_call_ends_with_the_callees_487(
    pair: tuple[Phone, Phone],
) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    cancel = caller.cancel(invite)
    answer = caller.receive_reply(cancel)
    assert (answer.code, answer.reason) == (200, "canceling")
    received = callee.receive_request("CANCEL")
    assert (received.branch, received.ruri, received.cseq) == (incoming.branch, incoming.ruri, incoming.cseq)
    assert received.get("to") == incoming.get("to")
    assert len(received.all("via")) == 1
    caller.receives_nothing(is_reply_to(invite, FINAL))
    callee.reply(received, 200)
    sent = callee.reply(incoming, 487)
    final = caller.receive_reply(invite)
    assert (final.code, final.to_tag) == (487, sent.to_tag)
    caller.ack_negative(invite, final)
    callee.receive_request("ACK")
    caller.receives_nothing()
    callee.receives_nothing()


@pytest.mark.conformance("TRN-22")
def test_repeated_cancel_gets_the_same_answer_and_is_not_passed_on_twice(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    cancel = caller.cancel(invite)
    answer = caller.receive_reply(cancel)
    received = callee.receive_request("CANCEL")
    callee.reply(received, 200)
    caller.send(cancel)
    assert caller.receive_reply(cancel).raw == answer.raw
    callee.receives_nothing(is_request("CANCEL"))
    callee.reply(incoming, 487)
    caller.ack_negative(invite, caller.receive_reply(invite, 487))


@pytest.mark.conformance("TRN-26")
def test_answer_that_overtakes_the_cancel_wins(pair: tuple[Phone, Phone]) -> None:
    """The 200 was relayed before the CANCEL came: the call stands and the caller hangs up."""
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    callee.answers(incoming, ring=False)
    final = caller.receive_reply(invite, 200)
    cancel = caller.cancel(invite)
    assert caller.receive_reply(cancel).code == 200
    callee.receives_nothing(is_request("CANCEL"))
    caller.ack(invite, final)
    callee.receive_request("ACK")
    hang_up(caller, callee, invite, final)


def test_answer_that_crosses_the_cancel_still_reaches_the_caller(pair: tuple[Phone, Phone]) -> None:
    """The CANCEL is on its way to the callee, who has picked up already."""
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    cancel = caller.cancel(invite)
    assert caller.receive_reply(cancel).code == 200
    received = callee.receive_request("CANCEL")
    callee.answers(incoming, ring=False)
    callee.reply(received, 200)
    final = caller.receive_reply(invite)
    assert final.code == 200
    caller.ack(invite, final)
    callee.receive_request("ACK")
    hang_up(caller, callee, invite, final)


# --- two contacts ----------


@pytest.fixture
def family(server: Server, phone: PhoneMaker) -> tuple[Phone, Phone, Phone]:
    """A caller and two phones of one user."""
    caller, desk = phone("alice", server), phone("bob", server)
    mobile = phone("bob", server, user=desk.user)
    desk.register()
    mobile.register()
    return caller, desk, mobile


@pytest.mark.conformance("PRX-01", "PRX-41")
def test_first_answer_wins_and_the_other_contact_is_cancelled(family: tuple[Phone, Phone, Phone]) -> None:
    caller, desk, mobile = family
    invite = caller.invite(desk.user)
    at_desk, at_mobile = desk.receive_request("INVITE"), mobile.receive_request("INVITE")
    assert (at_desk.ruri, at_mobile.ruri) == (desk.contact, mobile.contact)
    assert at_desk.branch != at_mobile.branch
    desk.reply(at_desk, 180)
    mobile.reply(at_mobile, 180)
    tags = {caller.receive_reply(invite, 180).to_tag for _ in range(2)}
    assert len(tags) <= 2
    answer = mobile.answers(at_mobile, ring=False)
    final = caller.receive_reply(invite)
    assert (final.code, final.to_tag) == (200, answer.to_tag)
    cancel = desk.receive_request("CANCEL")
    assert cancel.branch == at_desk.branch
    desk.reply(cancel, 200)
    desk.reply(at_desk, 487)
    desk.receive_request("ACK")
    caller.ack(invite, final)
    mobile.receive_request("ACK")
    hang_up(caller, mobile, invite, final)
    caller.receives_nothing()
    desk.receives_nothing()


def test_one_busy_contact_leaves_the_other_ringing(family: tuple[Phone, Phone, Phone]) -> None:
    caller, desk, mobile = family
    invite = caller.invite(desk.user)
    at_desk, at_mobile = desk.receive_request("INVITE"), mobile.receive_request("INVITE")
    desk.reply(at_desk, 486)
    desk.receive_request("ACK")
    caller.receives_nothing(is_reply_to(invite, FINAL))
    mobile.answers(at_mobile)
    final = caller.receive_reply(invite, 200)
    caller.ack(invite, final)
    mobile.receive_request("ACK")
    desk.receives_nothing()
    hang_up(caller, mobile, invite, final)


@pytest.mark.parametrize(("desk_code", "mobile_code", "chosen"), [(486, 486, 486), (603, 486, 603), (486, 420, 420)])
def test_when_all_contacts_refuse_the_best_code_goes_upstream_once(
    family: tuple[Phone, Phone, Phone], desk_code: int, mobile_code: int, chosen: int
) -> None:
    caller, desk, mobile = family
    invite = caller.invite(desk.user)
    at_desk, at_mobile = desk.receive_request("INVITE"), mobile.receive_request("INVITE")
    desk.reply(at_desk, desk_code)
    desk.receive_request("ACK")
    mobile.reply(at_mobile, mobile_code)
    mobile.receive_request("ACK")
    final = caller.receive_reply(invite)
    assert final.code == chosen
    caller.ack_negative(invite, final)
    caller.receives_nothing(seconds=0.8)


@pytest.mark.conformance("PRX-44")
def test_cancel_reaches_every_ringing_contact(family: tuple[Phone, Phone, Phone]) -> None:
    caller, desk, mobile = family
    invite = caller.invite(desk.user)
    received = [(callee, callee.receive_request("INVITE")) for callee in (desk, mobile)]
    for callee, incoming in received:
        callee.reply(incoming, 180)
    for _ in received:
        caller.receive_reply(invite, 180)
    caller.receive_reply(caller.cancel(invite), 200)
    for callee, incoming in received:
        callee.reply(callee.receive_request("CANCEL"), 200)
        callee.reply(incoming, 487)
        callee.receive_request("ACK")
    final = caller.receive_reply(invite)
    assert final.code == 487
    caller.ack_negative(invite, final)


# --- retransmitted requests ----------


@pytest.mark.conformance("TRN-15")
def test_retransmitted_invite_is_answered_from_the_transaction(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite = caller.invite(callee.user)
    incoming = callee.receive_request("INVITE")
    trying = caller.receive_reply(invite, 100)
    caller.send(invite)
    assert caller.receive_reply(invite, 100).raw == trying.raw
    callee.reply(incoming, 180)
    ringing = caller.receive_reply(invite, 180)
    caller.send(invite)
    assert caller.receive_reply(invite, None).raw == ringing.raw
    callee.reply(incoming, 486)
    final = caller.receive_reply(invite, 486)
    caller.send(invite)
    assert caller.receive_reply(invite, None, timeout=0.3).raw == final.raw
    caller.ack_negative(invite, final)
    callee.receive_request("ACK")
    callee.receives_nothing(is_request("INVITE"))


@pytest.mark.conformance("TRN-19")
def test_retransmitted_bye_is_answered_from_the_transaction(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite, _, _, final = establish(caller, callee)
    bye = caller.in_dialog("BYE", invite, final)
    callee.reply(callee.receive_request("BYE"), 200)
    answer = caller.receive_reply(bye, 200)
    caller.send(bye)
    assert caller.receive_reply(bye, 200).raw == answer.raw
    callee.receives_nothing(is_request("BYE"))


@pytest.mark.conformance("ACC-02")
def test_retransmitted_200_and_its_ack_pass_through(pair: tuple[Phone, Phone]) -> None:
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    answer = callee.answers(incoming, ring=False)
    first = caller.receive_reply(invite, 200)
    callee.send(answer, incoming.source)
    assert caller.receive_reply(invite, 200).raw == first.raw
    ack = caller.ack(invite, first)
    callee.receive_request("ACK")
    caller.send(ack)
    callee.receive_request("ACK")
    hang_up(caller, callee, invite, first)


# --- routes ----------


@pytest.fixture(scope="module")
def plain_lr_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(hello_world(full_lr=False), tmp_path_factory.mktemp("plain-lr")) as running:
        yield running


@pytest.mark.parametrize("full_lr", [True, False], ids=["lr=on", "lr"])
@pytest.mark.parametrize("returned", ["as sent", "lr", "lr=on"])
def test_ack_and_bye_are_loose_routed(
    server: Server, plain_lr_server: Server, phone: PhoneMaker, full_lr: bool, returned: str
) -> None:
    """Also for phones that give `;lr` back another way than they got it."""
    through = server if full_lr else plain_lr_server
    caller, callee = phone("alice", through), phone("bob", through)
    callee.register()
    invite, incoming = ring(caller, callee)
    record_route = incoming.all("record-route")[0]
    assert (";lr=on" in record_route) is full_lr
    assert uri_of(record_route).startswith(f"sip:127.0.0.1:{through.port};")
    callee.answers(incoming, ring=False)
    final = caller.receive_reply(invite, 200)
    route = record_route if returned == "as sent" else re.sub(r";lr(=on)?(?=[;>])", f";{returned}", record_route)
    caller.in_dialog("ACK", invite, final, cseq=invite.cseq, routes=[route])
    bye = caller.in_dialog("BYE", invite, final, routes=[route])
    for method in ("ACK", "BYE"):
        received = callee.receive_request(method)
        assert received.ruri == callee.contact
        assert not received.has("route")
    callee.reply(received, 200)
    caller.receive_reply(bye, 200)


@pytest.mark.conformance("PRX-09")
def test_strict_routing_caller_gets_its_ack_and_bye_through(pair: tuple[Phone, Phone], server: Server) -> None:
    """A strict router writes our Record-Route into the request line and the target into the last Route."""
    caller, callee = pair
    invite, incoming = ring(caller, callee)
    callee.answers(incoming, ring=False)
    final = caller.receive_reply(invite, 200)
    ours = uri_of(final.all("record-route")[0])
    for method, cseq in (("ACK", invite.cseq), ("BYE", invite.cseq + 1)):
        sent = caller.request(
            method,
            ours,
            cseq=cseq,
            from_=invite.get("from"),
            to=final.get("to"),
            call_id=invite.call_id,
            routes=[f"<{final.contact_uri}>"],
        )
        received = callee.receive_request(method)
        assert received.ruri == callee.contact
        assert not received.has("route")
    callee.reply(received, 200)
    caller.receive_reply(sent, 200)


@pytest.mark.conformance("PRX-21")
def test_next_hop_without_lr_gets_the_request_in_the_strict_form(
    pair: tuple[Phone, Phone], server: Server, phone: PhoneMaker
) -> None:
    caller, callee = pair
    strict_peer = phone("peer", server)
    invite, _, _, final = establish(caller, callee)
    peer_uri = f"sip:{strict_peer.address[0]}:{strict_peer.address[1]}"
    ours = final.all("record-route")[0]
    bye = caller.in_dialog("BYE", invite, final, routes=[ours, f"<{peer_uri}>"])
    received = strict_peer.receive_request("BYE")
    assert received.ruri == peer_uri
    assert [uri_of(route) for route in received.all("route")] == [callee.contact]
    strict_peer.reply(received, 200)
    caller.receive_reply(bye, 200)
    callee.receives_nothing(is_request("BYE"))


@pytest.mark.conformance("PRX-11", "PRX-22")
def test_second_route_that_is_loose_becomes_the_next_hop(
    pair: tuple[Phone, Phone], server: Server, phone: PhoneMaker
) -> None:
    caller, callee = pair
    loose_peer = phone("peer", server)
    invite, _, _, final = establish(caller, callee)
    peer_route = f"<sip:{loose_peer.address[0]}:{loose_peer.address[1]};lr>"
    bye = caller.in_dialog("BYE", invite, final, routes=[final.all("record-route")[0], peer_route])
    received = loose_peer.receive_request("BYE")
    assert received.ruri == callee.contact
    assert received.all("route") == [peer_route]
    loose_peer.reply(received, 200)
    caller.receive_reply(bye, 200)


# --- registration ----------


def test_refresh_keeps_one_binding_and_prolongs_it(server: Server, phone: PhoneMaker) -> None:
    bob = phone("bob", server)
    bob.register(100)
    assert bob.bindings() == {bob.contact: pytest.approx(100, abs=2)}
    reply = bob.register(900)
    assert reply.to_tag
    assert bob.bindings() == {bob.contact: pytest.approx(900, abs=2)}


@pytest.mark.conformance("REG-21")
def test_register_is_answered_with_all_contacts(family: tuple[Phone, Phone, Phone]) -> None:
    _, desk, mobile = family
    assert set(desk.bindings()) == {desk.contact, mobile.contact}


@pytest.mark.conformance("REG-25")
def test_binding_expires(server: Server, phone: PhoneMaker) -> None:
    caller, bob = phone("alice", server), phone("bob", server)
    bob.register(1)
    deadline = time.monotonic() + 5
    while bob.bindings():
        assert time.monotonic() < deadline, "the binding of one second is there after five"
        time.sleep(0.2)
    invite = caller.invite(bob.user)
    final = caller.receive_reply(invite)
    assert final.code == 404
    caller.ack_negative(invite, final)
    bob.receives_nothing(is_request("INVITE"))


@pytest.mark.conformance("REG-06")
def test_star_removes_every_contact(family: tuple[Phone, Phone, Phone]) -> None:
    caller, desk, mobile = family
    reply = desk.register(0, contact="*")
    assert not reply.has("contact")
    assert mobile.bindings() == {}
    assert caller.receive_reply(caller.invite(desk.user)).code == 404


@pytest.mark.parametrize(
    ("contact", "expires"), [("*", 600), ("*, <sip:other@127.0.0.1:5070>", 0)], ids=["expires", "not-alone"]
)
def test_star_is_refused_unless_alone_with_expires_0(
    server: Server, phone: PhoneMaker, contact: str, expires: int
) -> None:
    bob = phone("bob", server)
    bob.register()
    assert bob.register(expires, contact=contact, expect=400).code == 400
    assert set(bob.bindings()) == {bob.contact}


@pytest.mark.conformance("REG-05")
def test_expires_0_removes_only_the_named_contact(family: tuple[Phone, Phone, Phone]) -> None:
    _, desk, mobile = family
    desk.register(0)
    assert set(mobile.bindings()) == {mobile.contact}


@pytest.mark.conformance("REG-02")
def test_contact_expires_parameter_wins_over_the_header(server: Server, phone: PhoneMaker) -> None:
    bob = phone("bob", server)
    bob.register(600, contact=f"<{bob.contact}>;expires=120")
    assert bob.bindings() == {bob.contact: pytest.approx(120, abs=2)}


@pytest.mark.conformance("REG-16")
def test_out_of_order_cseq_is_refused_and_the_binding_stays(server: Server, phone: PhoneMaker) -> None:
    bob = phone("bob", server)
    bob.register(600, cseq=10)
    reply = bob.register(100, cseq=9, expect=400)
    assert reply.get("p-registrar-error") == "Invalid CSeq number"
    assert bob.register(0, cseq=8, expect=400).code == 400
    query = bob.register(None, contact="", cseq=11)
    assert uri_of(query.get("contact")) == bob.contact
    assert "expires=100" not in query.get("contact")


def test_repeated_register_is_answered_with_the_binding(server: Server, phone: PhoneMaker) -> None:
    bob = phone("bob", server)
    bob.register(600, cseq=10)
    reply = bob.register(600, cseq=10)
    assert uri_of(reply.get("contact")) == bob.contact
    assert len(reply.all("contact")) == 1


# --- lost datagrams ----------

CALLER_SIDE = [(UP, "INVITE"), (DOWN, "100/INVITE"), (DOWN, "180/INVITE"), (DOWN, "200/INVITE"), (UP, "ACK")]
CALLER_SIDE += [(UP, "BYE"), (DOWN, "200/BYE")]
CALLEE_SIDE = [
    (DOWN, "INVITE"),
    (UP, "180/INVITE"),
    (UP, "200/INVITE"),
    (DOWN, "ACK"),
    (DOWN, "BYE"),
    (UP, "200/BYE"),
]
LOSSES = [pytest.param("caller", *loss, id=f"caller-{loss[0]}-{loss[1]}") for loss in CALLER_SIDE]
LOSSES += [pytest.param("callee", *loss, id=f"callee-{loss[0]}-{loss[1]}") for loss in CALLEE_SIDE]


@pytest.fixture(scope="module")
def patient_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Hello World with the timers of RFC 3261."""
    with Server(hello_world(), tmp_path_factory.mktemp("patient")) as running:
        yield running


@pytest.mark.parametrize(("side", "direction", "kind"), LOSSES)
def test_call_succeeds_though_its_first_datagram_of_a_kind_is_lost(
    patient_server: Server, phone: PhoneMaker, side: str, direction: str, kind: str
) -> None:
    with Relay(patient_server.address, [Rule(direction, kind)]) as relay:
        behind_relay = {"published": relay.outer, "domain": f"127.0.0.1:{patient_server.port}"}
        caller = phone("alice", patient_server, **(behind_relay if side == "caller" else {}))
        callee = phone("bob", patient_server, **(behind_relay if side == "callee" else {}))
        (caller if side == "caller" else callee).proxy = relay.inner
        callee.register()
        with Callee(callee) as answering:
            call(caller, callee.user, answering)
        assert relay.count(direction, kind, "drop") == 1


def test_calls_succeed_over_a_line_that_loses_doubles_and_reorders(patient_server: Server, phone: PhoneMaker) -> None:
    """Each datagram on the callee's line: 10 % lost, 10 % doubled, 10 % late."""
    n_calls = 10
    with Relay(patient_server.address, seed=7, drop=0.1, double=0.1, delay=0.1, delay_ms=30) as relay:
        caller = phone("alice", patient_server)
        domain = f"127.0.0.1:{patient_server.port}"
        callee = phone("bob", patient_server, published=relay.outer, domain=domain)
        callee.proxy = relay.inner
        callee.register()
        with Callee(callee) as answering:
            for _ in range(n_calls):
                call(caller, callee.user, answering, timeout=20)
        assert len(answering.calls) == n_calls
        report = relay.report()
        assert any(name.endswith(" drop") for name in report)
        assert any(name.endswith(" double") for name in report)

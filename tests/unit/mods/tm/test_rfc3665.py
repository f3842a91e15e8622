"""RFC 3665 section 3, session establishment: the flows as the RFC draws them, each line a message on the wire."""

import pytest

from openserd.parser import names
from openserd.parser.message import Message
from tests.unit.mods.tm.flow_kit import Net, Phone

ALICE, BOB = "192.0.2.101", "192.0.2.201"
SS1, SS2, SS3 = "192.0.2.111", "192.0.2.222", "192.0.2.233"
TO = "sip:bob@example.com"
SDP = "v=0\r\n"
TEXT = 'loadmodule "textops.so"'
NOT_INVITE_WAIT = 6
ANSWERED_WAIT = 33


def flow(text: str) -> list[str]:
    """Lines as they are written in a test."""
    return [line.strip() for line in text.strip().splitlines()]


def two_proxies(net: Net) -> tuple[Phone, Phone]:
    """alice - ss1 - ss2 - bob."""
    net.server("ss1", SS1, f'rewritehostport("{SS2}:5060");')
    net.server("ss2", SS2, f'rewritehostport("{BOB}:5060");')
    return net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS2)


def established(net: Net, alice: Phone, bob: Phone) -> tuple[Message, Message, Message]:
    """A call in progress: INVITE, its 200 and what bob got."""
    invite = alice.request("INVITE", TO, SDP)
    incoming = bob.take("INVITE")
    bob.reply(incoming, 180)
    bob.reply(incoming, 200, SDP)
    answer = alice.got(200)
    alice.ack(invite, answer)
    return invite, answer, incoming


def test_3_1_successful_session_establishment() -> None:
    """Without a proxy in the RFC; here one stands in between."""
    with Net() as net:
        net.server("ss1", SS1, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS1)
        invite, answer, _ = established(net, alice, bob)
        assert net.taken() == flow("""
            INVITE alice ss1
            100 ss1 alice
            INVITE ss1 bob
            180 bob ss1
            180 ss1 alice
            200 bob ss1
            200 ss1 alice
            ACK alice ss1
            ACK ss1 bob
        """)
        alice.within(invite, answer, "BYE")
        bob.reply(bob.take("BYE"), 200)
        assert net.taken() == flow("""
            BYE alice ss1
            BYE ss1 bob
            200 bob ss1
            200 ss1 alice
        """)
        net.advance(ANSWERED_WAIT)
        assert net.rest() == [0]


@pytest.mark.conformance("PRX-40")
def test_3_2_session_establishment_through_two_proxies() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite, answer, incoming = established(net, alice, bob)
        assert net.taken() == flow("""
            INVITE alice ss1
            100 ss1 alice
            INVITE ss1 ss2
            100 ss2 ss1
            INVITE ss2 bob
            180 bob ss2
            180 ss2 ss1
            180 ss1 alice
            200 bob ss2
            200 ss2 ss1
            200 ss1 alice
            ACK alice ss1
            ACK ss1 ss2
            ACK ss2 bob
        """)
        assert len(incoming.record_routes) == 2
        assert [via.host for via in incoming.vias()] == [SS2.encode(), SS1.encode(), ALICE.encode()]
        assert bob.take("ACK").find(names.ROUTE) < 0
        alice.within(invite, answer, "BYE")
        bob.reply(bob.take("BYE"), 200)
        assert net.taken() == flow("""
            BYE alice ss1
            BYE ss1 ss2
            BYE ss2 bob
            200 bob ss2
            200 ss2 ss1
            200 ss1 alice
        """)
        net.advance(ANSWERED_WAIT)
        assert net.rest() == [0, 0]


def test_3_3_session_with_multiple_proxy_authentication() -> None:
    """Both proxies ask for credentials: each 407 is acknowledged hop by hop, and the next INVITE is another."""
    refuse = '{ t_reply("407", "Proxy Authentication Required"); exit; } '
    with Net() as net:
        first = f'if (!is_present_hf("Proxy-Authorization")) {refuse}'
        net.server("ss1", SS1, first + f'rewritehostport("{SS2}:5060");', params=TEXT)
        again = f'if ($hdr(Proxy-Authorization) != "both") {refuse}'
        net.server("ss2", SS2, again + f'rewritehostport("{BOB}:5060");', params=TEXT)
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS2)
        for credentials in (None, "one", "both"):
            more = {"Proxy_Authorization": credentials} if credentials else {}
            invite = alice.request("INVITE", TO, SDP, **more)
            if 407 in alice.statuses():
                alice.ack(invite, alice.got(407))
        bob.reply(bob.take("INVITE"), 200, SDP)
        alice.ack(invite, alice.got(200))
        assert net.taken() == flow("""
            INVITE alice ss1
            407 ss1 alice
            ACK alice ss1
            INVITE alice ss1
            100 ss1 alice
            INVITE ss1 ss2
            407 ss2 ss1
            ACK ss1 ss2
            407 ss1 alice
            ACK alice ss1
            INVITE alice ss1
            100 ss1 alice
            INVITE ss1 ss2
            100 ss2 ss1
            INVITE ss2 bob
            200 bob ss2
            200 ss2 ss1
            200 ss1 alice
            ACK alice ss1
            ACK ss1 ss2
            ACK ss2 bob
        """)


def test_3_4_successful_session_with_proxy_failure() -> None:
    """The first proxy does not answer: alice gives up after 32 s and tries another."""
    with Net() as net:
        net.server("ss2", SS2, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS2)
        net.names[SS1] = "ss1"
        for _ in range(7):
            alice.request("INVITE", TO, SDP)
        assert net.taken() == ["INVITE alice ss1"] * 7
        alice.proxy = SS2
        established(net, alice, bob)
        assert "INVITE ss2 bob" in net.taken()


def test_3_5_session_through_a_sip_alg() -> None:
    """The ALG is a proxy that changes the body; here the body is left alone and only the hop counts."""
    with Net() as net:
        net.server("alg", SS1, f'rewritehostport("{SS2}:5060");')
        net.server("ss2", SS2, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS2)
        _, _, incoming = established(net, alice, bob)
        assert incoming.body == SDP.encode()
        assert net.taken()[:5] == flow("""
            INVITE alice alg
            100 alg alice
            INVITE alg ss2
            100 ss2 alg
            INVITE ss2 bob
        """)


def test_3_6_session_via_redirect_and_proxy_servers_with_sdp_in_ack() -> None:
    with Net() as net:
        redirect = f'rewritehostport("{SS3}:5060"); append_branch(); t_reply("302", "Moved Temporarily"); exit;'
        net.server("redirect", SS1, redirect)
        net.server("ss3", SS3, f'rewritehostport("{BOB}:5060");')
        alice, bob = net.phone("alice", ALICE, SS1), net.phone("bob", BOB, SS3)
        invite = alice.request("INVITE", TO)
        moved = alice.got(302)
        alice.ack(invite, moved)
        alice.proxy = SS3
        invite = alice.request("INVITE", moved.contacts[0].uri.decode())
        bob.reply(bob.take("INVITE"), 200, SDP)
        answer = alice.got(200)
        alice.within(invite, answer, "ACK", cseq=0, body=SDP)
        assert bob.take("ACK").body == SDP.encode()
        assert net.taken() == flow("""
            INVITE alice redirect
            302 redirect alice
            ACK alice redirect
            INVITE alice ss3
            100 ss3 alice
            INVITE ss3 bob
            200 bob ss3
            200 ss3 alice
            ACK alice ss3
            ACK ss3 bob
        """)


def test_3_7_session_with_re_invite() -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite, answer, _ = established(net, alice, bob)
        net.taken()
        again = alice.within(invite, answer, "INVITE", body=SDP)
        incoming = bob.take("INVITE")
        bob.reply(incoming, 200, SDP)
        assert alice.got(200).record_routes == [], "the route set of a dialog stays as it was made"
        alice.within(again, answer, "ACK", cseq=0)
        assert net.taken() == flow("""
            INVITE alice ss1
            100 ss1 alice
            INVITE ss1 ss2
            100 ss2 ss1
            INVITE ss2 bob
            200 bob ss2
            200 ss2 ss1
            200 ss1 alice
            ACK alice ss1
            ACK ss1 ss2
            ACK ss2 bob
        """)


def test_3_8_unsuccessful_no_answer() -> None:
    """Bob rings, alice gives up: CANCEL hop by hop, 487 hop by hop, each acknowledged where it comes in."""
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        incoming = bob.take("INVITE")
        bob.reply(incoming, 180)
        net.taken()
        alice.cancel(invite)
        cancel = bob.take("CANCEL")
        assert net.taken() == flow("""
            CANCEL alice ss1
            CANCEL ss1 ss2
            200 ss1 alice
            CANCEL ss2 bob
            200 ss2 ss1
        """)
        bob.reply(cancel, 200)
        bob.reply(incoming, 487)
        alice.ack(invite, alice.got(487))
        assert net.taken() == flow("""
            200 bob ss2
            487 bob ss2
            ACK ss2 bob
            487 ss2 ss1
            ACK ss1 ss2
            487 ss1 alice
            ACK alice ss1
        """)
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0, 0]


@pytest.mark.parametrize("status", [486, 480])
def test_3_9_and_3_11_unsuccessful_busy_or_temporarily_unavailable(status: int) -> None:
    with Net() as net:
        alice, bob = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        net.taken()
        bob.reply(bob.take("INVITE"), status)
        alice.ack(invite, alice.got(status))
        assert net.taken() == flow(f"""
            {status} bob ss2
            ACK ss2 bob
            {status} ss2 ss1
            ACK ss1 ss2
            {status} ss1 alice
            ACK alice ss1
        """)
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0, 0]


def test_3_10_unsuccessful_no_response_from_user_agent() -> None:
    """The INVITE is repeated until the last proxy gives up; the other has its 100 and waits."""
    with Net() as net:
        alice, _ = two_proxies(net)
        invite = alice.request("INVITE", TO, SDP)
        net.taken()
        net.advance(29.9)
        assert net.taken() == ["INVITE ss2 bob"] * 9  # 0.5, 1.5, 3.5, then each 4 s
        net.advance(0.2)
        alice.ack(invite, alice.got(408))
        assert net.taken() == flow("""
            408 ss2 ss1
            ACK ss1 ss2
            408 ss1 alice
            ACK alice ss1
        """)
        net.advance(NOT_INVITE_WAIT)
        assert net.rest() == [0, 0]

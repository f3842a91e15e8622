"""A destination with several addresses: which failures lead to the next one, and what the caller sees of it."""

import pytest

from openserd.mods.tm.memory.keys import renumbered
from openserd.mods.tm.requests.failover import Attempt, first_attempt, pack_attempts
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory
from openserd.testing import Script
from openserd.testing.sent import Sent
from tests.unit.mods.tm.conftest import World
from tests.unit.mods.tm.test_calls import is_gone, statuses

GW = "192.0.2.50 192.0.2.51 192.0.2.52"
FIRST, SECOND, THIRD = GW.split()


def gateway(route: str = "t_relay();", more: str = "", hosts: str = GW) -> Script:
    """A script whose gateway has three addresses."""
    text = f'loadmodule "rr.so" modparam("tm", "fr_timer", 5) {more} route {{ {route} }}'
    return Script.text(text, ["sl", "tm"], hosts={"gw.example.com": hosts})


def places(sent: list[Sent], method: str = "INVITE") -> list[str]:
    """Where requests have gone."""
    return [one.destination[0] for one in sent if one.method == method]


@pytest.mark.conformance("DNS-07")
def test_a_503_leads_to_the_next_address_and_the_caller_sees_the_answer_from_there() -> None:
    with gateway() as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        assert places(call.forwarded) == [FIRST]
        after = script.reply(call.request, 503)
        assert places(after.forwarded, "ACK") == [FIRST]
        [again] = [sent for sent in after.forwarded if sent.method == "INVITE"]
        assert (again.destination[0], after.replies) == (SECOND, [])
        assert again.uri == call.request.uri
        first, second = str(call.request.header("Via")), str(again.header("Via"))
        assert first != second and first.rpartition(".")[0] == second.rpartition(".")[0]
        assert [reply.status for reply in script.reply(again, 180).replies] == [180]
        assert [reply.status for reply in script.reply(again, 200).replies] == [200]
        script.advance(33)
        assert script.statistic("tm:inuse_transactions") == 0


def test_silence_leads_to_the_next_address_until_none_is_left() -> None:
    with gateway() as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        assert set(places(script.advance(5.5).forwarded)) == {FIRST, SECOND}
        assert set(places(script.advance(5).forwarded)) == {SECOND, THIRD}
        end = script.advance(5)
        assert set(places(end.forwarded)) == {THIRD}
        assert {reply.status for reply in end.replies} == {408}
        assert call.request.uri == "sip:bob@gw.example.com"


@pytest.mark.parametrize("status", [100, 180])
def test_a_branch_that_has_been_answered_at_all_does_not_move_on_by_itself(status: int) -> None:
    with gateway(more='modparam("tm", "fr_inv_timer", 20)') as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        script.reply(call.request, status)
        end = script.advance(21)
        assert places(end.forwarded) == []
        assert 408 in [reply.status for reply in end.replies]


@pytest.mark.parametrize("status", [404, 500, 504, 603])
def test_other_failures_are_answers(status: int) -> None:
    with gateway() as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        after = script.reply(call.request, status)
        assert places(after.forwarded) == []
        assert [reply.status for reply in after.replies] == [status]


def test_an_address_that_cannot_be_sent_to_leads_to_the_next_at_once() -> None:
    with gateway() as script:
        script.unreachable |= {f"{FIRST}:5060", f"{SECOND}:5060"}
        call = script.request("INVITE sip:bob@gw.example.com")
        assert places(call.forwarded) == [THIRD]
        assert [reply.status for reply in script.reply(call.forwarded[0], 200).replies] == [200]


def test_where_none_can_be_sent_to_the_caller_is_told_477() -> None:
    with gateway() as script:
        script.unreachable |= {f"{address}:5060" for address in (FIRST, SECOND, THIRD)}
        call = script.request("INVITE sip:bob@gw.example.com")
        assert [reply.status for reply in call.replies] == [100, 477]


def test_an_address_that_cannot_be_sent_to_later_leads_to_the_next_at_once_too() -> None:
    with gateway() as script:
        script.unreachable.add(f"{SECOND}:5060")
        call = script.request("INVITE sip:bob@gw.example.com")
        assert places(script.reply(call.request, 503).forwarded) == [THIRD]


def test_the_failure_route_runs_once_all_addresses_have_failed() -> None:
    more = """failure_route[1] {
        xlog("L_ERR", "failed $T_reply_code $ru\\n"); append_branch("sip:carol@192.0.2.60"); t_relay(); }"""
    with gateway('t_on_failure("1"); t_relay();', f'loadmodule "xlog.so" {more}') as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        sent = call.request
        for address in (SECOND, THIRD):
            after = script.reply(sent, 503)
            assert (places(after.forwarded), after.log) == ([address], [])
            sent = next(one for one in after.forwarded if one.method == "INVITE")
        end = script.reply(sent, 503)
        assert [str(line).strip() for line in end.log] == ["failed 503 sip:bob@gw.example.com"]
        assert places(end.forwarded) == ["192.0.2.60"]


def test_branches_of_a_failure_route_move_on_too() -> None:
    more = 'failure_route[1] { append_branch("sip:carol@gw.example.com"); t_relay(); }'
    with gateway('$ru = "sip:bob@192.0.2.60"; t_on_failure("1"); t_relay();', more) as script:
        first = script.request("INVITE sip:bob@example.com")
        second = script.reply(first.request, 486)
        assert places(second.forwarded) == [FIRST]
        onwards = next(one for one in second.forwarded if one.method == "INVITE")
        assert places(script.reply(onwards, 503).forwarded) == [SECOND]


def test_what_has_made_room_for_another_address_does_not_count_in_the_choice() -> None:
    with gateway() as script:
        script.request("INVITE sip:bob@gw.example.com")
        after = script.advance(5.5)
        second = next(one for one in after.forwarded if one.destination[0] == SECOND)
        assert [reply.status for reply in script.reply(second, 486).replies] == [486]


def test_each_branch_of_a_fork_has_its_own_addresses() -> None:
    with gateway('append_branch("sip:carol@192.0.2.60"); t_relay();') as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        assert places(call.forwarded) == [FIRST, "192.0.2.60"]
        bob, carol = call.forwarded
        after = script.reply(bob, 503)
        assert places(after.forwarded) == [SECOND]
        assert script.reply(carol, 404).replies == []
        again = next(one for one in after.forwarded if one.method == "INVITE")
        assert [reply.status for reply in script.reply(again, 302).replies] == [302]


def test_a_request_that_is_no_invite_moves_on_as_well() -> None:
    with gateway() as script:
        call = script.request("MESSAGE sip:bob@gw.example.com")
        after = script.reply(call.request, 503)
        assert places(after.forwarded, "MESSAGE") == [SECOND]
        assert [reply.status for reply in script.reply(after.forwarded[0], 202).replies] == [202]


def test_a_cancelled_call_tries_no_other_address() -> None:
    with gateway() as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        cancelled = script.cancel(call)
        assert 487 in [reply.status for reply in cancelled.replies]
        assert places(script.reply(call.request, 503).forwarded) == []
        assert places(script.advance(10).forwarded) == []


def test_once_another_branch_has_answered_no_address_is_tried() -> None:
    with gateway('append_branch("sip:carol@192.0.2.60"); t_relay();') as script:
        bob, carol = script.request("INVITE sip:bob@gw.example.com").forwarded
        script.reply(carol, 200)
        assert places(script.reply(bob, 503).forwarded) == []


@pytest.mark.parametrize("setting", ["disable_dns_failover=yes", "t_relay 4", "t_relay udp 4"])
def test_it_can_be_turned_off(setting: str) -> None:
    calls = {"t_relay 4": 't_relay("4");', "t_relay udp 4": 't_relay("udp:gw.example.com:5060", "0x04");'}
    more = setting if setting.startswith("disable") else ""
    with gateway(calls.get(setting, "t_relay();"), more) as script:
        call = script.request("INVITE sip:bob@gw.example.com")
        after = script.reply(call.request, 503)
        assert places(after.forwarded) == []
        assert [reply.status for reply in after.replies] == [500]


def test_a_destination_given_to_t_relay_has_its_addresses_too() -> None:
    with gateway('t_relay("udp:gw.example.com:5070");') as script:
        call = script.request("INVITE sip:bob@192.0.2.99")
        after = script.reply(call.request, 503)
        assert [one.destination for one in after.forwarded if one.method == "INVITE"] == [(SECOND, 5070)]


def test_by_another_listener_via_and_record_route_are_those_of_that_listener() -> None:
    listen = "listen=udp:198.51.100.1:5060 listen=udp:[2001:db8::1]:5060"
    hosts = "192.0.2.50 2001:db8::50 2001:db8::51 192.0.2.51"
    with gateway("record_route(); t_relay();", listen, hosts) as script:
        sent = script.request("INVITE sip:bob@gw.example.com").request
        seen = []
        for _ in range(4):
            via = str(sent.header("Via")).partition(";")[0]
            seen.append((sent.destination[0], via, len(sent.headers("Record-Route"))))
            after = script.reply(sent, 503)
            sent = next((one for one in after.forwarded if one.method == "INVITE"), sent)
        assert seen == [
            ("192.0.2.50", "SIP/2.0/UDP 198.51.100.1", 1),
            ("2001:db8::50", "SIP/2.0/UDP [2001:db8::1]", 2),
            ("2001:db8::51", "SIP/2.0/UDP [2001:db8::1]", 2),
            ("192.0.2.51", "SIP/2.0/UDP 198.51.100.1", 1),
        ]
        assert [reply.status for reply in after.replies] == [500]


def test_a_fork_whose_branches_carry_a_digest_keeps_it() -> None:
    with gateway('append_branch("sip:carol@192.0.2.60"); t_relay();', 'modparam("tm", "syn_branch", 0)') as script:
        bob, _ = script.request("INVITE sip:bob@gw.example.com").forwarded
        again = script.reply(bob, 503).forwarded[-1]
        first, second = (str(sent.header("Via")).rpartition(".") for sent in (bob, again))
        assert (first[0], first[2], second[2]) == (second[0], "0", "2")
        assert len(first[0].rpartition(".")[2]) == 8 + 32


def test_nothing_of_the_addresses_stays_in_memory(memory: SharedMemory) -> None:
    world = World(memory)
    world.core.resolver.hosts = {"gw.example.com": ("192.0.2.50", "192.0.2.51", "192.0.2.52")}
    world.tm.t_relay(world.request(uri="sip:bob@gw.example.com"))
    world.reply(world.take()[-1][1], 503)
    second = next(message for address, message in world.take() if address[0] == "192.0.2.51")
    world.reply(second, 200)
    assert statuses(world) == [200]
    world.advance(32_200)
    assert is_gone(world)


def test_where_there_is_no_memory_for_another_attempt_the_failure_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openserd.errors import ResourceError

    world.core.resolver.hosts = {"gw.example.com": ("192.0.2.50", "192.0.2.51")}
    world.tm.t_relay(world.request(uri="sip:bob@gw.example.com"))
    sent = world.take()[-1][1]

    def full(*_: object) -> None:
        raise ResourceError("no room")

    monkeypatch.setattr(world.tm.proxy.failover, "add", full)
    world.reply(sent, 503)
    assert statuses(world) == [500]


def test_attempts_come_back_as_they_were_packed() -> None:
    attempts = [Attempt(1, ("192.0.2.1", 5060), b""), Attempt(2, ("2001:db8::1", 65535), b"INVITE")]
    packed = pack_attempts(attempts)
    first, rest = first_attempt(packed)
    second, nothing = first_attempt(rest)
    assert ([first, second], nothing) == (attempts, b"")


def test_the_number_of_a_branch_changes_in_the_top_via_alone() -> None:
    via = b"Via: SIP/2.0/UDP h;branch=z9hG4bK1.0123abcd.%x;rport\r\n"
    data = b"INVITE sip:a@z9hG4bK1.0123abcd.0 SIP/2.0\r\n" + via % 0 + via % 0 + b"\r\n"
    assert renumbered(data, 17) == data.replace(via % 0, via % 17, 1)
    assert Message(renumbered(data, 17)).top_via().branch == b"z9hG4bK1.0123abcd.11"

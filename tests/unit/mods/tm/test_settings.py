"""What parameters of tm and of the core change in transactions, and what tm tells of itself."""

import pytest

from openserd.core.context import Core
from openserd.core.management.mi import Command
from openserd.core.params import GlobalParams
from openserd.parser import names
from openserd.script import ConfigErrors
from openserd.shm.memory import SharedMemory
from openserd.testing import Script
from tests.unit.mods.tm import conftest
from tests.unit.mods.tm.conftest import CALLEE, World
from tests.unit.mods.tm.test_calls import is_gone, start
from tests.unit.mods.tm.test_service import HEADERS, uac

OLD_BRANCH = "0"  #: of a client that knows RFC 2543 only


def moments(world: World, milliseconds: int) -> list[int]:
    """When the callee got a request, counted from now."""
    begin, found = world.clock, []
    while world.clock < begin + milliseconds:
        world.advance(100)
        found += [world.clock - begin] * len(world.take_to(CALLEE))
    return found


@pytest.mark.parametrize(
    ("params", "wanted"),
    [
        ({"T1_timer": 200, "T2_timer": 800}, [200, 600, 1400, 2200, 3000]),
        ({"T1_timer": 1000, "T2_timer": 1000}, [1000, 2000, 3000]),
    ],
)
def test_T1_timer_and_T2_timer_pace_retransmissions(
    memory: SharedMemory, params: dict[str, int], wanted: list[int]
) -> None:
    world = World(memory, **params)
    start(world, method="OPTIONS")
    assert moments(world, 3_000) == wanted


@pytest.mark.parametrize(
    ("params", "uri", "branch", "is_same"),
    [
        ({}, "sip:bob@192.0.2.20", OLD_BRANCH, True),
        ({}, "sip:other@192.0.2.20", OLD_BRANCH, False),
        ({"ruri_matching": 0}, "sip:other@192.0.2.20", OLD_BRANCH, True),
        ({"ruri_matching": 0}, "sip:other@192.0.2.20", "1", False),
        ({}, "sip:bob@192.0.2.20", "1", False),
        ({"via1_matching": 0}, "sip:bob@192.0.2.20", "1", True),
        ({"via1_matching": 0}, "sip:other@192.0.2.20", "1", False),
    ],
)
def test_ruri_matching_and_via1_matching_say_what_makes_an_old_request_the_same(
    memory: SharedMemory, params: dict[str, int], uri: str, branch: str, is_same: bool
) -> None:
    world = World(memory, **params)
    assert world.tm.t_relay(world.request(branch=OLD_BRANCH)) == 1
    world.tm.t_relay(world.request(branch=branch, uri=uri))
    assert len(world.transactions()) == (1 if is_same else 2)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (200, "2xx_transactions"),
        (302, "3xx_transactions"),
        (486, "4xx_transactions"),
        (500, "5xx_transactions"),
        (603, "6xx_transactions"),
    ],
)
def test_a_transaction_is_counted_under_its_final_reply(world: World, code: int, name: str) -> None:
    [invite] = start(world)
    world.reply(invite, code)
    counted = {f"{hundred}xx_transactions": world.count(f"{hundred}xx_transactions") for hundred in range(2, 7)}
    assert counted == dict.fromkeys(counted, 0) | {name: 1}


def test_t_hash_tells_how_many_transactions_there_are(world: World) -> None:
    command = Command("t_hash", world.tm.mi_t_hash)

    def current() -> object:
        [node] = command.call([]).nodes
        return node.attributes["Current"]

    assert current() == 0
    [invite] = start(world)
    assert current() == 1
    world.reply(invite, 200)
    world.advance(33_000)
    assert is_gone(world)
    assert current() == 0


@pytest.mark.parametrize("header", ["", "User-Agent: ours 1.0", "Organization: nobody"])
def test_user_agent_header_is_the_line_in_requests_made_here(
    memory: SharedMemory, monkeypatch: pytest.MonkeyPatch, header: str
) -> None:
    params = GlobalParams()
    params.set("user_agent_header", [header])
    monkeypatch.setattr(conftest, "Core", lambda: Core(params))
    world = World(memory)
    uac(world, "OPTIONS", "sip:bob@192.0.2.20", ".", ".", HEADERS)
    [sent] = world.take_to(CALLEE)
    assert (header or "User-Agent: OpenSER (").encode() in sent.buf
    assert len(sent.indexes(names.USER_AGENT)) == (0 if header.startswith("Org") else 1)


@pytest.mark.parametrize(("flags", "codes"), [("0x00", [100]), ("0x01", []), ("0x02", [100])])
def test_t_relay_takes_a_destination_and_flags(flags: str, codes: list[int]) -> None:
    with Script.text(f'route {{ t_relay("udp:192.0.2.77:5077", "{flags}"); }}', ["tm"]) as script:
        result = script.request("INVITE sip:bob@192.0.2.20")
    assert result.request.destination == ("192.0.2.77", 5077)
    assert [reply.status for reply in result.replies] == codes


@pytest.mark.parametrize(("flags", "codes"), [("0", [100]), ("1", []), ("0x01", []), ("0X5", []), ("04", [100])])
def test_t_relay_takes_flags_alone_in_either_notation(flags: str, codes: list[int]) -> None:
    with Script.text(f'route {{ t_relay("{flags}"); }}', ["tm"]) as script:
        result = script.request("INVITE sip:bob@192.0.2.20")
    assert result.request.destination == CALLEE
    assert [reply.status for reply in result.replies] == codes


def test_flags_that_are_no_number_are_refused() -> None:
    with pytest.raises(ConfigErrors, match="is not a number"):
        Script.text('route { t_relay("udp:192.0.2.77:5077", "0xq"); }', ["tm"])


def test_t_replicate_takes_flags() -> None:
    with Script.text('route { if (t_replicate("sip:192.0.2.99", "0x04")) exit; }', ["tm"]) as script:
        result = script.request("REGISTER sip:192.0.2.20")
    assert result.request.destination == ("192.0.2.99", 5060)
    assert result.replies == []


@pytest.mark.parametrize(("seconds", "goes_at"), [(1, 30_100), (10, 35_100), (20, 45_100)])
def test_delete_timer_is_when_a_removal_is_tried_again(memory: SharedMemory, seconds: int, goes_at: int) -> None:
    world = World(memory, delete_timer=seconds, accepted_timer=0)
    answered, ringing = start(world, "sip:bob@192.0.2.21")
    world.reply(ringing, 180)
    world.reply(answered, 200)  # the CANCEL of the other branch is not answered: its end is awaited for fr_timer
    world.advance(goes_at - 1_000)
    assert len(world.transactions()) == 1
    world.advance(2_100)
    assert is_gone(world)

"""What the timer process does where memory is exhausted."""

import pytest

from openserd.errors import ResourceError
from tests.unit.mods.tm.conftest import CALLER, World
from tests.unit.mods.tm.test_calls import is_gone


def test_a_transaction_whose_step_finds_no_memory_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        world.tm.t_relay(world.request(branch=f"z9hG4bK{number}"))
    world.take()
    proxy = world.tm.proxy
    local_reply = proxy.local_reply
    first = min(t.slot for t in world.transactions())
    refused: list[int] = []

    def full(t: object, *args: object, **more: object) -> None:
        if getattr(t, "slot", 0) == first:
            refused.append(world.clock)
            raise ResourceError("no room")
        local_reply(t, *args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(proxy, "local_reply", full)
        world.advance(32_000)
        assert {message.top_via().branch for message in world.take_to(CALLER)} == {b"z9hG4bK1"}
        assert 1 <= len(refused) <= 3
        assert "no room" in caplog.text
    world.advance(1_100)
    assert b"z9hG4bK0" in {message.top_via().branch for message in world.take_to(CALLER)}
    world.advance(40_000)
    assert is_gone(world)

"""gflags: 32 flags that all processes share."""

import pytest

from openserd.mods.gflags import GFlags, read_mask
from openserd.script import ConfigErrors
from openserd.testing import Script


def value(script: Script, command: str, *arguments: str) -> list[object]:
    reply = script.mi(command, *arguments)
    assert reply.code == 200
    return [node.value for node in reply.nodes]


def test_a_flag_set_by_one_message_is_seen_by_the_next() -> None:
    with Script.text(
        'route { if (is_gflag("31")) { reset_gflag("31"); sl_send_reply("486", "Busy"); exit; }'
        ' set_gflag("31"); sl_send_reply("200", "OK"); }',
        ["sl", "gflags"],
    ) as script:
        assert [script.request("OPTIONS sip:a@b").reply.status for _ in range(3)] == [200, 486, 200]
        assert value(script, "get_gflags") == ["0x80000000", "2147483648"]


def test_management_speaks_of_masks() -> None:
    with Script.text('modparam("gflags", "initial", 5) route { exit; }', ["gflags"]) as script:
        assert value(script, "get_gflags") == ["0x5", "5"]
        assert value(script, "set_gflag", "0x10") == []
        assert value(script, "reset_gflag", "1") == []
        assert value(script, "get_gflags") == ["0x14", "20"]
        assert value(script, "is_gflag", "0x30") == ["TRUE"]
        assert value(script, "is_gflag", "3") == ["FALSE"]


@pytest.mark.parametrize("mask", ["", "0", "0x", "-1", "x", "4294967296", "1 2", "0x-1"])
def test_what_is_no_mask_is_answered_400(mask: str) -> None:
    module = GFlags()
    for command in (module.mi_set_gflag, module.mi_reset_gflag, module.mi_is_gflag):
        reply = command(mask)
        assert (reply.code, reply.reason) == (400, "Bad parameter")


def test_masks_are_decimal_or_hexadecimal() -> None:
    assert [read_mask(text) for text in ("16", "0x10", " 0XfF ", "4294967295")] == [16, 16, 255, 0xFFFFFFFF]


@pytest.mark.parametrize("flag", ["32", "-1", "x"])
def test_a_flag_is_a_number_from_0_to_31(flag: str) -> None:
    with pytest.raises(ConfigErrors):
        Script.text(f'route {{ set_gflag("{flag}"); }}', ["gflags"])

"""statistics: counters of the script's own."""

import pytest

from openserd.errors import ConfigError
from openserd.script import ConfigErrors
from openserd.testing import Script

VARIABLES = 'modparam("statistics", "variable", "calls") modparam("statistics", "variable", "total/NO_RESET")'


def test_a_counter_goes_up_and_down_and_is_reset() -> None:
    with Script.text(
        f'{VARIABLES} route {{ if (method=="INVITE") {{ update_stat("calls", "+2"); update_stat("Total", "1"); }}'
        ' else if (method=="BYE") update_stat("calls", "-1"); else { reset_stat("calls"); reset_stat("total"); } }',
        ["statistics"],
    ) as script:
        script.request("INVITE sip:a@b")
        script.request("INVITE sip:a@b")
        script.request("BYE sip:a@b")
        assert (script.statistic("script:calls"), script.statistic("script:total")) == (3, 2)
        script.request("OPTIONS sip:a@b")
        assert (script.statistic("calls"), script.statistic("total")) == (0, 2)


def test_management_reads_and_resets_them() -> None:
    with Script.text(f'{VARIABLES} route {{ update_stat("calls", "7"); }}', ["statistics"]) as script:
        script.request("OPTIONS sip:a@b")
        assert [node.value for node in script.mi("get_statistics", "script:").nodes] == [
            "script:calls = 7",
            "script:total = 0",
        ]
        script.mi("reset_statistics", "calls")
        assert script.statistic("calls") == 0


def test_counters_of_others_can_be_named_too() -> None:
    with Script.text(
        'route { reset_stat("RCV_requests"); reset_stat("1xx_replies"); reset_stat("UAS_transactions"); }',
        ["statistics", "sl", "tm"],
    ) as script:
        script.request("OPTIONS sip:a@b")
        assert script.statistic("core:rcv_requests") == 0


@pytest.mark.parametrize(
    "call", ['update_stat("call", "1")', 'reset_stat("1xx_replies")', 'update_stat("calls", "0")',
             'update_stat("calls", "x")', 'update_stat("calls", "--1")', 'update_stat("calls")']
)  # fmt: skip
def test_a_wrong_call_is_an_error_of_the_script(call: str) -> None:
    with pytest.raises(ConfigErrors) as raised:
        Script.text(f"{VARIABLES}\nroute {{ {call}; }}", ["statistics"])
    assert raised.value.errors[0].line == 2


def test_a_name_that_no_module_has_made_up_is_found_once_all_are_ready() -> None:
    with pytest.raises(ConfigError, match="there is no statistic nonsense"):
        Script.text('route { reset_stat("nonsense"); }', ["statistics", "tm"])


def test_a_computed_counter_cannot_be_changed() -> None:
    with pytest.raises(ConfigError, match="computed"):
        Script.text('route { reset_stat("inuse_transactions"); }', ["statistics", "tm"])


@pytest.mark.parametrize("variable", ["", "/no_reset", "a/b", "a:b", "a/no_reset/no_reset"])
def test_a_wrong_variable_is_an_error_of_the_script(variable: str) -> None:
    with pytest.raises(ConfigErrors):
        Script.text(f'modparam("statistics", "variable", "{variable}") route {{ exit; }}', ["statistics"])

"""Record-Route in the branches of a failure route: what the request route has made of it, and what is added there."""

import pytest

from openserd.testing import Script
from openserd.testing.result import Sent

TWO = "listen=udp:192.0.2.1:5060 listen=udp:192.0.2.1:5070"
RR = 'loadmodule "sl.so" loadmodule "tm.so" loadmodule "rr.so" modparam("rr", "append_fromtag", 0)'


def hunt(route: str, failure: str, listen: str = "listen=udp:192.0.2.1:5060", more: str = "") -> tuple[Sent, Sent]:
    """The request of the first round and that of the second."""
    text = f"""{listen} {RR}
        route {{ t_on_failure("1"); {route} t_relay(); }}
        failure_route[1] {{ append_branch("sip:carol@192.0.2.21"); {failure} t_relay(); }}
        {more}"""
    with Script.text(text) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        again = script.reply(call.request, 486)
        return call.request, next(sent for sent in again.forwarded if sent.method == "INVITE")


def test_add_rr_param_in_a_failure_route_is_for_its_branches() -> None:
    first, second = hunt('record_route(); add_rr_param(";a=1");', 'add_rr_param(";b=2");')
    assert first.header("Record-Route") == "<sip:192.0.2.1;lr;a=1>"
    assert second.header("Record-Route") == "<sip:192.0.2.1;lr;a=1;b=2>"


def test_add_rr_param_reaches_both_record_routes_between_two_listeners() -> None:
    failure = 't_on_branch("1"); add_rr_param(";b=2");'
    _, second = hunt("record_route();", failure, TWO, "branch_route[1] { force_send_socket(udp:192.0.2.1:5070); }")
    assert second.headers("Record-Route") == ["<sip:192.0.2.1:5070;r2=on;lr;b=2>", "<sip:192.0.2.1;r2=on;lr;b=2>"]


def test_add_rr_param_reaches_a_preset_record_route() -> None:
    _, second = hunt('record_route_preset("proxy.example.com");', 'add_rr_param(";b=2");')
    assert second.header("Record-Route") == "<sip:proxy.example.com;lr;b=2>"


@pytest.mark.parametrize("function", ["record_route", "add_rr_param"])
def test_what_a_branch_route_adds_after_a_failure_route_is_for_one_branch(function: str) -> None:
    text = f"""{RR}
        route {{ t_on_failure("1"); record_route(); t_relay(); }}
        failure_route[1] {{
            append_branch("sip:carol@192.0.2.21"); append_branch("sip:dave@192.0.2.22"); t_on_branch("1"); t_relay();
        }}
        branch_route[1] {{ {'add_rr_param(";c=$rU");' if function == "add_rr_param" else "record_route();"} }}"""
    with Script.text(text) as script:
        call = script.request("INVITE sip:bob@192.0.2.20")
        again = [sent for sent in script.reply(call.request, 486).forwarded if sent.method == "INVITE"]
    routes = [str(sent.header("Record-Route")).partition(";lr")[2] for sent in again]
    assert routes == ([";c=carol>", ";c=dave>"] if function == "add_rr_param" else [">", ">"])

"""`--lint`: each finding with a script that has it and one that has it not."""

import pytest

from openserd.script import LINT, STRICT
from openserd.script.checks.lints import CHECKS, DESTINATIONS, LINTS
from tests.unit.script.script_modules import compiled

GUARDS = 'if (!mf_process_maxfwd_header("10")) { exit; } if (msg:len >= 2048) { exit; }'
RELAY = "if (!t_relay()) { sl_reply_error(); }"


def found(body: str, guards: str = GUARDS, blocks: str = "") -> list[str]:
    """The names of what is found in a request route."""
    script = compiled(f"route {{ {guards} {body} }} {blocks}", level=LINT)
    return [one.code for one in script.warnings if one.code]


# -- open relay -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        RELAY,
        f"if (uri==myself) {{ exit; }} {RELAY}",
        f"if (!uri==myself) {{ {RELAY} exit; }}",
        f'if (method=="INVITE") {{ if (!uri==myself) exit; }} {RELAY}',
        f'if (uri==myself || method=="INVITE") {{ {RELAY} }}',
        f'if ($rm=="ACK") exit; {RELAY}',
        "forward();",
        f'if (!lookup("location")) {{ {RELAY} }}',
        f'switch ($rm) {{ case "INVITE": if (!uri==myself) exit; break; default: setflag(1); }} {RELAY}',
        f"while (uri==myself) {{ break; }} {RELAY}",
        'if (!t_relay("0x05")) exit;',
    ],
)
def test_an_open_relay_is_found_on_any_way(body: str) -> None:
    assert found(body) == ["open-relay"]


@pytest.mark.parametrize(
    "body",
    [
        f"if (uri==myself) {{ {RELAY} }}",
        f"if (!uri==myself) {{ exit; }} {RELAY}",
        f"if (uri!=myself) exit; {RELAY}",
        f"if (from_uri==myself || src_ip==10.0.0.0/8) {{ {RELAY} }}",
        f"if (!(uri==myself || from_uri==myself)) exit; {RELAY}",
        f'if (uri==myself && method=="INVITE") {{ {RELAY} }}',
        f'if (!lookup("location")) {{ exit; }} {RELAY}',
        f'if (method=="CANCEL") {{ {RELAY} }}',
        f'rewritehost("gw.example.com"); {RELAY}',
        f'$du = "sip:10.0.0.1"; {RELAY}',
        'if (!t_relay("udp:10.0.0.1:5060")) exit;',
        "forward(10.0.0.1);",
        f'if (uri=~"^sip:[0-9]+@gw") {{ {RELAY} }}',
        f'switch ($rm) {{ case "INVITE": if (!uri==myself) exit; break; default: exit; }} {RELAY}',
        f"while (!uri==myself) {{ exit; }} {RELAY}",
        "sl_reply_error();",
    ],
)
def test_what_is_checked_on_every_way_is_no_open_relay(body: str) -> None:
    assert found(body) == []


def test_checks_are_followed_through_blocks() -> None:
    check = "route[CHECK] { if (uri==myself) return(1); return(-1); }"
    assert found(f"if (route(CHECK)) {{ {RELAY} }}", blocks=check) == []
    assert found(f"if (!route(CHECK)) {{ {RELAY} }}", blocks=check) == ["open-relay"]
    assert found(f"route(CHECK); {RELAY}", blocks="route[CHECK] { if (!uri==myself) exit; }") == []
    assert found(f"route(CHECK); {RELAY}", blocks="route[CHECK] { if (!uri==myself) return(-1); }") == ["open-relay"]


def test_blocks_that_call_themselves_are_followed_to_their_end() -> None:
    blocks = f'route[A] {{ if (method=="INVITE") route(A); {RELAY} }}'
    assert found("route(A);", blocks=blocks) == ["open-relay"]


def test_the_way_to_the_place_is_named() -> None:
    script = compiled(f"route {{ {GUARDS}\nroute(A); }}\nroute[A] {{\nroute(B); }}\nroute[B] {{ {RELAY} }}", level=LINT)
    (warning,) = script.warnings
    assert warning.line == 5
    assert warning.message == "t_relay forwards requests to foreign domains for anybody"
    assert warning.hint.startswith(
        "reached through route(A) in line 2, route(B) in line 4; before it, test uri==myself"
    )
    assert "[open-relay]" in str(warning)


def test_a_route_that_was_loaded_before_needs_a_to_tag() -> None:
    assert found(f"if (loose_route()) {{ {RELAY} }}") == ["preloaded-route"]
    assert found(f"if (loose_route()) {{ if (!from_uri==myself) exit; {RELAY} }}") == []


def test_functions_that_decide_are_no_words_for_something_else() -> None:
    assert not CHECKS & DESTINATIONS


# -- the others -------------------------------------------------------------------------------------------------


def test_a_missing_loop_guard_is_found() -> None:
    size = "if (msg:len >= 2048) exit;"
    checked = f"if (uri==myself) {{ {RELAY} }}"
    assert found(checked, guards=size) == ["loop-guard"]
    assert found("if (uri==myself) sl_reply_error();", guards=size) == []
    assert found(checked, guards=size + 'if (method=="INVITE") mf_process_maxfwd_header("10");') == ["loop-guard"]


def test_a_missing_look_at_the_size_is_found() -> None:
    assert found(f"if (uri==myself) {{ {RELAY} }}", guards='mf_process_maxfwd_header("10");') == ["message-size"]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("record_route();", ["record-route-register"]),
        ('if (method=="REGISTER") record_route();', ["record-route-register"]),
        ('if (!method=="REGISTER") record_route();', []),
        ('if (method!="REGISTER") record_route();', []),
        ('if (method=="INVITE") record_route();', []),
        ('if ($rm=="REGISTER") exit; record_route();', []),
        ('switch ($rm) { case "REGISTER": exit; } record_route();', []),
        ('switch ($rm) { case "INVITE": exit; } record_route();', ["record-route-register"]),
        ('switch ($rm) { case "INVITE": setflag(1); case "BYE": record_route(); }', []),
    ],
)
def test_a_recorded_register_is_found(body: str, names: list[str]) -> None:
    assert found(body) == names


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ('save("location");', ["save-without-register"]),
        ('if (method=="REGISTER") save("location");', []),
        ('if (method=="REGISTER" && uri==myself) { save("location"); exit; }', []),
        ('if (!method=="REGISTER") save("location");', ["save-without-register"]),
        ('switch ($rm) { case "REGISTER": save("location"); }', []),
        ('switch ($rm) { case "REGISTER": setflag(1); default: save("location"); }', ["save-without-register"]),
    ],
)
def test_a_save_of_other_requests_is_found(body: str, names: list[str]) -> None:
    assert found(body) == names


def test_results_that_are_not_looked_at_are_found() -> None:
    assert found("if (uri==myself) t_relay();") == ["relay-unhandled"]
    assert found('lookup("location");') == ["lookup-unhandled"]
    assert found('lookup("aliases");') == []


def test_each_finding_is_told_once_at_its_place() -> None:
    assert found("route(A); route(A); if (uri==myself) route(A);", blocks=f"route[A] {{ {RELAY} }}") == ["open-relay"]


def test_findings_are_for_that_level_only_and_have_names() -> None:
    text = f"route {{ {RELAY} }}"
    assert compiled(text, level=STRICT).warnings == []
    codes = {one.code for one in compiled(text, level=LINT).warnings}
    assert codes == {"open-relay", "loop-guard", "message-size"}
    assert codes <= LINTS.keys()


def test_a_script_without_a_request_route_has_nothing_to_find() -> None:
    assert compiled("onreply_route { exit; }", level=LINT).warnings == []

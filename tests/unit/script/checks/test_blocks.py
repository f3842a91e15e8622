"""What the strict level finds along the calls of blocks, and what it warns of, word for word."""

import pytest

from openserd.script import STRICT, ConfigErrors
from tests.unit.script.script_modules import ALL_MODULES, files, script


def errors(text: str) -> str:
    """What is wrong with a script, as it is printed."""
    with pytest.raises(ConfigErrors) as raised:
        script(text, level=STRICT)
    return str(raised.value)


def warnings(text: str, **more: str) -> list[str]:
    """The warnings of a script, as they are printed, without the lines they show."""
    found = script(text, level=STRICT, around=files(**more)).warnings
    return [" | ".join(line.strip() for line in str(one).splitlines() if not line.startswith("    ")) for one in found]


def test_the_way_from_a_kind_of_route_to_a_function_is_named() -> None:
    text = f"""{ALL_MODULES}
route {{ t_on_failure("1"); route(3); }}
failure_route[1] {{ route(2); }}
route[2] {{
	if (!route(3)) exit;
}}
route[3] {{
  save("location");
}}
"""
    assert (
        errors(text)
        == """\
openser.cfg:8:3: save cannot be used in failure_route
      save("location");
      ^^^^
  expected: route
  hint: failure_route[1] in line 3 calls route[2], which calls route[3]"""
    )


def test_the_shortest_way_is_named() -> None:
    text = f"""{ALL_MODULES}
route {{ t_on_failure("1"); }}
failure_route[1] {{ route(A); route(C); }}
route[A] {{ route(B); }}
route[B] {{ route(C); }}
route[C] {{ if (1) {{ route(D); }} }}
route[D] {{ loose_route(); route(A); }}
"""
    assert errors(text).splitlines()[-1] == "  hint: failure_route[1] in line 3 calls route[C], which calls route[D]"


def test_each_kind_of_route_that_reaches_a_function_is_told() -> None:
    text = f"""{ALL_MODULES}
route {{ t_on_failure("1"); t_on_reply("1"); }}
failure_route[1] {{ route(A); }}
onreply_route[1] {{ route(A); }}
error_route {{ route(A); }}
route[A] {{ sl_reply_error(); }}
"""
    assert [line for line in errors(text).splitlines() if "cannot" in line or "hint" in line] == [
        "openser.cfg:6:12: sl_reply_error cannot be used in failure_route",
        "  hint: failure_route[1] in line 3 calls route[A]",
        "openser.cfg:6:12: sl_reply_error cannot be used in onreply_route",
        "  hint: onreply_route[1] in line 4 calls route[A]",
        "openser.cfg:6:12: sl_reply_error cannot be used in error_route",
        "  hint: error_route in line 5 calls route[A]",
    ]


def test_blocks_that_nothing_calls_or_arms_are_told() -> None:
    text = f"""{ALL_MODULES}
route {{ t_on_failure("1"); }}
route[1] {{ route(2); }}
route[2] {{ exit; }}
failure_route[1] {{ exit; }}
failure_route[2] {{ exit; }}
onreply_route {{ exit; }}
onreply_route[3] {{ exit; }}
branch_route[4] {{ exit; }}
"""
    assert warnings(text) == [
        "openser.cfg:3:1: route[1] is never called",
        "openser.cfg:4:1: route[2] is never called",
        "openser.cfg:6:1: failure_route[2] is never armed",
        "openser.cfg:8:1: onreply_route[3] is never armed",
        "openser.cfg:9:1: branch_route[4] is never armed",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "exit;\nlog();",
        "drop;\nlog();",
        "return(1);\nlog();",
        "if (1) exit; else drop;\nlog();",
        "if (1) { return; } else { if (2) exit; else exit; }\nlog();",
        "while (1) { break;\nlog(); }",
        'switch ($rm) { case "A": break;\nlog(); }',
        "if (1) { exit;\nlog(); }",
    ],
)
def test_statements_that_are_never_reached_are_told(body: str) -> None:
    text = f"route {{ {body.replace('log()', 'setflag(1)')} }}"
    assert [one.partition("| hint")[0].strip() for one in warnings(text)] == [
        "openser.cfg:2:1: this statement is never reached"
    ]


@pytest.mark.parametrize(
    "body",
    ["if (1) exit;\nlog();", "if (1) exit; else setflag(1);\nlog();", "while (1) { exit; }\nlog();", "log(); exit;"],
)
def test_statements_that_may_be_reached_are_not_told(body: str) -> None:
    assert warnings(f"route {{ {body.replace('log()', 'setflag(1)')} }}") == []


def test_what_comes_after_a_block_that_always_ends_the_script_is_told() -> None:
    text = """route { route(1);
	setflag(1); }
route[1] { if (1) { route(2); } else drop; }
route[2] { setflag(2); exit; }
"""
    assert warnings(text) == [
        "openser.cfg:2:2: this statement is never reached | hint: route(1) in line 1 always ends the script"
    ]
    assert warnings(text.replace("setflag(2);", "if (2) return;")) == []


def test_blocks_that_call_each_other_do_not_confuse_the_checks() -> None:
    assert warnings("route { route(1); setflag(1); } route[1] { route(2); } route[2] { route(1); }") == []


@pytest.mark.parametrize(
    ("condition", "reading"),
    [
        ("1 || 2 && 3", "(1 || 2) && 3"),
        ("1 || 2 && 3 || 4", "((1 || 2) && 3) || 4"),
        ("1 || 2 || 3 && 4", "(1 || 2 || 3) && 4"),
        ('method=="ACK"   or !uri==myself\n and $rU', '(method=="ACK" || !uri==myself) && $rU'),
        ("1 || (2 || 3) && 4", "(1 || (2 || 3)) && 4"),
    ],
)
def test_mixed_conditions_are_told_with_their_reading(condition: str, reading: str) -> None:
    (found,) = warnings(f"route {{ if ({condition}) exit; }}")
    assert found.endswith(
        f"&& and || bind equally, from the left | hint: this is read as {reading}: write these parentheses, or others"
    )


@pytest.mark.parametrize("condition", ["1 && 2 || 3", "1 || (2 && 3)", "(1 || 2) && 3", "1 || 2 || 3"])
def test_conditions_that_mean_what_they_seem_to_are_not_told(condition: str) -> None:
    assert warnings(f"route {{ if ({condition}) exit; }}") == []


def test_a_long_reading_is_told_by_an_example() -> None:
    long = " || ".join(f'method=="METHOD{n}"' for n in range(9))
    (found,) = warnings(f"route {{ if ({long} && 1) exit; }}")
    assert "this is read as (a || b) && c" in found


def test_warnings_name_the_file_that_they_are_about() -> None:
    text = '\nroute { exit; }\ninclude_file "a.cfg"\n'
    assert warnings(text, a="route[1] {\n\texit;\n\tsetflag(1);\n}") == [
        "a.cfg:1:1: route[1] is never called",
        "a.cfg:3:2: this statement is never reached",
    ]


def test_the_same_case_twice_is_told() -> None:
    text = 'route { switch ($rm) { case "INVITE": setflag(1); break;\ncase "invite": setflag(2); } }'
    assert warnings(text) == ["openser.cfg:2:1: this case is in line 1 already"]

"""Constructs that scripts of OpenSER 1.2 use, right and wrong, with the verdict that OpenSER 1.2 itself gives.

The scripts are ours; what they show was found in those that OpenSER 1.2 ships, most of which it refuses itself.
"""

import pytest

from openserd.script import STRICT, ConfigErrors
from tests.unit.script.script_modules import ALL_MODULES, script

ACCEPTED = {
    "semicolons after blocks": 'route { if (uri==myself) { exit; }; log("a"); };',
    "a lone semicolon as branch": "route { if (uri==myself) ; else exit; }",
    "no workers": "fork=no\nchildren=0\nroute { exit; }",
    "parentheses of drop": "route { drop(); }",
    "old style of lengths": "route { if (msg:len > max_len) { exit; }; }",
    "comments between operands": "route { if (uri==myself /* here */ || # or there\n src_ip==myself) exit; }",
    "a shell script in single quotes": "route { log('\n\tif [ -z \"$X\" ]; then exit 1; fi\n'); exit; }",
    "methods without quotes": "route { if (method==INVITE || method==ACK) exit; }",
    "negated comparisons": 'route { if (!src_ip==10.0.0.1 && !method=="ACK") exit; }',
    "words for numbers": "mhomed=yes\ncheck_via=no\ndns=off\nroute { exit; }",
    "quotes left out": "listen=127.0.0.1\nalias=sip.example.com:5060\nroute { exit; }",
    "a result that is assigned": 'route { $var(rc) = log("a"); }',
    "masks with gaps": "route { if (src_ip==10.0.0.1/255.0.255.0) exit; }",
    "a variable with an index on the left": 'route { $avp(s:x[0]) = "a"; }',
    "port 0": "port=0\nroute { exit; }",
}

REFUSED = {
    "break outside of a switch": (
        'route {\n\tif (method=="INVITE") {\n\t\tbreak;\n\t};\n}',
        [(3, 3, "break outside of a switch or while")],
    ),
    "a parenthesis too few": (
        'route {\n\tif (search("a") {\n\t\tsetflag(1);\n\t}\n}',
        [(2, 17, "missing ) before {")],
    ),
    "else after the end of its if": (
        'route {\n\tif (search("a")) {\n\t\texit;\n\t}; else {\n\t\tdrop;\n\t};\n}',
        [(4, 5, "else without an if")],
    ),
    "no semicolon before else": (
        "route {\n\tif (uri==myself) route(1)\n\telse exit;\n}\nroute[1] { exit; }",
        [(2, 27, "missing ; before else")],
    ),
    "one sign for or": (
        'route {\n\tif (search("a")\n\t\t| uri=~"b") {\n\t\texit;\n\t}\n}',
        [(2, 17, "missing ) before |")],
    ),
    "one brace too many": (
        "route {\n\tif (uri==myself) {\n\t{\n\t\texit;\n\t}\n}\n",
        [(1, 7, "this block is not closed"), (3, 2, "unexpected {")],
    ),
    "host and port as two arguments": (
        "route {\n\tforward(uri:host, uri:port);\n}",
        [(2, 2, "forward takes 0 or 1 arguments, not 2")],
    ),
    "a parameter that went away": (
        'modparam("registrar", "use_domain", 1)\nroute { exit; }',
        [(1, 23, "module registrar has no parameter use_domain")],
    ),
    "a module that went away": (
        'loadmodule "print.so"\nroute { exit; }',
        [(1, 12, "there is no module print")],
    ),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_openser_accepts_is_accepted(text: str) -> None:
    assert script(f"{ALL_MODULES}{text}", level=STRICT).routes.request is not None


@pytest.mark.parametrize(("text", "problems"), REFUSED.values(), ids=REFUSED)
def test_what_openser_refuses_is_refused_with_its_cause_at_its_place(
    text: str, problems: list[tuple[int, int, str]]
) -> None:
    with pytest.raises(ConfigErrors) as raised:
        script(f"{ALL_MODULES}\n{text}", level=STRICT)
    assert [(one.line - 1, one.column, one.message) for one in raised.value.errors] == problems


def test_a_module_that_is_not_there_is_the_only_complaint() -> None:
    with pytest.raises(ConfigErrors) as raised:
        script('loadmodule "acct.so"\nloadmodule "tm.so"\nroute { acct_request("a"); t_relay(); }', level=STRICT)
    assert [one.message for one in raised.value.errors] == ["there is no module acct"]

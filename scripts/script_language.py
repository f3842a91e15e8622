"""docs/script-language.md: the script language, from the declarations that the compiler works with.

Every example is compiled by `tests/unit/test_script_language.py`.
"""

import re
from collections.abc import Iterator
from typing import Final

from openserd.core.module import ROUTE_NAMES
from openserd.core.params import SETTINGS
from openserd.script.checks.lints import LINTS
from openserd.script.compiler import runtime
from openserd.script.grammar.expressions import LEVELS
from openserd.script.grammar.literals import BOOLEANS
from openserd.script.grammar.read import MAX_NESTING
from scripts.markdown import Cells, begun, code, page, section, table

FENCE: Final = re.compile(r"```openser\n(?P<text>.*?)```", re.DOTALL)

ROUTES: Final = {
    "route": "every request; with a name, whatever calls it by `route(name)`",
    "failure_route": 'a request all of whose branches have failed, when `t_on_failure("name")` has named it',
    "onreply_route": 'every reply; with a name, the replies of a transaction for which `t_on_reply("name")` was called',
    "branch_route": 'each branch before it is sent, when `t_on_branch("name")` has named it',
    "error_route": "a message that cannot be read as far as the script wants it; the `$err` variables say why",
}
DIRECTIVES: Final = (
    ("`#!define NAME [text]`", "`NAME` outside of strings stands for the text, which ends with the line or goes on "
     "after a `\\` at its end. `#!def` is the same. A second, different text is an error."),
    ("`#!redefine NAME [text]`", "As `#!define`, whatever `NAME` stood for before. Also `#!redef`."),
    ("`#!trydefine NAME [text]`", "As `#!define`, unless `NAME` stands for something. Also `#!trydef`."),
    ("`#!undef NAME`", "Forgets the name. Also `#!undefine`."),
    ("`#!subst \"/pattern/text/flags\"`", "Replaces the pattern inside of strings; any sign may stand for `/`, `\\1` "
     "for a group. Flags: `g` everywhere in a string, `i` whatever the case."),
    ("`#!substdef \"/NAME/text/flags\"`", "`#!subst` and `#!define` in one. With `#!substdefs` the name outside of "
     "strings stands for the text as a string."),
    ("`#!defenv NAME`, `#!defenv NAME=VARIABLE`", "Defines the name as a variable of the environment; it is an error "
     "when there is none. With `#!defenvs` as a string."),
    ("`#!ifdef NAME`, `#!ifndef NAME`, `#!else`, `#!endif`", "What stands between is read when the name is defined, or "
     "is not; they may be nested and end in the file in which they begin."),
    ("`include_file \"file\"`", "The text of the file stands here. Its name is relative to the file in which this line "
     "is. Also `#!include_file`."),
    ("`import_file \"file\"`", "The same; nothing when there is no such file. Also `#!import_file`."),
)  # fmt: skip
PATHS: Final = """\
A line of its own is needed by each. A `#!` line with another word is a comment, as every line with `#` is in OpenSER
1.2. `-A NAME[=text]` on the command line defines a name too, and wins over the script. `$env(NAME)` is the value that
the environment had when the server started, as a pseudo-variable.

```openser
#!define WITH_NAT
#!define LIMIT 2048
#!substdef "!DOMAIN!example.com!g"
import_file "local.cfg"
alias=DOMAIN

route {
    if (msg:len >= LIMIT)
        exit;
#!ifdef WITH_NAT
    force_rport();
#!endif
    log("for DOMAIN\\n");
}
```
"""
WORDS: Final = """\
```openser
# a comment to the end of the line
/* a comment /* inside another */ that goes on */
debug=3
log_name="openser"

route {
    log("escapes: \\n \\r \\t \\a \\" \\\\ \\x41 \\101");
    log('no escapes: \\n');
    log("one line, \\
or two");
    if (method==INVITE && src_ip==10.0.0.0/8 && dst_port==0x13C4)
        drop;
}
```

Strings may run over several lines. Numbers are decimal, hexadecimal (`0x1F`) or octal (`017`). `{yes}` mean 1 and
`{no}` 0 wherever a number can stand. Keywords are written as they are here. `//` begins no comment.
"""
BLOCKS: Final = """\
```openser
loadmodule "tm.so"

route {
    route(RELAY);
}

route[RELAY] {
    t_relay();
}

onreply_route {
    if (status=="183")
        drop;
}
```

A block is named by a number or a word; without a name it has the number 0. Blocks may call each other at most
{depth} deep. `return(n)` ends a block: above 0 is true, below 0 false, 0 ends the script, as `exit` and `drop` do
wherever they stand.
"""
FLOW: Final = """\
```openser
route {
    if (method=="OPTIONS") {
        exit;
    } else if (uri==myself)
        log("for us\\n");
    else
        drop;
    switch ($rm) {
        case "INVITE":
        case "ACK":
            setflag(1);
            break;
        case 7:
            setflag(2);
            break;
        default:
            setflag(3);
    }
    $var(i) = 0;
    while ($var(i) < 3) {
        $var(i) = $var(i) + 1;
        if ($var(i) == 2)
            break;
    }
}
```

A statement ends with a semicolon, a lone semicolon is one, and behind a closing brace it may stand. The semicolon
behind the brace of an `if` ends it: no `else` may follow. A `while` is left after `max_while_loops` rounds (by default
{loops}), with a line in the log. Brackets and braces may be nested {nesting} deep.
"""
EXPRESSIONS: Final = """\
```openser
route {
    $var(count) = $var(count) + 1 * (2 + 3);
    $avp(s:caller) = "sip:" + $fU + "@" + $fd;
    $var(done) = isflagset(1);
    $var(ours) = uri==myself;
    $var(count) += 1;
    $rU = null;
    if ($avp(s:caller) =~ "^sip:[0-9]+@" && $var(count) > 3 || [$var(count) & 1])
        exit;
}
```

"""
CHECKS: Final = """\
`openserd -f openser.cfg -c` reads the script and everything that it needs, and prints all errors at once, each with
its file, line and column, the text that is wrong, what was expected and a hint. `-C` also looks along the calls of
route blocks: functions that are reached from a kind of route in which they cannot be used, blocks that nothing calls or
arms, statements that are never reached, `&&` and `||` side by side without parentheses. `--lint` adds what is below.
`--json` prints errors and warnings as a JSON array, for editors and for continuous integration: `file`, `line`,
`column`, `endColumn`, `severity` (`error` or `warning`), `message` and, where there are, `expected`, `hint` and `lint`.
The exit code is 0, or 255 where there is an error. `--dump` prints the Python that the script becomes.
"""
LINT_PAGE: Final = (
    "Warnings about what is allowed and seldom wise. Every way through the request route is followed, with what tests "
    "and calls on it have decided.\n"
)


def page_text() -> str:
    """docs/script-language.md."""
    assert set(ROUTES) == set(ROUTE_NAMES.values())
    return page(
        "The script language",
        "What OpenSER 1.2 reads is read here. [differences.md](differences.md) says where the two part; "
        "[core-parameters.md](core-parameters.md), [core-functions.md](core-functions.md) and "
        "[pseudo-variables.md](pseudo-variables.md) list the names.\n",
        section("## Words", filled(WORDS, yes=words(1), no=words(0))),
        section("## Files, names and conditions", table(("line", "meaning"), DIRECTIVES), PATHS),
        section("## Route blocks", filled(BLOCKS, depth=runtime.MAX_DEPTH), table(("block", "runs for"), routes())),
        section("## Statements", filled(FLOW, loops=SETTINGS["max_while_loops"].default, nesting=MAX_NESTING)),
        section("## Expressions", EXPRESSIONS + f"Operators, those that bind most closely first: {levels()}.\n"),
        section("## Checks", CHECKS, "### `--lint`\n", LINT_PAGE, table(("name", "warns that"), lints())),
    )  # fmt: skip


def filled(text: str, **values: object) -> str:
    """A text with what stands in braces filled in; other braces stay."""
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def words(value: int) -> str:
    """The words for yes or for no."""
    return "`, `".join(word for word, meaning in BOOLEANS.items() if meaning == value)


def routes() -> Iterator[Cells]:
    """The kinds of route block."""
    for name, runs_for in ROUTES.items():
        yield code(name), begun(runs_for)


def levels() -> str:
    """The arithmetic operators by how they bind."""
    by_level: dict[int, list[str]] = {}
    for operator, level in LEVELS.items():
        by_level.setdefault(level, []).append(code(operator))
    return "; ".join([code("~"), *(" ".join(by_level[level]) for level in sorted(by_level, reverse=True))])


def lints() -> Iterator[Cells]:
    """What `--lint` looks for."""
    for name, lint in LINTS.items():
        yield code(name), begun(lint.message.replace("{name}", "a call"))


def examples() -> list[str]:
    """The examples of the page."""
    return [match["text"] for match in FENCE.finditer(page_text())]

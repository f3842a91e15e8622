"""What a syntax error looks like to an operator: the mistake's name, its place, what was expected, a hint.

The grammar only says where it stopped and what it wanted there; the usual mistakes are recognised here.
"""

import re
from typing import Final

from openserd.core.params import NAMES
from openserd.errors import ConfigError
from openserd.script.literals import BLOCK_KIND
from openserd.script.problems import did_you_mean
from openserd.script.source import Source

KEYWORDS: Final = (
    "if",
    "else",
    "switch",
    "case",
    "default",
    "break",
    "route",
    "exit",
    "drop",
    "return",
    "and",
    "or",
    "not",
    "loadmodule",
    "modparam",
    "failure_route",
    "onreply_route",
    "branch_route",
    "error_route",
)
CLOSERS: Final = {"';'": ";", "')'": ")", "']'": "]"}
OPENERS: Final = {")": "(", "]": "["}
OPEN_VARIABLE: Final = re.compile(r"\$[\w.]+\s*$")
WORD_END: Final = re.compile(r"([A-Za-z_]\w*)\s*$")
ROUND_ROUTE: Final = re.compile(rf"\s*{BLOCK_KIND}\s*\(")
ITEMS: Final = "a parameter such as debug=3, loadmodule, modparam or a route block"
BRACES: Final = re.compile(r"[{}]")
HEAD: Final = re.compile(rf"{BLOCK_KIND}\b")


def describe(source: Source, at: int, wanted: str) -> ConfigError:
    """The error for a rule that wanted `wanted` and found something else at `at`."""
    found = source.token(at)
    special = misplaced(source, at, found)
    if special is not None:
        return special
    if wanted in CLOSERS:
        return missing(source, at, CLOSERS[wanted], found)
    end = at + max(1, len(found))
    if not found:
        return source.error("the script ends too early", source.end_before(at), expected=wanted)
    return source.error(f"unexpected {found}", at, end, expected=wanted, hint=word_hint(source, at, found, wanted))


def misplaced(source: Source, at: int, found: str) -> ConfigError | None:
    """The error for what is wrong wherever it stands, None where nothing of it is found."""
    end = at + len(found)
    if found == "//":
        return source.error("// does not begin a comment", at, end, expected="# or /* ... */")
    if found == "while":
        return source.error(
            "there is no while",
            at,
            end,
            expected="a statement",
            hint="a route block can call itself with route(n), at most 100 deep",
        )
    if found == "else":
        semicolon = source.code[:at].rstrip().endswith(";")
        return source.error(
            "else without an if",
            at,
            end,
            expected="a statement",
            hint="the ; after } ends the if: take it out" if semicolon else "",
        )
    if found == "=" and not source.code.startswith("=", at + 1):
        return source.error(
            "unexpected =",
            at,
            end,
            expected="a comparison such as == or =~",
            hint="= assigns to a pseudo-variable, == compares",
        )
    if found == "(" and OPEN_VARIABLE.search(source.code, 0, at):
        start = source.code.rindex("$", 0, at)
        return source.error("this pseudo-variable is not closed", start, end, expected=") after its name")
    if found in ("loadmodule", "modparam"):
        return source.error(
            f"{found} inside a route block",
            at,
            end,
            expected="a statement",
            hint=f"{found} stands outside of all blocks",
        )
    return None


def missing(source: Source, at: int, closer: str, found: str) -> ConfigError:
    """The error for a `;`, `)` or `]` that is not there: it is shown where it belongs."""
    before = source.end_before(at)
    shown = f"before {found}" if found else "at the end of the script"
    if closer == ";":
        return source.error(f"missing ; {shown}", before, expected=";", hint="a statement ends with a semicolon")
    opened = opener(source.mask, at, closer)
    expected = closer
    if closer == ")" and starts_value(found) and word_before(source, opened).lower() not in ("", *KEYWORDS):
        expected = ", or )"
    return source.error(
        f"missing {expected} {shown}",
        before,
        expected=expected,
        hint=lower_case(found) or lower_case(word_before(source, opened)) or open_bracket(source, opened, before),
    )


def starts_value(found: str) -> bool:
    """Whether a token can begin an argument."""
    return found[:1] in "\"'$" or found[:1].isalnum()


def word_before(source: Source, at: int) -> str:
    """The word that ends before an offset, "" when none does."""
    match = WORD_END.search(source.code, 0, max(at, 0))
    return match[1] if match else ""


def open_bracket(source: Source, opened: int, before: int) -> str:
    """A hint with the place of a bracket that is open, "" when none is."""
    if opened < 0:
        return ""
    place = f"column {source.column(opened)}"
    if source.line(opened) != source.line(before):
        place += f" of line {source.line(opened)}"
    return f"the {source.code[opened]} in {place} is not closed"


def lower_case(word: str) -> str:
    """A hint for a keyword in upper case, "" for other words."""
    lowered = word.lower()
    return f"keywords are written in lower case: {lowered}" if lowered in KEYWORDS and word != lowered else ""


def opener(mask: str, at: int, closer: str) -> int:
    """Where the bracket stands that is open at `at`, -1 when none is."""
    depth = 0
    for index in range(at - 1, -1, -1):
        if mask[index] == closer:
            depth += 1
        elif mask[index] == OPENERS[closer]:
            if not depth:
                return index
            depth -= 1
    return -1


def word_hint(source: Source, at: int, found: str, wanted: str) -> str:
    """A hint for a word or sign that stands where it cannot."""
    if found == ")" and opener(source.mask, at, ")") < 0:
        return "it closes nothing: is there one ( too few before it?"
    if wanted == "a statement or a block in braces" and found == "}":
        return "an if needs a statement"
    if found == "==" and wanted == "'='":
        return "= assigns, == compares"
    if wanted == "'{'" and ROUND_ROUTE.match(source.code, source.code.rfind("\n", 0, at) + 1):
        return "the number of a route block stands in square brackets: route[1]"
    return lower_case(found)


def missing_brace(source: Source, opened: int) -> ConfigError:
    """The error for a block that is not closed."""
    return source.error("this block is not closed", opened, opened + 1, expected="}", hint=brace_hint(source))


def brace_hint(source: Source) -> str:
    """A hint with the first brace that closes another block than its indentation says, "" when there is none."""
    pair = odd_pair(source)
    if pair is None:
        return ""
    closed, opened = pair
    return (
        f"the }} in line {source.line(closed)} closes the {{ of line {source.line(opened)},"
        " though it is indented otherwise"
    )


def odd_pair(source: Source) -> tuple[int, int] | None:
    """The first closing brace at the head of a line whose indentation differs from its opening one's line."""
    stack: list[int] = []
    for match in BRACES.finditer(source.mask):
        if match[0] == "{":
            stack.append(match.start())
        elif stack:
            opened = stack.pop()
            line_start = source.mask.rfind("\n", 0, match.start()) + 1
            leads = not source.mask[line_start : match.start()].strip()
            if leads and source.indent(match.start()) != source.indent(opened):
                return match.start(), opened
    return None


def outside(source: Source, at: int, last: str) -> ConfigError:
    """The error for something outside of blocks that can only stand inside, or nowhere; `last` is the block before."""
    found = source.token(at)
    end = at + len(found)
    if found == "}":
        return source.error(
            "this } closes nothing", at, end, expected=ITEMS, hint=brace_hint(source) or "there is one } too many"
        )
    if found == "//":
        return misplaced(source, at, found) or source.error(f"unexpected {found}", at, end)
    if HEAD.match(source.code, at):
        return source.error(
            "a route block without its statements", at, end, expected="{ after the heading, such as route[1] {"
        )
    if found in NAMES:
        return source.error(f"missing = after {found}", source.end_before(end), expected="=")
    hint = lower_case(found) or (did_you_mean(found, (*KEYWORDS, *NAMES)) if found not in KEYWORDS else "")
    if last and not hint:
        hint = brace_hint(source) or f"{last} before it has ended"
    return source.error(f"unexpected {found} outside of a block", at, end, expected=ITEMS, hint=hint)

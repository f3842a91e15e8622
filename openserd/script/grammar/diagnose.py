"""What a syntax error looks like to an operator: the mistake's name, its place, what was expected, a hint.

The grammar only says where it stopped and what it wanted there; the usual mistakes are recognised here.
"""

import re
from typing import Final

from openserd.core.params import NAMES
from openserd.errors import ConfigError
from openserd.script.grammar.expressions import COMPARISON
from openserd.script.grammar.literals import BLOCK_KIND, OPERAND
from openserd.script.grammar.mistakes import NAMES_OF_URI, QUOTES, WORDS, operator_hint
from openserd.script.problems import did_you_mean
from openserd.script.text.source import Source

KEYWORDS: Final = (
    "if",
    "else",
    "while",
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
COMPARISONS: Final = ("==", "!=", "=~", "!~", "<", ">", "<=", ">=")
TOO_FEW: Final = "it closes nothing: is there one ( too few before it?"
PLAIN_QUOTES: Final = "strings stand in plain quotation marks: \" or '"
OPERAND_WORD: Final = re.compile(OPERAND)
ARMING: Final = {"failure_route": "t_on_failure", "onreply_route": "t_on_reply", "branch_route": "t_on_branch"}
ITEMS: Final = "a parameter such as debug=3, loadmodule, modparam or a route block"
BRACES: Final = re.compile(r"[{}]")
HEAD: Final = re.compile(rf"{BLOCK_KIND}\b")
HEADING_REST: Final = re.compile(r"[^\n{}]*")
NO_VALUE: Final = re.compile(r"([A-Za-z_]\w*)\s*=\s*$")
TLS_HEAD: Final = re.compile(r"tls_(?:server|client)_domain")


def describe(source: Source, at: int, wanted: str) -> ConfigError:
    """The error for a rule that wanted `wanted` and found something else at `at`."""
    found = source.token(at)
    special = misplaced(source, at, found) or assigning(source, at, found, wanted)
    if special is not None and (found, wanted) != ("else", "';'"):
        return special
    if wanted in CLOSERS:
        return missing(source, at, CLOSERS[wanted], found)
    end = at + max(1, len(found))
    unset = NO_VALUE.search(source.code, 0, at) if wanted == "a value" else None
    if unset and unset[1] in NAMES:
        return source.error(f"{unset[1]} has no value", unset.start(1), unset.end(1), expected=f"{unset[1]}=value")
    if not found:
        return source.error("the script ends too early", source.end_before(at), expected=wanted)
    return source.error(f"unexpected {found}", at, end, expected=wanted, hint=word_hint(source, at, found, wanted))


def misplaced(source: Source, at: int, found: str) -> ConfigError | None:
    """The error for what is wrong wherever it stands, None where nothing of it is found."""
    end = at + len(found)
    if found == "//":
        return source.error("// does not begin a comment", at, end, expected="# or /* ... */")
    if found in ("case", "default"):
        return source.error(f"{found} outside of a switch", at, end, expected="a statement")
    if HEAD.fullmatch(found) and found != "route" and inside(source, at):
        arming = ARMING.get(found)
        hint = f'{arming}("name") says when it runs' if arming else "it runs by itself"
        return source.error(f"{found} cannot be called", at, end, expected="a statement", hint=hint)
    if found == "else":
        semicolon = source.code[:at].rstrip().endswith(";")
        return source.error(
            "else without an if",
            at,
            end,
            expected="a statement",
            hint="the ; after } ends the if: take it out" if semicolon else "",
        )
    if found == "(" and OPEN_VARIABLE.search(source.code, 0, at):
        start = source.code.rindex("$", 0, at)
        return source.error("this pseudo-variable is not closed", start, end, expected=") after its name")
    if found in ("loadmodule", "modparam") and inside(source, at):
        return source.error(
            f"{found} inside a route block",
            at,
            end,
            expected="a statement",
            hint=f"{found} stands outside of all blocks",
        )
    return None


def inside(source: Source, at: int) -> bool:
    """Whether an offset lies within braces."""
    return source.mask.count("{", 0, at) > source.mask.count("}", 0, at)


def assigning(source: Source, at: int, found: str, wanted: str) -> ConfigError | None:
    """The error for a `=` where something is compared or called, None for other things."""
    if found != "=" or source.code.startswith("=", at + 1) or wanted not in (COMPARISON, "';'", "')'"):
        return None
    if source.code[at - 1] in "=!<>":
        return source.error("unexpected =", at, at + 1, expected=COMPARISON, hint=operator_hint(source.code, at))
    word = word_before(source, at)
    start = source.end_before(at) - len(word)
    statement = source.code[:start].rstrip()[-1:] in "{};)"
    if statement and word in NAMES:
        return source.error(f"{word} inside a route block", start, at, hint=f"{word} stands outside of all blocks")
    if statement and word:
        hint = NAMES_OF_URI.get(word, "")
        return source.error(f"{word} cannot be assigned to", start, at, expected="a pseudo-variable", hint=hint)
    hint = "= assigns to a pseudo-variable, == compares"
    return source.error("unexpected =", at, at + 1, expected=COMPARISON, hint=hint)


def missing(source: Source, at: int, closer: str, found: str) -> ConfigError:
    """The error for a `;`, `)` or `]` that is not there: it is shown where it belongs."""
    before = source.end_before(at)
    shown = f"before {found}" if found else "at the end of the script"
    if closer == ";":
        if word_before(source, before) in ("include_file", "import_file"):
            return source.error(f"{word_before(source, before)} stands on a line of its own", before)
        return source.error(f"missing ; {shown}", before, expected=";", hint=semicolon_hint(source, before, found))
    opened = opener(source.mask, at, closer)
    expected = closer
    if closer == ")" and starts_value(found) and word_before(source, opened).lower() not in ("", *KEYWORDS):
        expected = ", or )"
    return source.error(
        f"missing {expected} {shown}",
        before,
        expected=expected,
        hint=closing_hint(source, at, opened, found) or open_bracket(source, opened, before),
    )


def closing_hint(source: Source, at: int, opened: int, found: str) -> str:
    """A hint for what stands in place of a closing bracket, "" for nothing in particular."""
    word = word_before(source, opened)
    if found[:1] and found in QUOTES:
        return PLAIN_QUOTES
    if word.lower() in ("if", "while", "", "and", "or", "not") and found != ",":
        if found in COMPARISONS and not lower_case(word):
            return "the operand stands on the left of a comparison: src_port==5060"
        return lower_case(word) or lower_case(found) or operator_hint(source.code, at)
    if word in ("if", "while"):
        return operator_hint(source.code, at)
    return WORDS.get(word, "") or lower_case(found) or lower_case(word)


def semicolon_hint(source: Source, before: int, found: str) -> str:
    """A hint for a statement that goes on where it should end."""
    word = word_before(source, before)
    if word in WORDS:
        return WORDS[word]
    if word in ("return", "route") and found not in ("", "}") and found not in KEYWORDS:
        return f"the {'number' if word == 'return' else 'name'} stands in parentheses: {word}(1)"
    if found == ")" and opener(source.mask, before, ")") < 0:
        return TOO_FEW
    if word and not OPERAND_WORD.fullmatch(word) and found[:1] in tuple("\"'$[{0123456789"):
        return f"arguments stand in parentheses: {word}(...)"
    return "a statement ends with a semicolon"


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
    line = source.where(opened, before)
    if line != source.where(before, before):
        place += f" of {line}"
    return f"the {source.code[opened]} in {place} is not closed"


def lower_case(word: str) -> str:
    """A hint for a keyword in upper case, "" for other words."""
    lowered = word.lower()
    return f"keywords are written in lower case: {lowered}" if lowered in KEYWORDS and word != lowered else ""


def opener(mask: str, at: int, closer: str) -> int:
    """Where the bracket stands that is open at `at` in the same statement, -1 when none is."""
    depth = 0
    for index in range(at - 1, -1, -1):
        if mask[index] in ";{}":
            return -1
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
        return TOO_FEW
    if found[:1] and found in QUOTES:
        return PLAIN_QUOTES
    if wanted == "a condition" and found[:1] in tuple("\"'0123456789"):
        if source.code[:at].rstrip()[-1:] in "&|":
            return 'on both sides of && and || stand whole conditions: method=="INVITE" || method=="ACK"'
        return 'the operand stands on the left of a comparison: method=="INVITE"'
    if wanted == "a value" and found == "(":
        return 'one value is compared: method=="INVITE" || method=="ACK", or method=~"^(INVITE|ACK)$"'
    if wanted == COMPARISON or (wanted == "a value" and found in ("=", ">", "<")):
        return operator_hint(source.code, at)
    if wanted == "'='" and found in ("+", "-"):
        return "write $var(x) = $var(x) + 1"
    if wanted == "a statement or a block in braces" and found == "}":
        return "if, else and while need a statement"
    if found == "{" and wanted == "a statement":
        return "a block stands only after if, else and while: is there one { too many?"
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
        f"the }} in {source.where(closed, closed)} closes the {{ of {source.where(opened, closed)},"
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
        return heading(source, at, found)
    if TLS_HEAD.fullmatch(found):
        return source.error("a TLS domain without its address", at, end, expected=f"{found}[10.0.0.1:5061] {{")
    if found in NAMES:
        return source.error(f"missing = after {found}", source.end_before(end), expected="=")
    hint = (
        WORDS.get(found, "")
        or lower_case(found)
        or (did_you_mean(found, (*KEYWORDS, *NAMES)) if found not in KEYWORDS else "")
    )
    if last and not hint:
        hint = brace_hint(source) or f"{last} before it has ended"
    return source.error(f"unexpected {found} outside of a block", at, end, expected=ITEMS, hint=hint)


def heading(source: Source, at: int, kind: str) -> ConfigError:
    """The error for a route block whose heading cannot be read."""
    rest = HEADING_REST.match(source.code, at + len(kind))
    written = rest[0] if rest else ""
    end = at + len(kind) + len(written.rstrip())
    if not written.strip():
        return source.error(
            "a route block without its statements", at, end, expected="{ after the heading, such as route[1] {"
        )
    hint = ""
    if "[" not in written:
        hint = "the number or name stands in square brackets"
    elif "]" not in written:
        hint = "the [ is not closed"
    elif '"' in written or "'" in written:
        hint = "the name stands without quotation marks"
    return source.error("this is no heading of a route block", at, end, expected=f"{kind}[1] {{", hint=hint)

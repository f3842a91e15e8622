"""Words and signs of other languages and of older scripts, and what stands for them here."""

import re
from typing import Final

#: Words that are read as functions.
WORDS: Final = {
    "then": "the statement follows its condition without a word: if (...) { ... }",
    "elseif": "write else if",
    "elsif": "write else if",
    "elif": "write else if",
    "unless": "write if (!...)",
    "until": "write while (!...)",
    "for": "there is no for: while (condition) { ... } repeats",
    "foreach": "there is no foreach: while (condition) { ... } repeats",
    "do": "there is no do: while (condition) { ... } repeats",
    "continue": "there is no continue: if (...) { ... } around what is left out",
    "goto": "there is no goto: route(name) runs another block",
    "call": "write route(name)",
    "var": "write $var(name) = ...",
    "let": "write $var(name) = ...",
    "set": "write $var(name) = ...",
    "echo": 'write log("...")',
    "print": 'write log("...")',
    "printf": 'write log("...")',
    "xdbg": 'write xlog("L_DBG", "...")',
    "reply_route": "the block for replies is onreply_route",
    "request_route": "the block for requests is route",
    "event_route": "there is no event_route",
    "onsend_route": "there is no onsend_route: branch_route is the nearest",
    "acc_rad_request": "accounting to RADIUS is not in this version: acc_log_request and acc_db_request are",
    "acc_diam_request": "accounting to DIAMETER is not in this version: acc_log_request and acc_db_request are",
}
#: Signs between two values.
OPERATORS: Final = {
    "<>": "write !=",
    "===": "write ==",
    "!==": "write !=",
    "=<": "write <=",
    "eq": "write ==",
    "ne": "write !=",
    "lt": "write <",
    "gt": "write >",
    "in": "write =~ with an expression such as ^(one|two)$",
    "like": "write =~",
    "matches": "write =~",
    "is": "write ==",
    "&": "conditions are joined by && or and",
    "|": "conditions are joined by || or or",
    ",": "conditions are joined by && or ||",
}
OPERATOR: Final = re.compile(r"[<>=!]{2,3}|[&|,]|[a-z]+")
QUOTES: Final = "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb`"
NAMES_OF_URI: Final = {"uri": "$ru = ... changes the request URI", "status": "$ru = ... changes the request URI"}


def operator_hint(code: str, at: int) -> str:
    """A hint for what stands at `at` in place of an operator; it may have begun a sign earlier."""
    start = at
    while start > 0 and code[start - 1] in "<>=!" and code[at] in "<>=!":
        start -= 1
    match = OPERATOR.match(code, start)
    return OPERATORS.get(match[0], "") if match else ""

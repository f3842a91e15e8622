"""The grammar of `openser.cfg` as a whole, from text to tree.

A statement or item that cannot be read is noted and left out, and reading goes on after it (`Statements`, `Items`,
`Guarded` in recovery.py): one run tells all errors.  In the rules `-` after a token means that from here on nothing
else could be meant, so that the error is the one of this rule.
"""

import re
from functools import lru_cache
from typing import Final

from openserd.errors import ConfigError
from openserd.script.grammar.calls import call_grammar
from openserd.script.grammar.conditions import condition_grammar
from openserd.script.grammar.expressions import expression_grammar
from openserd.script.grammar.items import item_grammar
from openserd.script.grammar.recovery import Failures, Items
from openserd.script.grammar.statements import block_grammar
from openserd.script.grammar.tokens import value_grammar
from openserd.script.text.source import Source
from openserd.script.text.surroundings import NOWHERE, Surroundings
from openserd.script.tree import Broken, Item

MAX_NESTING: Final = 100
NESTING: Final = re.compile(r"[(){}\[\]]")


class Grammar:
    """The whole grammar; `read` may be called for one script after another."""

    def __init__(self) -> None:
        self.failures = Failures()
        variable, value = value_grammar()
        call = call_grammar(value)
        expression, assignment = expression_grammar(variable, value, call)
        condition = condition_grammar(variable, value, expression, assignment, call)
        block = block_grammar(self.failures, variable, assignment, condition, call)
        self.items = Items(item_grammar(block), self.failures)
        self.items.parse_with_tabs()
        self.items.streamline()

    def read(self, source: Source) -> tuple[list[Item], list[ConfigError]]:
        """The items of a script and all that could not be read."""
        self.failures.begin(source)
        items = list(self.items.parse_string(source.code))
        return [item for item in items if not isinstance(item, Broken)], source.problems + self.failures.errors


@lru_cache(maxsize=1)
def grammar() -> Grammar:
    """The grammar, made once."""
    return Grammar()


def deepest(source: Source) -> ConfigError | None:
    """The error for brackets and braces that are nested too deeply, None where none are."""
    depth = 0
    for match in NESTING.finditer(source.mask):
        depth += 1 if match[0] in "([{" else -1
        if depth > MAX_NESTING:
            return source.error("nested too deeply", match.start(), expected=f"at most {MAX_NESTING} levels")
    return None


def read(text: str, file: str, around: Surroundings = NOWHERE) -> tuple[Source, list[Item], list[ConfigError]]:
    """A script as a tree, with every syntax error.

    Where something is wrong and a string runs over a line end and stands oddly, the script is read again with strings
    that end on their line: a missing quote is then found where it is missing.
    """
    source = Source(text, file, around=around)
    too_deep = deepest(source)
    if too_deep is not None:
        return source, [], [too_deep]
    items, errors = grammar().read(source)
    if errors and (source.odd_strings or source.bad_lines):
        strict = Source(text, file, in_line=True, around=around)
        again = grammar().read(strict)
        if strict.bad_lines:
            return strict, *again
    return source, items, errors

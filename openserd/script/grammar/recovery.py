"""Reading goes on after an error: the three places of the grammar that survive a failure inside them.

`Statements` reads a block to its closing brace and leaves out statements that are broken, `Guarded` does so with the
condition of an `if`, `Items` with what stands outside of blocks.  All hand failures to one `Failures`, which turns them
into errors and drops those that only follow from another.
"""

import re
from typing import Any, Final

from pyparsing import ParseBaseException, ParseElementEnhance, ParseException, ParserElement

from openserd.errors import ConfigError
from openserd.script.grammar.diagnose import describe, missing_brace, outside
from openserd.script.grammar.literals import BLOCK_HEAD, BLOCK_KIND
from openserd.script.text.source import Source
from openserd.script.tree import Broken

SPACE: Final = re.compile(r"\s*")
STOP: Final = re.compile(r"[;{}]")
NEXT_ITEM: Final = re.compile(
    rf"^[ \t]*(?:{BLOCK_KIND}\s*[\[{{]|\w+_route\b|loadmodule\b|modparam\b|tls_\w+_domain\b"
    r"|[A-Za-z_]\w*\s*=(?!=)[^;]*$)",
    re.MULTILINE,
)
HEADED: Final = re.compile(r"[^;{}\n]*\{")  #: something and the brace that opens its block
WORD: Final = re.compile(r"[a-z_]+")


class Failures:
    """What went wrong in the script that is being read."""

    def __init__(self) -> None:
        self.begin(Source("", ""))

    def begin(self, source: Source) -> None:
        """Starts with a new script."""
        self.source = source
        self.errors: list[ConfigError] = []
        self.unclosed_at = -1

    def note(self, failure: ParseBaseException, begin: int) -> None:
        """Keeps what a failed rule says about what begins at `begin`."""
        self.add(describe(self.source, failure.loc, failure.msg.removeprefix("Expected ")), failure.loc, begin)

    def add(self, error: ConfigError, at: int, begin: int | None = None) -> None:
        """Keeps an error, unless it only follows from another on its line, from a missing quote or an open block."""
        source = self.source
        offsets = (at,) if begin is None else (at, begin)
        lines = ((error.file, error.line), *((source.file_of(one), source.line(one)) for one in offsets))
        known = any((one.file, one.line) == lines[0] for one in self.errors)
        if not known and at != self.unclosed_at and not self.source.bad_lines.intersection(lines):
            self.errors.append(error)

    def unclosed(self, opened: int, at: int) -> None:
        """A block without its closing brace; the blocks around it are not complained about again."""
        if at != self.unclosed_at:
            self.add(missing_brace(self.source, opened), at)
            self.unclosed_at = at

    def after_broken(self, begin: int, at: int) -> int:
        """Where the next statement begins after one from `begin` that is broken at `at`: after the next `;`, at the
        next `}`, or after the braces that it opened."""
        mask = self.source.mask
        depth = mask.count("{", begin, at) - mask.count("}", begin, at)
        stop = STOP.search(mask, at)
        if depth > 0:
            return self.after_block(at, depth)
        if stop is None:
            return len(mask)
        if stop[0] == "{":
            return self.after_block(stop.end(), 1)
        return spaced(mask, stop.end()) if stop[0] == ";" else stop.start()

    def after_block(self, at: int, depth: int) -> int:
        """Where reading goes on after a block whose heading was broken: behind it, or at the next route block."""
        mask = self.source.mask
        while depth and (stop := STOP.search(mask, at)):
            line_start = mask.rfind("\n", 0, stop.start()) + 1
            if BLOCK_HEAD.match(mask, line_start) and line_start >= at:
                return line_start
            depth += {"{": 1, "}": -1, ";": 0}[stop[0]]
            at = stop.end()
        return spaced(mask, at) if not depth else len(mask)


def spaced(text: str, at: int) -> int:
    """The offset after white space."""
    match = SPACE.match(text, at)
    return match.end() if match else at


class Statements(ParseElementEnhance):
    """Statements up to one of `ends`; a `}` among them belongs to the opening brace that is read here too.

    The result is one tuple of the statements that could be read.
    """

    def __init__(self, statement: ParserElement, failures: Failures, ends: tuple[str, ...]) -> None:
        super().__init__(statement)
        self.failures = failures
        self.ends = ends
        self.braces = ends == ("}",)
        self.leave_whitespace(recursive=False)
        self.set_name("'{'" if self.braces else "statements")

    def parseImpl(self, instring: str, loc: int, do_actions: bool = True) -> Any:
        opened = loc
        if self.braces:
            if not instring.startswith("{", loc):
                self.fail(instring, loc)
            loc = spaced(instring, loc + 1)
        found: list[object] = []
        while not self.at_end(instring, loc):
            if loc >= len(instring) or BLOCK_HEAD.match(instring, loc):
                if self.braces:
                    self.failures.unclosed(opened, loc)
                return loc, [tuple(found)]
            loc = self.one(instring, loc, found)
        return (spaced(instring, loc + 1) if self.braces else loc), [tuple(found)]

    def fail(self, instring: str, loc: int) -> None:
        """There is no block here."""
        from_rule = self.errmsg or "Expected '{'"
        raise ParseException(instring, loc, from_rule, self)

    def at_end(self, instring: str, loc: int) -> bool:
        """Whether the statements end here."""
        if instring.startswith("}", loc):
            return True
        if self.braces:
            return False
        word = WORD.match(instring, loc)
        return word is not None and word[0] in self.ends

    def one(self, instring: str, loc: int, found: list[object]) -> int:
        """Reads one statement into `found`; where the next begins."""
        if instring.startswith(";", loc):
            return spaced(instring, loc + 1)
        try:
            loc, tokens = self.expr._parse(instring, loc)
        except ParseBaseException as failure:
            self.failures.note(failure, loc)
            found.append(Broken(loc, failure.loc))
            return max(self.failures.after_broken(loc, failure.loc), loc + (failure.loc <= loc))
        found.extend(tokens)
        return loc


class Guarded(ParseElementEnhance):
    """A condition; a broken one is left out up to the brace or statement after it."""

    def __init__(self, condition: ParserElement, failures: Failures) -> None:
        super().__init__(condition)
        self.failures = failures
        self.leave_whitespace(recursive=False)

    def parseImpl(self, instring: str, loc: int, do_actions: bool = True) -> Any:
        try:
            return self.expr._parse(instring, loc)
        except ParseBaseException as failure:
            self.failures.note(failure, loc)
            stop = STOP.search(self.failures.source.mask, failure.loc)
            end = stop.start() if stop and stop[0] != "}" else failure.loc
            return end, [Broken(loc, end)]


class Items(ParseElementEnhance):
    """The whole file: items one after another, with or without semicolons."""

    def __init__(self, item: ParserElement, failures: Failures) -> None:
        super().__init__(item)
        self.failures = failures
        self.leave_whitespace(recursive=False)

    def parseImpl(self, instring: str, loc: int, do_actions: bool = True) -> Any:
        found: list[object] = []
        last = ""
        loc = spaced(instring, loc)
        while loc < len(instring):
            if instring.startswith(";", loc):
                loc = spaced(instring, loc + 1)
                continue
            try:
                loc, tokens = self.expr._parse(instring, loc)
                found.extend(tokens)
                last = getattr(tokens[-1], "title", "")
            except ParseBaseException as failure:
                loc = self.skip(failure, loc, last)
        return loc, found

    def skip(self, failure: ParseBaseException, loc: int, last: str) -> int:
        """Notes a broken item and finds the next."""
        source = self.failures.source
        if failure.loc <= loc or failure.msg == "Expected '='":
            self.failures.add(outside(source, loc, last), loc)
        else:
            self.failures.note(failure, loc)
        at = max(failure.loc, loc + 1)
        block = HEADED.match(source.mask, loc)
        if block and block.end() > failure.loc and source.token(loc) != "}":
            return self.failures.after_block(block.end(), 1)
        next_item = NEXT_ITEM.search(source.mask, at)
        return len(source.mask) if next_item is None else spaced(source.mask, next_item.start())

"""The files of rules, as hosts.allow and hosts.deny of old: who may reach what.

    # callers [EXCEPT callers] : destinations [EXCEPT destinations]
    ALL : "^sip:361[0-9]*@abc\\.com$" EXCEPT "^sip:361[0-9]*3@abc\\.com$", "^sip:361[0-9]*4@abc\\.com$"
    "^sip:3677[0-9]*@abc\\.com$" : ALL

A side is ALL or a list of POSIX extended regular expressions, which ignore case; one that holds a blank, a comma, a
colon or a hash stands in double quotes.  A rule matches where both sides do and none of the exceptions does.
"""

import logging
import re
from collections.abc import Iterator
from typing import Final, NamedTuple, NoReturn

import regex

from openserd.core.arguments import REGEX_SECONDS, posix_regex
from openserd.errors import ConfigError, SipError

log = logging.getLogger("openserd")

Pattern = regex.Pattern[bytes]

RULE: Final = 'callers [EXCEPT callers] : destinations [EXCEPT destinations], such as ALL : "^sip:900"'
IN_QUOTES: Final = "an expression with a blank, a comma, a colon or a hash stands in double quotes"
TOKEN: Final = re.compile(r'[ \t]*(?:(?P<comment>#.*)|"(?P<quoted>[^"]*)"|(?P<mark>[:,])|(?P<word>[^\s",:#]+))')


class Side(NamedTuple):
    """One side of a rule; `patterns` None is ALL."""

    patterns: tuple[Pattern, ...] | None
    exceptions: tuple[Pattern, ...]

    def matches(self, uri: bytes) -> bool:
        """Whether the side is that of a URI. Raises SipError where that takes too long to tell."""
        if self.patterns is not None and not found_in(self.patterns, uri):
            return False
        return not found_in(self.exceptions, uri)


class Rule(NamedTuple):
    """One line."""

    callers: Side
    destinations: Side

    def matches(self, caller: bytes, destination: bytes) -> bool:
        """Whether it is about this caller and this destination."""
        return self.callers.matches(caller) and self.destinations.matches(destination)


class Rules(NamedTuple):
    """An allow file and a deny file."""

    allow: tuple[Rule, ...]
    deny: tuple[Rule, ...]

    @property
    def are_none(self) -> bool:
        """Whether nothing is decided here."""
        return not self.allow and not self.deny

    def allows(self, caller: bytes, destination: bytes) -> bool:
        """What the first file that has a rule for it says; True where none has. Raises SipError."""
        if any(rule.matches(caller, destination) for rule in self.allow):
            return True
        return not any(rule.matches(caller, destination) for rule in self.deny)


def found_in(patterns: tuple[Pattern, ...], uri: bytes) -> bool:
    """Whether one of the expressions is found in a URI. Raises SipError where that takes too long."""
    for pattern in patterns:
        try:
            if pattern.search(uri, timeout=REGEX_SECONDS) is not None:
                return True
        except TimeoutError:
            log.warning(
                "permissions: %r took longer than %s s, and the request is denied", pattern.pattern, REGEX_SECONDS
            )
            raise SipError("An expression took too long") from None
    return False


# -- reading ------------------------------------------------------------------------------------------------


class Token(NamedTuple):
    """A piece of a line: `mark` is ":", ",", "EXCEPT", "ALL" or "" for an expression; `start` and `end` are offsets."""

    mark: str
    text: str
    start: int
    end: int


class Line:
    """One line that is being read."""

    def __init__(self, text: str, file: str, number: int) -> None:
        self.text = text
        self.file = file
        self.number = number
        self.tokens = list(self.split())

    def fail(self, message: str, start: int, end: int, expected: str = RULE, hint: str = "") -> NoReturn:
        """Raises ConfigError for the text start..end."""
        raise ConfigError(
            message,
            file=self.file,
            line=self.number,
            column=start + 1,
            width=max(1, end - start),
            source=self.text,
            expected=expected,
            hint=hint,
        )

    def split(self) -> Iterator[Token]:
        """The pieces of the line, without its comment. Raises ConfigError."""
        text, at = self.text.rstrip(), 0
        while at < len(text):
            match = TOKEN.match(text, at)
            if match is None:
                self.fail("this expression has no end", at, len(text), expected='"')
            at = match.end()
            kind = match.lastgroup or ""
            start = match.start(kind) - (kind == "quoted")
            if kind == "comment":
                return
            yield self.token(kind, match[kind], start, at)

    def token(self, kind: str, text: str, start: int, end: int) -> Token:
        """A piece of the line. Raises ConfigError."""
        if kind == "mark" or (kind == "word" and text in ("ALL", "EXCEPT")):
            return Token(text, text, start, end)
        if kind == "word" and text.upper() in ("ALL", "EXCEPT"):
            self.fail(f"{text} is no word here", start, end, expected=f'{text.upper()}, or "{text}" for the expression')
        if not text:
            self.fail("this expression is empty", start, end)
        return Token("", text, start, end)

    def rule(self) -> Rule:
        """The rule. Raises ConfigError."""
        colons = [index for index, token in enumerate(self.tokens) if token.mark == ":"]
        if not colons:
            self.fail("this rule has no colon", 0, len(self.text))
        if len(colons) > 1:
            second = self.tokens[colons[1]]
            self.fail("this rule has a second colon", second.start, second.end, hint=IN_QUOTES)
        return Rule(self.side(self.tokens[: colons[0]]), self.side(self.tokens[colons[0] + 1 :]))

    def side(self, tokens: list[Token]) -> Side:
        """One side of the rule. Raises ConfigError."""
        excepts = [index for index, token in enumerate(tokens) if token.mark == "EXCEPT"]
        if len(excepts) > 1:
            second = tokens[excepts[1]]
            self.fail("a second EXCEPT", second.start, second.end, expected="one EXCEPT on each side of the colon")
        if excepts:
            before, after = tokens[: excepts[0]], tokens[excepts[0] + 1 :]
        else:
            before, after = tokens, []
        is_all = [token.mark for token in before] == ["ALL"]
        return Side(
            None if is_all else self.expressions(before), self.expressions(after) if excepts else ()
        )  # fmt: skip

    def expressions(self, tokens: list[Token]) -> tuple[Pattern, ...]:
        """The expressions of a list. Raises ConfigError."""
        if not tokens:
            self.fail("an expression is missing", 0, len(self.text))
        for index, token in enumerate(tokens):
            if (token.mark == ",") != (index % 2 == 1) or token.mark == "ALL":
                expected = "a comma, a colon or EXCEPT" if index % 2 else "an expression"
                self.fail(f"{token.text} cannot stand here", token.start, token.end, expected, IN_QUOTES)
        if tokens[-1].mark:
            self.fail("an expression is missing", tokens[-1].start, tokens[-1].end, "an expression behind the comma")
        return tuple(map(self.compiled, tokens[::2]))

    def compiled(self, token: Token) -> Pattern:
        """An expression, compiled. Raises ConfigError."""
        try:
            return posix_regex(token.text)
        except ConfigError as error:
            self.fail(error.message, token.start, token.end, expected="a POSIX extended regular expression")


def parse_rules(text: str, file: str) -> tuple[Rule, ...]:
    """The rules in the text of a file. Raises ConfigError at the first line that is none."""
    lines = [Line(line, file, number) for number, line in enumerate(text.splitlines(), 1)]
    return tuple(line.rule() for line in lines if line.tokens)


# -- what rules are asked about -----------------------------------------------------------------------------

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")


def without_escapes(uri: bytes) -> bytes:
    """A URI whose escaped letters, digits and marks are written plainly: nobody gets past a rule with %39 for 9.

    The URI is the same (RFC 3261 section 19.1.4); escapes of other characters stay, as those could end its user part.
    """
    if b"%" not in uri:
        return uri

    def plain(match: re.Match[bytes]) -> bytes:
        byte = int(match[1], 16)
        return bytes((byte,)) if byte in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(plain, uri)

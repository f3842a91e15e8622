"""How a pseudo-variable is written, and where it ends in a longer text.

    $ru   $err.class   $avp(s:x)   $hdr(Via[1])   $avp(s:x)[1]   $$
    $(ru)   $(avp(s:x)[-1])   $(hdr(Contact){s.select,1,<}{uri.user})

In plain text a name may be followed by anything: `$ru.` ends a sentence, `$rm_$ci` joins two,
`sip:$rU.example.com` goes on with a domain.  So the reader of formatted text asks which names exist and takes
the longest that does.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

import regex

from openserd.errors import ConfigError
from openserd.script.variables.variable import Index

_NAME: Final = r"[A-Za-z][A-Za-z0-9_]*+(?:\.[A-Za-z][A-Za-z0-9_]*+)*+"
_INDEX: Final = r"\[\s*+(?:-?[0-9]++|\*)\s*+\]"
_GRAMMAR: Final = rf"""(?(DEFINE)
    (?<paren> \( (?: [^()] | (?&paren) )*+ \) )
    (?<brace> \{{ (?: [^{{}}$] | (?&variable) | \$ | (?<=,)[{{}}](?=\}}) )*+ \}} )
    (?<closed> \$\( \s*+ {_NAME} \s*+ (?&paren)?+ \s*+ (?:{_INDEX})?+ \s*+ (?: (?&brace) \s*+ )*+ \) )
    (?<open> \$ {_NAME} (?: (?&paren) (?:{_INDEX})?+ )?+ )
    (?<variable> \$\$ | (?&closed) | (?&open) )
)"""

#: One whole variable in script text; nested parentheses, brackets and braces included.
VARIABLE_PATTERN: Final = regex.compile(_GRAMMAR + "(?&variable)", regex.VERBOSE)
_CLOSED: Final = regex.compile(
    _GRAMMAR + rf"\$\( \s*+ (?P<name>{_NAME}) \s*+ (?P<inner>(?&paren))?+ \s*+ (?P<index>{_INDEX})?+ \s*+"
    r" (?: (?P<steps>(?&brace)) \s*+ )*+ \)",
    regex.VERBOSE,
)
_NAME_ONLY: Final = re.compile(r"\$(" + _NAME + ")")
_INNER: Final = regex.compile(_GRAMMAR + rf"(?P<inner>(?&paren)) (?P<index>{_INDEX})?+", regex.VERBOSE)
_INDEXED: Final = re.compile(rf"(.*?)\s*({_INDEX})\s*", re.DOTALL)
_CUTS: Final = re.compile(r"[._0-9]")


class Spelling(NamedTuple):
    """A variable as written: its name without `$`, what stands in parentheses, brackets and braces, where it
    ends."""

    name: str
    inner: str | None
    nth: Index
    steps: tuple[str, ...]
    end: int


def match_variable(text: str, pos: int) -> int:
    """Where the variable that begins at `pos` of script text ends. Raises ConfigError where none begins."""
    match = VARIABLE_PATTERN.match(text, pos)
    if match is None:
        raise malformed(text, pos)
    return int(match.end())


def malformed(text: str, pos: int) -> ConfigError:
    """The error for a `$` at `pos` that begins no variable."""
    shown = text[pos : pos + 20]
    if text.startswith("$(", pos):
        return ConfigError(
            f"malformed pseudo-variable '{shown}'",
            expected="$(name), $(name(inner)[index]) or $(name{transformation,argument})",
            hint="are all parentheses, brackets and braces closed?",
        )
    return ConfigError(
        f"no pseudo-variable at '{shown}'", expected="a name after $", hint="a dollar sign itself is written $$"
    )


def spelling_at(text: str, pos: int, is_known: Callable[[str], bool], takes_inner: Callable[[str], bool]) -> Spelling:
    """The variable at `pos`, its name cut to the longest that exists. Raises ConfigError where none
    begins."""
    if text.startswith("$(", pos):
        match = _CLOSED.match(text, pos)
        if match is None:
            raise malformed(text, pos)
        return spelling(match["name"], match["inner"], match["index"], match.captures("steps"), match.end())
    named = _NAME_ONLY.match(text, pos)
    if named is None:
        raise malformed(text, pos)
    name = longest_known(named[1], is_known)
    end = pos + 1 + len(name)
    inner = _INNER.match(text, end) if takes_inner(name) else None
    if inner is None:
        return Spelling(name, None, None, (), end)
    return spelling(name, inner["inner"], inner["index"], [], inner.end())


def longest_known(name: str, is_known: Callable[[str], bool]) -> str:
    """`name`, or as much of it before a dot, underscore or digit as names a variable."""
    if is_known(name):
        return name
    for cut in reversed([match.start() for match in _CUTS.finditer(name)]):
        if is_known(name[:cut]):
            return name[:cut]
    return name


def spelling(name: str, inner: str | None, index: str | None, steps: list[str], end: int) -> Spelling:
    """A Spelling of its parts as matched: delimiters are taken off, an index inside parentheses is found."""
    inside = None if inner is None else inner[1:-1].strip()
    if index is None and inside is not None and (match := _INDEXED.fullmatch(inside)):
        inside, index = match[1], match[2]
    return Spelling(name, inside, read_index(index), tuple(step[1:-1] for step in steps), end)


def read_index(text: str | None) -> Index:
    """`[3]`, `[-1]` or `[*]` as a value."""
    if text is None:
        return None
    inner = text[1:-1].strip()
    return inner if inner == "*" else int(inner)

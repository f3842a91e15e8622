"""What names and patterns stand for: `#!define`, `#!subst` and their kin, as values."""

import re
from collections.abc import Mapping
from typing import Final

import regex

from openserd.errors import ConfigError

NAME: Final = re.compile(r"[A-Za-z_]\w*")
STRING: Final = r'"(?:[^"\\]|\\[\s\S])*+"|\'[^\']*\''
PIECE: Final = re.compile(rf"(?P<string>{STRING})|(?P<name>(?<![\w$.])[A-Za-z_]\w*)")
PATTERN_FORM: Final = '"/pattern/text/" or "/pattern/text/g", with any sign in place of /'
GROUP: Final = re.compile(r"\\(\d)")


class Substitution:
    """One `#!subst`: a pattern that is replaced inside strings."""

    def __init__(self, written: str) -> None:
        """Reads `/pattern/text/flags`. Raises ConfigError."""
        parts = written[1:].split(written[:1]) if written else []
        if len(parts) != 3 or not parts[0] or set(parts[2]) - set("gi"):
            raise ConfigError("this is no substitution", expected=PATTERN_FORM)
        self.pattern_text, self.text, flags = parts
        self.everywhere = "g" in flags
        try:
            self.pattern = regex.compile(
                self.pattern_text, regex.POSIX | (regex.IGNORECASE if "i" in flags else regex.POSIX)
            )
        except regex.error as error:
            raise ConfigError(f"bad regular expression: {error}", expected=PATTERN_FORM) from None
        if any(int(number) > self.pattern.groups for number in GROUP.findall(self.text)):
            raise ConfigError("the pattern has fewer groups than the text names", expected=PATTERN_FORM)

    def __call__(self, text: str) -> str:
        """`text` with the pattern replaced."""
        return self.pattern.sub(self.expanded, text, count=0 if self.everywhere else 1)

    def expanded(self, match: "regex.Match[str]") -> str:
        """What stands in place of one match."""
        return GROUP.sub(lambda group: match[int(group[1])] or "", self.text)


class Definitions:
    """The names that are defined and the substitutions, at one point of a script."""

    def __init__(self, fixed: Mapping[str, str]) -> None:
        self.fixed: Final = fixed  #: from the command line: they win over the script's
        self.names: dict[str, str] = dict(fixed)
        self.substitutions: list[Substitution] = []
        self.pattern = self.compiled()

    def compiled(self) -> "re.Pattern[str] | None":
        """A pattern for all names, None where there are none."""
        if not self.names:
            return None
        return re.compile(rf"(?<![\w$.])(?:{'|'.join(sorted(self.names, key=len, reverse=True))})(?!\w)")

    def define(self, name: str, text: str, *, again: bool = False, first_only: bool = False) -> None:
        """Gives a name its text. Raises ConfigError where it has another already.

        `again` replaces it, `first_only` leaves it as it is.
        """
        known = self.names.get(name)
        if name in self.fixed or (first_only and known is not None):
            return
        if known not in (None, text) and not again:
            raise ConfigError(
                f"{name} is defined already", hint=f"#!redefine {name} replaces it, #!trydefine {name} keeps the first"
            )
        self.names[name] = text
        self.pattern = self.compiled()

    def undefine(self, name: str) -> None:
        """Forgets a name."""
        if name not in self.fixed and self.names.pop(name, None) is not None:
            self.pattern = self.compiled()

    def text_of(self, name: str, within: tuple[str, ...] = ()) -> str:
        """What a name stands for, the names inside of it replaced as well; a name within itself stays."""
        inside = (*within, name)

        def replaced(match: "re.Match[str]") -> str:
            word = match["name"]
            if word is None:
                return self.in_string(match[0])
            return self.text_of(word, inside) if word in self.names and word not in inside else match[0]

        return PIECE.sub(replaced, self.names[name])

    def in_string(self, written: str) -> str:
        """A string with its quotes, after all substitutions."""
        inner = written[1:-1]
        for substitution in self.substitutions:
            inner = substitution(inner)
        return f"{written[0]}{inner}{written[-1]}"

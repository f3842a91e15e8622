"""Which contacts of a redirection are followed: expressions that accept and that deny.

    accept filters   any matches: accepted
    deny filters     any matches: denied, unless what is left is denied anyway
    otherwise        accepted or denied, as default_filter says

The first filter of a kind is that of the module's parameter, the others are the script's for one message.
"""

from typing import TYPE_CHECKING, Final

from openserd.core.line_regex import line_regex, matches

if TYPE_CHECKING:
    import regex

    Pattern = regex.Pattern[bytes]

MAX_FILTERS: Final = 6  #: of one kind, that of the parameter counted
RESET_ADDED: Final = 1
RESET_DEFAULT: Final = 2
RESETS: Final = {
    "": 0,
    "reset_all": RESET_ADDED | RESET_DEFAULT,
    "reset_default": RESET_DEFAULT,
    "reset_added": RESET_ADDED,
}


def compile_filter(text: str) -> "Pattern | None":
    """An expression, None, which matches nothing, for no text. Raises ConfigError."""
    return line_regex(text) if text else None


class Filters:
    """The filters of one kind."""

    __slots__ = ("added", "default")

    def __init__(self, default: "Pattern | None") -> None:
        self.default = default
        self.added: list[Pattern | None] = []

    def add(self, pattern: "Pattern | None", reset: int) -> bool:
        """Adds one, after taking away what `reset` says; False where there are too many."""
        if reset & RESET_ADDED:
            self.added.clear()
        if reset & RESET_DEFAULT:
            self.default = None
        if len(self.added) >= MAX_FILTERS - 1:
            return False
        self.added.append(pattern)
        return True

    def match(self, uri: bytes) -> bool:
        """Whether one matches."""
        return any(one is not None and matches(one, uri) for one in (self.default, *self.added))


class Decision:
    """Whether a contact is followed."""

    __slots__ = ("accept", "accepts_others", "deny")

    def __init__(self, accept: "Pattern | None", deny: "Pattern | None", accepts_others: bool) -> None:
        self.accept = Filters(accept)
        self.deny = Filters(deny)
        self.accepts_others = accepts_others

    def accepts(self, uri: bytes) -> bool:
        """Whether the contact with this URI is."""
        if self.accept.match(uri):
            return True
        return self.accepts_others and not self.deny.match(uri)

"""Groups by regular expressions: a table of patterns for `sip:user@domain`, each with the number of a group.

The table is read by one process and shared with all; each compiles the expressions once for itself.
"""

import logging
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.core.arguments import REGEX_SECONDS, posix_regex
from openserd.core.database.reader import text_of
from openserd.core.database.values import Row
from openserd.errors import ConfigError

if TYPE_CHECKING:
    import regex

    from openserd.shm.memory import SharedMemory
    from openserd.shm.snapshot import Snapshot

log = logging.getLogger("openserd")

Rule = tuple[bytes, int]  #: expression and group

_HEAD: Final = struct.Struct("<qI")


class Expression:
    """One compiled expression and its group."""

    __slots__ = ("group", "pattern")

    def __init__(self, pattern: "regex.Pattern[bytes]", group: int) -> None:
        self.pattern = pattern
        self.group = group

    def matches(self, uri: bytes) -> bool:
        """Whether it is found in a URI; one that takes too long is not."""
        try:
            return self.pattern.search(uri, timeout=REGEX_SECONDS) is not None
        except TimeoutError:
            log.warning("group: %r took longer than %s s", self.pattern.pattern, REGEX_SECONDS)
            return False


def rules_of(rows: Sequence[Row]) -> list[Rule]:
    """The rules in the rows of the table, the last one first (OpenSER). Raises ConfigError for one that is none."""
    rules: list[Rule] = []
    for row in reversed(rows):
        pattern, group = text_of(row[0]), text_of(row[1])
        if not pattern or not group.lstrip(b"-").isdigit():
            raise ConfigError(f"group: {row!r} is no rule", expected="a regular expression and a number")
        compiled(pattern)
        rules.append((pattern, int(group)))
    return rules


def pack(rules: Sequence[Rule]) -> bytes:
    """Rules as bytes: each its group, the length of its expression and the expression."""
    return b"".join(_HEAD.pack(group, len(pattern)) + pattern for pattern, group in rules)


def unpack(data: bytes) -> list[Rule]:
    """The rules that `pack` made these bytes of."""
    rules: list[Rule] = []
    start = 0
    while start < len(data):
        group, length = _HEAD.unpack_from(data, start)
        start += _HEAD.size
        rules.append((data[start : start + length], group))
        start += length
    return rules


class Expressions:
    """All rules.  Those that the master has read before the fork each process has from there; shared memory carries
    what is read later."""

    __slots__ = ("compiled", "is_read", "snapshot", "version")

    def __init__(self, memory: "SharedMemory") -> None:
        self.snapshot: Snapshot[list[Rule]] = memory.snapshot("group", pack, unpack)
        self.compiled: list[Expression] = []
        self.is_read = False
        self.version = 0

    @property
    def is_loaded(self) -> bool:
        """Whether the table has been read, by whichever process."""
        return self.is_read or self.snapshot.version > 0

    def use(self, rules: Sequence[Rule]) -> None:
        """Makes these the rules of this process, and of those that it forks."""
        self.compiled = [Expression(compiled(pattern), group) for pattern, group in rules]
        self.is_read = True

    def publish(self, rules: list[Rule]) -> None:
        """Makes these the rules of all processes."""
        self.snapshot.publish(rules)

    def groups(self, uri: bytes, first_only: bool) -> list[int]:
        """The groups whose expressions match, in the order of the rules."""
        version = self.snapshot.version
        if self.version != version:
            self.use(self.snapshot.get())
            self.version = version
        found = []
        for expression in self.compiled:
            if expression.matches(uri):
                found.append(expression.group)
                if first_only:
                    break
        return found


def compiled(pattern: bytes) -> "regex.Pattern[bytes]":
    """An expression, compiled. Raises ConfigError."""
    return posix_regex(pattern.decode("utf-8", "surrogateescape"))

"""What was found out about a script while it is checked: errors and warnings, each with its place."""

from typing import Final

from openserd.errors import ConfigError
from openserd.script.problems import ConfigErrors
from openserd.script.text.source import Source
from openserd.script.tree import Node

CHECK: Final = 1  #: `-c` and loading
STRICT: Final = 2  #: `-C`: the kinds of route from which blocks are reached, and more warnings
LINT: Final = 3  #: `--lint`: what is allowed and seldom wise


class Report:
    """Errors and warnings of one script; `level` says how much is looked at."""

    def __init__(self, source: Source, level: int) -> None:
        self.source = source
        self.level = level
        self.errors: list[ConfigError] = []
        self.warnings: list[ConfigError] = []
        self.unread = False  #: whether parts of the script could not be read

    def error(self, message: str, node: Node, *, expected: str = "", hint: str = "") -> None:
        """An error about `node`."""
        self.error_at(message, node.start, node.end, expected=expected, hint=hint)

    def error_at(self, message: str, start: int, end: int, *, expected: str = "", hint: str = "") -> None:
        """An error about the text start..end, unless a missing quote on its line is what is wrong."""
        self.keep(self.source.error(message, start, end, expected=expected, hint=hint))

    def keep(self, error: ConfigError) -> None:
        """Keeps an error, unless it is on a line whose quotes do not match."""
        if (error.file, error.line) not in self.source.bad_lines:
            self.errors.append(error)

    def raised(self, error: ConfigError, node: Node, *, hint: str = "") -> None:
        """An error that came as an exception: about `node`, unless it names a place of its own in another file."""
        self.keep(error if error.file else self.source.placed(error, node.start, node.end, hint=hint))

    def warn(self, message: str, node: Node, *, hint: str = "", code: str = "") -> None:
        """A warning about `node`; `code` is the name of the lint that it comes from."""
        warning = self.source.error(message, node.start, node.end, hint=hint)
        warning.code = code
        self.warnings.append(warning)

    def where(self, node: Node, near: Node) -> str:
        """The line a node begins on, with its file where that is not the one of `near`."""
        return self.source.where(node.start, near.start)

    def finish(self) -> None:
        """Raises ConfigErrors when there are errors."""
        if self.errors:
            raise ConfigErrors(self.errors, self.warnings)

"""Whose fault it was: the family of errors that openserd raises on purpose.

Everything below may import this file and it imports nothing.  An error carries what is needed to act on it:
a place for the operator, a reply code for the peer.  A broken promise of our own code is an assertion instead.
"""


class OpenserError(Exception):
    """Base of all errors raised on purpose; never raised itself."""


class ConfigError(OpenserError):
    """The operator's: something in `openser.cfg`, a command line or a data file cannot be used.

    `file`, `line` and `column` (both from 1) name the place where known; `source` is that line's text, `expected`
    what would have been right, `hint` one helpful sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        line: int = 0,
        column: int = 0,
        width: int = 1,
        source: str = "",
        expected: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.width = width
        self.source = source
        self.expected = expected
        self.hint = hint
        self.code = ""  #: the name of the lint that found it

    def __str__(self) -> str:
        """The error as an operator reads it: place, line with a caret, what was expected, hint."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        message = f"{self.message} [{self.code}]" if self.code else self.message
        lines = [f"{place}: {message}" if place else message]
        if self.source and self.column:
            lead = "".join("\t" if char == "\t" else " " for char in self.source[: self.column - 1])
            lines += [f"    {self.source}", f"    {lead}{'^' * max(1, self.width)}"]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class SipError(OpenserError):
    """The peer's: a message that breaks the grammar or a rule of the protocol.

    `offset` counts bytes from the start of the datagram, `code` is the reply that the request earns.
    """

    def __init__(self, reason: str, offset: int = 0, code: int = 400) -> None:
        super().__init__(reason, offset, code)
        self.reason = reason
        self.offset = offset
        self.code = code

    def __str__(self) -> str:
        return f"{self.reason} (at byte {self.offset})"


class ResourceError(OpenserError):
    """The machine's: shared memory, a table, a socket or a database has no more to give."""


class ScriptError(OpenserError):
    """The script's, at run time: it asked for something that cannot be done with this message."""

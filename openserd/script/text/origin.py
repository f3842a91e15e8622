"""One file of a script, and how a text that was put together from files leads back to them.

openser.cfg  route {            pieces  0..8   openser.cfg from 0
             include_file "b"           8..40  b.cfg from 0
                 LIMIT                  40..42 openser.cfg from 30, 5 wide: 16 stands for LIMIT
"""

from bisect import bisect_right
from typing import NamedTuple

from openserd.errors import ConfigError


class Origin:
    """The text of one file, with lines and columns."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.starts = [0]
        at = text.find("\n")
        while at >= 0:
            self.starts.append(at + 1)
            at = text.find("\n", at + 1)

    def line(self, offset: int) -> int:
        """The line of an offset, from 1."""
        return bisect_right(self.starts, offset)

    def column(self, offset: int) -> int:
        """The column of an offset, from 1; a tab counts as one."""
        return offset - self.starts[self.line(offset) - 1] + 1

    def line_text(self, line: int) -> str:
        """One line as written, without its end."""
        return self.text[self.starts[line - 1] : self.line_end(line)].rstrip("\r")

    def line_end(self, line: int) -> int:
        """The offset of a line's end."""
        return self.starts[line] - 1 if line < len(self.starts) else len(self.text)

    def error(
        self, message: str, start: int, end: int | None = None, *, expected: str = "", hint: str = ""
    ) -> ConfigError:
        """An error at start..end; the mark stays within the first line."""
        line = self.line(start)
        shown = self.line_text(line)
        column = self.column(start)
        width = max(1, min((end if end is not None else start + 1) - start, len(shown) - column + 1))
        return ConfigError(
            message, file=self.file, line=line, column=column, width=width, source=shown, expected=expected, hint=hint
        )


class Piece(NamedTuple):
    """A part of the text put together, from `start` on: what stands in `origin` from `offset` on.

    `width` is 0 where the two are the same letter for letter; otherwise all of the piece stands for the `width`
    letters there, and `note` says so.
    """

    start: int
    origin: Origin
    offset: int
    width: int = 0
    note: str = ""


class Joined:
    """The text that is put together, in its three forms (see source.py), and its pieces."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.code: list[str] = []
        self.mask: list[str] = []
        self.pieces: list[Piece] = []
        self.length = 0
        self.follows: tuple[Origin, int] | None = None  #: what would only lengthen the last piece

    def add(self, origin: Origin, offset: int, text: str, code: str, mask: str) -> None:
        """Text as it stands in a file."""
        if not text:
            return
        if self.follows != (origin, offset):
            self.pieces.append(Piece(self.length, origin, offset))
        self.append(text, code, mask)
        self.follows = (origin, offset + len(text))

    def replace(self, origin: Origin, offset: int, width: int, text: str, mask: str, note: str) -> None:
        """Text that stands for what is written in a file."""
        self.pieces.append(Piece(self.length, origin, offset, width, note))
        self.append(text, text, mask)
        self.follows = None

    def append(self, text: str, code: str, mask: str) -> None:
        """Lengthens the text."""
        self.text.append(text)
        self.code.append(code)
        self.mask.append(mask)
        self.length += len(text)

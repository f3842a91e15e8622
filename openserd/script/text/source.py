"""The text of one script: comments taken out with every offset kept, offsets turned into places.

    text   modparam("rr", "x", 1) # why      as read
    code   modparam("rr", "x", 1)            comments and joined line ends are spaces, line ends stay
    mask   modparam("__", "_", 1)            as code, and what stands in strings is filled in

All three have the same length, so an offset means the same in each.  The text may come from several files and have
names replaced (preprocess.py); lines and columns are always those of the file where something stands.
"""

import re
from bisect import bisect_right
from operator import attrgetter
from typing import Final

from openserd.errors import ConfigError
from openserd.script.text.origin import Origin, Piece
from openserd.script.text.preprocess import Preprocessor
from openserd.script.text.surroundings import NOWHERE, Surroundings

TOKEN: Final = re.compile(
    r"""\$\(?[\w.]*|[A-Za-z_]\w*(?::len)?|\d[\w.]*|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|==|=~|!=|!~|&&|\|\||//|\S""", re.S
)
START: Final = attrgetter("start")


class Source:
    """One script's text. `in_line` reads strings as ending on their line, to find the quote that is missing."""

    def __init__(self, text: str, file: str, *, in_line: bool = False, around: Surroundings = NOWHERE) -> None:
        self.file = file
        self.in_line = in_line
        first = Origin(text, file)
        read = Preprocessor(around, in_line=in_line)
        read.read(first)
        self.text, self.code, self.mask = (
            "".join(form) for form in (read.joined.text, read.joined.code, read.joined.mask)
        )
        self.pieces: list[Piece] = read.joined.pieces or [Piece(0, first, 0)]
        self.plain = len(self.pieces) == 1 and not self.pieces[0].width  #: one file, and every offset as it is there
        self.problems: list[ConfigError] = read.problems
        self.bad_lines = read.bad_lines
        self.odd_strings = read.odd_strings

    # -- places ---------------------------------------------------------------------------------------------

    def piece(self, offset: int) -> Piece:
        """The piece of the text in which an offset lies."""
        if self.plain:
            return self.pieces[0]
        return self.pieces[max(0, bisect_right(self.pieces, offset, key=START) - 1)]

    def place(self, offset: int) -> tuple[Origin, int]:
        """The file and the offset in it where an offset lies; the start of a name that was replaced."""
        piece = self.piece(offset)
        return piece.origin, piece.offset if piece.width else piece.offset + offset - piece.start

    def place_end(self, start: int, end: int) -> int:
        """Where start..end ends in the file of its start; on its first line where it ends in another file."""
        origin, begin = self.place(start)
        last = self.piece(max(start, end - 1))
        if last.origin is not origin:
            return origin.line_end(origin.line(begin))
        return last.offset + (last.width or end - last.start)

    def line(self, offset: int) -> int:
        """The line of an offset, from 1."""
        origin, at = self.place(offset)
        return origin.line(at)

    def column(self, offset: int) -> int:
        """The column of an offset, from 1; a tab counts as one."""
        origin, at = self.place(offset)
        return origin.column(at)

    def file_of(self, offset: int) -> str:
        """The file in which an offset lies."""
        return self.piece(offset).origin.file

    def last_before(self, offset: int, file: str) -> int:
        """The last offset before another that lies in `file`: where an `include_file` stands, seen from inside."""
        number = bisect_right(self.pieces, offset, key=START) - 1
        while number > 0 and self.pieces[number - 1].origin.file != file:
            number -= 1
        return max(0, self.pieces[number].start - 1)

    def where(self, offset: int, near: int) -> str:
        """The line of an offset, with its file where that is not the one of `near`."""
        origin, at = self.place(offset)
        here = origin.file == self.file_of(near)
        return f"line {origin.line(at)}" if here else f"line {origin.line(at)} of {origin.file}"

    def indent(self, offset: int) -> int:
        """How far the line of an offset is indented, in columns with tabs at every eighth."""
        origin, at = self.place(offset)
        text = origin.line_text(origin.line(at)).expandtabs()
        return len(text) - len(text.lstrip())

    # -- text -----------------------------------------------------------------------------------------------

    def token(self, offset: int) -> str:
        """What stands at an offset, as a message shows it; "" at the end of the text."""
        match = TOKEN.match(self.code, offset)
        return match[0] if match else ""

    def end_before(self, offset: int) -> int:
        """Where the last thing before an offset ends."""
        return len(self.code[:offset].rstrip())

    # -- errors ---------------------------------------------------------------------------------------------

    def error(
        self, message: str, start: int, end: int | None = None, *, expected: str = "", hint: str = ""
    ) -> ConfigError:
        """An error at start..end; the mark stays within the first line."""
        origin, begin = self.place(start)
        stop = self.place_end(start, end if end is not None else start + 1)
        return origin.error(message, begin, stop, expected=expected, hint=hint or self.piece(start).note)

    def placed(self, error: ConfigError, start: int, end: int, *, hint: str = "") -> ConfigError:
        """An error without a place, as it is raised by a module or a kind, with one."""
        return self.error(error.message, start, end, expected=error.expected, hint=error.hint or hint)

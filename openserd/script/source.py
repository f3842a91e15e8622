"""The text of one script: comments taken out with every offset kept, offsets turned into places.

    text   modparam("rr", "x", 1) # why      as read
    code   modparam("rr", "x", 1)            comments and joined line ends are spaces, line ends stay
    mask   modparam("__", "_", 1)            as code, and what stands in strings is filled in

All three have the same length, so an offset means the same in each.
"""

import re
from bisect import bisect_right
from typing import Final

from openserd.errors import ConfigError

PIECE: Final = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*+"|'[^']*')|(?P<hash>\#[^\n]*)|(?P<open>/\*)|(?P<join>\\\r?\n)|(?P<quote>["'])""",
    re.S,
)
PIECE_IN_LINE: Final = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*+"|'[^'\n]*')|(?P<hash>\#[^\n]*)|(?P<open>/\*)|(?P<join>\\\r?\n)|(?P<quote>["'])""",
    re.S,
)
COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
NOT_LINE_END: Final = re.compile(r"[^\n]")
TOKEN: Final = re.compile(
    r"""\$\(?[\w.]*|[A-Za-z_]\w*(?::len)?|\d[\w.]*|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|==|=~|!=|!~|&&|\|\||//|\S""", re.S
)


class Source:
    """One script's text. `in_line` reads strings as ending on their line, to find the quote that is missing."""

    def __init__(self, text: str, file: str, *, in_line: bool = False) -> None:
        self.text = text
        self.file = file
        self.in_line = in_line
        self.problems: list[ConfigError] = []
        self.bad_lines: set[int] = set()  #: lines whose quotes do not match
        self.long_strings: list[int] = []  #: where strings that run over a line end begin
        self.starts = [0] + [match.end() for match in re.finditer("\n", text)]
        self.code, self.mask = self.read()

    def read(self) -> tuple[str, str]:
        """`code` and `mask` of the text."""
        code: list[str] = []
        mask: list[str] = []
        at = 0
        while match := (PIECE_IN_LINE if self.in_line else PIECE).search(self.text, at):
            before = self.text[at : match.start()]
            seen, filled, at = self.piece(match)
            code += (before, seen)
            mask += (before, filled)
        rest = self.text[at:]
        return "".join(code) + rest, "".join(mask) + rest

    def piece(self, match: re.Match[str]) -> tuple[str, str, int]:
        """What a string or comment leaves in `code` and in `mask`, and where reading goes on."""
        text = match[0]
        if match["string"]:
            if "\n" in text:
                self.long_strings.append(match.start())
            return text, text[0] + NOT_LINE_END.sub("_", text[1:-1]) + text[-1], match.end()
        if match["quote"]:
            return self.open_quote(match.start())
        if match["open"]:
            end = self.comment_end(match.start())
            blank = NOT_LINE_END.sub(" ", self.text[match.start() : end])
        else:
            end = match.end()
            blank = NOT_LINE_END.sub(" ", text)
        return blank, blank, end

    def comment_end(self, start: int) -> int:
        """The offset after a comment; comments nest."""
        depth = 1
        at = start + 2
        while edge := COMMENT_EDGE.search(self.text, at):
            at = edge.end()
            depth += 1 if edge[0] == "/*" else -1
            if not depth:
                return at
        self.problems.append(
            self.error(
                "this comment is not closed",
                start,
                start + 2,
                expected="*/",
                hint="comments nest: each /* needs its own */",
            )
        )
        return len(self.text)

    def open_quote(self, start: int) -> tuple[str, str, int]:
        """A string that is not closed: reported, and read as if it ended with its line."""
        line = self.line(start)
        end = self.starts[line] - 1 if line < len(self.starts) else len(self.text)
        quote = self.text[start]
        self.bad_lines.add(line)
        self.problems.append(
            self.error(
                "this string is not closed",
                start,
                start + 1,
                expected=quote,
                hint="the quotes of this line do not pair up",
            )
        )
        length = end - start
        filled = quote + "_" * (length - 2) + quote if length > 1 else " " * length
        return filled, filled, end

    def line(self, offset: int) -> int:
        """The line of an offset, from 1."""
        return bisect_right(self.starts, offset)

    def column(self, offset: int) -> int:
        """The column of an offset, from 1; a tab counts as one."""
        return offset - self.starts[self.line(offset) - 1] + 1

    def line_text(self, line: int) -> str:
        """One line as written, without its end."""
        end = self.starts[line] - 1 if line < len(self.starts) else len(self.text)
        return self.text[self.starts[line - 1] : end].rstrip("\r")

    def indent(self, offset: int) -> int:
        """How far the line of an offset is indented, in columns with tabs at every eighth."""
        text = self.line_text(self.line(offset)).expandtabs()
        return len(text) - len(text.lstrip())

    def token(self, offset: int) -> str:
        """What stands at an offset, as a message shows it; "" at the end of the text."""
        match = TOKEN.match(self.code, offset)
        return match[0] if match else ""

    def end_before(self, offset: int) -> int:
        """Where the last thing before an offset ends."""
        return len(self.code[:offset].rstrip())

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

    def placed(self, error: ConfigError, start: int, end: int, *, hint: str = "") -> ConfigError:
        """An error without a place, as it is raised by a module or a kind, with one."""
        return self.error(error.message, start, end, expected=error.expected, hint=error.hint or hint)

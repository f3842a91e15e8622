"""A table as text: the format of OpenSER's dbtext, which openserdbctl's backups use as well (OpenSER: dbt_file.c).

    id(int,auto) name(str) flag(double) desc(str,null)      the columns, their types and what they allow
    1:alpha:0.34:a\\tgood\\: one                               a row: fields between colons
    2:beta:-3.75:                                            nothing in a field is NULL

Types are int, double and str, told by their first letter.  `null` lets a field be empty, `auto` gives an int its next
number.  In text, line feed, carriage return, tab, backslash, colon and the byte 0 are written \\n \\r \\t \\\\ \\: \\0.

Kinder than OpenSER, which refuses the whole file: an empty field of a text column that allows no NULL is the empty
text, lines may end in CR LF, text may be longer than 4 kB, the last line feed may be missing.  In backups, which tell
the empty text from NULL, \\e stands for it; it is read everywhere.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from openserd.core.database.errors import DatabaseRefused
from openserd.core.database.values import Row, Value, date_text

COLUMN: Final = re.compile(rb"([^\s(]+)\s*\(\s*([A-Za-z])[^,)]*(?:,\s*([A-Za-z])[^)]*)?\)")
COLON: Final = re.compile(rb"((?:[^:\\]|\\.)*)(?::|$)", re.S)
ESCAPED: Final = re.compile(rb"\\(.?)", re.S)
SPECIAL: Final = re.compile(rb"[\n\r\t\\:\0]")
WRITTEN: Final = {b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\\": b"\\\\", b":": b"\\:", b"\0": b"\\0"}
MEANT: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b":": b":", b"0": b"\0", b"e": b""}
TYPES: Final = {"i": "int", "d": "double", "s": "str"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its type (int, double, str), whether it may hold nothing, whether it numbers itself."""

    name: str
    kind: str
    null: bool = False
    auto: bool = False

    def __str__(self) -> str:
        attribute = ",null" if self.null else ",auto" if self.auto else ""
        return f"{self.name}({self.kind}{attribute})"


def read_columns(line: bytes) -> list[Column]:
    """The columns that the first line of a file declares. Raises DatabaseRefused."""
    columns = []
    end = 0
    for found in COLUMN.finditer(line):
        if line[end : found.start()].strip():
            break
        end = found.end()
        kind = TYPES.get(found[2].decode().lower(), "")
        attribute = (found[3] or b"").decode().lower()
        if not kind or attribute not in ("", "n", "a") or (attribute == "a" and kind != "int"):
            raise DatabaseRefused(f"{found[0].decode('utf-8', 'replace')!r} declares no column")
        columns.append(Column(found[1].decode("utf-8", "replace"), kind, attribute == "n", attribute == "a"))
    if not columns or line[end:].strip():
        raise DatabaseRefused("the first line does not declare columns, such as id(int,auto) name(str,null)")
    return columns


def read_rows(lines: list[bytes], columns: list[Column], first_line: int = 2) -> list[Row]:
    """The rows in some lines, empty ones passed over. Raises DatabaseRefused, with the number of the line."""
    rows: list[Row] = []
    for number, line in enumerate(lines, first_line):
        line = line.rstrip(b"\r")
        if not line:
            continue
        try:
            rows.append(read_row(line, columns))
        except (DatabaseRefused, ValueError) as error:
            raise DatabaseRefused(f"line {number}: {error}") from None
    return rows


def read_row(line: bytes, columns: list[Column]) -> Row:
    """The row in a line. Raises DatabaseRefused or ValueError."""
    escaped = b"\\" in line
    fields = split_fields(line) if escaped else line.split(b":")
    if len(fields) != len(columns):
        raise DatabaseRefused(f"{len(fields)} fields for {len(columns)} columns")
    return tuple([read_field(field, column, escaped) for field, column in zip(fields, columns, strict=True)])


def split_fields(line: bytes) -> list[bytes]:
    """The fields of a line that has backslashes."""
    fields = []
    start = 0
    while True:
        found = COLON.match(line, start)
        if found is None:
            raise DatabaseRefused("it ends in a backslash")
        fields.append(found[1])
        if found.end(1) == len(line):
            return fields
        start = found.end()


def read_field(field: bytes, column: Column, escaped: bool) -> Value:
    """One value. Raises DatabaseRefused or ValueError."""
    if not field:
        return no_value(column)
    if column.kind == "str":
        return ESCAPED.sub(unescape, field) if escaped else field
    return int(field) if column.kind == "int" else float(field)


def no_value(column: Column) -> Value:
    """What an empty field is. Raises DatabaseRefused."""
    if column.null:
        return None
    if column.kind == "str":
        return b""
    raise DatabaseRefused(f"column {column.name} may not be empty")


def unescape(found: "re.Match[bytes]") -> bytes:
    """The byte that an escape stands for. Raises DatabaseRefused."""
    meant = MEANT.get(found[1])
    if meant is None:
        raise DatabaseRefused(f"\\{found[1].decode('latin-1')} is no escape")
    return meant


def write_columns(columns: list[Column]) -> bytes:
    """The first line of a file, with its end."""
    return " ".join(map(str, columns)).encode() + b"\n"


def write_row(row: Row) -> bytes:
    """A line, with its end."""
    return b":".join(map(write_field, row)) + b"\n"


def write_backup_row(row: Row) -> bytes:
    """A line in which the empty text is not NULL, with its end."""
    return b":".join([b"\\e" if value == b"" else write_field(value) for value in row]) + b"\n"


def write_field(value: Value) -> bytes:
    """One value."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return SPECIAL.sub(lambda found: WRITTEN[found[0]], value) if SPECIAL.search(value) else value
    if isinstance(value, datetime):
        return write_field(date_text(value).encode())
    return double_text(value) if isinstance(value, float) else b"%d" % value


def double_text(value: float) -> bytes:
    """A number with two decimals as OpenSER writes it, with up to six where two do not suffice."""
    short = f"{value:.2f}"
    return (short if float(short) == value else f"{value:.6f}".rstrip("0")).encode()

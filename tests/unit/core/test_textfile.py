"""The format of dbtext, as OpenSER's documentation gives it and a little kinder."""

import pytest

from openserd.core.database import DatabaseRefused, Value
from openserd.core.database.textfile import (
    Column,
    read_columns,
    read_row,
    read_rows,
    write_backup_row,
    write_columns,
    write_row,
)

COLUMNS = [Column("id", "int", auto=True), Column("name", "str"), Column("flag", "double"), Column("desc", "str", True)]


def test_the_first_line_declares_columns() -> None:
    assert read_columns(b"id(int,auto) name(str) flag(double) desc(str,null)") == COLUMNS
    assert read_columns(b"callid (str)  cseq( INT , NULL )") == [Column("callid", "str"), Column("cseq", "int", True)]
    assert write_columns(COLUMNS) == b"id(int,auto) name(str) flag(double) desc(str,null)\n"


@pytest.mark.parametrize(
    "line", [b"", b"id", b"id(blob)", b"id(int) name", b"id(int,foo)", b"name(str,auto)", b"1:2:3"]
)
def test_a_first_line_that_declares_no_columns_is_refused(line: bytes) -> None:
    with pytest.raises(DatabaseRefused):
        read_columns(line)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (rb"1:one:0.34:a\tgood\: one", (1, b"one", 0.34, b"a\tgood: one")),
        (b"2:two:-3.75:other", (2, b"two", -3.75, b"other")),
        (b"3:three:2.50:", (3, b"three", 2.5, None)),
        (b"4::0:", (4, b"", 0.0, None)),
        (rb"5:\\\n\r\t\:\0:1:\e", (5, b"\\\n\r\t:\0", 1.0, b"")),
        ("6:ü:1:\N{GRINNING FACE}".encode(), (6, "ü".encode(), 1.0, "\N{GRINNING FACE}".encode())),
        (b"7:\xff\xfe:1:x", (7, b"\xff\xfe", 1.0, b"x")),
    ],
)
def test_lines_are_rows(line: bytes, row: tuple[Value, ...]) -> None:
    assert read_row(line, COLUMNS) == row


@pytest.mark.parametrize(
    "line", [b"1:a:1", b"1:a:1:b:c", b"x:a:1:b", b"1:a:x:b", b":a:1:b", rb"1:\q:1:b", b"1:a:1:b\\"]
)
def test_a_broken_line_is_named(line: bytes) -> None:
    with pytest.raises(DatabaseRefused, match="line 3: "):
        read_rows([b"1:a:1:b", line], COLUMNS)


def test_empty_lines_and_line_ends_of_other_systems_are_passed_over() -> None:
    assert len(read_rows([b"1:a:1:b\r", b"", b"\r", b"2:a:1:b"], COLUMNS)) == 2


@pytest.mark.parametrize("text", [b"plain", b":", b"\\", b"\\n", b"\n\r\t\0", b"a:b\\:c", b"\\e", bytes(range(256))])
def test_what_is_written_is_read_again(text: bytes) -> None:
    row = (1, text, 0.7, None)
    line = write_row(row)
    assert line.count(b"\n") == 1
    assert read_row(line[:-1], COLUMNS) == row


def test_numbers_have_two_decimals_where_those_suffice() -> None:
    assert write_row((1, b"", 0.5, None)) == b"1::0.50:\n"
    assert write_row((1, b"", 0.125, None)) == b"1::0.125:\n"
    assert write_row((-1, b"", -3.0, None)) == b"-1::-3.00:\n"


def test_a_backup_tells_the_empty_text_from_nothing() -> None:
    line = write_backup_row((1, b"a", 0.5, b""))
    assert read_row(line[:-1], COLUMNS) == (1, b"a", 0.5, b"")

"""Arguments of management commands as lines, and replies as text."""

import pytest

from openserd.core.management.mi import Reply
from openserd.core.management.text import Argument, ArgumentReader, BadArgument, render, render_error


def read(*lines: bytes) -> list[Argument | None]:
    """What each line completes."""
    reader = ArgumentReader()
    return [reader.take(line) for line in lines]


@pytest.mark.parametrize(
    ("line", "argument"),
    [
        (b"value", ("", "value")),
        (b"  two words\t\r", ("", "two words")),
        (b"name :: value", ("name", "value")),
        (b'"quoted"', ("", "quoted")),
        (b'name::"quoted" ', ("name", "quoted")),
        (b'"with \\"quotes\\""', ("", 'with "quotes"')),
        (b'"a::b"', ("", "a::b")),
        (b"\xff", ("", "\udcff")),
    ],
)
def test_a_line_is_an_argument(line: bytes, argument: tuple[str, str]) -> None:
    assert read(line) == [argument]


def test_a_quoted_value_goes_on_over_lines() -> None:
    assert read(b'n::"one', b" two", b'three"', b"next") == [None, None, ("n", "one\n two\nthree"), ("", "next")]


def test_a_value_that_is_halfway_can_be_dropped() -> None:
    reader = ArgumentReader()
    assert reader.take(b'"open') is None
    reader.forget()
    assert reader.take(b"next") == ("", "next")


def test_a_line_of_white_space_is_no_argument() -> None:
    assert read(b" \t\r") == [None]


@pytest.mark.parametrize("line", [b'a"b', b'"a" b', b"a\0b", b'a"::b'])
def test_a_bad_line_is_refused(line: bytes) -> None:
    with pytest.raises(BadArgument):
        read(line)


def test_a_reply_is_a_line_for_each_node_and_an_empty_one() -> None:
    reply = Reply(202, "Accepted")
    reply.add("name", b"value \xff", one=1, two="b").add(value="below").add("deeper")
    assert render(reply, "--") == b"202 Accepted\nname:: value \\xff one=1 two=b\n--below\n----deeper:: \n\n"
    assert render(Reply(), "") == b"200 OK\n\n"


def test_an_error_is_one_line() -> None:
    assert render_error(500, "no \udcff") == b"500 no \xff\n"

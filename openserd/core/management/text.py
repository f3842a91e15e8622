"""Management commands as lines of text, whatever carries them: arguments to values, replies to bytes.  Pure.

    value                           one argument a line, white space around it is not part of it
    name::value                     an argument with a name
    "text                           a quoted value may go on over lines, with \\" for a quote inside it;
    more text"                      it cannot hold an empty line

    200 OK                          a reply
    name:: value attribute=value    one node a line, children indented
                                    the empty line ends the reply

(OpenSER: mi_parser.c and mi_writer.c of the module mi_fifo.)
"""

import re
from typing import Final, NamedTuple

from openserd.core.management.mi import Node, Reply, text_of

SPACE: Final = b" \t\n\v\f\r"
CLOSING_QUOTE: Final = re.compile(rb'(?<!\\)"')


class Argument(NamedTuple):
    """One argument; most have no name."""

    name: str
    value: str


class BadArgument(ValueError):
    """A line that is no argument."""


class ArgumentReader:
    """Makes arguments of lines, given one after the other."""

    __slots__ = ("name", "quoted")

    def __init__(self) -> None:
        self.quoted: list[bytes] | None = None  # lines of a quoted value so far
        self.name = ""  # of that value

    @property
    def is_halfway(self) -> bool:
        """Whether a quoted value is not closed yet."""
        return self.quoted is not None

    def forget(self) -> None:
        """Drops a value that is halfway."""
        self.quoted = None

    def take(self, line: bytes) -> Argument | None:
        """The argument that `line` completes, if any. Raises BadArgument."""
        if b"\0" in line:
            raise BadArgument("a zero byte")
        if self.quoted is not None:
            return self.take_quoted(self.quoted, line)
        line = line.lstrip(SPACE)
        if not line:
            return None
        name, value = split_name(line)
        if value.startswith(b'"'):
            self.quoted, self.name = [], decoded(name)
            return self.take_quoted(self.quoted, value[1:])
        if b'"' in value or b'"' in name:
            raise BadArgument("a quote inside a value")
        return Argument(decoded(name), decoded(value.rstrip(SPACE)))

    def take_quoted(self, before: list[bytes], line: bytes) -> Argument | None:
        """A line of a quoted value; the closing quote completes the argument. Raises BadArgument."""
        closing = CLOSING_QUOTE.search(line)
        if closing is None:
            before.append(line)
            return None
        if line[closing.end() :].strip(SPACE):
            raise BadArgument("text behind a closing quote")
        text = b"\n".join([*before, line[: closing.start()]]).replace(b'\\"', b'"')
        self.quoted = None
        return Argument(self.name, decoded(text))


def split_name(line: bytes) -> tuple[bytes, bytes]:
    """Name and value of an argument's line; a quoted value has no name before it unless `::` comes first."""
    if line.startswith(b'"'):
        return b"", line
    name, separator, value = line.partition(b"::")
    return (name.rstrip(SPACE), value.lstrip(SPACE)) if separator else (b"", line)


def decoded(raw: bytes) -> str:
    """Bytes as text, so that `encoded` gives them back whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """Text as bytes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def render(reply: Reply, indent: str) -> bytes:
    """A whole reply, `indent` repeated per level of the tree."""
    lines = [f"{reply.code} {reply.reason}"]
    for node in reply.nodes:
        render_node(node, "", indent, lines)
    return encoded("\n".join(lines)) + b"\n\n"


def render_node(node: Node, lead: str, indent: str, lines: list[str]) -> None:
    """Adds the line of `node` and those of its children."""
    name = f"{node.name}:: " if node.name else ""
    attributes = "".join(f" {key}={text_of(value)}" for key, value in node.attributes.items())
    lines.append(f"{lead}{name}{text_of(node.value)}{attributes}")
    for child in node.children:
        render_node(child, lead + indent, indent, lines)


def render_error(code: int, reason: str) -> bytes:
    """What is answered where no command ran: one line and no empty one after it."""
    return encoded(f"{code} {reason}\n")

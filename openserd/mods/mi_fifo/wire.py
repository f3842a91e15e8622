"""What goes over the FIFO: bytes to requests, replies to bytes.  Pure: no file is touched, no clock is read.

    :command:reply name             a request; the reply goes to the FIFO of that name in `reply_dir`
    value                           one argument a line, white space around it is not part of it
    name::value                     an argument with a name
    "text                           a quoted value may go on over lines, with \\" for a quote inside it;
    more text"                      it cannot hold an empty line
                                    the empty line ends the request

    200 OK                          a reply
    name:: value attribute=value    one node a line, children indented
                                    the empty line ends the reply

All callers write into the same FIFO, and one that dies in the middle of a line leaves its piece in front of
the next caller's request.  So a line that ends with `:command:reply name` begins a request wherever it
stands, provided that somebody has made that reply FIFO: text of an argument does not look like this by
accident.  (OpenSER: mi_parser.c and mi_writer.c; there, such a request is lost.)
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from openserd.core.mi import Node, Reply, text_of

MAX_LINE: Final = 65536  #: bytes of one line
MAX_REQUEST: Final = 65536  #: bytes of all arguments of a request
MAX_START: Final = 512  #: bytes at the end of an overlong line in which a request's start is looked for

SPACE: Final = b" \t\n\v\f\r"
CLOSING_QUOTE: Final = re.compile(rb'(?<!\\)"')


class Argument(NamedTuple):
    """One argument; most have no name."""

    name: str
    value: str


@dataclass(slots=True)
class Request:
    """One request; `fault` tells what is wrong with its arguments, empty where nothing is."""

    command: str
    reply_name: str
    arguments: list[Argument] = field(default_factory=list)
    fault: str = ""

    @property
    def values(self) -> list[str]:
        """The arguments as commands take them: without names."""
        return [argument.value for argument in self.arguments]


class BadArgument(ValueError):
    """A line that is no argument."""


class RequestReader:
    """Finds the requests in what callers write, however it is cut.

    `takes_arguments(command)` says whether a command reads any: if not, it is complete with its first line.
    `is_waiting(reply_name)` says whether somebody has made that reply FIFO.
    """

    def __init__(self, takes_arguments: Callable[[str], bool], is_waiting: Callable[[str], bool]) -> None:
        self.takes_arguments = takes_arguments
        self.is_waiting = is_waiting
        self.rest = b""  # of the line that is not finished, at most MAX_LINE
        self.too_long = False  # the unfinished line has lost its beginning
        self.request: Request | None = None  # whose arguments are being read
        self.quoted: list[bytes] | None = None  # lines of a quoted value so far
        self.quoted_name = ""
        self.size = 0
        self.skipping = False  # to the empty line
        self.skipped = 0  # lines that belonged to no request

    @property
    def is_halfway(self) -> bool:
        """Whether something has begun that is not finished."""
        return bool(self.rest) or self.request is not None or self.skipping

    def feed(self, data: bytes) -> list[Request]:
        """The requests that are complete, or hopeless, with `data`."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        found: list[Request] = []
        for line in lines:
            found += self.take(line, self.too_long or len(line) > MAX_LINE)
            self.too_long = False
        if len(self.rest) > MAX_LINE:
            self.rest = self.rest[-MAX_START:]
            self.too_long = True
        return found

    def expire(self) -> list[Request]:
        """Gives up what is halfway: nothing came for too long."""
        self.rest = b""
        self.too_long = self.skipping = False
        return list(self.give_up("no empty line"))

    def take(self, line: bytes, too_long: bool) -> Iterator[Request]:
        """What one whole line completes."""
        start = self.start_at_end(line)
        if start is not None:
            yield from self.give_up("cut off by another request")
            yield from self.begin(start)
        elif self.request is not None:
            yield from self.take_argument(line, too_long)
        elif self.skipping:
            self.skipping = line != b""
        elif line.startswith(b":") and not too_long:
            yield from self.begin(plain_start(line))
        elif line.strip(SPACE):
            self.skipped += 1

    def start_at_end(self, line: bytes) -> Request | None:
        """The request that begins at the end of `line` and whose caller waits for its reply, if any."""
        parts = line[-MAX_START:].rstrip(SPACE).rsplit(b":", 2)
        if len(parts) < 3 or not parts[1] or not parts[2] or b"\0" in parts[1] + parts[2]:
            return None
        reply_name = decoded(parts[2])
        return Request(decoded(parts[1]), reply_name) if self.is_waiting(reply_name) else None

    def begin(self, request: Request | None) -> Iterator[Request]:
        """Begins `request`; None stands for a first line that cannot be one."""
        if request is None:
            self.skipped += 1
            self.skipping = True
        elif self.takes_arguments(request.command):
            self.request, self.size = request, 0
            self.skipping = False
        else:
            self.skipping = True
            yield request

    def take_argument(self, line: bytes, too_long: bool) -> Iterator[Request]:
        """One line of the arguments: the last one, the empty line, completes the request."""
        assert self.request is not None
        self.size += len(line)
        if too_long or self.size > MAX_REQUEST:
            yield from self.give_up("too long", skip=True)
        elif not line:
            yield from self.finish()
        else:
            try:
                self.read_argument(self.request, line)
            except BadArgument as bad:
                yield from self.give_up(str(bad), skip=True)

    def finish(self) -> Iterator[Request]:
        """The request is complete."""
        if self.quoted is not None:
            yield from self.give_up("a quoted value is not closed")
        elif self.request is not None:
            yield self.request
            self.request = None

    def give_up(self, fault: str, skip: bool = False) -> Iterator[Request]:
        """Ends the request that is being read as a faulty one; `skip` what is left of it."""
        request, self.request = self.request, None
        self.quoted = None
        self.skipping = skip
        if request is not None:
            request.fault = fault
            yield request

    def read_argument(self, request: Request, line: bytes) -> None:
        """Takes a line as an argument or as a piece of a quoted one. Raises BadArgument."""
        if b"\0" in line:
            raise BadArgument("a zero byte")
        if self.quoted is not None:
            self.read_quoted(request, line)
            return
        line = line.lstrip(SPACE)
        if not line:
            return
        name, value = split_name(line)
        if value.startswith(b'"'):
            self.quoted, self.quoted_name = [], decoded(name)
            self.read_quoted(request, value[1:])
        elif b'"' in value or b'"' in name:
            raise BadArgument("a quote inside a value")
        else:
            request.arguments.append(Argument(decoded(name), decoded(value.rstrip(SPACE))))

    def read_quoted(self, request: Request, line: bytes) -> None:
        """A line of a quoted value; the closing quote completes the argument. Raises BadArgument."""
        assert self.quoted is not None
        closing = CLOSING_QUOTE.search(line)
        if closing is None:
            self.quoted.append(line)
            return
        if line[closing.end() :].strip(SPACE):
            raise BadArgument("text behind a closing quote")
        self.quoted.append(line[: closing.start()])
        text = b"\n".join(self.quoted).replace(b'\\"', b'"')
        request.arguments.append(Argument(self.quoted_name, decoded(text)))
        self.quoted = None


def plain_start(line: bytes) -> Request | None:
    """The request that `line`, which begins with a colon, begins; None where it is none."""
    command, separator, reply_name = line.rstrip(SPACE)[1:].partition(b":")
    if not command or not separator or b"\0" in line:
        return None
    return Request(decoded(command), decoded(reply_name))


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

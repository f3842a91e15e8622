"""What goes over the FIFO: bytes to requests.  Pure: no file is touched, no clock is read.

    :command:reply name             a request; the reply goes to the FIFO of that name in `reply_dir`
    value                           its arguments, one a line (core/mi_text.py, which renders the reply too)
                                    the empty line ends the request

All callers write into the same FIFO, and one that dies in the middle of a line leaves its piece in front of
the next caller's request.  So a line that ends with `:command:reply name` begins a request wherever it
stands, provided that somebody has made that reply FIFO: text of an argument does not look like this by
accident.  (OpenSER: mi_parser.c; there, such a request is lost.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from openserd.core.management.text import SPACE, Argument, ArgumentReader, BadArgument, decoded

MAX_LINE: Final = 65536  #: bytes of one line
MAX_REQUEST: Final = 65536  #: bytes of all arguments of a request
MAX_START: Final = 512  #: bytes at the end of an overlong line in which a request's start is looked for


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
        self.reader = ArgumentReader()
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
                argument = self.reader.take(line)
            except BadArgument as bad:
                yield from self.give_up(str(bad), skip=True)
            else:
                self.request.arguments += [argument] if argument else []

    def finish(self) -> Iterator[Request]:
        """The request is complete."""
        if self.reader.is_halfway:
            yield from self.give_up("a quoted value is not closed")
        elif self.request is not None:
            yield self.request
            self.request = None

    def give_up(self, fault: str, skip: bool = False) -> Iterator[Request]:
        """Ends the request that is being read as a faulty one; `skip` what is left of it."""
        request, self.request = self.request, None
        self.reader.forget()
        self.skipping = skip
        if request is not None:
            request.fault = fault
            yield request


def plain_start(line: bytes) -> Request | None:
    """The request that `line`, which begins with a colon, begins; None where it is none."""
    command, separator, reply_name = line.rstrip(SPACE)[1:].partition(b":")
    if not command or not separator or b"\0" in line:
        return None
    return Request(decoded(command), decoded(reply_name))

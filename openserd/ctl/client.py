"""The caller's side of the FIFO: sends one command, waits for its reply on a FIFO of its own."""

import errno
import os
import re
import secrets
import select
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import click

TIMEOUT: Final = 5.0
NEEDS_QUOTES: Final = re.compile(r'\A\Z|["\n]|::|\A\s|\s\Z')
CHUNK: Final = 65536


class Unanswered(click.ClickException):
    """No reply can be had; the text says why and what to look at."""

    exit_code = 2


@dataclass(frozen=True)
class Reply:
    """What the server answered: the lines below the first, without the empty ones."""

    code: int
    reason: str
    lines: list[str]

    @property
    def is_ok(self) -> bool:
        """Whether the command was carried out."""
        return 200 <= self.code < 300


def quoted(argument: str) -> str:
    """An argument as it is written into a request. Raises click.UsageError for one that cannot be written."""
    if "\n\n" in argument or "\0" in argument:
        raise click.UsageError("an argument cannot hold an empty line or a zero byte: it would end the request")
    if not NEEDS_QUOTES.search(argument):
        return argument
    if argument.endswith("\\"):
        raise click.UsageError("an argument in quotes cannot end with a backslash")
    escaped = argument.replace('"', '\\"')
    return f'"{escaped}"'


def request(command: str, reply_name: str, arguments: Sequence[str]) -> bytes:
    """The bytes of a request."""
    if not command or re.search(r"[\s:\0]", command):
        raise click.UsageError(f"{command!r} cannot be the name of a command")
    lines = [f":{command}:{reply_name}", *map(quoted, arguments), "", ""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def parse_reply(data: bytes) -> Reply:
    """The reply that `data` is. Raises Unanswered where it is none."""
    first, *lines = data.decode("utf-8", "replace").split("\n")
    status = re.fullmatch(r"(\d{3}) ?(.*)", first)
    if status is None:
        raise Unanswered(f"this is no reply: {first[:80]!r}")
    return Reply(int(status[1]), status[2], [line for line in lines if line.strip()])


class Client(Protocol):
    """Whatever carries commands to the server."""

    timeout: float  #: seconds that an answer may take

    def call(self, command: str, *arguments: str) -> Reply:
        """The server's reply. Raises Unanswered where there is none."""


class FifoClient:
    """Sends commands to the server that reads the FIFO at `path`."""

    def __init__(self, path: str, reply_dir: str, timeout: float = TIMEOUT) -> None:
        self.path = path
        self.reply_dir = reply_dir
        self.timeout = timeout

    def call(self, command: str, *arguments: str) -> Reply:
        """The server's reply. Raises Unanswered where there is none."""
        name = f"openserctl_{os.getpid()}_{secrets.token_hex(8)}"
        data = request(command, name, arguments)
        writer = self.open_server()
        try:
            with self.reply_fifo(name, os.fstat(writer)) as reader:
                self.send(writer, data)
                return parse_reply(self.receive(reader))
        finally:
            os.close(writer)

    def open_server(self) -> int:
        """The server's FIFO, open for writing."""
        try:
            if not stat.S_ISFIFO(os.stat(self.path).st_mode):
                raise Unanswered(f"{self.path} is not a FIFO")
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENXIO):
                raise Unanswered(
                    f"openserd is not running or its mi_fifo has another fifo_name; looked at {self.path}"
                ) from None
            raise Unanswered(f"{self.path} cannot be written to: {error.strerror}") from None

    @contextmanager
    def reply_fifo(self, name: str, server: os.stat_result) -> Iterator[int]:
        """A FIFO that only the server can write to and only this process can read, open for reading."""
        path = os.path.join(self.reply_dir, name)
        reader = -1
        try:
            reader = self.make(path, server)
            yield reader
        finally:
            if reader >= 0:
                os.close(reader)
            with suppress(FileNotFoundError):
                os.unlink(path)

    def make(self, path: str, server: os.stat_result) -> int:
        """Makes a reply FIFO at `path` and opens it."""
        try:
            os.mkfifo(path, 0o600)
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            admit(path, server)
            return reader
        except OSError as error:
            raise Unanswered(f"no reply FIFO can be made in {self.reply_dir}: {error.strerror}") from None

    def send(self, writer: int, data: bytes) -> None:
        """Writes the request; in one piece where it is short enough not to be mixed with those of others."""
        deadline = time.monotonic() + self.timeout
        while data:
            try:
                data = data[os.write(writer, data) :]
            except BlockingIOError:
                if not wait(writer, select.POLLOUT, deadline):
                    raise Unanswered(f"openserd takes no commands: {self.path} is full") from None
            except BrokenPipeError:
                raise Unanswered("openserd has stopped reading commands") from None

    def receive(self, reader: int) -> bytes:
        """All that the server writes until it closes the reply."""
        pieces: list[bytes] = []
        while wait(reader, select.POLLIN, time.monotonic() + self.timeout):
            piece = os.read(reader, CHUNK)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
        raise Unanswered(
            f"openserd took the command but did not answer within {self.timeout:g} s; "
            f"its log tells why (is its reply_dir {self.reply_dir}?)"
        )


def admit(path: str, server: os.stat_result) -> None:
    """Lets the server, whom the owner of its own FIFO stands for, write to the reply FIFO at `path`.

    Everybody may write to it only where nothing narrower is possible; reading stays with its owner alone.
    """
    if server.st_uid == os.geteuid():
        return
    if os.geteuid() == 0:
        os.chown(path, server.st_uid, -1)
    elif server.st_gid in (os.getegid(), *os.getgroups()):
        os.chown(path, -1, server.st_gid)
        os.chmod(path, 0o620)
    else:
        os.chmod(path, 0o622)


def wait(fd: int, event: int, deadline: float) -> bool:
    """Whether `fd` becomes ready before `deadline`."""
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

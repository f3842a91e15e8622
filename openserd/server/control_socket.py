"""The control socket of the core: management commands as datagrams of a Unix socket (OpenSER: unixsock_server.c).

    :command:reply name             the first line of a request; the reply name is passed over
    value                           the arguments, one a line (core/mi_text.py); an empty line may end them

    200 OK                          the reply, one datagram, goes to the address that the request came from;
    name:: value attribute=value    who sent it from none gets none

    400 First line malformed        what is answered where no command ran
    500 Command NAME not found

All processes of the socket read the same one; whoever gets a request answers it.  The answer of a command that answers
later is sent by the process that has it: the ticket is the caller's address.
"""

import contextlib
import errno
import logging
import os
import socket
import stat
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from openserd.core.management.mi import Command, MiRegistry, Reply
from openserd.core.management.text import SPACE, ArgumentReader, BadArgument, decoded, render, render_error
from openserd.core.params import GlobalParams
from openserd.errors import ConfigError, ResourceError
from openserd.server.daemon import group_id, user_id

log = logging.getLogger("openserd")

TITLE: Final = "unix domain socket server"
LARGEST_REQUEST: Final = 65536
LONGEST_PATH: Final = 107  #: bytes that fit into a sockaddr_un
INDENT: Final = "\t"
CARRIER: Final = "unix"
TOO_LARGE: Final = "The reply does not fit into a datagram"

Peer = str | bytes | None  #: the address of a caller: a path, an abstract name, or none


# -- the wire -----------------------------------------------------------------------------------------------


class BadFirstLine(ValueError):
    """A request whose first line names no command."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `fault` tells what is wrong with its arguments, empty where nothing is."""

    command: str
    values: list[str]
    fault: str = ""


def parse_request(data: bytes) -> Request:
    """The request that a datagram holds. Raises BadFirstLine."""
    first, _, rest = data.partition(b"\n")
    lead, *parts = first.split(b":", 2)
    if lead or len(parts) < 2 or not parts[0]:
        raise BadFirstLine
    command = decoded(parts[0])
    try:
        return Request(command, read_values(rest))
    except BadArgument as bad:
        return Request(command, [], str(bad))


def read_values(lines: bytes) -> list[str]:
    """The values of all arguments up to an empty line or the end. Raises BadArgument."""
    reader = ArgumentReader()
    values = []
    for line in lines.split(b"\n"):
        if not line.strip(SPACE) and not reader.is_halfway:
            break
        argument = reader.take(line)
        if argument is not None:
            values.append(argument.value)
    if reader.is_halfway:
        raise BadArgument("a quoted value is not closed")
    return values


def ticket_of(peer: Peer) -> str:
    """The ticket of a caller for an answer that comes later, "" for one that cannot get any."""
    return f"{CARRIER}:{os.fsencode(peer).hex()}" if peer else ""


def peer_of(ticket: str) -> bytes:
    """The caller whose ticket this is."""
    return bytes.fromhex(ticket.partition(":")[2])


# -- the socket ---------------------------------------------------------------------------------------------


class Settings(NamedTuple):
    """Where the socket is, whose it is, and how many seconds a reply may take to leave."""

    path: str
    mode: int = 0o600
    uid: int = -1
    gid: int = -1
    send_seconds: float = 2.0


def settings_of(params: GlobalParams) -> Settings:
    """The settings in the parameters; the path is "" where there is no control socket. Raises ConfigError."""
    path = os.path.abspath(params.unix_sock) if params.unix_sock else ""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ConfigError(f"unix_sock {path} is too long", expected=f"a path of at most {LONGEST_PATH} bytes")
    return Settings(
        path,
        params.sock_mode or 0o600,
        user_id(params.sock_user)[0] if params.sock_user else -1,
        group_id(params.sock_group) if params.sock_group else -1,
        params.unix_tx_timeout / 1000,
    )


class ControlSocket:
    """The socket, and the life of the processes that serve it."""

    def __init__(self, registry: MiRegistry, settings: Settings) -> None:
        self.registry = registry
        self.settings = settings
        self.socket: socket.socket | None = None
        self.made: os.stat_result | None = None  # the file as it was made

    def open(self) -> None:
        """Makes the socket, once, before privileges are dropped and anything is forked. Raises ResourceError."""
        path = self.settings.path
        try:
            remove_stale(path)
            self.socket = bound(self.settings)
            self.made = os.lstat(path)
        except OSError as error:
            raise ResourceError(f"cannot make the control socket {path}: {error.strerror or error}") from None
        self.registry.carriers[CARRIER] = self.answer_later

    def close(self) -> None:
        """Closes the socket and takes its file away, unless something else stands there now."""
        if self.socket is None:
            return
        self.socket.close()
        self.socket = None
        try:
            if self.made is not None and os.path.samestat(os.lstat(self.settings.path), self.made):
                os.unlink(self.settings.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("the control socket %s stays behind: %s", self.settings.path, error.strerror)

    def serve(self) -> None:
        """The life of one process: answers requests until SystemExit."""
        assert self.socket is not None
        while True:
            try:
                data, peer = self.socket.recvfrom(LARGEST_REQUEST)
            except OSError as error:
                log.warning("receiving on the control socket: %s", error)
                continue
            self.handle(data, peer)

    def handle(self, data: bytes, peer: Peer) -> None:
        """Answers one request."""
        answer, reply = self.answer(data, peer)
        if answer:
            self.send(answer, peer)
        if reply is not None and reply.after is not None:
            reply.after()

    def answer(self, data: bytes, peer: Peer) -> tuple[bytes, Reply | None]:
        """What is sent back, b"" where that comes later, and the reply of the command, if one ran."""
        try:
            request = parse_request(data)
        except BadFirstLine:
            return render_error(400, "First line malformed"), None
        command = self.find(request.command)
        if command is None:
            return render_error(500, f"Command {request.command} not found"), None
        if request.fault:
            log.error("control socket: cannot read the arguments of %s: %s", request.command, request.fault)
            return render_error(400, f"parse error in command '{request.command}'"), None
        try:
            reply = command.call_later(request.values, ticket_of(peer))
            return b"" if reply is None else render(reply, INDENT), reply
        except Exception:
            log.exception("control socket: command %s failed", request.command)
            return render_error(500, f"command '{request.command}' failed"), None

    def find(self, name: str) -> Command | None:
        """The command of this name, in whatever case it is written (OpenSER)."""
        found = self.registry.find(name)
        if found is None:
            lower = name.lower()
            found = next((one for known, one in self.registry.commands.items() if known.lower() == lower), None)
        return found

    def answer_later(self, ticket: str, reply: Reply) -> None:
        """Sends the answer for which a caller got `ticket`; in any process."""
        self.send(render(reply, INDENT), peer_of(ticket))

    def send(self, data: bytes, peer: Peer) -> None:
        """Sends one datagram, where there is somebody to send it to; waits no longer than `unix_tx_timeout`."""
        if not peer or self.socket is None:
            return
        try:
            self.socket.sendto(data, peer)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                log.error("control socket: a reply of %d bytes does not fit into a datagram", len(data))
                with contextlib.suppress(OSError):
                    self.socket.sendto(render_error(500, TOO_LARGE), peer)
            else:
                log.warning("control socket: no reply to %r: %s", peer, error.strerror)


def remove_stale(path: str) -> None:
    """Removes a socket at `path` that nobody reads. Raises OSError, ResourceError where something else is there."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ResourceError(f"unix_sock {path} is there and not a socket: choose another path or remove it")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
    raise ResourceError(f"unix_sock {path} is read by another process: is another server running?")


def bound(settings: Settings) -> socket.socket:
    """The socket at its path, nobody else's before it has its owner and mode. Raises OSError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    before = os.umask(0o777)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(settings.send_seconds))
        made.bind(settings.path)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    try:
        if (settings.uid, settings.gid) != (-1, -1):
            os.chown(settings.path, settings.uid, settings.gid)
        os.chmod(settings.path, settings.mode)
    except OSError:
        made.close()
        os.unlink(settings.path)
        raise
    return made


def timeval(seconds: float) -> bytes:
    """Seconds as the system's struct timeval."""
    whole = int(seconds)
    return struct.pack("@ll", whole, int((seconds - whole) * 1_000_000))

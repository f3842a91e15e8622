"""The process behind the FIFO: reads requests, runs commands, writes replies to the callers' own FIFOs.

Nothing here waits for a caller.  One whose reply FIFO nobody reads yet, or whose reader is slow, is tried
again while everything else goes on, and given up after CALLER_SECONDS without progress.  A command is run
only once its caller's FIFO is open, so that one without a caller does nothing, as in OpenSER.

    FIFO -> RequestReader -> queue -> Caller: open its FIFO -> run the command -> write the reply -> close

(OpenSER: modules/mi_fifo/fifo_fnc.c, where one reader that never reads stops the process.)
"""

import contextlib
import errno
import logging
import os
import select
import stat
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from openserd.core.management.mi import MiRegistry, Reply
from openserd.core.management.text import render, render_error
from openserd.errors import ResourceError
from openserd.mods.mi_fifo.later import LaterAnswers
from openserd.mods.mi_fifo.wire import Request, RequestReader

log = logging.getLogger("openserd")

CHECK_SECONDS: Final = 1.0  #: between two looks at whether the FIFO is still there
REQUEST_SECONDS: Final = 5.0  #: how long a request may stand still halfway
CALLER_SECONDS: Final = 2.0  #: how long a caller may take to read a piece of its reply
CROWDED_SECONDS: Final = 0.5  #: the same while requests have to wait for a caller to leave
LATER_SECONDS: Final = 600.0  #: how long a command may take that answers later
LATER_LOOK: Final = 0.1  #: between two looks whether it has
REPLY_SECONDS: Final = 60.0  #: how long a caller may take to read all of it
RETRY_SECONDS: Final = 0.02  #: between two tries to open a reply FIFO
MAX_CALLERS: Final = 200  #: served at once; more requests wait
CHUNK: Final = 65536
NAME_MAX: Final = 255
FORBIDDEN: Final = frozenset("./\\\0")

READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
WRITE: Final = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC


def is_fifo(path: str) -> bool:
    """Whether a FIFO, not a link to one, stands at `path`."""
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except OSError:
        return False


def is_read(path: str) -> bool:
    """Whether some process reads the FIFO at `path`; one that may not be opened is taken to be somebody's."""
    try:
        os.close(os.open(path, WRITE | os.O_NOFOLLOW))
    except OSError as error:
        return error.errno not in (errno.ENXIO, errno.ENOENT)
    return True


def remove_stale(path: str) -> None:
    """Removes the FIFO at `path` where no process reads it; leaves everything else alone. Raises OSError."""
    if is_fifo(path) and not is_read(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


class RequestFifo:
    """The FIFO that all callers write to: made, looked after and removed by the process that reads it."""

    def __init__(self, path: str, mode: int, uid: int, gid: int) -> None:
        self.path = path
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.reader = -1
        self.writer = -1  # our own, so that reading never meets an end
        self.complaint = ""

    def keep(self) -> None:
        """Makes the FIFO where there is none, or where somebody has taken it away."""
        try:
            if self.is_in_place():
                return
            if os.path.lexists(self.path) and not is_fifo(self.path):
                raise ResourceError(f"{self.path} is in the way: it is not a FIFO")
            if self.reader >= 0 and is_read(self.path):
                raise ResourceError(f"{self.path} belongs to another process now")
            self.make()
            self.complaint = ""
        except (OSError, ResourceError) as error:
            self.complain(str(error))

    def is_in_place(self) -> bool:
        """Whether the FIFO that this process reads is what stands at the path."""
        if self.reader < 0:
            return False
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self.reader))
        except FileNotFoundError:
            return False

    def make(self) -> None:
        """Puts a new FIFO at the path, ready to be written to as soon as it is there. Raises OSError.

        It is made under another name and renamed: nobody finds it without its mode or its reader.
        """
        beside = self.path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        os.mkfifo(beside, 0o600)
        reader = writer = -1
        try:
            reader = os.open(beside, READ | os.O_NOFOLLOW)
            writer = os.open(beside, WRITE | os.O_NOFOLLOW)
            if (self.uid, self.gid) != (-1, -1):
                os.chown(beside, self.uid, self.gid)
            os.chmod(beside, self.mode)
            os.rename(beside, self.path)
        except OSError:
            close(reader, writer)
            os.unlink(beside)
            raise
        close(self.reader, self.writer)
        self.reader, self.writer = reader, writer
        log.info("mi_fifo listens at %s", self.path)

    def complain(self, text: str) -> None:
        """Logs why there is no FIFO, once."""
        if text != self.complaint:
            log.error("mi_fifo: %s", text)
        self.complaint = text

    def read(self) -> bytes:
        """What callers have written, b"" where there is nothing now."""
        try:
            return os.read(self.reader, CHUNK)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Stops reading and takes the FIFO away, unless somebody else's stands there."""
        if self.is_in_place():
            with contextlib.suppress(OSError):
                os.unlink(self.path)
        close(self.reader, self.writer)
        self.reader = self.writer = -1


class ReplyDirectory:
    """Where callers make their reply FIFOs."""

    def __init__(self, path: str) -> None:
        self.path = path

    def path_of(self, name: str) -> str:
        """The path of reply FIFO `name`. Raises ResourceError for a name that could lead elsewhere."""
        if not name:
            raise ResourceError("no reply FIFO is named")
        if FORBIDDEN & set(name) or len(name) > NAME_MAX or not name.isascii():
            raise ResourceError(f"forbidden name of a reply FIFO: {name!r}")
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        """Whether there is a reply FIFO `name`."""
        try:
            return is_fifo(self.path_of(name))
        except ResourceError:
            return False

    def open(self, name: str) -> int | None:
        """A descriptor to write the reply to, None while nobody reads it. Raises ResourceError or OSError.

        A link, or a file with a second name, could make a privileged server write where the caller may not.
        """
        path = self.path_of(name)
        self.check(path, os.lstat(path))
        try:
            fd = os.open(path, WRITE | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            raise
        try:
            self.check(path, os.fstat(fd))
            if not os.path.samestat(os.fstat(fd), os.lstat(path)):
                raise ResourceError(f"{path} has changed while it was opened")
        except (OSError, ResourceError):
            os.close(fd)
            raise
        return fd

    @staticmethod
    def check(path: str, status: os.stat_result) -> None:
        """Raises ResourceError unless the file is a FIFO with one name."""
        if not stat.S_ISFIFO(status.st_mode):
            raise ResourceError(f"{path} is not a FIFO")
        if status.st_nlink > 1:
            raise ResourceError(f"{path} has {status.st_nlink} names")


class Caller:
    """One request on its way to an answer."""

    __slots__ = ("after", "came_at", "data", "fd", "moved_at", "request", "retry_at", "ticket")

    def __init__(self, request: Request, now: float) -> None:
        self.request = request
        self.fd: int | None = None  # of its reply FIFO, once open
        self.data = memoryview(b"")  # what is still to be written
        self.after: Callable[[], None] | None = None
        self.ticket = ""  # of a command that has not answered yet
        self.retry_at = self.came_at = self.moved_at = now  # moved_at: the last progress

    def wakes_at(self, patience: float) -> float:
        """When to look at it again, even if nothing happens to its FIFO."""
        if self.ticket:
            return time.monotonic() + LATER_LOOK
        return self.retry_at if self.fd is None else self.ends_at(patience)

    def ends_at(self, patience: float) -> float:
        """When the caller has had its time, if it may stand still for `patience` seconds."""
        if self.ticket:
            return self.came_at + LATER_SECONDS
        return min(self.moved_at + patience, self.came_at + REPLY_SECONDS)

    def check_time(self, now: float, patience: float) -> None:
        """Raises ResourceError where the caller has had its time."""
        if now >= self.ends_at(patience):
            raise ResourceError(
                f"reply FIFO {self.request.reply_name}: "
                + ("nobody reads it" if self.fd is None else "its reader is too slow")
            )

    def write(self) -> bool:
        """Writes what fits; True when all of the reply is written. Raises OSError."""
        assert self.fd is not None
        while self.data:
            try:
                written = os.write(self.fd, self.data)
            except BlockingIOError:
                return False
            self.data = self.data[written:]
            self.moved_at = time.monotonic()
        return True

    def close(self) -> None:
        """Ends the reply: its reader sees the end of the file."""
        fd, self.fd = self.fd, None
        if fd is not None:
            os.close(fd)


class Complaints:
    """Log lines about callers, one a second at most: a flood of bad requests is no flood of lines."""

    def __init__(self) -> None:
        self.next_at = 0.0
        self.left_out = 0

    def say(self, text: str) -> None:
        """Logs `text` or counts it as left out."""
        now = time.monotonic()
        if now < self.next_at:
            self.left_out += 1
            return
        log.warning("mi_fifo: %s%s", text, f" ({self.left_out} more before)" if self.left_out else "")
        self.next_at, self.left_out = now + 1.0, 0


class FifoServer:
    """The loop."""

    def __init__(
        self,
        registry: MiRegistry,
        fifo: RequestFifo,
        replies: ReplyDirectory,
        indent: str,
        later: LaterAnswers | None = None,
    ) -> None:
        self.registry = registry
        self.later = later
        self.fifo = fifo
        self.replies = replies
        self.indent = indent
        self.reader = RequestReader(self.takes_arguments, replies.has)
        self.queue: deque[Request] = deque()
        self.callers: list[Caller] = []
        self.complaints = Complaints()
        self.check_at = 0.0
        self.expires_at = 0.0

    def takes_arguments(self, command: str) -> bool:
        """Whether `command` exists and reads arguments."""
        found = self.registry.find(command)
        return found is not None and not found.no_input

    @property
    def patience(self) -> float:
        """How long a caller may stand still now."""
        return CROWDED_SECONDS if self.queue else CALLER_SECONDS

    def serve(self) -> None:
        """Serves until SystemExit, then takes the FIFO away."""
        try:
            while True:
                self.step()
        finally:
            self.finish()

    def finish(self) -> None:
        """Writes what can be written at once, closes everything."""
        for caller in self.callers:
            with contextlib.suppress(OSError):
                if caller.fd is not None:
                    caller.write()
            caller.close()
        self.callers.clear()
        self.fifo.close()

    def step(self) -> None:
        """Waits until there is something to do and does it."""
        now = time.monotonic()
        if now >= self.check_at:
            self.fifo.keep()
            if self.later is not None:
                self.later.forget_others({caller.ticket for caller in self.callers})
            self.check_at = now + CHECK_SECONDS
        if self.wait(now):
            self.receive(self.fifo.read())
        elif self.reader.is_halfway and time.monotonic() >= self.expires_at:
            self.queue.extend(self.reader.expire())
        self.admit()
        self.callers = [caller for caller in self.callers if not self.serve_caller(caller)]

    def wait(self, now: float) -> bool:
        """Sleeps until something can be read, which it returns, or a caller wants a look."""
        poll = select.poll()
        listens = self.fifo.reader >= 0 and not self.queue
        if listens:
            poll.register(self.fifo.reader, select.POLLIN)
        for caller in self.callers:
            if caller.fd is not None:
                poll.register(caller.fd, 0 if caller.ticket else select.POLLOUT)
        moments = [self.check_at] + [caller.wakes_at(self.patience) for caller in self.callers]
        if self.reader.is_halfway:
            moments.append(self.expires_at)
        ready = poll.poll(max(0.0, min(moments) - now) * 1000 + 1)
        return listens and any(fd == self.fifo.reader for fd, _ in ready)

    def receive(self, data: bytes) -> None:
        """Takes in what callers have written."""
        self.queue.extend(self.reader.feed(data))
        self.expires_at = time.monotonic() + REQUEST_SECONDS
        if self.reader.skipped:
            self.complaints.say(f"{self.reader.skipped} lines that belong to no request")
            self.reader.skipped = 0

    def admit(self) -> None:
        """Turns requests into callers, as many as may be served at once; most are answered right here."""
        while self.queue and len(self.callers) < MAX_CALLERS:
            caller = Caller(self.queue.popleft(), time.monotonic())
            self.callers.append(caller)
            if self.serve_caller(caller):
                self.callers.remove(caller)

    def serve_caller(self, caller: Caller) -> bool:
        """Takes a caller as far as it goes now; True when done with it, answered or given up."""
        try:
            done = self.is_open(caller) and self.is_answered(caller) and caller.write()
            if not done:
                caller.check_time(time.monotonic(), self.patience)
                return False
        except (OSError, ResourceError) as error:
            self.complaints.say(f"command {caller.request.command!r} is not answered: {error}")
        caller.close()
        if caller.after is not None:
            caller.after()
        return True

    def is_open(self, caller: Caller) -> bool:
        """Whether the caller's FIFO is open; its command is run then. Raises OSError or ResourceError."""
        if caller.fd is not None:
            return True
        now = time.monotonic()
        if now < caller.retry_at:
            return False
        if not self.is_behind(caller):
            caller.fd = self.replies.open(caller.request.reply_name)
        if caller.fd is None:
            caller.retry_at = now + RETRY_SECONDS
            return False
        caller.data, caller.after = self.answer(caller.request, caller)
        caller.moved_at = time.monotonic()
        return True

    def is_answered(self, caller: Caller) -> bool:
        """Whether the answer is there; one that comes later is fetched. Raises ResourceError when nobody waits."""
        if not caller.ticket:
            return True
        assert self.later is not None and caller.fd is not None, "a later answer that nobody takes"
        text = self.later.take(caller.ticket)
        if text is None:
            if has_hung_up(caller.fd):
                raise ResourceError("the caller has gone")
            return False
        caller.ticket = ""
        caller.data = memoryview(text)
        now = time.monotonic()
        caller.came_at = caller.moved_at = now
        return True

    def is_behind(self, caller: Caller) -> bool:
        """Whether another request with the same reply FIFO came earlier: replies must not mix."""
        name = caller.request.reply_name
        earlier = next(other for other in self.callers if other.request.reply_name == name)
        return earlier is not caller

    def answer(self, request: Request, caller: Caller | None = None) -> tuple[memoryview, Callable[[], None] | None]:
        """Runs a request's command: the reply's bytes and what is to be done after it; no bytes yet where `caller` got
        a ticket for a later answer."""
        command = self.registry.find(request.command)
        if command is None:
            return memoryview(render_error(500, f"command '{request.command}' not available")), None
        if request.fault:
            log.error("mi_fifo: cannot read the arguments of %s: %s", request.command, request.fault)
            return memoryview(render_error(400, f"parse error in command '{request.command}'")), None
        try:
            ticket = self.later.new_ticket() if self.later is not None and caller is not None else ""
            reply: Reply | None = command.call_later(request.values, ticket)
            if reply is None and caller is not None:
                caller.ticket = ticket
            if reply is None:
                return memoryview(b""), None
            return memoryview(render(reply, self.indent)), reply.after
        except Exception:
            log.exception("mi_fifo: command %s failed", request.command)
            return memoryview(render_error(500, f"command '{request.command}' failed")), None


def has_hung_up(fd: int) -> bool:
    """Whether nobody reads the FIFO behind `fd` any more."""
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


def close(*descriptors: int) -> None:
    """Closes those that are open."""
    for fd in descriptors:
        if fd >= 0:
            os.close(fd)

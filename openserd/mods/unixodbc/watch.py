"""A bound on calls into ODBC drivers, which know none of their own for a server that hangs.

While this process waits in a driver, a thread looks at the clock a few times a second.  When the time is over it shuts
the driver's sockets down, upon which the driver reports a lost connection.  It touches nothing else and is the only
thread of the process; a driver without sockets is left alone.

Nothing else bounds all of them.  SQL_ATTR_QUERY_TIMEOUT is the server's to keep (psqlodbc makes of it `SET
statement_timeout`), which one that hangs does not.  MariaDB's driver has READ_TIMEOUT, PostgreSQL's has nothing of the
kind.  Both wait in poll(), which SO_RCVTIMEO does not end, nor TCP_USER_TIMEOUT while the machine still answers; and a
signal is handled only when the driver has come back.
"""

import os
import socket
import stat
import threading
import time
from typing import Final

LOOK_SECONDS: Final = 0.1
FOLDER: Final = "/proc/self/fd"


class Watch(threading.Thread):
    """The thread; one of it serves all connections of a process, because only one is waited for at a time."""

    def __init__(self) -> None:
        super().__init__(name="odbc watch", daemon=True)
        self.deadline = 0.0  #: monotonic seconds, 0 while nobody waits
        self.sockets: frozenset[int] = frozenset()  #: what is shut down
        self.spared: frozenset[int] | None = None  #: while connecting: all sockets but these

    def begin(self, deadline: float, sockets: frozenset[int], spared: frozenset[int] | None = None) -> None:
        """A wait begins."""
        self.sockets = sockets
        self.spared = spared
        self.deadline = deadline

    def end(self) -> None:
        """The wait is over."""
        self.deadline = 0.0

    def run(self) -> None:
        """The life of the thread."""
        while True:
            time.sleep(LOOK_SECONDS)
            deadline = self.deadline
            if deadline and time.monotonic() > deadline:
                self.deadline = 0.0
                for descriptor in self.sockets if self.spared is None else open_sockets() - self.spared:
                    shut_down(descriptor)


WATCHES: Final[dict[int, Watch]] = {}


def watch() -> Watch:
    """The watch of this process, started when first needed: a thread does not survive a fork."""
    found = WATCHES.get(os.getpid())
    if found is None:
        WATCHES.clear()
        found = WATCHES[os.getpid()] = Watch()
        found.start()
    return found


def open_sockets() -> frozenset[int]:
    """The descriptors of this process that are sockets."""
    return frozenset(number for number in map(int, os.listdir(FOLDER)) if is_socket(number))


def is_socket(descriptor: int) -> bool:
    """Whether a descriptor is an open socket."""
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def shut_down(descriptor: int) -> None:
    """Ends what goes through a socket, which stays open."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as one:
            one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return

"""Which receivers of an address get its datagrams: one while it can carry the load, all beyond that.

A receiver that sleeps between two messages finds its code and data gone from the processor's caches, and a message
costs several times what it would right after another.  So while the load is low, all datagrams of an address go to its
first receiver, which stays warm; the others sleep: a call costs a fifth less (`make bench`).  Beyond half a core the
kernel's hash of the source spreads them over all.  The kernel does the choosing, by a filter of one instruction on the
group of SO_REUSEPORT sockets (socket(7), SO_ATTACH_REUSEPORT_CBPF): its result is the number of a socket in the order
of their binding; where there is no such socket, the kernel falls back to its hash.

The timer process looks on ten times a second.  A receiver that lets datagrams wait without running (it waits for a
database, or has died) loses its privilege for a longer time.
"""

import logging
import socket
import struct
import time
from array import array
from collections.abc import Callable
from typing import Final

from openserd.server.udp import UdpListener

log = logging.getLogger("openserd")

LOOK_SECONDS: Final = 0.1
MOST_OF_ONE: Final = 0.5  #: share of a core in use by the first receiver beyond which all receive
LEAST_OF_ALL: Final = 0.3  #: share of a core in use by all receivers below which one is enough
STALLED: Final = 0.02  #: share of a core below which a receiver that lets datagrams wait does not work
CALM_SECONDS: Final = 10.0  #: how long the load stays low before one receiver takes all again
STALL_SECONDS: Final = 60.0  #: the same after a receiver has let datagrams wait

SO_ATTACH_REUSEPORT_CBPF: Final = 51  #: asm-generic/socket.h
SO_MEMINFO: Final = 55  #: asm-generic/socket.h; the first of its words: bytes that wait to be read
RETURN: Final = 0x06  #: BPF_RET | BPF_K (linux/bpf_common.h)
BY_HASH: Final = 0xFFFFFFFF  #: a number that no socket has


def steer(group: socket.socket, number: int) -> None:
    """Sends every datagram for the address of `group` to its socket `number`. Raises OSError."""
    instruction = array("B", struct.pack("@HBBI", RETURN, 0, 0, number))
    program = struct.pack("@HP", 1, instruction.buffer_info()[0])
    group.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)


def can_steer(listener: UdpListener) -> bool:
    """Whether there is a choice of sockets and the kernel lets us make it."""
    if len(listener.sockets) < 2:
        return False
    try:
        steer(listener.sockets[0], BY_HASH)
    except OSError as error:
        log.info("datagrams for %s are always spread over its receivers: %s", listener, error.strerror)
        return False
    return True


def lets_wait(one: socket.socket) -> bool:
    """Whether datagrams wait to be read from a socket."""
    return any(one.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4))


def processor_seconds(pid: int) -> float:
    """CPU time of a process so far (clock_getcpuclockid(3)), 0 for one that is not there."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


class Gathering:
    """The load of one address: `pids()` are the processes of its receivers, 0 for one that does not run."""

    def __init__(self, listener: UdpListener, pids: Callable[[], list[int]]) -> None:
        self.listener = listener
        self.pids = pids
        self.is_gathered = False
        self.until = 0.0  # gathered no sooner than this
        self.rests_until = 0.0  # after the kernel has refused
        self.looked_at = 0.0
        self.used: dict[int, float] = {}  # pid -> CPU seconds when looked at last

    def gather(self) -> None:
        """From now on the first receiver gets all. Raises OSError."""
        steer(self.listener.sockets[0], 0)
        self.is_gathered = True

    def spread(self, until: float) -> None:
        """From now on all receive, for as long as `until` (monotonic clock) at least. Raises OSError."""
        steer(self.listener.sockets[0], BY_HASH)
        self.is_gathered = False
        self.until = until

    def look(self, now: float) -> None:
        """Looks at the load and has the kernel do what follows from it; `now` on the monotonic clock."""
        if now < self.rests_until:
            return
        try:
            self.decide(now)
        except OSError as error:
            log.warning("datagrams for %s go on as they did: %s", self.listener, error.strerror)
            self.rests_until = now + CALM_SECONDS

    def decide(self, now: float) -> None:
        """What follows from what has happened since the last look. Raises OSError."""
        load, first = self.load(now)
        if self.is_gathered:
            if first > MOST_OF_ONE:
                self.spread(now + CALM_SECONDS)
            elif first < STALLED and lets_wait(self.listener.sockets[0]):
                self.spread(now + STALL_SECONDS)
        elif load > LEAST_OF_ALL:
            self.until = max(self.until, now + CALM_SECONDS)
        elif now >= self.until:
            self.gather()

    def load(self, now: float) -> tuple[float, float]:
        """Shares of a core that all receivers and the first have used since the last look."""
        pids = self.pids()
        used = {pid: processor_seconds(pid) for pid in (pids[:1] if self.is_gathered else pids)}
        elapsed, self.looked_at = now - self.looked_at, now
        shares = [(seconds - self.used.get(pid, seconds)) / elapsed for pid, seconds in used.items()]
        self.used = used
        return sum(shares), shares[0]

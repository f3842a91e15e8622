"""Ports of the loopback that no other process of the tests is given, and that the system gives to nobody.

A port that is merely free now may be another's before the daemon under test has bound it. So each process of the
tests has a block of its own, below the range that the system's own choices come from (ip_local_port_range). The block
is reserved by an abstract Unix socket named after it, which goes with the process however it ends.
"""

import itertools
import random
import socket
from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
BLOCK_SIZE = 100
BLOCKS = range(10_000, 32_700, BLOCK_SIZE)

_reservations: list[socket.socket] = []
_block: list[Iterator[int]] = []


def free_port(among: range | None = None) -> int:
    """A port, UDP and TCP, that nobody has now: the next of this process's block, or a random one of `among`."""
    if among is None and not _block:
        start = _reserve()
        _block.append(itertools.cycle(range(start, start + BLOCK_SIZE)))
    while True:
        port = random.choice(among) if among else next(_block[0])
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind((LOOPBACK, port))
    except OSError:
        return False
    return True


def _reserve() -> int:
    """The start of a block that is this process's until it ends."""
    for start in random.sample(BLOCKS, len(BLOCKS)):
        reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            reservation.bind(f"\0openserd-tests-ports-{start}")
        except OSError:
            reservation.close()
            continue
        _reservations.append(reservation)
        return start
    raise AssertionError(f"{len(BLOCKS)} processes of tests have all blocks of ports")

"""A segment and its locks for each test."""

from collections.abc import Iterator

import pytest

from openserd.shm.locks import Locks
from openserd.shm.segment import MEGABYTE, Segment

N_PROCESSES = 4


def touched_bytes() -> int:
    """Memory behind the pages of all segments that this process has touched."""
    total = 0
    is_ours = False
    with open("/proc/self/smaps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            if not line.split(maxsplit=1)[0].endswith(":"):
                is_ours = "/dev/shm/openserd-" in line
            elif is_ours and line.startswith("Rss:"):
                total += int(line.split()[1]) * 1024
    return total


@pytest.fixture
def segment() -> Iterator[Segment]:
    """Eight megabytes."""
    made = Segment(8 * MEGABYTE)
    yield made
    made.close()


@pytest.fixture
def locks(segment: Segment) -> Iterator[Locks]:
    """A registry with rows for four processes."""
    made = Locks(segment, N_PROCESSES)
    yield made
    made.close()

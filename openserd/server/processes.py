"""The processes of a server: what each is, and which of them live, in shared memory for `ps`.

    word 2n       pid of row n, 0 while none runs
    word 2n + 1   when it was started, in seconds since 1970

Row 0 is the master (OpenSER: attendant).  Which row does what is decided before the first fork and never changes, so
titles and duties are ordinary objects of the master that every child inherits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from openserd.server.in_hand import InHand
from openserd.shm.memory import SharedMemory

RANK_MASTER: Final = 0
RANK_TIMER: Final = -1
RANK_MODULE: Final = -2  #: a process of a module's own
RANK_CONTROL: Final = -5  #: a process of the control socket
ROW_WORDS: Final = 2


@dataclass(frozen=True, slots=True)
class Role:
    """What one process does: its title for `ps`, OpenSER's rank, the function that is its whole life.

    `in_hand` is where a receiver keeps the datagram that it works on.
    """

    title: str
    rank: int
    run: Callable[[], None]
    in_hand: InHand | None = None


class ProcessTable:
    """All roles, and the pid that fills each now."""

    def __init__(self) -> None:
        self.roles: list[Role] = []
        self.words: memoryview | None = None

    def add(self, role: Role) -> int:
        """Takes a role into the table and returns its row."""
        self.roles.append(role)
        return len(self.roles) - 1

    def share(self, memory: SharedMemory) -> None:
        """Moves pids to shared memory; once all roles are known."""
        n_words = len(self.roles) * ROW_WORDS
        self.words = memory.segment.words(memory.segment.reserve(n_words * 4), n_words)

    def set_pid(self, row: int, pid: int) -> None:
        """Notes that `pid` fills `row` from now on; 0 that nobody does."""
        assert self.words is not None
        self.words[row * ROW_WORDS + 1] = int(time.time())
        self.words[row * ROW_WORDS] = pid

    def pid(self, row: int) -> int:
        """The pid of `row`, 0 where none runs."""
        assert self.words is not None
        return int(self.words[row * ROW_WORDS])

    def processes(self) -> list[tuple[int, int, str]]:
        """(row, pid, title) of all, in their order."""
        return [(row, self.pid(row), role.title) for row, role in enumerate(self.roles)]

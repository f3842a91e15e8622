"""Which process runs a failure route: its pid and when it was started, so that a later process with the same pid is not
taken for it.  As long as it lives the route is its own, however long it takes."""

import os
from pathlib import Path
from typing import Final

ZOMBIE: Final = "Z"
START: Final = 19  #: of the fields behind the name in /proc/PID/stat (proc(5): starttime)
MASK: Final = 0xFFFFFFFF


class Claimant:
    """This process, as it writes itself into a transaction."""

    def __init__(self) -> None:
        self.pid = 0
        self.since = 0

    def identity(self) -> tuple[int, int]:
        """Its pid and when it was started; asked for once after each fork."""
        pid = os.getpid()
        if pid != self.pid:
            self.pid, self.since = pid, started(pid) or 0
        return pid, self.since


def lives(pid: int, since: int) -> bool:
    """Whether the process `pid` that was started at `since` is still there."""
    return started(pid) == since


def started(pid: int) -> int | None:
    """When process `pid` was started, in clock ticks since the system was, modulo 2**32; None where there is none, or
    only what is left of it. 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() or not has_process(pid) else 0
    return None if fields[0] == ZOMBIE else int(fields[START]) & MASK


def has_process(pid: int) -> bool:
    """Whether there is a process `pid`; one that may not be asked is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

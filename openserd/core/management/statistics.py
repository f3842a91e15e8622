"""Statistics: named counters in groups, shared by all processes without a lock, read by MI.

A counter lives in shared memory as one row per process (`shm.Counters`) and is summed when read; a computed one is a
function called when read.  Until a server is made, in unit tests, a statistic counts in its own process.
(OpenSER: statistics.h; names compare without regard to case.)
"""

from collections.abc import Callable, Iterator

from openserd.shm.counters import Counters


class Unshared:
    """The counter of a statistic of this process alone: before the server's shared memory exists."""

    __slots__ = ("row",)

    def __init__(self) -> None:
        self.row = [0]

    def value(self, i: int) -> int:
        """What has been counted."""
        return self.row[i]

    def reset(self, i: int) -> None:
        """Counts from 0 again."""
        self.row[i] = 0


class Statistic:
    """One number: `bump` it where the thing happens, read its `value`."""

    __slots__ = ("compute", "counters", "group", "index", "name", "resettable")

    def __init__(
        self, group: str, name: str, *, resettable: bool = True, compute: Callable[[], int] | None = None
    ) -> None:
        self.group = group
        self.name = name
        self.resettable = resettable and compute is None
        self.compute = compute
        self.counters: Counters | Unshared = Unshared()
        self.index = 0

    def bump(self, amount: int = 1) -> None:
        """Counts `amount` more, or fewer when negative."""
        self.counters.row[self.index] += amount

    def share(self, counters: Counters) -> None:
        """Gives the statistic its row in shared memory; before the fork. What it has counted goes along."""
        if self.compute is None:
            before = self.counters.value(self.index)
            self.counters = counters
            self.index = counters.add(f"{self.group}:{self.name}")
            self.bump(before)

    def value(self) -> int:
        """The sum over all processes, or what the computed statistic says now."""
        return self.counters.value(self.index) if self.compute is None else self.compute()

    def reset(self) -> None:
        """Starts again from zero; nothing happens to one that cannot be reset."""
        if self.resettable:
            self.counters.reset(self.index)


class Statistics:
    """All statistics of a server, by group and name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Statistic] = {}

    def add(self, statistic: Statistic) -> Statistic:
        """Registers `statistic`; a second one of the same group and name replaces it."""
        self.by_name[f"{statistic.group}:{statistic.name}".lower()] = statistic
        return statistic

    def share(self, counters: Counters) -> None:
        """Moves all of them to shared memory."""
        for statistic in self.by_name.values():
            statistic.share(counters)

    def select(self, word: str) -> Iterator[Statistic]:
        """Those that `word` names: `all`, `group:`, `group:name`, or a name whatever its group."""
        wanted = word.lower()
        for full, statistic in self.by_name.items():
            if wanted in ("all", full, statistic.name.lower()) or (wanted.endswith(":") and full.startswith(wanted)):
                yield statistic

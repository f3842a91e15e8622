"""Locks between processes, and how the master frees what a killed process held.

A lock is a POSIX semaphore of value 1, unlinked as soon as it is made.  Semaphores do not know their holder, so
each process keeps a row of u32 words in shared memory that only it writes:

    byte  0  pid      the process that uses the row, 0 nobody
          4  beats    counts the times this process found that it is still waiting
          8  guard    always 0
         12  level 0  lock number << 2 | state:  0 none, 1 wants, 2 holds, 3 releasing
         16  level 1  the lock taken while level 0 is held
        ...  up to level 12, byte 60; a row is 64 bytes, row p at p * 64

`acquire` stores 1 before, 2 after it has the semaphore; `release` stores 3 before, 0 after it gives it back.  What
the master does for each word of a process it has reaped:

    2        it was held: repair what the lock protects, release
    1 or 3   it may have been held: watch.  Value above 0, or a live process in 2: not lost.  60 samples in a row of
             value 0 with nobody in 2 or 3, and every live process in 1 has shown that it is really waiting: lost,
             release.  Undecided after one second: lost as well.

Several processes may be dead at once.  When the master itself waits for a lock, which it does only outside this
file, it first frees those of all its dead children, reaped or not.

Two locks of one set are taken in ascending order.  A signal handler must not take locks; one that raises has to end
the process, since a lock may stay held (`free_dead` finds it).

The semaphores are multiprocessing's: a free one is taken without a look at the clock, which with posix_ipc costs three
times as much, and what a signal handler raises ends the wait.  When several processes want one lock all the time
posix_ipc is better (7 us a turn against 11, two processes); but locks are many here and held for microseconds.
Measured (Debian's Python 3.11): acquire and release together 0.45 us.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.synchronize import Semaphore
from typing import Final

from openserd.errors import ResourceError
from openserd.shm.segment import Segment

WANTS: Final = 1
HOLDS: Final = 2
RELEASING: Final = 3

ROW_WORDS: Final = 16
PID: Final = 0
BEATS: Final = 1
LEVELS: Final = 3

MASTER: Final = 0  #: the row of the process that reaps and recovers all others

WATCHDOG_S: Final = 0.2  #: how long one wait lasts before the process shows that it is still waiting
MASTER_WATCHDOG_S: Final = 0.01  #: the same for the master, which alone can free what a dead child holds
STALL_S: Final = 1.0  #: after how long, and how often, `on_stall` is told
SAMPLE_S: Final = 0.0005
CLEAN_SAMPLES: Final = 60
DOUBT_S: Final = 1.0  #: the longest that `free_dead` watches one lock

_FORKED: Final = multiprocessing.get_context("fork")

Repair = Callable[[int], None]
OnStall = Callable[[str, int, float], None]


class Locks:
    """All locks of the server, and who holds them.

    Locks are made by the master before the fork.  A process is a row number: 0 is the master, and whoever it has
    forked until `enter` says otherwise.
    """

    __slots__ = ("_buried", "_owners", "_rows", "_words", "end", "n_processes", "on_stall", "on_wait", "process", "top")

    def __init__(self, segment: Segment, n_processes: int) -> None:
        self.n_processes: int = n_processes
        self._rows: int = segment.reserve(n_processes * ROW_WORDS * 4) // 4
        self._words: memoryview = segment.words(0, segment.size // 4)
        self._owners: list[tuple[LockSet, int]] = []
        self._buried: dict[int, list[tuple[str, int]]] = {}
        self.on_stall: OnStall | None = None  #: (name, i, seconds waited so far), called by the one that waits
        self.on_wait: Callable[[], None] | None = None  #: before each WATCHDOG_S of waiting; may raise
        self.process: int = 0
        self.top: int = 0  #: word index of this process's first unused level
        self.end: int = 0  #: one past its last level
        self.enter(0)

    def lock_set(self, name: str, n: int, repair: Repair | None = None) -> "LockSet":
        """`n` new locks that share a name.

        `repair(i)` is called by the master when a process died holding lock `i`, while nobody else can have it.
        """
        lock_set = LockSet(self, self._words, name, n, len(self._owners), repair)
        self._owners.extend((lock_set, i) for i in range(n))
        return lock_set

    def lock(self, name: str, repair: Repair | None = None) -> "Lock":
        """One new lock."""
        return Lock(self.lock_set(name, 1, repair))

    def enter(self, process: int) -> None:
        """This process is row `process` from now on; called first thing after the fork."""
        if not 0 <= process < self.n_processes:
            raise AssertionError(f"process {process} of {self.n_processes}")
        row = self._row(process)
        self._words[row + PID] = os.getpid()
        self.process = process
        self.end = row + ROW_WORDS
        self.top = row + LEVELS
        while self.top < self.end and self._words[self.top]:
            self.top += 1

    def pid(self, process: int) -> int:
        """Who uses row `process`; 0 nobody."""
        return self._words[self._row(process) + PID]

    def beat(self) -> None:
        """This process knows that it waits for a lock and does not have it."""
        at = self._row(self.process) + BEATS
        self._words[at] = (self._words[at] + 1) & 0xFFFFFFFF

    def held(self, process: int) -> list[tuple[str, int, int]]:
        """(name, i, state) of each lock that `process` wants, holds or is releasing; outermost first."""
        found = []
        for word in self._levels(process):
            if word & 3:
                lock_set, i = self._owners[word >> 2]
                found.append((lock_set.name, i, word & 3))
        return found

    def free_dead(self, process: int) -> list[tuple[str, int]]:
        """The locks that `process` died with, all free again, innermost first.

        For the master, after it has reaped `process` and before the row is used again.  Takes some 30 ms when the
        process died within a microsecond of taking or releasing a lock, about a second at worst.
        """
        if process == self.process:
            raise AssertionError("a process cannot bury itself")
        freed = self._buried.pop(process, [])
        seen = set()
        for word in reversed(self._levels(process)):
            if word & 3 and word >> 2 not in seen:
                seen.add(word >> 2)
                lock_set, i = self._owners[word >> 2]
                if self._free_one(lock_set, i, word, process):
                    freed.append((lock_set.name, i))
        row = self._row(process)
        for at in (PID, *range(LEVELS, ROW_WORDS)):
            self._words[row + at] = 0
        return freed

    def free_all_dead(self) -> None:
        """For the master that waits: free what any dead child held; `free_dead` reports it when it is asked."""
        for process in range(self.n_processes):
            if process != self.process and any(self._levels(process)) and is_gone(self.pid(process)):
                self._buried[process] = self.free_dead(process)

    def close(self) -> None:
        """Give all semaphores back to the system, as soon as nobody holds them any more."""
        for lock_set, _ in self._owners:
            lock_set.close()
        self._owners.clear()

    def _free_one(self, lock_set: "LockSet", i: int, word: int, process: int) -> bool:
        """True when the dead `process` had the lock; it is released then."""
        if word & 3 == HOLDS:
            if lock_set.repair is not None:
                lock_set.repair(i)
        elif not self._is_lost(lock_set.semaphores[i], word >> 2, process):
            if lock_set.try_acquire(i):  # a waiter that died may have taken another's wake-up with it
                lock_set.release(i)
            return False
        lock_set.semaphores[i].release()
        return True

    def _is_lost(self, semaphore: Semaphore, number: int, dead: int) -> bool:
        """True when nobody alive has lock `number`; the rule is in the module's docstring."""
        beats = [self._words[self._row(process) + BEATS] for process in range(self.n_processes)]
        deadline = time.monotonic() + DOUBT_S
        clean = 0
        while semaphore.get_value() == 0:
            state = self._worst(number, dead, beats)
            if state == HOLDS:
                return False
            clean = 0 if state == RELEASING else clean + 1
            if (clean >= CLEAN_SAMPLES and not state) or time.monotonic() > deadline:
                return True
            time.sleep(SAMPLE_S)
        return False

    def _worst(self, number: int, dead: int, beats: list[int]) -> int:
        """HOLDS if any other process has the lock, else RELEASING if a live one is about to give it back, else WANTS
        if a live one asks for it and has not beaten since `beats` was taken, else 0.
        """
        worst = 0
        for process in range(self.n_processes):
            if process == dead:
                continue
            for word in self._levels(process):
                state = word & 3
                if state and word >> 2 == number:
                    if state == HOLDS:
                        return HOLDS
                    if is_gone(self.pid(process)):
                        continue
                    if state == RELEASING:
                        worst = RELEASING
                    elif not worst and self._words[self._row(process) + BEATS] == beats[process]:
                        worst = WANTS
        return worst

    def _row(self, process: int) -> int:
        return self._rows + process * ROW_WORDS

    def _levels(self, process: int) -> list[int]:
        row = self._row(process)
        return self._words[row + LEVELS : row + ROW_WORDS].tolist()


class LockSet:
    """`n` locks with one name, such as the stripes of a table; made by `Locks.lock_set`.

    `acquire` and `release` take any number, a hash too: lock `i` is number `i` modulo `n`.
    """

    __slots__ = ("_acquire", "_base", "_locks", "_n", "_release", "_words", "name", "repair", "semaphores")

    def __init__(self, locks: Locks, words: memoryview, name: str, n: int, first: int, repair: Repair | None) -> None:
        self.name: str = name
        self.repair: Repair | None = repair
        self.semaphores: list[Semaphore] = [_semaphore(name) for _ in range(n)]
        self._acquire: list[Callable[..., bool]] = [semaphore.acquire for semaphore in self.semaphores]
        self._release: list[Callable[[], None]] = [semaphore.release for semaphore in self.semaphores]
        self._locks: Locks = locks
        self._words: memoryview = words
        self._base: int = first << 2
        self._n: int = n

    def __len__(self) -> int:
        return self._n

    def close(self) -> None:
        """Let go of the semaphores; the system has them as long as any process does."""
        self.semaphores.clear()
        self._acquire.clear()
        self._release.clear()

    def acquire(self, i: int) -> None:
        """Take lock `i`, waiting as long as it takes.  Not reentrant."""
        i %= self._n
        locks = self._locks
        top = locks.top
        if top == locks.end:
            raise AssertionError(f"too many locks held at {self.name}[{i}]")
        word = self._base + (i << 2)
        words = self._words
        words[top] = word + WANTS
        if not self._acquire[i](False):
            self._wait(i)
        words[top] = word + HOLDS
        locks.top = top + 1

    def release(self, i: int) -> None:
        """Give lock `i` back.  AssertionError when this process does not hold it."""
        i %= self._n
        locks = self._locks
        top = locks.top - 1
        word = self._base + (i << 2)
        words = self._words
        if words[top] != word + HOLDS:
            self._release_below(i, word, top)
            return
        words[top] = word + RELEASING
        self._release[i]()
        words[top] = 0
        locks.top = top

    def abandon(self, i: int) -> None:
        """Give lock `i` back after an exception, perhaps from a signal handler: what it protects is repaired first."""
        if self.repair is not None:
            self.repair(i)
        self.release(i)

    def try_acquire(self, i: int) -> bool:
        """True when lock `i` was free and is now taken; never waits."""
        locks = self._locks
        top = locks.top
        word = self._base + (i << 2)
        self._words[top] = word + WANTS
        if not self._acquire[i](False):
            self._words[top] = 0
            return False
        self._words[top] = word + HOLDS
        locks.top = top + 1
        return True

    def _wait(self, i: int) -> None:
        """Come back with lock `i`, which somebody else has."""
        locks = self._locks
        began = time.monotonic()
        report_after = STALL_S
        while True:
            locks.beat()
            if locks.on_wait is not None:
                locks.on_wait()
            if locks.process == MASTER:
                locks.free_all_dead()
            if self._acquire[i](True, MASTER_WATCHDOG_S if locks.process == MASTER else WATCHDOG_S):
                return
            waited = time.monotonic() - began
            if waited >= report_after:
                report_after += STALL_S
                if locks.on_stall is not None:
                    locks.on_stall(self.name, i, waited)

    def _release_below(self, i: int, word: int, top: int) -> None:
        """Release a lock that is not the last one taken: the last one moves into its level."""
        words = self._words
        at = top
        while words[at] and words[at] != word + HOLDS:  # the guard word ends it
            at -= 1
        if not words[at]:
            raise AssertionError(f"{self.name}[{i}] released by a process that does not hold it")
        words[at] = word + RELEASING
        self._release[i]()
        # A lock named by two levels is freed once: free_dead looks at each number once.
        while at < top:
            words[at] = words[at + 1]
            at += 1
        words[top] = 0
        self._locks.top = top


class Lock:
    """One lock; made by `Locks.lock`."""

    __slots__ = ("_set",)

    def __init__(self, lock_set: LockSet) -> None:
        self._set: LockSet = lock_set

    def acquire(self) -> None:
        """Take the lock, waiting as long as it takes.  Not reentrant."""
        self._set.acquire(0)

    def release(self) -> None:
        """Give the lock back.  AssertionError when this process does not hold it."""
        self._set.release(0)

    def abandon(self) -> None:
        """Give the lock back after an exception: what it protects is repaired first."""
        self._set.abandon(0)

    def try_acquire(self) -> bool:
        """True when the lock was free and is now taken; never waits."""
        return self._set.try_acquire(0)

    def __enter__(self) -> None:
        """For code that is not hot: costs twice as much as the two calls."""
        self._set.acquire(0)

    def __exit__(self, *_: object) -> None:
        self._set.release(0)


def is_gone(pid: int) -> bool:
    """True when `pid`, a child of this process, has ended, reaped or not; 0 is nobody."""
    if not pid:
        return True
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _semaphore(name: str) -> Semaphore:
    """A semaphore of value 1 whose name is gone already."""
    try:
        return _FORKED.Semaphore(1)
    except OSError as error:
        raise ResourceError(f"no semaphore for {name}: {error}") from error

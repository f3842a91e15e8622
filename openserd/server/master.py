"""The master (OpenSER: attendant): forks every process of the server and keeps them running.

It handles no message.  It waits for signals, one at a time, and for the turn of what it put off:

    CHLD        a process has ended: free what it held in shared memory, start its successor
    TERM, INT   stop everything, cleanly
    USR1        write the status to the log
    HUP         ignored: the script is not reloaded in this version

A process that dies soon after its start, again and again, is started once a second only.
"""

import gc
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from typing import Final

from setproctitle import setproctitle

from openserd.core.context import Core
from openserd.errors import ResourceError
from openserd.server.parent_death import end_with_parent
from openserd.server.processes import ProcessTable, Role
from openserd.server.status import log_status

log = logging.getLogger("openserd")

SIGNALS: Final = frozenset((signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP))
QUICK_DEATH: Final = 2.0  #: seconds of life below which a death counts as one at the start
QUICK_DEATHS: Final = 5
RESPAWN_PAUSE: Final = 1.0
STOP_SECONDS: Final = 4.0  #: what does not end by itself in this time is killed
WAKE_UP: Final = 1.0
START_FAILED: Final = 3  #: exit code of a process that could not begin its work


class Lives:
    """How often a row's processes have died young, and when the next may start."""

    __slots__ = ("quick", "start_at", "started")

    def __init__(self) -> None:
        self.started = 0.0
        self.quick = 0
        self.start_at = 0.0

    def died(self, now: float) -> None:
        """Notes a death at `now` and sets when the successor may start."""
        self.quick = self.quick + 1 if now - self.started < QUICK_DEATH else 0
        self.start_at = now + (RESPAWN_PAUSE if self.quick >= QUICK_DEATHS else 0.0)


class Master:
    """The supervisor of one server."""

    def __init__(self, core: Core, table: ProcessTable, on_stopped: Callable[[], None]) -> None:
        self.core = core
        self.table = table
        self.on_stopped = on_stopped
        self.rows: dict[int, int] = {}  # pid -> row
        self.lives = [Lives() for _ in table.roles]
        self.waiting: set[int] = set()

    def run(self, ready: Callable[[], None]) -> int:
        """Starts all processes, calls `ready`, supervises until told to stop. Returns the exit code."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.table.set_pid(0, os.getpid())
        gc.collect()
        gc.freeze()
        self.start_all()
        ready()
        return self.supervise()

    def start_all(self) -> None:
        """The first start of every process. Raises ResourceError, with none left, where the system refuses one."""
        try:
            for row in range(1, len(self.table.roles)):
                self.start(row)
        except OSError as error:
            self.stop()
            raise ResourceError(f"cannot start a process: {error.strerror}") from None

    def start_helpers(self, stop: Callable[[], None]) -> None:
        """fork=no: starts timer and module processes and supervises them from handlers of signals, because this
        process receives; `stop` ends its loop."""
        self.table.set_pid(0, os.getpid())
        gc.collect()
        gc.freeze()
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.start_all()
        signal.signal(signal.SIGTERM, lambda *_: stop())
        signal.signal(signal.SIGINT, lambda *_: stop())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda *_: log_status(self.core, self.table))
        signal.signal(signal.SIGCHLD, lambda *_: self.replace_dead())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def replace_dead(self) -> None:
        """Collects ended processes and starts their successors at once."""
        self.reap()
        self.start_waiting()

    def supervise(self) -> int:
        """Handles signals and restarts until told to stop. Returns the exit code."""
        while True:
            received = signal.sigtimedwait(SIGNALS, self.pause())
            number = received.si_signo if received else 0
            if number in (signal.SIGTERM, signal.SIGINT):
                log.info("stopping on signal %d", number)
                self.stop()
                return 0
            if number == signal.SIGUSR1:
                log_status(self.core, self.table)
            self.reap()
            if self.core.params.exit_on_child_death and self.waiting:
                log.critical("a process has died: stopping, as exit_on_child_death says")
                self.stop()
                return 1
            self.start_waiting()

    def pause(self) -> float:
        """Seconds until something put off comes due."""
        if not self.waiting:
            return WAKE_UP
        return max(0.0, min(self.lives[row].start_at for row in self.waiting) - time.monotonic())

    # -- births ---------------------------------------------------------------------------------------------

    def start(self, row: int) -> None:
        """Forks the process of `row`."""
        self.lives[row].started = time.monotonic()
        master = os.getpid()
        pid = os.fork()
        if pid == 0:
            self.live(row, self.table.roles[row], master)
        self.rows[pid] = row
        self.table.set_pid(row, pid)

    def start_waiting(self) -> None:
        """Starts those successors whose time has come; one that the system refuses now gets its turn later."""
        now = time.monotonic()
        for row in [row for row in self.waiting if self.lives[row].start_at <= now]:
            try:
                self.start(row)
            except OSError as error:
                self.lives[row].start_at = now + RESPAWN_PAUSE
                log.error("cannot start %s again yet: %s", self.table.roles[row].title, error.strerror)
            else:
                self.waiting.discard(row)

    def live(self, row: int, role: Role, master: int) -> None:
        """The life of a child of `master`: never returns."""
        code = START_FAILED
        try:
            end_with_parent(master)
            self.be_born(row, role)
            code = 1
            role.run()
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 0
        except BaseException:
            log.exception("process %s ends", role.title)
        finally:
            sys.stdout.flush()
            logging.shutdown()
            os._exit(code)

    def be_born(self, row: int, role: Role) -> None:
        """What every child does first: signals, its row in shared memory, its title, the modules' own preparations."""
        departure = Departure()
        signal.signal(signal.SIGTERM, departure.asked_for)
        self.core.memory.locks.on_wait = departure.leave_if_asked
        self.core.memory.locks.on_stall = log_stall
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, lambda number, frame: log_status(self.core, self.table))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.core.process = row
        self.core.rank = role.rank
        self.core.memory.enter(row)
        random.seed()
        setproctitle(f"openserd: {role.title}")
        for module in self.core.modules.values():
            module.on_child(role.rank)

    # -- deaths ---------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Collects all processes that have ended, repairs what they left and lines up their successors."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            row = self.rows.pop(pid, 0)
            if row:
                self.bury(row, pid, status)

    def bury(self, row: int, pid: int, status: int) -> None:
        """What one death asks for."""
        role = self.table.roles[row]
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
        log.error("process %d (%s) died of %s", pid, role.title, how)
        if role.in_hand is not None:
            role.in_hand.tell()
        self.table.set_pid(row, 0)
        self.core.memory.recover(row)
        self.lives[row].died(time.monotonic())
        self.waiting.add(row)

    # -- the end --------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ends all processes: TERM, then KILL for those that stay; lets modules finish; frees everything."""
        for pid in self.rows:
            send_signal(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.rows and time.monotonic() < deadline:
            self.collect()
            if self.rows:
                signal.sigtimedwait({signal.SIGCHLD}, 0.05)
        for pid in self.rows:
            log.warning("process %d does not stop: killing it", pid)
            send_signal(pid, signal.SIGKILL)
        while self.rows:
            self.collect()
            time.sleep(0.01)
        for module in self.core.modules.values():
            module.on_exit()
        self.on_stopped()

    def collect(self) -> None:
        """Takes ended processes off the list."""
        for pid in list(self.rows):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0]
            except ChildProcessError:
                ended = pid
            if ended:
                del self.rows[pid]


class Departure:
    """SIGTERM in processes that have nothing to finish: they leave at once, a wait for a lock included."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = False

    def asked_for(self, number: int, frame: object) -> None:
        """The handler of the signal."""
        self.asked = True
        raise SystemExit(0)

    def leave_if_asked(self) -> None:
        """Leaves when the signal came while waiting for a lock, where what its handler raises is lost."""
        if self.asked:
            raise SystemExit(0)


def log_stall(name: str, index: int, seconds: float) -> None:
    """Says that a lock is waited for unusually long."""
    log.warning("waiting for lock %d of %s since %.1f s", index, name, seconds)


def send_signal(pid: int, number: int) -> None:
    """Sends a signal; the process may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

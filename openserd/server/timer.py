"""The timer process: runs the periodic work of all modules, each at its own interval, on the monotonic clock.

(OpenSER: timer.c.)  A piece of work that fails is logged and runs again at its next turn.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger("openserd")

SLOWEST_TICK: Final = 1.0  #: seconds; the process looks at its tasks at least this often


class Task:
    """Periodic work: `name` for the log, `interval` in seconds, `due` on the monotonic clock."""

    __slots__ = ("due", "interval", "name", "run")

    def __init__(self, name: str, interval: float, run: Callable[[], None], now: float) -> None:
        self.name = name
        self.interval = interval
        self.run = run
        self.due = now + interval


class TimerLoop:
    """The tasks of the timer process and their turn."""

    def __init__(self, tasks: list[tuple[str, float, Callable[[], None]]], now: float) -> None:
        self.tasks = [Task(name, interval, run, now) for name, interval, run in tasks]
        self.stopping = False

    def stop(self) -> None:
        """Ends the loop after the task in hand."""
        self.stopping = True

    def run_due(self, now: float) -> float:
        """Runs every task that is due at `now`; returns seconds until the next one is."""
        for task in self.tasks:
            if task.due <= now:
                task.due = max(task.due + task.interval, now)
                try:
                    task.run()
                except Exception:
                    log.exception("timer task %s failed", task.name)
        return min((task.due - now for task in self.tasks), default=SLOWEST_TICK)

    def run(self) -> None:
        """Runs tasks until `stop`."""
        while not self.stopping:
            pause = self.run_due(time.monotonic())
            time.sleep(min(max(pause, 0.001), SLOWEST_TICK))

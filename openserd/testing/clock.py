"""A clock that stands still until it is moved.

While a script runs, `time.time` and `time.monotonic` (and their `_ns` forms) tell this time to the whole process;
before and after they are the system's.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

NANO: Final = 1_000_000_000
MONOTONIC_START: Final = 100_000.0  #: as a machine that has been up for a day


class Clock:
    """`wall` is the time of day at the start, in seconds since 1970; `elapsed` the seconds that have passed since."""

    def __init__(self, wall: float) -> None:
        self.wall = wall
        self.elapsed = 0.0

    def time(self) -> float:
        """Seconds since 1970."""
        return self.wall + self.elapsed

    def monotonic(self) -> float:
        """Seconds since some day."""
        return MONOTONIC_START + self.elapsed

    def functions(self) -> dict[str, Callable[[], Any]]:
        """What stands in the place of the functions of module `time`."""
        return {
            "time": self.time,
            "monotonic": self.monotonic,
            "time_ns": lambda: round(self.time() * NANO),
            "monotonic_ns": lambda: round(self.monotonic() * NANO),
        }

    @contextmanager
    def running(self) -> Iterator[None]:
        """The process's time is this one."""
        replaced = {name: getattr(time, name) for name in self.functions()}
        for name, function in self.functions().items():
            setattr(time, name, function)
        try:
            yield
        finally:
            for name, function in replaced.items():
                setattr(time, name, function)

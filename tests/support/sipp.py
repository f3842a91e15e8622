"""SIPp as a second opinion: real scenarios against the server, their counts, their complaints.

sipp = Sipp(server.address, run)
with sipp.background("uas", folder / "uas.xml") as callee:
    sipp.play("uac", folder / "uac.xml", calls=100, rate=50)
assert callee.counts.failed == 0
"""

import contextlib
import csv
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import LOOPBACK, free_port
from tests.support.server import wait_until

Address = tuple[str, int]
PROGRAM = os.environ.get("SIPP", "sipp")


class SippFailed(AssertionError):
    """A run that did not end well; the text has its counts and its error file."""


@dataclass(frozen=True)
class Counts:
    """The totals of a run, from SIPp's statistics file."""

    rc: int
    created: int
    successful: int
    failed: int
    retransmissions: int
    seconds: float
    columns: dict[str, str]
    errors: str

    def counter(self, number: int) -> int:
        """A counter of the scenario (`counter="1"`), over the whole run."""
        return int(self.columns.get(f"GenericCounter{number}(C)") or 0)

    def __str__(self) -> str:
        text = (
            f"status {self.rc}, {self.created} created, {self.successful} successful, {self.failed} failed, "
            f"{self.retransmissions} retransmissions in {self.seconds:.1f} s"
        )
        causes = {name: value for name, value in self.columns.items() if name.startswith("Failed") and value != "0"}
        return text + (f", {causes}" if causes else "") + (f"\n{self.errors}" if self.errors else "")


def write_users(path: Path, rows: Iterable[Iterable[str]], order: str = "SEQUENTIAL") -> Path:
    """A data file for SIPp: one user a row, fields [field0], [field1], ..."""
    path.write_text("\n".join([order, *(";".join(row) + ";" for row in rows)]) + "\n")
    return path


class Sipp:
    """Runs scenarios against `target`, each in a folder of its own under `run`."""

    def __init__(self, target: Address, run: Path) -> None:
        self.target = target
        self.run = run
        self._n_runs = 0

    def _start(
        self,
        name: str,
        scenario: Path,
        options: Iterable[str],
        *,
        port: int,
        to_target: bool,
        keys: dict[str, str],
        timeout: float,
    ) -> "SippRun":
        self._n_runs += 1
        folder = self.run / f"sipp-{self._n_runs}-{name}"
        folder.mkdir(parents=True)
        command = [PROGRAM, *([f"{self.target[0]}:{self.target[1]}"] if to_target else [])]
        command += ["-sf", str(scenario), "-i", LOOPBACK, "-p", str(port), "-t", "u1", "-nostdin"]
        command += ["-mi", LOOPBACK, "-ci", LOOPBACK, "-cp", str(free_port()), "-mp", str(free_port())]
        command += ["-buff_size", "4000000", "-timeout", f"{int(timeout)}s", "-timeout_error"]
        command += ["-trace_stat", "-stf", str(folder / "stat.csv"), "-fd", "1"]
        command += ["-trace_err", "-error_file", str(folder / "errors.log")]
        for key, value in keys.items():
            command += ["-key", key, value]
        command += options
        with (folder / "screen").open("wb") as screen:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, "TERM": "xterm"},
            )
        return SippRun(name, folder, process, port, time.monotonic())

    def play(
        self,
        name: str,
        scenario: Path,
        *,
        calls: int,
        rate: float,
        port: int = 0,
        users: Path | None = None,
        keys: dict[str, str] | None = None,
        limit: int | None = None,
        timeout: float = 60.0,
        options: Iterable[str] = (),
        may_fail: bool = False,
    ) -> Counts:
        """`calls` calls at `rate` a second, made by SIPp. Fails when one failed, unless `may_fail`."""
        run = self._call(name, scenario, calls, rate, port, users, keys, limit, timeout, options)
        counts = run.wait(timeout + 10)
        if not may_fail and (counts.rc or counts.failed or counts.successful != calls):
            raise SippFailed(f"{name}: {counts}")
        return counts

    @contextlib.contextmanager
    def playing(
        self,
        name: str,
        scenario: Path,
        *,
        calls: int,
        rate: float,
        users: Path | None = None,
        timeout: float = 300.0,
        options: Iterable[str] = (),
    ) -> Iterator["SippRun"]:
        """`calls` calls while the block does something else to the server; after it `counts` has their totals."""
        started = self._call(name, scenario, calls, rate, 0, users, None, None, timeout, options)
        try:
            yield started
        finally:
            started.wait(timeout)

    def _call(
        self,
        name: str,
        scenario: Path,
        calls: int,
        rate: float,
        port: int,
        users: Path | None,
        keys: dict[str, str] | None,
        limit: int | None,
        timeout: float,
        options: Iterable[str],
    ) -> "SippRun":
        args = ["-m", str(calls), "-r", str(rate), "-l", str(limit or max(10, int(rate * 20)))]
        if users is not None:
            args += ["-inf", str(users)]
        return self._start(
            name,
            scenario,
            [*args, *options],
            port=port or free_port(),
            to_target=True,
            keys=keys or {},
            timeout=timeout,
        )

    @contextlib.contextmanager
    def background(
        self,
        name: str,
        scenario: Path,
        *,
        port: int = 0,
        keys: dict[str, str] | None = None,
        timeout: float = 300.0,
        options: Iterable[str] = (),
    ) -> Iterator["SippRun"]:
        """A scenario that waits for calls; after the block `counts` has its totals."""
        started = self._start(
            name,
            scenario,
            options,
            port=port or free_port(),
            to_target=False,
            keys=keys or {},
            timeout=timeout,
        )
        try:
            wait_until(
                lambda: is_bound(started.port) or started.process.poll() is not None,
                5.0,
                f"SIPp {name} is up",
            )
            if started.process.poll() is not None:
                raise SippFailed(f"{name} did not start: {started.screen()}")
            yield started
        finally:
            started.finish()


def is_bound(port: int) -> bool:
    """Whether somebody has the UDP port, by the kernel's table."""
    wanted = f":{port:04X} "
    return any(wanted in line for line in Path("/proc/net/udp").read_text().splitlines()[1:])


class SippRun:
    """One SIPp process."""

    def __init__(self, name: str, folder: Path, process: subprocess.Popen[bytes], port: int, start: float) -> None:
        self.name = name
        self.folder = folder
        self.process = process
        self.port = port
        self.start = start
        self.counts = Counts(-1, 0, 0, 0, 0, 0.0, {}, "still running")

    @property
    def seconds(self) -> float:
        """How long ago it was started."""
        return time.monotonic() - self.start

    def screen(self) -> str:
        return (self.folder / "screen").read_text(errors="replace")[-2000:]

    def wait(self, timeout: float) -> Counts:
        """Its totals, when it has ended by itself; one that does not is killed."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return self._read_counts()

    def finish(self, timeout: float = 10.0) -> Counts:
        """Asks a waiting scenario to end after its open calls."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGUSR1)
        return self.wait(timeout)

    def _read_counts(self) -> Counts:
        rows: list[dict[str, str]] = []
        statistics = self.folder / "stat.csv"
        if statistics.exists():
            with statistics.open(newline="") as file:
                rows = [row for row in csv.DictReader(file, delimiter=";") if row.get("CurrentTime")]
        last = {str(name): value or "" for name, value in (rows[-1] if rows else {}).items()}
        errors = self.folder / "errors.log"
        text = errors.read_text(errors="replace")[:4000] if errors.exists() else ""
        if self.process.returncode and not rows:
            text += self.screen()

        def total(column: str) -> int:
            return int(last.get(column) or 0)

        self.counts = Counts(
            rc=self.process.returncode,
            created=total("TotalCallCreated"),
            successful=total("SuccessfulCall(C)"),
            failed=total("FailedCall(C)"),
            retransmissions=total("Retransmissions(C)"),
            seconds=time.monotonic() - self.start,
            columns={name: value for name, value in last.items() if name.endswith("(C)")},
            errors=text,
        )
        return self.counts

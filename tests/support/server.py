"""The real daemon under test: on free ports, in a folder of its own, watched through /proc, stopped by pid.

    with Server(hello_world(children=2), tmp_path) as server:
        with Phone("alice", server.address) as alice:
            alice.register()
        assert server.mi("ps").code == 200

Leaving the block sends SIGTERM and fails when anything stays behind: a process, a shared memory object, the
FIFO, the pid file, a traceback in the log. `OPENSERD` names another program than this tree's, as in bench/.
"""

import contextlib
import os
import re
import secrets
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 20.0
STOP_SECONDS = 5.0
STARTED = "openserd is running."  # said by a master in the foreground when it has forked every process


class ServerError(AssertionError):
    """The daemon did something that it must not; the text ends with the tail of its log."""


def program() -> list[str]:
    """The command that starts openserd."""
    named = os.environ.get("OPENSERD")
    return shlex.split(named) if named else [sys.executable, "-m", "openserd"]


def wait_until(condition: Callable[[], bool], timeout: float, what: str, step: float = 0.02) -> None:
    """Returns as soon as `condition` holds, fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise ServerError(f"not within {timeout} s: {what}")
        time.sleep(step)


def check_script(text: str, run: Path, option: str = "-c") -> subprocess.CompletedProcess[str]:
    """What `openserd -c` (or `-C`) says about a script."""
    script = run / "openser.cfg"
    script.write_text(text)
    command = [*program(), option, "-f", str(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=run, check=False)


# --- /proc ----------


@dataclass(frozen=True)
class Process:
    """One entry of /proc; `start` (clock ticks since boot) tells a pid from its later reuse."""

    pid: int
    parent: int
    session: int
    state: str
    start: int

    @property
    def lives(self) -> bool:
        now = read_process(self.pid)
        return now is not None and now.start == self.start and now.state != "Z"


def read_process(pid: int) -> Process | None:
    """The process, or None when it is gone; a zombie is still there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[3]), fields[0], int(fields[19]))


def descendants(root: int) -> list[Process]:
    """The living processes below `root`, in order of their pids."""
    table = [read_process(int(name)) for name in os.listdir("/proc") if name.isdigit()]
    family, found = {root}, [process for process in table if process is not None and process.state != "Z"]
    while True:
        more = {process.pid for process in found if process.parent in family} - family
        if not more:
            return sorted((p for p in found if p.pid in family - {root}), key=lambda p: p.pid)
        family |= more


def title_of(pid: int) -> str:
    """The command line of a process, "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
    except OSError:
        return ""


def cpu_ticks(pid: int) -> int:
    """The CPU time that a process has used, in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return int(fields[11]) + int(fields[12])


# --- the management interface ----------


@dataclass
class MiNode:
    """A line of an MI reply: `name:: value attribute=value`, and what is indented below it."""

    name: str
    value: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["MiNode"] = field(default_factory=list)


@dataclass(frozen=True)
class MiReply:
    """`code reason` and the lines behind it, as sent."""

    code: int
    reason: str
    lines: list[str]

    def nodes(self) -> list[MiNode]:
        """The reply's tree, by indentation with tabs."""
        top: list[MiNode] = []
        path: list[MiNode] = []
        for line in self.lines:
            text = line.lstrip("\t")
            depth = min(len(line) - len(text), len(path))
            name, separator, rest = text.partition("::")
            if not separator:
                name, rest = "", text
            first_attribute = re.search(r"(?:^|\s)\w+=", rest)
            value = rest[: first_attribute.start()] if first_attribute else rest
            node = MiNode(name.strip(), value.strip(), dict(re.findall(r"(?:^|\s)(\w+)=(\S*)", rest)))
            (path[depth - 1].children if depth else top).append(node)
            path[depth:] = [node]
        return top


# --- the server ----------


def shared_names() -> set[str]:
    """What openserd has in /dev/shm; other programs keep theirs there too."""
    return {name for name in os.listdir("/dev/shm") if "openserd" in name}


def left_in_shm(before: set[str], grace: float = 1.0) -> set[str]:
    """What has come into /dev/shm since `before` and stays: the server takes the name of each object away as soon as
    it is made, so a name that is seen for `grace` seconds is left behind, whoever else starts servers meanwhile."""
    left = shared_names() - before
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left &= shared_names()
    return left


class Server:
    """A daemon on `config` (text, or a file to copy), listening on `sockets` free UDP ports of the
    loopback, the first of them `port` if given.

    In `config` `@RUN@`, `@PORT@` and `@FIFO@` are filled in. `args` goes to the command line. `daemonize`
    starts it in the background, where only the pid file tells its pid. `probe=False` does not wait for an
    answer to OPTIONS. `may_log_traceback` is for tests that provoke one. `start=False` leaves it to the test to
    call `start`.
    """

    def __init__(
        self,
        config: str | Path,
        run: Path,
        *,
        sockets: int = 1,
        port: int = 0,
        args: Iterable[str] = (),
        env: dict[str, str] | None = None,
        shm_megabytes: int = 64,
        daemonize: bool = False,
        probe: bool = True,
        may_log_traceback: bool = False,
        start: bool = True,
    ) -> None:
        self.run = run / f"server-{secrets.token_hex(3)}"
        self.run.mkdir(parents=True)
        self.ports = [port or free_port(), *(free_port() for _ in range(sockets - 1))]
        self.port = self.ports[0]
        self.address = (LOOPBACK, self.port)
        self.fifo = self.run / "fifo"
        self.pid_file = self.run / "pid"
        self.log_file = self.run / "log"
        self.script = self.run / "openser.cfg"
        text = config.read_text() if isinstance(config, Path) else config
        self.has_fifo = "@FIFO@" in text
        for name, value in (("@RUN@", self.run), ("@PORT@", self.port), ("@FIFO@", self.fifo)):
            text = text.replace(name, str(value))
        self.script.write_text(text)
        self.args = list(args)
        self.env = {**os.environ, **(env or {})}
        self.shm_megabytes = shm_megabytes
        self.daemonize = daemonize
        self.probe = probe
        self.may_log_traceback = may_log_traceback
        self.starts_by_itself = start
        self.pid = 0
        self._popen: subprocess.Popen[bytes] | None = None
        self._family: dict[int, Process] = {}
        self.shm_before: set[str] = set()

    def __enter__(self) -> Self:
        if self.starts_by_itself:
            self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.stop()
            return
        self.kill()
        if error is not None:
            error.add_note(f"log of openserd ({self.log_file}):\n{self.log_tail()}")

    # --- start and stop ----------

    def command(self) -> list[str]:
        command = [*program(), "-f", str(self.script), "-P", str(self.pid_file), "-w", str(self.run)]
        command += ["-m", str(self.shm_megabytes)]
        for port in self.ports:
            command += ["-l", f"udp:{LOOPBACK}:{port}"]
        return [*command, *([] if self.daemonize else ["-DD", "-E"]), *self.args]

    def start(self) -> None:
        """Starts the daemon and returns when it answers and all its processes are there."""
        self.shm_before = shared_names()
        n_started = self.log.count(STARTED)
        with self.log_file.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.run,
                env=self.env,
                start_new_session=True,
            )
        self.pid = self._popen.pid
        try:
            if self.daemonize:
                self._find_daemon(self._popen)
            if self.probe:
                self.wait_for_answer(START_SECONDS)
                if not self.daemonize:
                    wait_until(lambda: self.log.count(STARTED) > n_started, START_SECONDS, "all processes are started")
            if self.has_fifo:
                wait_until(self.reads_fifo, START_SECONDS, f"the FIFO {self.fifo} is read")
        except BaseException as error:
            self.kill()
            error.add_note(f"log of openserd:\n{self.log_tail()}")
            raise
        self.remember()

    def _find_daemon(self, launcher: subprocess.Popen[bytes]) -> None:
        code = launcher.wait(START_SECONDS)
        if code:
            raise ServerError(f"openserd ended with {code} instead of going to the background")
        wait_until(lambda: self.pid_file.exists() and bool(self.pid_file.read_text().strip()), 5.0, "pid file")
        self.pid = int(self.pid_file.read_text())

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """Ends the daemon as an operator would and checks that it left nothing."""
        master = read_process(self.pid)
        self.remember()
        if master is None or master.state == "Z":
            self.kill()
            raise ServerError(f"the master ({self.pid}) was dead before the end of the test\n{self.log_tail()}")
        os.kill(self.pid, sig)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        faults = []
        if self.is_alive():
            faults.append(f"the master still lives {STOP_SECONDS} s after {sig.name}")
        elif self._popen is not None and not self.daemonize and self._popen.returncode != 0:
            faults.append(f"the master ended with status {self._popen.returncode}")
        faults += self._leftovers()
        self.kill()
        if not self.may_log_traceback and "Traceback (most recent call last)" in self.log:
            faults.append("the log has a traceback")
        if faults:
            raise ServerError("; ".join(faults) + f"\nlog of openserd ({self.log_file}):\n{self.log_tail()}")

    def kill(self) -> None:
        """Ends everything that this object started, at once. For clean-up, and for tests of sudden death."""
        if not self.pid:
            return
        self.remember()
        for process in self._family.values():
            if process.lives:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        if self._popen is not None:
            if not self.daemonize and self._popen.poll() is None:
                self._popen.kill()
            self._popen.wait(5.0)

    def _leftovers(self) -> list[str]:
        """What is still there of this server, after a second of grace."""

        def find() -> list[str]:
            found = [f"process {p.pid} still lives" for p in self._family.values() if p.pid != self.pid and p.lives]
            found += [f"{path} is still there" for path in (self.fifo, self.pid_file) if path.exists()]
            return found

        deadline = time.monotonic() + 1.0
        while (found := find()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found + [f"/dev/shm/{name} is still there" for name in sorted(left_in_shm(self.shm_before))]

    # --- watching ----------

    @property
    def exit_code(self) -> int | None:
        """The status that a master in the foreground has ended with, None while it runs."""
        return None if self._popen is None else self._popen.poll()

    def is_alive(self) -> bool:
        if self._popen is not None and not self.daemonize:
            return self._popen.poll() is None
        process = read_process(self.pid)
        return process is not None and process.state != "Z"

    def remember(self) -> None:
        """Notes the family as it is now, so that orphans are found when the master has died."""
        master = read_process(self.pid)
        for process in ([master] if master is not None and master.state != "Z" else []) + descendants(self.pid):
            self._family.setdefault(process.pid, process)

    def child(self, title: str) -> int:
        """The master's child whose title begins so, by its command line; 0 where there is none."""
        for process in descendants(self.pid):
            if process.parent == self.pid and title_of(process.pid).startswith(f"openserd: {title}"):
                return process.pid
        return 0

    def children(self) -> list[int]:
        """Pids of the master's living children."""
        self.remember()
        return [process.pid for process in descendants(self.pid) if process.parent == self.pid]

    def cpu_seconds(self) -> float:
        """CPU time that the living processes of the server have used so far, of user and system together."""
        pids = [self.pid, *(process.pid for process in descendants(self.pid))]
        times = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids)
        return sum(int(user) + int(system) for user, system in times) / os.sysconf("SC_CLK_TCK")

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.log.splitlines()[-lines:])

    def wait_for_log(self, pattern: str, timeout: float = 5.0) -> None:
        wait_until(lambda: re.search(pattern, self.log) is not None, timeout, f"{pattern!r} in the log")

    def answers_options(self, timeout: float = 0.5) -> bool:
        """Whether one OPTIONS gets any reply in time; Max-Forwards is 0, so nothing is relayed."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((LOOPBACK, 0))
            probe.connect(self.address)
            probe.settimeout(timeout)
            tag = secrets.token_hex(6)
            host, port = probe.getsockname()
            request = (
                f"OPTIONS sip:ping@{LOOPBACK}:{self.port} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{tag};rport\r\n"
                f"Max-Forwards: 0\r\nFrom: <sip:probe@{host}>;tag={tag}\r\n"
                f"To: <sip:ping@{LOOPBACK}:{self.port}>\r\nCall-ID: {tag}\r\nCSeq: 1 OPTIONS\r\n"
                "Content-Length: 0\r\n\r\n"
            )
            try:
                probe.send(request.encode())
                return probe.recv(65535).startswith(b"SIP/2.0 ")
            except (TimeoutError, ConnectionRefusedError):
                return False

    def wait_for_answer(self, timeout: float = 2.0) -> None:
        """Returns when an OPTIONS is answered; fails at once when the daemon has ended."""
        deadline = time.monotonic() + timeout
        while not self.answers_options(0.1):
            if not self.is_alive():
                raise ServerError("openserd ended while it was started")
            if time.monotonic() > deadline:
                raise ServerError(f"no answer to OPTIONS within {timeout} s")
            time.sleep(0.01)

    # --- management ----------

    def mi(self, command: str, *arguments: str, timeout: float = 5.0) -> MiReply:
        """Runs an MI command over the FIFO."""
        return self.mi_raw(f":{command}:@REPLY@\n" + "".join(f"{a}\n" for a in arguments) + "\n", timeout)

    def mi_raw(self, text: str, timeout: float = 5.0) -> MiReply:
        """Writes `text` to the FIFO, `@REPLY@` replaced by the name of a reply FIFO, and reads the reply."""
        name = f"reply{secrets.token_hex(4)}"
        path = self.run / name
        os.mkfifo(path)
        path.chmod(0o666)  # the server may run as another user
        try:
            reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                self.mi_write(text.replace("@REPLY@", name).encode())
                return _parse_reply(b"".join(_read_fifo(reader, timeout)), text)
            finally:
                os.close(reader)
        finally:
            path.unlink()

    def reads_fifo(self) -> bool:
        """Whether somebody reads the FIFO; one that a killed process has left is there but takes nothing."""
        try:
            os.close(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    def mi_write(self, data: bytes) -> None:
        """Bytes into the FIFO, nothing expected back."""
        writer = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.set_blocking(writer, True)
            os.write(writer, data)
        finally:
            os.close(writer)

    def statistics(self, *names: str) -> dict[str, int]:
        """`group:name` -> value of the statistics named (a name, `group:`, or all)."""
        reply = self.mi("get_statistics", *(names or ("all",)))
        if reply.code != 200:
            raise ServerError(f"get_statistics: {reply.code} {reply.reason}")
        pairs = (re.fullmatch(r"\s*(\S+:\S+)\s*=\s*(-?\d+)\s*", line) for line in reply.lines)
        return {pair[1]: int(pair[2]) for pair in pairs if pair}

    def processes(self) -> dict[int, str]:
        """Pid -> type, as `ps` tells it."""
        nodes = self.mi("ps").lines
        rows = (re.search(r"PID=(\d+)\s+Type=(.*)", line) for line in nodes)
        return {int(row[1]): row[2].strip() for row in rows if row}

    def workers(self) -> list[int]:
        """Pids of the UDP receivers that live; a row whose process has died and has no successor yet tells 0."""
        return [pid for pid, kind in self.processes().items() if pid and kind.startswith("receiver")]


def _read_fifo(reader: int, timeout: float) -> Iterator[bytes]:
    """What is written until the writer closes, or until the blank line that ends a reply."""
    deadline = time.monotonic() + timeout
    poller = select.poll()
    poller.register(reader, select.POLLIN)
    got = b""
    while not got.endswith(b"\n\n"):
        left = deadline - time.monotonic()
        events = poller.poll(max(0, int(left * 1000))) if left > 0 else []
        if not events:
            raise ServerError(f"no complete reply on the FIFO within {timeout} s, only {got!r}")
        if not events[0][1] & select.POLLIN:
            return
        chunk = os.read(reader, 65536)
        if not chunk:
            return
        got += chunk
        yield chunk


def _parse_reply(data: bytes, request: str) -> MiReply:
    first, *lines = data.decode("utf-8", "replace").split("\n")
    found = re.fullmatch(r"(\d{3}) ?(.*)", first)
    if not found:
        raise ServerError(f"not an MI reply to {request!r}: {data!r}")
    return MiReply(int(found[1]), found[2], [line for line in lines if line.strip()])

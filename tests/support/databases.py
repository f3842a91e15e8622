"""Database servers of the tests' own: made in a folder, on free ports, stopped by pid.

    with MariaDb() as server:
        server.url("openser")      mysql://openser:openserrw@127.0.0.1:PORT/openser
        server.kill(); server.start()
        server.pause(); server.resume()

Nothing of the system's own servers is touched; none of these listens beyond the loopback.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK, free_port

START_SECONDS = 60.0
POSTGRES_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def family(pid: int) -> list[int]:
    """A process and those below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def thread_states(pid: int) -> list[str]:
    """The states of a process's threads, T for a stopped one."""
    states = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            stat = path.read_text()
            states.append(stat[stat.rindex(")") + 2])
    return states


class DatabaseServer:
    """What the servers have in common."""

    command: tuple[str, ...] = ()
    user: str | None = None  #: who runs it, where root may not
    goodbye: int = signal.SIGTERM  #: what ends it

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="openserd-db-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.install()
        self.start()
        self.prepare()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def install(self) -> None:
        """Makes an empty server."""

    def prepare(self) -> None:
        """Makes what every test wants to find."""

    def arguments(self) -> list[str]:
        """The command line of the server."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the server takes connections."""
        raise NotImplementedError

    def run(self, *command: str, text: str = "") -> str:
        """Runs a program to its end; what it prints."""
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=60, check=False, user=self.user, cwd="/"
        )
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self.user, cwd="/"
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            assert time.monotonic() < deadline, f"{self.arguments()[0]} does not answer"
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self.process is not None
        return self.process.pid

    def stop(self) -> None:
        """Ends the server."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.goodbye)
            self.process.wait(30)

    def kill(self) -> None:
        """Ends the server without a word, and returns when none of its processes is left."""
        if self.process is None or self.process.poll() is not None:
            return
        os.kill(self.pid, signal.SIGSTOP)  # it starts no others while they are looked for
        killed = family(self.pid)
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        while not all(state in "ZX" for pid in killed for state in thread_states(pid)):
            time.sleep(0.01)

    def pause(self) -> None:
        """Has the server hang: connections are taken by the system and nobody answers."""
        for pid in family(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
            while not all(state in "TZX" for state in thread_states(pid)):  # stopped, or dead and not reaped
                time.sleep(0.01)

    def resume(self) -> None:
        """Has it go on."""
        for pid in family(self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class MariaDb(DatabaseServer):
    """MariaDB, or a MySQL that understands the same options."""

    @staticmethod
    def installed() -> bool:
        """Whether there is one."""
        return shutil.which("mariadbd") is not None and shutil.which("mariadb-install-db") is not None

    @property
    def owner(self) -> list[str]:
        """Who the server runs as."""
        return ["--user=root"] if os.geteuid() == 0 else []

    def install(self) -> None:
        """Makes the system tables."""
        self.run(
            "mariadb-install-db", "--no-defaults", *self.owner, f"--datadir={self.folder}/data",
            f"--tmpdir={self.folder}", "--auth-root-authentication-method=normal", "--skip-test-db",
            "--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0",
        )  # fmt: skip

    def arguments(self) -> list[str]:
        """The command line of the server."""
        return [
            "mariadbd", "--no-defaults", *self.owner, f"--datadir={self.folder}/data", f"--socket={self.folder}/s.sock",
            f"--tmpdir={self.folder}",  # at its start a server removes the temporary tables of whoever left them there
            f"--pid-file={self.folder}/pid", f"--bind-address={LOOPBACK}", f"--port={self.port}",
            "--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=2", "--skip-log-bin",
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether the server takes connections."""
        command = ["mariadb-admin", "--no-defaults", "-S", f"{self.folder}/s.sock", "-uroot", "ping"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def sql(self, text: str) -> str:
        """Runs statements as root."""
        return self.run("mariadb", "--no-defaults", "-S", f"{self.folder}/s.sock", "-uroot", "-N", text=text)

    def prepare(self) -> None:
        """A root that may come over the network, and the user of the tests."""
        self.sql(
            f"create user if not exists root@'{LOOPBACK}'; grant all on *.* to root@'{LOOPBACK}' with grant option;"
            f"create user openser@'{LOOPBACK}' identified by 'openserrw'; grant all on *.* to openser@'{LOOPBACK}'"
        )

    def url(self, database: str) -> str:
        """The URL of a database here."""
        return f"mysql://openser:openserrw@{LOOPBACK}:{self.port}/{database}"

    def root_url(self, database: str) -> str:
        """The same for root."""
        return f"mysql://root@{LOOPBACK}:{self.port}/{database}"


class Postgres(DatabaseServer):
    """PostgreSQL, which refuses to run as root."""

    goodbye = signal.SIGINT  #: its fast way

    def __init__(self) -> None:
        super().__init__()
        self.programs = POSTGRES_PROGRAMS[0]
        if os.geteuid() == 0:
            self.user = "postgres"
            shutil.chown(self.folder, "postgres", "postgres")

    @staticmethod
    def installed() -> bool:
        """Whether there is one."""
        return bool(POSTGRES_PROGRAMS)

    def install(self) -> None:
        """Makes the system tables."""
        self.run(
            f"{self.programs}/initdb", "-D", f"{self.folder}/data", "-A", "trust", "-U", "openser", "-E", "UTF8",
            "--locale=C", "--no-sync",
        )  # fmt: skip

    def arguments(self) -> list[str]:
        """The command line of the server."""
        return [
            f"{self.programs}/postgres", "-D", f"{self.folder}/data", "-h", LOOPBACK, "-p", str(self.port),
            "-k", str(self.folder), "-F",
        ]  # fmt: skip

    def start(self) -> None:
        """Starts the server, after a kill too."""
        if self.user is not None:
            with (self.folder / "server.log").open("ab"):
                pass
        super().start()

    def answers(self) -> bool:
        """Whether the server takes connections."""
        command = [f"{self.programs}/pg_isready", "-q", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def url(self, database: str) -> str:
        """The URL of a database here."""
        return f"postgres://openser@{LOOPBACK}:{self.port}/{database}"

    root_url: Callable[[str], str] = url

    def sql(self, text: str, database: str = "postgres") -> str:
        """Runs statements."""
        options = ["-h", LOOPBACK, "-p", str(self.port), "-U", "openser", "-d", database, "-qtA"]
        return self.run(f"{self.programs}/psql", *options, text=text)

"""The process behind the FIFO with real callers: many at once, broken ones, dead ones, and its own death."""

import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openserd.core.context import Core
from openserd.core.management.commands import register
from openserd.core.management.mi import Command, Reply
from openserd.mods.mi_fifo import MiFifo, fifo
from tests.support import new_token

HALT = 10.0  #: no test waits longer for anything


class Itself:
    """What the core's commands ask of a server: this one is a single process."""

    started_at = time.time()
    argv = ("openserd",)

    def processes(self) -> list[tuple[int, int, str]]:
        return [(0, os.getpid(), "MI FIFO")]

    def stop(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


class Process:
    """A forked process that runs mi_fifo's loop as the master would, and callers for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fifo = folder / "fifo"
        self.runs = folder / "runs"  # a line for each `echo` that was run
        self.module = MiFifo(fifo_name=str(self.fifo), reply_dir=str(folder))
        self.core = Core()
        register(self.core, Itself())
        self.core.mi.add(Command("echo", self.echo, 1, None))
        self.core.mi.add(Command("large", lambda size: Reply(200, "x" * int(size)), 1, 1))
        self.core.mi.add(Command("nap", nap, 1, 1))
        self.module.on_init(self.core)
        self.pid = 0

    def echo(self, *words: str) -> Reply:
        with self.runs.open("a") as runs:
            runs.write(words[0] + "\n")
        reply = Reply()
        for word in words:
            reply.add(value=word)
        return reply

    def start(self) -> None:
        """Forks the process; returns at once."""
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                signal.signal(signal.SIGTERM, leave)
                self.module.process_fifo()
            except SystemExit:
                code = 0
            finally:
                os._exit(code)

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Ends the process and returns how it ended, as waitpid tells."""
        os.kill(self.pid, number)
        return self.ended()

    def ended(self) -> int:
        pid, self.pid = self.pid, 0
        return os.waitpid(pid, 0)[1]

    def wait_for_fifo(self, seconds: float = HALT) -> None:
        until(lambda: self.fifo.exists() and stat.S_ISFIFO(self.fifo.stat().st_mode), seconds)

    def write(self, data: bytes) -> None:
        writer = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(writer, True)
        try:
            while data:
                data = data[os.write(writer, data) :]
        finally:
            os.close(writer)

    def call(self, command: str, *lines: str, seconds: float = HALT) -> str:
        """The whole reply to a request that is written in one piece."""
        name = new_token("reply")
        os.mkfifo(self.folder / name)
        reader = os.open(self.folder / name, os.O_RDONLY | os.O_NONBLOCK)
        try:
            self.write("\n".join([f":{command}:{name}", *lines, "", ""]).encode())
            return read_all(reader, seconds)
        finally:
            os.close(reader)
            os.unlink(self.folder / name)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def leave(number: int, frame: object) -> None:
    raise SystemExit(0)


def nap(seconds: str) -> Reply:
    time.sleep(float(seconds))
    return Reply()


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.01)


def read_all(reader: int, seconds: float = HALT, pause: float = 0.0) -> str:
    """What is written until the writer closes."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    deadline = time.monotonic() + seconds
    got = b""
    while True:
        assert poll.poll(max(0.0, deadline - time.monotonic()) * 1000), f"nothing more after {got[:100]!r}"
        piece = os.read(reader, 65536)
        if not piece:
            return got.decode()
        got += piece
        time.sleep(pause)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path)
    made.start()
    made.wait_for_fifo()
    yield made
    if made.pid:
        assert made.kill(signal.SIGTERM) == 0
    assert not made.fifo.exists()


# --- many callers ------------------------------------------------------------------------------------


def garbage(number: int) -> bytes:
    """Something that a broken caller might write."""
    kinds = (
        b":echo:lost",
        b":echo:lost\nhalf",
        b"\0\0\0\n",
        b"x" * 3000,
        b':echo:lost\n"never closed\n\n',
        b":nothing:lost\n\n",
        b"::\n:\n\n\n",
        b":echo\n",
        b"y" * 200_000 + b"\n",
        b":ps:../../etc/passwd\n\n",
    )
    return kinds[number % len(kinds)]


def test_fifty_callers_and_garbage_between_get_their_own_answers(process: Process) -> None:
    before = process.descriptors()
    wrong: list[str] = []
    tokens = [f"{caller}-{call}" for caller in range(50) for call in range(10)]
    done = threading.Event()

    def ask(caller: int) -> None:
        for call in range(10):
            token = f"{caller}-{call}"
            got = process.call("echo", token, '"two', 'lines"')
            if got != f"200 OK\n{token}\ntwo\nlines\n\n":
                wrong.append(f"{token}: {got!r}")

    def disturb(number: int) -> None:
        while not done.is_set():
            process.write(garbage(number))
            number += 3
            time.sleep(0.005)

    callers = [threading.Thread(target=ask, args=(n,)) for n in range(50)]
    vandals = [threading.Thread(target=disturb, args=(n,)) for n in range(3)]
    for thread in callers + vandals:
        thread.start()
    for thread in callers:
        thread.join()
    done.set()
    for thread in vandals:
        thread.join()
    assert wrong == []
    assert sorted(process.runs.read_text().split()) == sorted(tokens)
    until(lambda: process.descriptors() == before, 3.0)


@pytest.mark.quiet
def test_ten_thousand_useless_requests_do_not_delay_a_good_one(process: Process) -> None:
    os.mkfifo(process.folder / "stale")
    for number in range(1000):
        process.write(b"".join(f":junk{number}:missing{i}\n\n".encode() for i in range(10)))
    process.write(b"".join(b":echo:stale\nnot run\n\n" for _ in range(20)))
    assert process.call("echo", "a", seconds=2.0) == "200 OK\na\n\n"
    time.sleep(2.2)
    assert process.runs.read_text() == "a\n"


def test_a_megabyte_without_a_line_is_passed_over(process: Process) -> None:
    process.write(b"z" * 1_000_000)
    assert process.call("echo", "a") == "200 OK\na\n\n"
    process.write(b"z" * 1_000_000 + b"\n" + b":echo:missing\n" + b"z" * 1_000_000 + b"\n\n")
    assert process.call("echo", "b") == "200 OK\nb\n\n"


def test_a_request_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fifo, "REQUEST_SECONDS", 0.3)
    made = Process(tmp_path)
    made.start()
    made.wait_for_fifo()
    os.mkfifo(tmp_path / "halfway")
    reader = os.open(tmp_path / "halfway", os.O_RDONLY | os.O_NONBLOCK)
    made.write(b":echo:halfway\nfirst\n")
    assert read_all(reader, 2.0) == "400 parse error in command 'echo'\n"
    os.close(reader)
    made.write(b":echo:rest of a li")
    time.sleep(0.5)
    assert made.call("echo", "b") == "200 OK\nb\n\n"
    assert made.kill(signal.SIGTERM) == 0


# --- bad callers -------------------------------------------------------------------------------------


@pytest.mark.quiet
def test_readers_that_never_read_hold_nobody_up(process: Process) -> None:
    before = process.descriptors()
    idle = []
    for number in range(30):
        os.mkfifo(process.folder / f"idle{number}")
        idle.append(os.open(process.folder / f"idle{number}", os.O_RDONLY | os.O_NONBLOCK))
        process.write(f":large:idle{number}\n1000000\n\n".encode())
    for number in range(20):
        began = time.monotonic()
        assert process.call("echo", str(number)) == f"200 OK\n{number}\n\n"
        assert time.monotonic() - began < 1.0
    until(lambda: process.descriptors() == before, 4.0)
    for reader in idle:
        os.close(reader)


@pytest.mark.quiet
def test_a_crowd_of_useless_callers_is_sent_away_soon(process: Process) -> None:
    for number in range(2 * fifo.MAX_CALLERS):
        os.mkfifo(process.folder / f"stale{number}")
        process.write(f":echo:stale{number}\nx\n\n".encode())
    assert process.call("echo", "b", seconds=fifo.CALLER_SECONDS) == "200 OK\nb\n\n"


def test_a_slow_reader_gets_all_of_a_large_reply(process: Process) -> None:
    os.mkfifo(process.folder / "slow")
    reader = os.open(process.folder / "slow", os.O_RDONLY | os.O_NONBLOCK)
    process.write(b":large:slow\n3000000\n\n")
    assert len(read_all(reader, pause=0.02)) == 3_000_000 + len("200 \n\n")
    os.close(reader)


def test_a_reader_that_comes_late_is_waited_for(process: Process) -> None:
    os.mkfifo(process.folder / "late")
    process.write(b":echo:late\nx\n\n")
    time.sleep(0.5)
    reader = os.open(process.folder / "late", os.O_RDONLY | os.O_NONBLOCK)
    assert read_all(reader, 1.0) == "200 OK\nx\n\n"
    os.close(reader)


def test_a_reader_that_goes_away_harms_nobody(process: Process) -> None:
    os.mkfifo(process.folder / "gone")
    reader = os.open(process.folder / "gone", os.O_RDONLY | os.O_NONBLOCK)
    process.write(b":large:gone\n1000000\n\n")
    time.sleep(0.1)
    os.close(reader)
    assert process.call("echo", "a") == "200 OK\na\n\n"


def test_two_requests_with_one_reply_fifo_are_answered_one_after_the_other(process: Process) -> None:
    os.mkfifo(process.folder / "shared")
    reader = os.open(process.folder / "shared", os.O_RDONLY | os.O_NONBLOCK)
    process.write(b":large:shared\n200000\n\n:echo:shared\nsecond\n\n")
    got = ""  # between the two replies the reader may or may not see an end
    deadline = time.monotonic() + HALT
    while not got.endswith("second\n\n") and time.monotonic() < deadline:
        got += read_all(reader)
        time.sleep(0.001)
    assert got == "200 " + "x" * 200_000 + "\n\n" + "200 OK\nsecond\n\n"
    os.close(reader)


def test_files_that_are_no_reply_fifo_get_nothing(process: Process) -> None:
    (process.folder / "file").write_text("precious")
    os.mkfifo(process.folder / "real")
    (process.folder / "link").symlink_to("real")
    reader = os.open(process.folder / "real", os.O_RDONLY | os.O_NONBLOCK)
    process.write(b":echo:file\na\n\n:echo:link\nb\n\n:echo:\nc\n\n")
    os.link(process.folder / "real", process.folder / "second")
    process.write(b":echo:second\nd\n\n:echo:real\ne\n\n")
    assert process.call("ps").startswith("200 OK\nProcess::  ID=0 PID=")
    assert not process.runs.exists()
    assert (process.folder / "file").read_text() == "precious"
    assert os.read(reader, 1) == b""
    os.close(reader)


# --- the life of the FIFO ----------------------------------------------------------------------------


def test_a_deleted_fifo_comes_back(process: Process) -> None:
    process.fifo.unlink()
    process.wait_for_fifo(2.0)
    assert process.call("echo", "a") == "200 OK\na\n\n"
    assert stat.S_IMODE(process.fifo.stat().st_mode) == 0o660


def test_a_killed_process_leaves_and_a_new_one_takes_over(process: Process) -> None:
    for _ in range(10):
        process.write(b":echo:half")
        process.kill()
        process.start()
        until(lambda: fifo.is_read(str(process.fifo)), 2.0)
        assert process.call("echo", "a", seconds=2.0) == "200 OK\na\n\n"
    assert sorted(path.name for path in process.folder.iterdir()) == ["fifo", "runs"]


def test_the_master_removes_what_a_killed_process_left(process: Process) -> None:
    process.kill()
    assert process.fifo.exists()
    process.module.on_exit()
    assert not process.fifo.exists()


@pytest.mark.quiet
def test_sigterm_ends_it_at_once(process: Process) -> None:
    time.sleep(0.1)
    began = time.monotonic()
    assert process.kill(signal.SIGTERM) == 0
    assert time.monotonic() - began < 2.0
    assert not process.fifo.exists()


@pytest.mark.quiet
def test_sigterm_also_ends_a_command_that_takes_long(process: Process) -> None:
    os.mkfifo(process.folder / "reply")
    reader = os.open(process.folder / "reply", os.O_RDONLY | os.O_NONBLOCK)
    process.write(b":nap:reply\n9\n\n")
    time.sleep(0.2)
    began = time.monotonic()
    assert process.kill(signal.SIGTERM) == 0
    assert time.monotonic() - began < 2.0
    assert read_all(reader) == ""
    os.close(reader)


def test_kill_is_answered_before_the_end(process: Process) -> None:
    assert process.call("kill") == "200 OK\n\n"
    assert process.ended() == 0


# --- openserctl --------------------------------------------------------------------------------------


def openserctl(process: Process, *words: str) -> list[str]:
    options = ["--fifo", str(process.fifo), "--reply-dir", str(process.folder)]
    return [sys.executable, "-m", "openserd.ctl", *options, *words]


def test_openserctl_talks_with_it(process: Process) -> None:
    words = ["fifo", "echo", "plain", 'a "quote"', "two\nlines", "sip:[::1]", "--odd", ""]
    run = subprocess.run(openserctl(process, *words), capture_output=True, text=True, timeout=HALT)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == 'plain\na "quote"\ntwo\nlines\nsip:[::1]\n--odd\n'
    run = subprocess.run(openserctl(process, "ps"), capture_output=True, text=True, timeout=HALT)
    assert run.stdout == f"Process::  ID=0 PID={process.pid} Type=MI FIFO\n"
    run = subprocess.run(openserctl(process, "fifo", "no"), capture_output=True, text=True, timeout=HALT)
    assert (run.returncode, run.stdout, run.stderr) == (1, "", "500 command 'no' not available\n")


def test_openserctl_tells_that_nobody_reads(process: Process) -> None:
    process.kill()
    run = subprocess.run(openserctl(process, "ps"), capture_output=True, text=True, timeout=HALT)
    assert run.returncode == 2 and f"looked at {process.fifo}" in run.stderr
    process.module.on_exit()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_openserctl_leaves_nothing_when_it_is_interrupted(process: Process, number: int) -> None:
    waiting = subprocess.Popen(
        openserctl(process, "fifo", "nap", "4"),
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    until(lambda: any(process.folder.glob("openserctl_*")), HALT)
    (path,) = process.folder.glob("openserctl_*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    waiting.send_signal(number)
    assert waiting.wait(HALT) != 0
    assert list(process.folder.glob("openserctl_*")) == []


def test_openserctl_gives_up_after_five_seconds(process: Process) -> None:
    command = openserctl(process, "fifo", "nap", "7")
    run = subprocess.run(command, capture_output=True, text=True, timeout=HALT)
    assert run.returncode == 2 and "did not answer within 5 s" in run.stderr
    assert list(process.folder.glob("openserctl_*")) == []

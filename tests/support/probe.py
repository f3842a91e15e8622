"""OPTIONS at a steady rate beside whatever a test does: was the server there all the time?

    with Prober(server.address) as prober:
        os.kill(worker, signal.SIGKILL)
        ...
    assert prober.unanswered == []

Each probe is a client of its own on a port of its own, so that probes reach all workers. Like any client over UDP
it sends its request again when no answer has come within half a second (RFC 3261 timer E, first step).
"""

import select
import socket
import threading
import time
from dataclasses import dataclass
from typing import Self

from tests.support.sip import Address, new_token

INTERVAL = 0.1
RETRY = 0.5


def options(target: Address, own: Address) -> bytes:
    """A request that is never relayed: `sip:ping@` is answered by the test scripts, Max-Forwards 0 by any other."""
    host, port = bracketed(target[0]), target[1]
    tag = new_token()
    lines = [
        f"OPTIONS sip:ping@{host}:{port} SIP/2.0",
        f"Via: SIP/2.0/UDP {bracketed(own[0])}:{own[1]};branch=z9hG4bK{tag};rport",
        "Max-Forwards: 0",
        f"From: <sip:probe@{bracketed(own[0])}>;tag={tag}",
        f"To: <sip:ping@{host}:{port}>",
        f"Call-ID: {tag}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def bracketed(host: str) -> str:
    """A host as it stands in a URI."""
    return f"[{host}]" if ":" in host else host


@dataclass
class Probe:
    """One client: its socket, its request, when it began and when it was last sent."""

    socket: socket.socket
    request: bytes
    start: float
    sent_at: float
    n_sent: int = 1


def open_probe(target: Address) -> Probe:
    """A client that has sent its request."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.connect(target)
    request = options(target, opened.getsockname()[:2])
    opened.send(request)
    now = time.monotonic()
    return Probe(opened, request, now, now)


class Prober:
    """Sends a probe each `INTERVAL` seconds until the block ends; then waits for the last answers.

    `delays` are the seconds until each answer, `n_repeated` how many probes had to be sent again, `unanswered` how
    old the others were (`patience` seconds) and when they began, counted from the start of the block.
    """

    def __init__(self, target: Address, *, patience: float = 2.0) -> None:
        self.target = target
        self.patience = patience
        self.delays: list[float] = []
        self.unanswered: list[float] = []
        self.n_repeated = 0
        self.fault: BaseException | None = None
        self._open: dict[int, Probe] = {}
        self._poll = select.poll()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(self.patience + 10)
        if self.fault is not None:
            raise self.fault

    def __str__(self) -> str:
        return (
            f"{len(self.delays) + len(self.unanswered)} probes, {len(self.unanswered)} unanswered, "
            f"{self.n_repeated} sent again, slowest answer after {max(self.delays, default=0.0) * 1000:.0f} ms"
        )

    def _run(self) -> None:
        try:
            began = next_at = time.monotonic()
            while self._open or not self._stopped.is_set():
                now = time.monotonic()
                if now >= next_at and not self._stopped.is_set():
                    self._add(open_probe(self.target))
                    next_at = max(next_at + INTERVAL, now)
                for descriptor, _ in self._poll.poll(20):
                    self._read(descriptor)
                self._repeat(time.monotonic(), began)
        except BaseException as error:  # handed to the test by __exit__
            self.fault = error
        finally:
            for probe in self._open.values():
                probe.socket.close()

    def _add(self, probe: Probe) -> None:
        self._open[probe.socket.fileno()] = probe
        self._poll.register(probe.socket, select.POLLIN)

    def _close(self, probe: Probe) -> None:
        descriptor = probe.socket.fileno()
        self._poll.unregister(descriptor)
        del self._open[descriptor]
        probe.socket.close()

    def _read(self, descriptor: int) -> None:
        probe = self._open[descriptor]
        try:
            answered = probe.socket.recv(65535).startswith(b"SIP/2.0 ")
        except (BlockingIOError, ConnectionRefusedError):
            return
        if answered:
            self.delays.append(time.monotonic() - probe.start)
            self._close(probe)

    def _repeat(self, now: float, began: float) -> None:
        for probe in list(self._open.values()):
            if now - probe.start > self.patience:
                self.unanswered.append(round(probe.start - began, 1))
                self._close(probe)
            elif now - probe.sent_at > RETRY:
                self.n_repeated += probe.n_sent == 1
                probe.n_sent += 1
                probe.sent_at = now
                try:
                    probe.socket.send(probe.request)
                except ConnectionRefusedError:
                    continue


def answers(target: Address, timeout: float = 2.0) -> bool:
    """Whether one client gets an answer in time, its retransmissions included."""
    prober = Prober(target, patience=timeout)
    prober._stopped.set()
    prober._add(open_probe(target))
    prober._run()
    if prober.fault is not None:
        raise prober.fault
    return bool(prober.delays)

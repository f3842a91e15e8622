"""A relay that loses, doubles and reorders datagrams on purpose, between one phone and the server.

    phone --(inner)--> Relay --(outer)--> server          "up"
    phone <--(inner)-- Relay <--(outer)-- server          "down"

The phone sends to `inner` and publishes `outer` as its own address in Via and Contact, so no message has to
be rewritten. The relay is a process of its own: its timing does not depend on what the test does meanwhile.
It ends when the test closes it, when the test's process dies, and after `life` seconds.
"""

import argparse
import heapq
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Self

Address = tuple[str, int]
UP, DOWN = "up", "down"


@dataclass
class Rule:
    """What happens to datagrams of one kind: the first `count` that are left after `skip`, then nothing.

    `kind` is `INVITE` for a request, `180/INVITE` for a reply, or `*`. `action` is drop, double or delay (by
    `delay_ms`, so that later ones overtake).
    """

    direction: str
    kind: str = "*"
    count: int = 1
    skip: int = 0
    action: str = "drop"
    delay_ms: int = 50

    def takes(self, direction: str, kind: str) -> bool:
        """Whether this datagram is one of those meant; counts it."""
        if direction != self.direction or self.kind not in ("*", kind) or not self.count:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.count -= 1
        return True


def kind_of(data: bytes) -> str:
    """`INVITE` or `180/INVITE`; `?` for what is no SIP message."""
    first = data.split(b"\r\n", 1)[0].decode("latin-1")
    if first.startswith("SIP/2.0 "):
        method = re.search(rb"^CSeq[ \t]*:[ \t]*\d+[ \t]+(\S+)", data, re.IGNORECASE | re.MULTILINE)
        return f"{first[8:11]}/{method[1].decode('latin-1') if method else '?'}"
    return first.split(" ", 1)[0] if first.endswith(" SIP/2.0") else "?"


class Relay:
    """Starts the relay process; `inner` and `outer` are its addresses.

    `drop`, `double` and `delay` are probabilities for both directions, `drop_up` and `drop_down` for one.
    """

    def __init__(
        self,
        server: Address,
        rules: list[Rule] | None = None,
        *,
        seed: int = 1,
        drop: float = 0.0,
        drop_up: float | None = None,
        drop_down: float | None = None,
        double: float = 0.0,
        delay: float = 0.0,
        delay_ms: int = 50,
        life: float = 120.0,
    ) -> None:
        plan = {
            "server": list(server),
            "rules": [asdict(rule) for rule in rules or []],
            "seed": seed,
            "drop": {
                UP: drop if drop_up is None else drop_up,
                DOWN: drop if drop_down is None else drop_down,
            },
            "double": double,
            "delay": delay,
            "delay_ms": delay_ms,
            "life": life,
        }
        self.server = server
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--plan", json.dumps(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ports = self._answer()
        self.inner: Address = ("127.0.0.1", ports["inner"])
        self.outer: Address = ("127.0.0.1", ports["outer"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def add(self, rule: Rule) -> None:
        """One more rule, in force when this returns."""
        self._ask({"rule": asdict(rule)})

    def report(self) -> dict[str, int]:
        """What happened so far: `up INVITE passed`, `down 200/INVITE dropped`, ... -> how often."""
        return {str(name): int(count) for name, count in self._ask({"report": True})["counts"].items()}

    def count(self, direction: str, kind: str, outcome: str = "passed") -> int:
        return self.report().get(f"{direction} {kind} {outcome}", 0)

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], 5.0)
        line = self._process.stdout.readline() if ready else ""
        assert line, f"the relay process is gone (status {self._process.poll()})"
        answer: dict[str, Any] = json.loads(line)
        return answer


class _Process:
    """The relay itself, run in its own process."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.server: Address = (plan["server"][0], plan["server"][1])
        self.rules = [Rule(**rule) for rule in plan["rules"]]
        self.random = random.Random(plan["seed"])
        self.phone: Address | None = None
        self.inner = self._bind()
        self.outer = self._bind()
        self.counts: dict[str, int] = {}
        self.waiting: list[tuple[float, int, str, bytes]] = []
        self.n_waiting = 0
        self.commands = b""

    @staticmethod
    def _bind() -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        return bound

    def say(self, answer: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def serve(self) -> None:
        self.say({"inner": self.inner.getsockname()[1], "outer": self.outer.getsockname()[1]})
        end = time.monotonic() + self.plan["life"]
        while (now := time.monotonic()) < end:
            while self.waiting and self.waiting[0][0] <= now:
                _, _, direction, data = heapq.heappop(self.waiting)
                self.forward(direction, data)
            timeout = min(end, self.waiting[0][0] if self.waiting else end) - now
            ready, _, _ = select.select([self.inner, self.outer, sys.stdin], [], [], max(0.0, timeout))
            if sys.stdin in ready and not self.obey():
                return
            for direction, source in ((UP, self.inner), (DOWN, self.outer)):
                if source in ready:
                    self.read(direction, source)

    def obey(self) -> bool:
        """Commands from the test; False when it has gone."""
        chunk = os.read(sys.stdin.fileno(), 65536)
        self.commands += chunk
        while b"\n" in self.commands:
            line, self.commands = self.commands.split(b"\n", 1)
            command = json.loads(line)
            if "rule" in command:
                self.rules.append(Rule(**command["rule"]))
            self.say({"counts": self.counts})
        return bool(chunk)

    def read(self, direction: str, source: socket.socket) -> None:
        while True:
            try:
                data, address = source.recvfrom(65535)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue
            if direction == UP:
                self.phone = address
            self.treat(direction, data)

    def treat(self, direction: str, data: bytes) -> None:
        """Passes a datagram on, or not: rules first, chance after that."""
        kind = kind_of(data)
        for rule in self.rules:
            if rule.takes(direction, kind):
                outcome, delay_ms = rule.action, rule.delay_ms
                break
        else:
            outcome, delay_ms = self.chance(direction), self.plan["delay_ms"]
        name = f"{direction} {kind} {outcome}"
        self.counts[name] = self.counts.get(name, 0) + 1
        if outcome == "drop":
            return
        if outcome == "delay":
            self.n_waiting += 1
            heapq.heappush(self.waiting, (time.monotonic() + delay_ms / 1000, self.n_waiting, direction, data))
            return
        for _ in range(2 if outcome == "double" else 1):
            self.forward(direction, data)

    def chance(self, direction: str) -> str:
        if self.random.random() < self.plan["drop"][direction]:
            return "drop"
        if self.random.random() < self.plan["double"]:
            return "double"
        return "delay" if self.random.random() < self.plan["delay"] else "passed"

    def forward(self, direction: str, data: bytes) -> None:
        try:
            if direction == UP:
                self.outer.sendto(data, self.server)
            elif self.phone is not None:
                self.inner.sendto(data, self.phone)
        except (BlockingIOError, ConnectionRefusedError):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--plan", required=True, help="JSON made by Relay")
    _Process(json.loads(parser.parse_args().plan)).serve()


if __name__ == "__main__":
    main()

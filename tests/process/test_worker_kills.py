"""Workers are killed without warning while calls are set up and torn down: the others and the successors carry on.

`OPENSERD_KILL_SECONDS` is how long, `OPENSERD_KILL_SEED` repeats a run's choice of victims.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Server, Sipp, free_port, hello_world, wait_until
from tests.support.probe import Prober
from tests.support.sipp import write_users

SECONDS = int(os.environ.get("OPENSERD_KILL_SECONDS", "10"))
SEED = int(os.environ.get("OPENSERD_KILL_SEED", str(time.time_ns() & 0xFFFFFF)))
RATE = 50  # calls a second
KILL_EVERY = 1.0
N_USERS = 200
N_WORKERS = 4
KEPT = 5  #: accepted_timer: seconds until the last call's transaction ends
SCENARIOS = Path(__file__).parent / "scenarios"
REGISTER = Path(__file__).parents[1] / "sipp/01.register-and-call/register.xml"


class Killer:
    """Kills one of the processes that `victims` names each `KILL_EVERY` seconds, while it is asked to."""

    def __init__(self, victims: Callable[[], list[int]]) -> None:
        self.victims = victims
        self.random = random.Random(SEED)
        self.n_kills = 0
        self.next_at = time.monotonic() + KILL_EVERY / 2

    def look(self) -> None:
        """Kills when it is time."""
        if time.monotonic() < self.next_at:
            return
        self.next_at += KILL_EVERY
        os.kill(self.random.choice(self.victims()), signal.SIGKILL)
        self.n_kills += 1


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 2 + 120)
@pytest.mark.parametrize("socket_mode", ["reuseport", "shared"])
@pytest.mark.quiet
def test_calls_go_on_while_workers_are_killed(socket_mode: str, tmp_path: Path) -> None:
    kept = f'"tm", "accepted_timer", {KEPT}'
    script = hello_world(children=N_WORKERS, socket_mode=socket_mode, gather_load=True, params=[kept])
    with Server(script, tmp_path) as server:
        sipp, callee_port = Sipp(server.address, tmp_path), free_port()
        users = write_users(tmp_path / "users.csv", ([f"user{number}"] for number in range(N_USERS)))
        sipp.play("register", REGISTER, calls=N_USERS, rate=200, users=users, keys={"callee_port": str(callee_port)})
        others = [pid for pid, kind in server.processes().items() if not kind.startswith("receiver")]
        killer = Killer(lambda: [pid for pid in server.children() if pid not in others])
        with (
            sipp.background("uas", SCENARIOS / "uas.xml", port=callee_port) as callee,
            sipp.playing("uac", SCENARIOS / "uac.xml", calls=RATE * SECONDS, rate=RATE, users=users) as caller,
            Prober(server.address) as prober,
        ):
            end = time.monotonic() + SECONDS + 60
            while caller.process.poll() is None and time.monotonic() < end:
                if caller.seconds < SECONDS:
                    killer.look()
                time.sleep(0.02)
        calls = caller.counts
        answered, ended = calls.counter(1), calls.counter(2)
        print(
            f"{socket_mode}, seed {SEED}: {killer.n_kills} kills in {SECONDS} s; {calls.created} calls, "
            f"{calls.created - answered} not set up, {answered - ended} BYEs unanswered, "
            f"{calls.retransmissions} retransmissions; {prober}"
        )
        assert killer.n_kills >= SECONDS / KILL_EVERY - 1
        assert calls.created == RATE * SECONDS
        assert calls.created - answered <= calls.created * 0.01, str(calls)
        assert answered - ended == 0, str(calls)
        assert prober.unanswered == []
        assert callee.counts.created >= answered
        wait_until(lambda: len(server.workers()) == N_WORKERS, 5.0, "every worker has a successor")
        assert set(others) <= set(server.processes()), "nobody else has died"
        wait_until(
            lambda: server.statistics("tm:inuse_transactions")["tm:inuse_transactions"] == 0,
            60.0,
            "every transaction has ended",
            step=0.5,
        )

"""100 calls a second: first plainly relayed, then with failure routes armed, a third of them finding the first
destination busy and answered by the second.  What a call costs is told for both.
"""

from pathlib import Path

from tests.sipp.test_scenarios import Scenario
from tests.support import Counts, Sipp, free_port
from tests.support.sipp import write_users

SCENARIOS = Path(__file__).parents[2] / "process/scenarios"
REGISTER = Path(__file__).parents[1] / "01.register-and-call/register.xml"
RATE = 100
SHORT = 4  #: seconds of each half where no long form is asked for
LONG = 30
KINDS = ("armed", "armed", "hunt")
N_USERS = 99


def register(sipp: Sipp, run: Path, users: list[str], port: int) -> None:
    """Registers users at the port of a scenario."""
    path = write_users(run / f"{users[0]}.csv", ([user] for user in users))
    sipp.play("register", REGISTER, calls=len(users), rate=500, users=path, keys={"callee_port": str(port)})


def load(scenario: Scenario, name: str, users: list[str], n_calls: int) -> tuple[Counts, float]:
    """Calls to these users in turn; the counts, and what a call has cost the server in ms of CPU."""
    path = write_users(scenario.run / f"{name}-calls.csv", ([user] for user in users))
    before = scenario.server.cpu_seconds()
    timeout = n_calls / RATE * 2 + 40
    counts = scenario.sipp.play(
        name, SCENARIOS / "uac.xml", calls=n_calls, rate=RATE, users=path, timeout=timeout, may_fail=True
    )
    return counts, (scenario.server.cpu_seconds() - before) / n_calls * 1000


def check(scenario: Scenario) -> None:
    sipp, server = scenario.sipp, scenario.server
    n_calls = RATE * (scenario.seconds if scenario.seconds >= LONG else SHORT) // len(KINDS) * len(KINDS)
    callee_port, busy_port = free_port(), free_port()
    plain = [f"plain{number}" for number in range(N_USERS)]
    mixed = [f"{KINDS[number % len(KINDS)]}{number}" for number in range(N_USERS)]
    register(
        sipp, scenario.run, [user for user in plain + mixed if not user.startswith("hunt")] + ["next"], callee_port
    )
    register(sipp, scenario.run, [user for user in mixed if user.startswith("hunt")], busy_port)
    with (
        sipp.background("uas", SCENARIOS / "uas.xml", port=callee_port) as callee,
        sipp.background("busy", SCENARIOS / "busy.xml", port=busy_port) as busy,
    ):
        relayed, relayed_ms = load(scenario, "plain", plain, n_calls)
        hunted, hunted_ms = load(scenario, "mixed", mixed, n_calls)
    print(
        f"{n_calls} calls at {RATE}/s each: relayed {relayed.failed} failed, {relayed_ms:.2f} ms of CPU a call; with "
        f"failure routes and {busy.counts.created} hunts {hunted.failed} failed, {hunted_ms:.2f} ms a call "
        f"({hunted_ms / relayed_ms:.2f} x); {relayed.retransmissions}, {hunted.retransmissions} retransmissions"
    )
    for counts in (relayed, hunted):
        assert (counts.successful, counts.failed) == (n_calls, 0), str(counts)
    assert busy.counts.created == n_calls // len(KINDS)
    assert callee.counts.created == 2 * n_calls
    assert server.answers_options()

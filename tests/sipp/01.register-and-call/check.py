"""1000 users register, then call each other through the record-routing proxy at 100 calls a second.

Played in both socket modes. A peer leaves 20 ms between two messages of its own that follow each other
(180 and 200, ACK and BYE): two workers on one shared socket may hand them on in either order.
"""

from tests.sipp.test_scenarios import Scenario
from tests.support import free_port
from tests.support.sipp import write_users

VARIANTS = {"reuseport": {"socket_mode": "reuseport"}, "shared": {"socket_mode": "shared"}}
N_USERS = 1000
RATE = 100


def check(scenario: Scenario) -> None:
    sipp, folder, server = scenario.sipp, scenario.folder, scenario.server
    users = write_users(scenario.run / "users.csv", ([f"user{number}"] for number in range(N_USERS)))
    callee_port = free_port()
    keys = {"callee_port": str(callee_port)}
    sipp.play("register", folder / "register.xml", calls=N_USERS, rate=500, users=users, keys=keys)
    assert server.statistics("usrloc:")["usrloc:registered_users"] == N_USERS

    n_calls = RATE * scenario.seconds
    with sipp.background("uas", folder / "uas.xml", port=callee_port) as callee:
        counts = sipp.play(
            "uac",
            folder / "uac.xml",
            calls=n_calls,
            rate=RATE,
            users=users,
            timeout=scenario.seconds * 2 + 40,
        )
    assert counts.successful == n_calls, str(counts)
    assert callee.counts.successful == n_calls, str(callee.counts)
    assert callee.counts.failed == 0, str(callee.counts)
    assert server.answers_options()

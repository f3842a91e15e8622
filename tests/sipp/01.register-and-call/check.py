"""1000 users register, then call each other through the record-routing proxy at 100 calls a second.

Played in both socket modes. A peer leaves 20 ms between two messages of its own that follow each other
(180 and 200, ACK and BYE): two workers on one shared socket may hand them on in either order. The caller
repeats its BYE while the callee thinks: it is absorbed by whichever worker reads it. In the shared mode many messages
meet a transaction that another process has made.
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

    tm = server.statistics("tm:")
    replies, requests = tm["tm:other_process_replies"], tm["tm:other_process_requests"]
    print(
        f"{scenario.variant}: {n_calls} calls, {counts.failed} failed, in {counts.seconds:.1f} s; {replies} of "
        f"{tm['tm:received_replies']} replies and {requests} of {counts.retransmissions} repeated requests met a "
        "process that had not seen the request"
    )
    assert tm["tm:UAS_transactions"] == 2 * n_calls, "one for each INVITE and BYE, none for a repeated one"
    assert counts.retransmissions >= n_calls
    if scenario.variant == "shared":
        assert replies > tm["tm:received_replies"] * 0.1
        assert requests > counts.retransmissions * 0.1
    else:
        assert requests == 0, "one peer's requests are read by one process"

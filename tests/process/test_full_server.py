"""A server without room for another transaction: new requests get 503, what runs goes on, and all is counted."""

from pathlib import Path

import pytest

from tests.process.conftest import PhoneMaker
from tests.support import Message, Phone, Server, wait_until
from tests.support.sip import FINAL

SCRIPT = """
debug=1
log_stderror=yes
children=2
dns=no
rev_dns=no
disable_tcp=yes
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "mi_fifo.so"
modparam("mi_fifo", "fifo_name", "@FIFO@")
modparam("mi_fifo", "reply_dir", "@RUN@/")
modparam("tm", "fr_timer", 3)
modparam("tm", "wt_timer", 1)
modparam("tm", "accepted_timer", 1)
{params}
route {{
    if (method == "OPTIONS" && uri =~ "^sip:ping@") {{
        sl_send_reply("200", "alive");
        exit;
    }}
    if (!t_relay())
        sl_reply_error();
}}
"""
FEW = 'modparam("tm", "max_transactions", 64)'
MANY = 'modparam("tm", "max_transactions", 8192)'
BODY = "a=filler\r\n" * 800


def refused(caller: Phone, to: Phone, body: str, most: int) -> tuple[int, Message]:
    """Calls until one is refused: how many were not, and the refusal."""
    for number in range(most):
        invite = caller.invite(to.contact, body=body, headers=[])
        reply = caller.receive_reply(invite, None)
        if reply.code != 100:
            caller.ack_negative(invite, reply)
            return number, reply
    raise AssertionError(f"{most} calls are not too many")


@pytest.mark.conformance("HRD-05")
@pytest.mark.parametrize(
    ("params", "megabytes", "body"), [(FEW, 64, ""), (MANY, 8, BODY)], ids=["transactions", "bytes"]
)
def test_a_full_server_refuses_new_calls_and_goes_on_with_those_it_has(
    tmp_path: Path, phone: PhoneMaker, params: str, megabytes: int, body: str
) -> None:
    with Server(SCRIPT.format(params=params), tmp_path, shm_megabytes=megabytes) as server:
        caller, callee, silent, crowd = (phone(name, server) for name in ("alice", "bob", "silent", "crowd"))
        running = [caller.invite(callee.contact) for _ in range(2)]
        incoming = [callee.receive_request("INVITE") for _ in running]
        taken, refusal = refused(crowd, silent, body, 4_000)
        assert (refusal.code, refusal.get("retry-after")) == (503, "10")
        assert refusal.to_tag
        for request, code in zip(incoming, (200, 486), strict=True):
            callee.reply(request, 180)
            callee.reply(request, code)
        by_id = {invite.call_id: invite for invite in running}
        for request, code in zip(incoming, (200, 486), strict=True):
            invite = by_id[request.call_id]
            assert caller.receive_reply(invite, 180).code == 180
            assert caller.receive_reply(invite, FINAL).code == code
        callee.receive_request("ACK")
        statistics = server.statistics("tm:")
        assert statistics["tm:UAS_transactions"] == 2 + taken
        assert statistics["tm:refused_requests"] == 1
        wait_until(
            lambda: server.statistics("tm:inuse_transactions")["tm:inuse_transactions"] == 0,
            20.0,
            "every transaction has ended",
            step=0.1,
        )
        silent.drain()
        crowd.drain()
        assert crowd.receive_reply(crowd.invite(silent.contact, body=body, headers=[]), None).code == 100
        assert silent.receive_request("INVITE").body == body.encode()

"""A call with another From, redirected, challenged and recorded, while each of its steps meets another worker."""

from pathlib import Path

from tests.process.conftest import PhoneMaker
from tests.process.test_hunts import kill_workers
from tests.support import Server, wait_until
from tests.support.sip import uri_of

SCRIPT = """
debug=2
log_stderror=yes
children=2
dns=no
rev_dns=no
disable_tcp=yes
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "mi_fifo.so"
loadmodule "acc.so"
loadmodule "uac.so"
loadmodule "uac_redirect.so"
modparam("mi_fifo", "fifo_name", "@FIFO@")
modparam("mi_fifo", "reply_dir", "@RUN@/")
modparam("acc", "log_flag", 1)
modparam("acc", "log_missed_flag", 2)
modparam("acc", "report_ack", 1)
modparam("acc", "log_extra", "uri=$ru")
modparam("uac", "credential", "server:biloxi:secret")
modparam("uac", "from_passwd", "xyz")
route {
    if (method == "OPTIONS") {
        sl_send_reply("200", "alive");
        exit;
    }
    setflag(1);
    if (loose_route()) {
        t_relay();
        exit;
    }
    if (method == "INVITE") {
        setflag(2);
        uac_replace_from("Nobody", "sip:nobody@anonymous.invalid");
        record_route();
        t_on_failure("1");
    }
    t_relay();
}
failure_route[1] {
    t_on_failure("1");
    if (get_redirects("*:1", "followed")) {
        t_relay();
        exit;
    }
    if (t_check_status("401") && uac_auth()) {
        append_branch();
        t_relay();
    }
}
"""
NOBODY = "sip:nobody@anonymous.invalid"


def test_a_call_goes_on_whichever_worker_has_its_next_step(tmp_path: Path, phone: PhoneMaker) -> None:
    with Server(SCRIPT, tmp_path) as server:
        caller, moved, callee = (phone(name, server) for name in ("alice", "moved", "callee"))
        invite = caller.invite(moved.contact)
        first = moved.receive_request("INVITE")
        assert first.get("from").startswith(f'"Nobody" <{NOBODY}>')
        kill_workers(server)
        moved.reply(first, 302, contact=f"<{callee.contact}>")
        moved.receive_request("ACK")
        second = callee.receive_request("INVITE")
        assert uri_of(second.get("from")) == NOBODY
        kill_workers(server)
        callee.reply(second, 401, headers=[("WWW-Authenticate", 'Digest realm="biloxi", nonce="n"')])
        callee.receive_request("ACK")
        third = callee.receive_request("INVITE")
        assert 'username="server"' in third.get("authorization")
        assert uri_of(third.get("from")) == NOBODY
        kill_workers(server)
        answer = callee.reply(third, 200)
        final = caller.receive_reply(invite, 200)
        assert final.get("from") == invite.get("from")
        wait_until(lambda: server.log.count("ACC: ") >= 3, 3.0, "the answer's record, before another worker writes one")
        caller.ack(invite, final)
        assert uri_of(callee.receive_request("ACK").get("from")) == NOBODY
        kill_workers(server)
        bye = callee.in_dialog_as_callee("BYE", third, answer)
        received = caller.receive_request("BYE")
        assert uri_of(received.get("to")) == caller.aor
        caller.reply(received, 200)
        assert uri_of(callee.receive_reply(bye, 200).get("to")) == NOBODY
        wait_until(lambda: server.log.count("ACC: ") >= 5, 3.0, "five records")
        records = [line.partition("ACC: ")[2] for line in server.log.splitlines() if "ACC: " in line]
    told = [(line.partition(":")[0], line.partition(";code=")[2]) for line in records]
    assert told == [
        ("call missed", f"302;reason=Moved Temporarily;uri={moved.contact}"),
        ("request accounted", f";reason=followed;uri={callee.contact}"),
        ("transaction answered", f"200;reason=OK;uri={callee.contact}"),
        ("request acknowledged", f"200;reason=OK;uri={callee.contact}"),
        ("transaction answered", f"200;reason=OK;uri={caller.contact}"),
    ]

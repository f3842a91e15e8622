"""Digest authentication by real workers over a real file: whichever worker gets a message, it knows what the others
have challenged and accepted."""

from pathlib import Path

from openserd.parser.digest import parse_challenge
from tests.support import Message, Phone, Server
from tests.unit.mods import auth_kit
from tests.unit.mods.tables_kit import add, make_tables, subscriber

SCRIPT = """
children=4
gather_load=no
loadmodule "sl.so"
loadmodule "sqlite.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
modparam("auth", "one_time_nonce", 1)
modparam("auth_db", "db_url", "sqlite://{path}")
route {{
    if (method=="OPTIONS") {{ sl_send_reply("200", "OK"); exit; }}
    if (!www_authorize("example.com", "subscriber")) {{ www_challenge("example.com", "1"); exit; }}
    sl_send_reply("200", "OK");
}}
"""
URI = "sip:example.com"
N_PHONES = 16


def status(phone: Phone, authorization: str = "") -> int:
    """What a REGISTER is answered."""
    return register(phone, authorization).code


def register(phone: Phone, authorization: str = "") -> Message:
    """The reply to a REGISTER."""
    headers = [("Authorization", authorization)] if authorization else []
    return phone.receive_reply(phone.request("REGISTER", URI, headers=headers), range(200, 700))


def test_credentials_are_accepted_once_whichever_workers_they_reach(tmp_path: Path) -> None:
    path = make_tables(tmp_path)
    add(path, "subscriber", subscriber("alice"))
    alice = auth_kit.Phone("alice")
    with Server(SCRIPT.format(path=path), tmp_path) as server:
        phones = [Phone(f"phone{n}", server.address) for n in range(N_PHONES)]
        for phone in phones:
            challenge = parse_challenge(register(phones[0]).get("www-authenticate").encode())
            answers = [alice.answer(challenge, nc=nc) for nc in (1, 2)]
            assert status(phone, auth_kit.Phone("alice", "guess").answer(challenge)) == 401
            assert status(phone, answers[0]) == 200
            assert [status(other, answers[0]) for other in phones] == [401] * N_PHONES
            assert status(phones[-1], answers[1]) == 200
        repeated = register(phones[0], answers[1])
        assert "stale=true" in repeated.get("www-authenticate")
        for phone in phones:
            phone.close()

"""textops: header fields added, removed and asked for; what a message carries."""

from typing import Any

import pytest

from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, ERROR, FAILURE, ONREPLY, REQUEST
from openserd.core.reply import build_forwarded_reply, build_reply
from openserd.errors import ConfigError
from openserd.mods.textops import TextOps
from tests.support.recording import call, forwarded, lines_of, make_core, reply, request

CORE = make_core()
TEXTOPS = TextOps()


def do(name: str, msg: SipMsg, *texts: str) -> int:
    return call(TEXTOPS, CORE, name, msg, *texts)


def header_lines(msg: SipMsg) -> list[str]:
    """The header lines as sent, without this server's Via."""
    return forwarded(msg).partition(b"\r\n\r\n")[0].decode().split("\r\n")[2:]


def msg_with(*headers: str, **options: Any) -> SipMsg:
    return request(headers=headers, **options)


# -- adding -----------------------------------------------------------------------------------------------------


def test_append_hf_adds_after_the_last_line() -> None:
    msg = msg_with()
    assert do("append_hf", msg, "P-hint: $rU\r\n") == 1
    assert header_lines(msg)[-2:] == ["Content-Length: 0", "P-hint: bob"]


def test_append_hf_twice_adds_twice_in_order() -> None:
    msg = msg_with()
    do("append_hf", msg, "A: 1\r\n")
    do("append_hf", msg, "B: 2\r\nC: 3\r\n")
    assert header_lines(msg)[-3:] == ["A: 1", "B: 2", "C: 3"]


def test_append_hf_adds_after_the_first_line_of_a_field() -> None:
    msg = msg_with("Route: <sip:a;lr>", "Route: <sip:b;lr>")
    assert do("append_hf", msg, "X: 1\r\n", "route") == 1
    assert header_lines(msg)[1:4] == ["Route: <sip:a;lr>", "X: 1", "Route: <sip:b;lr>"]


def test_append_hf_adds_at_the_end_where_the_field_is_missing() -> None:
    msg = msg_with()
    assert do("append_hf", msg, "X: 1\r\n", "Subject") == 1
    assert header_lines(msg)[-1] == "X: 1"


def test_insert_hf_adds_before_the_first_line() -> None:
    msg = msg_with()
    assert do("insert_hf", msg, "P-hint: $fU\r\n") == 1
    assert header_lines(msg)[0] == "P-hint: alice"


def test_insert_hf_adds_before_the_first_line_of_a_field_in_compact_form() -> None:
    msg = msg_with("s: hello")
    assert do("insert_hf", msg, "X: 1\r\n", "Subject") == 1
    assert header_lines(msg)[1:3] == ["X: 1", "s: hello"]


def test_insert_hf_adds_before_an_unknown_field_and_at_the_front_without() -> None:
    msg = msg_with("X-Mine: a")
    do("insert_hf", msg, "X: 1\r\n", "x-mine")
    do("insert_hf", msg, "Y: 2\r\n", "x-other")
    assert header_lines(msg)[0] == "Y: 2" and header_lines(msg)[2:4] == ["X: 1", "X-Mine: a"]


def test_append_urihf_writes_the_received_uri() -> None:
    msg = msg_with()
    msg.set_ruri(b"sip:other@chicago.example")
    assert do("append_urihf", msg, "CC-Diversion: $", "\r\n") == 1
    assert header_lines(msg)[-1] == "CC-Diversion: $sip:bob@biloxi.example"


def test_replies_on_their_way_are_edited_too() -> None:
    msg = reply()
    do("append_hf", msg, "X: 1\r\n")
    do("remove_hf", msg, "CSeq")
    data = build_forwarded_reply(msg)
    assert lines_of(data, "X") == ["1"] and lines_of(data, "CSeq") == [] and len(lines_of(data, "Via")) == 1


def test_append_to_reply_and_append_time_go_into_replies_only() -> None:
    msg = msg_with()
    msg.clock = 784111777.9
    assert [do("append_to_reply", msg, "Contact: <sip:$rU@here>\r\n"), do("append_time", msg)] == [1, 1]
    data = build_reply(CORE, msg, 200, b"OK")
    assert lines_of(data, "Contact") == ["<sip:bob@here>"]
    assert lines_of(data, "Date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    assert b"Date" not in forwarded(msg) and b"Contact" not in forwarded(msg)


# -- removing and asking ------------------------------------------------------------------------------------------


def test_remove_hf_takes_all_lines_of_a_field() -> None:
    msg = msg_with("Subject: a", "X: 1", "s: b")
    assert do("remove_hf", msg, "subject") == 1
    assert lines_of(forwarded(msg), "Subject") == lines_of(forwarded(msg), "s") == []
    assert lines_of(forwarded(msg), "X") == ["1"]


def test_remove_hf_of_an_unknown_field() -> None:
    msg = msg_with("X-Mine: a", "x-mine: b", "X-Mines: c")
    assert do("remove_hf", msg, "X-MINE") == 1
    assert "X-Mines: c" in header_lines(msg) and not lines_of(forwarded(msg), "X-Mine")


def test_remove_hf_without_such_a_field_is_false() -> None:
    msg = msg_with()
    assert do("remove_hf", msg, "Subject") == -1 and not msg.lumps


@pytest.mark.parametrize(("name", "code"), [("Subject", 1), ("s", 1), ("X-Mine", 1), ("Date", -1), ("X-Other", -1)])
def test_is_present_hf(name: str, code: int) -> None:
    assert do("is_present_hf", msg_with("s: a", "x-mine: b"), name) == code


def test_a_removed_field_is_still_found() -> None:
    msg = msg_with("Subject: a")
    do("remove_hf", msg, "Subject")
    assert do("is_present_hf", msg, "Subject") == 1


@pytest.mark.parametrize("name", ["", "Bad Name", "a:b"])
def test_names_are_checked_when_the_script_is_read(name: str) -> None:
    with pytest.raises(ConfigError):
        do("remove_hf", msg_with(), name)


@pytest.mark.parametrize(
    ("method", "text", "code"),
    [
        ("INVITE", "INVITE", 1),
        ("INVITE", "invite", 1),
        ("INVITE", "ACK|INVITE", 1),
        ("BYE", "ACK| INVITE", -1),
        ("PUBLISH", "PUBLISH", 1),
        ("FOO", "FOO", 1),
        ("Foo", "fOO", 1),
        ("FOO", "BAR", -1),
        ("FOO", "INVITE", -1),
    ],
)
def test_is_method(method: str, text: str, code: int) -> None:
    assert do("is_method", request(method), text) == code


def test_is_method_of_a_reply_is_that_of_its_request() -> None:
    assert do("is_method", reply(method="BYE"), "BYE|CANCEL") == 1
    assert do("is_method", reply(method="BYE"), "INVITE") == -1


@pytest.mark.parametrize("text", ["", "INVITE|", "INVITE|FOO", "IN VITE"])
def test_methods_are_checked_when_the_script_is_read(text: str) -> None:
    with pytest.raises(ConfigError):
        do("is_method", request(), text)


SDP = "Content-Type: Application / SDP ;charset=x"


@pytest.mark.parametrize(
    ("headers", "body", "texts", "code"),
    [
        ([SDP], "v=0", [], 1),
        ([SDP], "", [], -1),
        ([SDP], "v=0", ["application/sdp"], 1),
        ([SDP], "v=0", ["APPLICATION/SDP"], 1),
        ([SDP], "v=0", ["text/plain"], -1),
        ([SDP], "v=0", [""], 1),
        ([], "v=0", ["application/sdp"], 1),
        ([], "v=0", ["text/plain"], -1),
        (["c: text/plain"], "x", ["text/plain"], 1),
        (["c: broken"], "x", ["text/plain"], -1),
    ],
)
def test_has_body(headers: list[str], body: str, texts: list[str], code: int) -> None:
    assert do("has_body", msg_with(*headers, body=body), *texts) == code


def test_a_body_without_content_length_is_none() -> None:
    raw = msg_with(body="v=0").buf.replace(b"Content-Length: 3\r\n", b"")
    assert do("has_body", SipMsg(raw, ("192.0.2.10", 5062), msg_with().listener)) == -1


def test_media_types_are_checked_when_the_script_is_read() -> None:
    with pytest.raises(ConfigError):
        do("has_body", msg_with(), "sdp")


@pytest.mark.parametrize(
    ("headers", "value", "code"),
    [
        (["Privacy: id"], "id", 1),
        (["Privacy: header; id"], "id", 1),
        (["Privacy: header,ID"], "id", 1),
        (["Privacy: idle"], "id", -1),
        (["Privacy: user", "Privacy: session"], "session", 1),
        ([], "id", -1),
        (["Privacy: none"], "none", 1),
        (["Privacy: none;id"], "id", -1),
        (["Privacy: history;critical"], "critical", 1),
    ],
)
def test_is_privacy(headers: list[str], value: str, code: int) -> None:
    assert do("is_privacy", msg_with(*headers), value) == code


def test_privacy_values_are_checked_when_the_script_is_read() -> None:
    with pytest.raises(ConfigError):
        do("is_privacy", msg_with(), "secret")


def test_routes_are_those_of_openser() -> None:
    everywhere = REQUEST | FAILURE | ONREPLY | BRANCH
    exceptions = {
        "append_to_reply": REQUEST | BRANCH | ERROR,
        "append_urihf": REQUEST | FAILURE | BRANCH,
        "append_time": REQUEST | FAILURE | BRANCH,
    }
    for name, declared in TextOps.functions.items():
        assert declared.routes == exceptions.get(name, everywhere), name

"""textops: regular expressions over the message, replacements, substitutions."""

from typing import Any

import pytest

from openserd.core.line_regex import line_regex
from openserd.core.message import SipMsg
from openserd.core.reply import build_forwarded_reply
from openserd.errors import ConfigError
from openserd.mods.textops import TextOps, search
from tests.support.recording import call, forwarded, lines_of, make_core, reply, request

CORE = make_core()
TEXTOPS = TextOps()
BODY = "v=0\r\no=alice 1 1 IN IP4 10.0.0.5\r\nc=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n"


def do(name: str, msg: SipMsg, *texts: str) -> int:
    return call(TEXTOPS, CORE, name, msg, *texts)


def invite(*headers: str, body: str = BODY, **options: Any) -> SipMsg:
    return request(headers=headers, body=body, **options)


def body_of(msg: SipMsg) -> str:
    """The body as sent; Content-Length must fit it."""
    data = forwarded(msg)
    body = data.partition(b"\r\n\r\n")[2]
    assert lines_of(data, "Content-Length") == [str(len(body))]
    return body.decode()


# -- questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("^INVITE sip:bob", 1),
        ("^invite", 1),
        ("^call-id: 1@", 1),
        ("c=IN IP4 10\\.", 1),
        ("nowhere", -1),
        ("biloxi.*c=IN", -1),
        ("INVITE[^x]*Via", -1),
        ("^(o|c)=[[:alpha:]]+ IP4", 1),
        ("audio 4[0-9]{3} ", 1),
    ],
)
def test_search_works_by_lines_over_the_whole_message(pattern: str, code: int) -> None:
    assert do("search", invite(), pattern) == code


def test_search_sees_what_was_received() -> None:
    msg = invite()
    do("replace", msg, "alice", "carol")
    msg.set_ruri(b"sip:other@x")
    assert do("search", msg, "carol") == -1 and do("search", msg, "sip:bob@") == 1


@pytest.mark.parametrize(("pattern", "code"), [("^o=alice", 1), ("atlanta", -1), ("^v=0", 1)])
def test_search_body_sees_the_body_only(pattern: str, code: int) -> None:
    assert do("search_body", invite(), pattern) == code


def test_search_body_without_a_body_is_false() -> None:
    assert do("search_body", invite(body=""), ".*") == -1
    assert do("search_append_body", invite(body=""), ".*", "x") == -1


def test_bytes_after_the_body_are_not_part_of_the_message() -> None:
    msg = SipMsg(invite().buf + b"trailing", ("192.0.2.10", 5062), invite().listener)
    assert do("search", msg, "trailing") == -1


def test_a_bad_expression_is_reported_when_the_script_is_read() -> None:
    with pytest.raises(ConfigError):
        do("search", invite(), "(")


def test_an_expression_that_takes_too_long_matches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow:
        pattern = b"slow"

        def search(self, *_: object, timeout: float) -> None:
            raise TimeoutError

        finditer = search

    monkeypatch.setattr(TextOps, "fix_regex", lambda self, text: Slow())
    msg = invite()
    assert [do("search", msg, "x"), do("replace_all", msg, "x", "y"), do("search_append", msg, "x", "y")] == [-1] * 3
    assert not msg.lumps


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("a[^b]c", b"a\nc", False),
        ("a[^b]c", b"axc", True),
        ("a[^]b]c", b"a]c", False),
        ("a[^]b]c", b"a\nc", False),
        ("a[^[:digit:]]c", b"a1c", False),
        ("a[^[:digit:]]c", b"a\nc", False),
        ("a[b\n]c", b"a\nc", True),
        ("a\\[^b", b"a[b", False),
        ("a[^b-d]c", b"axc", True),
        ("a[]x]c", b"a]c", True),
        ("a$", b"a\nb", True),
    ],
)
def test_brackets_do_not_cross_lines(pattern: str, text: bytes, found: bool) -> None:
    assert bool(search.matches(line_regex(pattern), text)) is found


# -- replacing --------------------------------------------------------------------------------------------------


def test_replace_changes_the_first_match_after_the_start_line() -> None:
    msg = invite("X: bob bob")
    assert do("replace", msg, "bob", "carol") == 1
    data = forwarded(msg)
    assert data.startswith(b"INVITE sip:bob@biloxi.example SIP/2.0\r\n")
    assert lines_of(data, "X") == ["carol bob"]


def test_replace_all_changes_every_match() -> None:
    msg = invite("X: bob bob")
    assert do("replace_all", msg, "bob", "carol") == 1
    data = forwarded(msg)
    assert lines_of(data, "X") == ["carol carol"] and lines_of(data, "To") == ["<sip:carol@biloxi.example>"]
    assert data.startswith(b"INVITE sip:bob@")


def test_replacement_text_is_literal() -> None:
    msg = invite("X: bob")
    do("replace", msg, "b(o)b", "$rU\\1")
    assert lines_of(forwarded(msg), "X") == ["$rU\\1"]


def test_replace_that_reaches_the_body_keeps_content_length_right() -> None:
    msg = invite()
    assert do("replace_all", msg, "10\\.0\\.0\\.5", "192.0.2.100") == 1
    assert body_of(msg) == BODY.replace("10.0.0.5", "192.0.2.100")


def test_replace_body_changes_the_first_match_in_the_body() -> None:
    msg = invite("X: 10.0.0.5")
    assert do("replace_body", msg, "10.0.0.5", "1.2.3.4") == 1
    assert body_of(msg) == BODY.replace("10.0.0.5", "1.2.3.4", 1)
    assert lines_of(forwarded(msg), "X") == ["10.0.0.5"]


def test_replace_body_all_changes_every_match_in_the_body() -> None:
    msg = invite("X: 10.0.0.5")
    assert do("replace_body_all", msg, "10.0.0.5", "1.2.3.4") == 1
    assert body_of(msg) == BODY.replace("10.0.0.5", "1.2.3.4")
    assert lines_of(forwarded(msg), "X") == ["10.0.0.5"]


@pytest.mark.parametrize(
    "name", ["replace", "replace_all", "replace_body", "replace_body_all", "search_append", "search_append_body"]
)
def test_no_match_changes_nothing(name: str) -> None:
    msg = invite()
    assert do(name, msg, "nowhere", "x") == -1 and not msg.lumps


def test_empty_matches_of_replace_all_are_none() -> None:
    msg = invite()
    assert do("replace_all", msg, "%*", "y") == -1 and not msg.lumps


def test_search_append_adds_behind_the_match() -> None:
    msg = invite("X: bob bob")
    assert do("search_append", msg, "bob", "by") == 1
    assert lines_of(forwarded(msg), "X") == ["bobby bob"]


def test_search_append_body_adds_behind_the_match_in_the_body() -> None:
    msg = invite("X: audio")
    assert do("search_append_body", msg, "^m=audio.*\r", "\na=x\r") == 1
    assert body_of(msg) == BODY + "a=x\r\n"
    assert lines_of(forwarded(msg), "X") == ["audio"]


def test_edits_of_body_and_header_add_up() -> None:
    msg = invite()
    do("replace_body", msg, "alice", "al")
    do("search_append_body", msg, "v=0", "000")
    do("append_hf", msg, "X: 1\r\n")
    do("replace_body", msg, "4000", "4")
    assert body_of(msg) == BODY.replace("alice", "al").replace("v=0", "v=0000").replace("4000", "4", 1)


def test_content_length_is_not_lost_with_its_header_line() -> None:
    msg = invite()
    do("remove_hf", msg, "Content-Length")
    do("replace_body", msg, "alice", "al")
    assert body_of(msg).startswith("v=0\r\no=al ")


def test_content_length_in_compact_form_is_found() -> None:
    msg = SipMsg(invite().buf.replace(b"Content-Length", b"l"), ("192.0.2.10", 5062), invite().listener)
    do("replace_body", msg, "alice", "al")
    assert body_of(msg).startswith("v=0\r\no=al ")


def test_the_body_of_a_reply_is_edited_too() -> None:
    msg = reply(body=BODY)
    do("replace_body_all", msg, "10.0.0.5", "1.2.3.4")
    data = build_forwarded_reply(msg)
    body = data.partition(b"\r\n\r\n")[2]
    assert body.count(b"1.2.3.4") == 2 and lines_of(data, "Content-Length") == [str(len(body))]


# -- substituting -----------------------------------------------------------------------------------------------


def subst_uri(text: str, uri: str = "sip:bob@biloxi.example", **avps: bytes) -> bytes | None:
    """The request URI after subst_uri; None where that was false."""
    msg = invite(uri=uri)
    for name, value in avps.items():
        msg.avps.add(name.encode(), value)
    return msg.ruri if do("subst_uri", msg, text) == 1 else None


@pytest.mark.parametrize(
    ("text", "uri", "result"),
    [
        ("/^sip:([0-9]+)@(.*)$/sip:3463\\1@\\2;orig=\\0/", "sip:12@x", "sip:346312@x;orig=sip:12@x"),
        ("/bob/carol/", "sip:bob@bob.x", "sip:carol@bob.x"),
        ("/bob/carol/g", "sip:bob@bob.x", "sip:carol@carol.x"),
        ("/BOB/carol/", "sip:bob@x", None),
        ("/BOB/carol/i", "sip:bob@x", "sip:carol@x"),
        ("#sip:(.*)#sips:\\1#", "sip:bob@x", "sips:bob@x"),
        ("/b\\/b/x/", "sip:b/b@x", "sip:x@x"),
        ("/bob/\\u\\$\\\\/", "sip:bob@x", "sip:sip:bob@x$\\@x"),
        ("/bob/$rU$$$fU/", "sip:bob@x", "sip:bob$alice@x"),
        ("/bob/\\n\\r\\t/", "sip:bob@x", "sip:\n\r\t@x"),
        ("/(b)|(q)ob/<\\2\\9>/", "sip:bob@x", "sip:<>ob@x"),
        ("/(bob|bobby)@/\\1+/", "sip:bobby@x", "sip:bobby+x"),
        ("/x*/y/", "sip:bob@z", None),
        ("/bob/$avp(s:a/b)\\/c/", "sip:bob@x", "sip:<null>/c@x"),
    ],
)
def test_subst_uri(text: str, uri: str, result: str | None) -> None:
    changed = subst_uri(text, uri)
    assert (changed.decode() if changed is not None else None) == result


def test_variables_of_the_replacement_are_those_of_the_message() -> None:
    assert subst_uri("/(.*):/\\1:$avp(s:prefix)/", prefix=b"00") == b"sip:00bob@biloxi.example"


def test_subst_uri_works_on_the_current_uri() -> None:
    msg = invite()
    msg.set_ruri(b"sip:carol@x")
    assert do("subst_uri", msg, "/carol/dan/") == 1
    assert (msg.ruri, msg.uri.user) == (b"sip:dan@x", b"dan")


def test_the_s_flag_lets_an_expression_cross_lines() -> None:
    for flags, code in (("", -1), ("s", 1)):
        assert do("subst_body", invite(), f"/v=0.*c=IN/x/{flags}") == code
    assert do("subst_body", invite(), "/v=0[^x]*c=IN/y/") == -1


def test_subst_changes_headers_and_body_but_not_the_start_line() -> None:
    msg = invite("X: bob alice")
    assert do("subst", msg, "/(bob|alice)/<\\1>/g") == 1
    data = forwarded(msg)
    assert data.startswith(b"INVITE sip:bob@") and lines_of(data, "X") == ["<bob> <alice>"]
    assert body_of(msg) == BODY.replace("alice", "<alice>")


def test_subst_without_g_changes_once() -> None:
    msg = invite("X: bob bob")
    assert do("subst", msg, "/bob/carol/") == 1
    assert lines_of(forwarded(msg), "X") == ["carol bob"]


def test_subst_body() -> None:
    msg = invite("X: alice")
    assert do("subst_body", msg, "/^o=([^ ]*) /o=$rU-\\1 /") == 1
    assert body_of(msg) == BODY.replace("o=alice", "o=bob-alice")
    assert lines_of(forwarded(msg), "X") == ["alice"]


@pytest.mark.parametrize("name", ["subst", "subst_body", "subst_user"])
def test_a_substitution_that_does_not_match_is_false(name: str) -> None:
    msg = invite()
    assert do(name, msg, "/nowhere/x/") == -1
    assert not msg.lumps and msg.ruri == b"sip:bob@biloxi.example"


@pytest.mark.parametrize(
    ("text", "uri", "result"),
    [
        ("/3642$/36423463/", "sip:3642:pw@x:5070;a=b", "sip:36423463:pw@x:5070;a=b"),
        ("/(.*)3642$/$fU\\1/", "sip:13642@x", "sip:alice1@x"),
        ("/^/x/", "sip:bob@x", None),
        ("/bob//", "sip:bob@x", "sip:x"),
        ("/x/y/", "sip:x", None),
        ("/bob/a b/", "sip:bob@x", None),
        ("/1/2/", "tel:+15", "tel:+25"),
    ],
)
def test_subst_user(text: str, uri: str, result: str | None) -> None:
    msg = invite(uri=uri)
    code = do("subst_user", msg, text)
    assert (msg.ruri.decode() if code == 1 else None) == result
    if code == -1:
        assert msg.ruri == uri.encode()


@pytest.mark.parametrize("text", ["", "/a", "/a/", "/a/b", "\\a\\b\\", "/a/b/x", "/(/b/", "/a/$nothing/", "/a/b\\/"])
def test_substitutions_are_checked_when_the_script_is_read(text: str) -> None:
    with pytest.raises(ConfigError):
        do("subst", invite(), text)

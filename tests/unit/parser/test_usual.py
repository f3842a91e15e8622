"""Lines that are read by a head that is known: the same as by their grammar."""

import random

import pytest

from openserd.errors import SipError
from openserd.parser import usual
from openserd.parser.nameaddr import all_addresses
from openserd.parser.uri import parse_uri
from openserd.parser.usual import (
    LONGEST_HEAD,
    MOST_HEADS,
    read_via,
    usual_address,
    usual_branch,
    usual_call_id,
    usual_tag,
    usual_uri,
)
from openserd.parser.via import Via, first_via


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known when a test begins."""
    monkeypatch.setattr(usual, "_address_heads", set())
    monkeypatch.setattr(usual, "_display_heads", set())
    monkeypatch.setattr(usual, "_branch_heads", set())
    monkeypatch.setattr(usual, "_via_heads", {})


def parts(via: Via) -> list[object]:
    return [getattr(via, name) for name in Via.__slots__]


def by_grammar(buf: bytes, line: bytes) -> list[object] | int:
    """The first Via of a line in `buf`, or the code of its error."""
    at = buf.index(line)
    try:
        return parts(first_via(buf, at + line.index(b":") + 1, at + len(line) - 2))
    except SipError as error:
        return error.offset


def as_usual(buf: bytes, line: bytes) -> list[object] | int:
    try:
        return parts(read_via(line, buf.index(line), buf))
    except SipError as error:
        return error.offset


@pytest.mark.parametrize(
    "head", [b'From: "A, B" <sip:a@example.com>', b"f:<sip:a;tag=no>", b"To: A B <sips:b@[::1]:5061>"]
)
def test_the_tag_of_an_address_is_read_with_a_head_that_is_new_and_one_that_is_known(head: bytes) -> None:
    for _ in range(2):
        assert usual_tag(head + b"\r\n") == b""
        for tag in (b"1928301774", b"a-b-c", b"x.y~z", b"1"):
            assert usual_tag(head + b";tag=" + tag + b"\r\n") == tag


def test_a_known_head_does_not_make_an_unusual_end_usual() -> None:
    head = b"From: <sip:a@example.com>"
    assert usual_tag(head + b";tag=1\r\n") == b"1"
    for end in (b";tag=", b";tag=1;x", b";tag=1 ", b';tag="1"', b";tag=1, <sip:b>;tag=2", b";tag=1;tag=2", b";x;tag=1"):
        assert usual_tag(head + end + b"\r\n") is None


def test_a_tag_inside_the_uri_is_none_of_the_header_field() -> None:
    for _ in range(2):
        assert usual_tag(b"From: <sip:a;tag=1>\r\n") == b""
        assert usual_tag(b"From: <sip:a;tag=1\r\n") is None
        assert usual_tag(b"From: <sip:a;tag=1>;tag=2\r\n") == b"2"


VIA_HEADS = (
    b"Via: SIP/2.0/UDP pc33.example.com:5060", b"v:\tSIP/2.0/tcp 192.0.2.1", b"Via: SIP/2.0/UDP h:5070;rport",
    b"VIA: SIP / 2.0 / TLS [2001:db8::1] : 5061", b"Via: SIP/2.0/UDP h:0", b"Via: SIP/2.0/UDP h;ttl=1",
    b"Via: SIP/3.0/UDP h",
)  # fmt: skip
VIA_ENDS = (
    b"z9hG4bK776a", b"z9hG4bK-1-2.3", b"z9hG4bK1;rport", b"z9hG4bK1;rport=5060", b"a;received=192.0.2.9", b"",
    b";rport", b"a b", b"a ", b"a, SIP/2.0/UDP second;branch=b", b"a;branch=b", b"a(comment)", b'"a"', b"a\xff",
)  # fmt: skip


@pytest.mark.parametrize("end", VIA_ENDS)
@pytest.mark.parametrize("head", VIA_HEADS)
def test_a_via_is_the_same_by_its_grammar_and_by_a_head_that_is_new_or_known(head: bytes, end: bytes) -> None:
    first = head + b";branch=" + VIA_ENDS[0] + b"\r\n"
    line = head + b";branch=" + end + b"\r\n"
    buf = b"OPTIONS sip:a SIP/2.0\r\nX: 1\r\n" + line + b"To: b\r\n\r\n"
    wanted = by_grammar(buf, line)
    assert as_usual(buf, line) == wanted
    as_usual(first, first)
    assert as_usual(buf, line) == wanted


def test_the_branch_of_a_usual_line_is_read_the_first_time_and_when_its_head_is_known() -> None:
    for head in (b"Via: SIP/2.0/UDP usual.example:5060", b"v:SIP/2.0/UDP 192.0.2.77;rport"):
        for branch in (b"z9hG4bK1a.0000002b.0", b"z9hG4bK-2", b"x"):
            assert usual_branch(head + b";branch=" + branch + b"\r\n") == branch
    for end in (b"", b"a;ttl=1", b"a b", b"a, SIP/2.0/UDP b", b'"a"'):
        assert usual_branch(b"Via: SIP/2.0/UDP usual.example:5060;branch=" + end + b"\r\n") is None
    for line in (b"Via: SIP/2.0/UDP a:0;branch=b\r\n", b"Via: SIP/2.0/UDP a\r\n", b"Via: SIP/3.0/UDP a;branch=b\r\n"):
        assert usual_branch(line) is None


def test_heads_are_learned_up_to_a_bound_and_long_ones_not_at_all() -> None:
    for number in range(MOST_HEADS + 10):
        usual_tag(b"From: <sip:%d@example.com>;tag=1\r\n" % number)
        usual_branch(b"Via: SIP/2.0/UDP h%d;branch=b\r\n" % number)
        line = b"Via: SIP/2.0/UDP h%d;branch=b\r\n" % number
        read_via(line, 0, line)
        usual_address(b"To: A%d <sip:b>\r\n" % number)
    assert len(usual._address_heads) == len(usual._branch_heads) == len(usual._via_heads) == MOST_HEADS
    assert len(usual._display_heads) == MOST_HEADS
    assert usual_address(b'To: "A" <sip:b>\r\n') == (b"sip:b", b"")
    usual._display_heads.clear()
    assert usual_address(b"To: %b <sip:b>\r\n" % (b"a" * LONGEST_HEAD)) == (b"sip:b", b"")
    assert not usual._display_heads
    usual._address_heads.clear()
    usual_tag(b"From: <sip:%b>;tag=1\r\n" % (b"a" * LONGEST_HEAD))
    assert not usual._address_heads


@pytest.mark.parametrize(
    ("line", "call_id"),
    [
        (b"Call-ID: a84b4c76e66710@pc33\r\n", b"a84b4c76e66710@pc33"),
        (b"i:\tf81d4fae(1)<2>\r\n", b"f81d4fae(1)<2>"),
        (b"CALL-id:no-space\r\n", b"no-space"),
        (b"Call-ID : spaced\r\n", b"spaced"),
        (b"Call-ID: a\x0bb\r\n", b"a\x0bb"),
        (b"Call-ID: two words\r\n", None),
        (b"Call-ID:one: two\r\n", None),
        (b"Call-ID: behind \r\n", b"behind"),
        (b"Call-ID: \r\n", None),
        (b"Call-ID\r\n", None),
    ],
)
def test_a_call_id_is_the_one_word_of_its_line(line: bytes, call_id: bytes | None) -> None:
    assert usual_call_id(line) == call_id


ADDRESSES = (
    b"To: <sip:a@b>", b'To: "A, B" <sip:a@b>;tag=1', b"m:<sip:a@b;x=y>;expires=60;q=0.5", b"Contact: A B <sip:a@b?x=y>",
    b'To: "<sip:no@where>" <sip:a@b>', b'To: "\\"<sip:no@where>" <sip:a@b>', b"To: sip:a@b", b"To: a, <sip:b>",
    b"To: <sip:a", b"To: <>", b"To: A:B <sip:a@b>", b"Contact: <sip:a@b>, <sip:c@d>", b"Contact: *",
    b"Contact:\t<tel:+1>;x=<y>",
)  # fmt: skip


@pytest.mark.parametrize("line", ADDRESSES)
def test_the_uri_of_an_address_is_that_of_its_grammar(line: bytes) -> None:
    for _ in range(2):  # the head is new, then it is known
        found = usual_address(line + b"\r\n")
        if found is None:
            continue
        uri, rest = found
        try:
            addresses = all_addresses(line, line.index(b":") + 1, len(line))
        except SipError:
            continue  # what follows the URI is not looked at
        assert addresses[0].uri == uri
        assert line.endswith(b"<" + uri + b">" + rest)


def test_most_addresses_are_usual() -> None:
    assert [usual_address(line + b"\r\n") is not None for line in ADDRESSES] == [
        True, True, True, True, False, False, False, False, False, True, False, True, False, True,
    ]  # fmt: skip


def test_a_uri_that_is_usual_has_the_user_and_host_that_its_grammar_gives_it() -> None:
    chance = random.Random(1)
    pieces = [b"@", b":", b";", b"?", b"%41", b" ", b"a", b"0", b"5060", b"65536", b"[::1]", b"=", b"<", b"+", b""]
    n_usual = 0
    for _ in range(6000):
        uri = chance.choice(
            (b"sip:alice@h.example:5060;transport=udp", b"sips:+49-1.2@192.0.2.1", b"sip:h-1:59999;a.b=c;lr")
        )
        for _ in range(chance.randint(0, 2)):
            at = chance.randrange(len(uri) + 1)
            uri = uri[:at] + chance.choice(pieces) + uri[at + chance.choice((0, 1, 2)) :]
        found = usual_uri(uri)
        if found is not None:
            n_usual += 1
            by_grammar = parse_uri(uri)
            assert (by_grammar.user or b"", by_grammar.host) == found, uri
            assert not by_grammar.headers and by_grammar.password is None
    assert n_usual > 2000

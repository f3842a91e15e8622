"""Whatever arrives, the parser reads it or raises SipError, and what it read it gives back unchanged."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from openserd.errors import SipError
from openserd.parser import message, usual, via
from openserd.parser.build import header_line, request_line
from openserd.parser.message import Message
from tests.unit.parser.corpus import ask_everything, files

CORPUS = [path.read_bytes() for folder in ("rfc4475", "rfc5118", "capture-2005") for path in files(folder)]
SMALL = [buf for buf in CORPUS if len(buf) < 2000]
DELIMITERS = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b'"', b"\\", b"<", b">", b";", b",", b":", b"=", b"@", b"?",
    b"%",
    b"\xff", b"\r\n ", b"\r\n\r\n", b"9" * 30, b"[", b"]", b"(", b"*", b"SIP/2.0", b"Via: ", b"sip:", b";;",
    b",,", b"-1",
]  # fmt: skip

token = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12).map(str.encode)
value = st.binary(max_size=30).map(lambda text: bytes(byte for byte in text if byte not in b"\r\n").strip())


def mutate(buf, rng):
    """`buf` with a few bytes cut, doubled or replaced by delimiters."""
    data = bytearray(buf)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        length = rng.choice((0, 1, 1, 2, 8))
        kind = rng.random()
        if kind < 0.6:
            data[at : at + length] = rng.choice(DELIMITERS)
        elif kind < 0.8:
            del data[at : at + length]
        else:
            data[at:at] = data[at : at + 40]
    return bytes(data)


@given(st.binary(max_size=300))
def test_random_bytes_raise_only_sip_errors(buf):
    ask_everything(buf)


@given(
    st.binary(max_size=60),
    st.sampled_from([b"Via", b"From", b"Contact", b"Route", b"Authorization", b"CSeq", b"X"]),
)
def test_random_value_raises_only_sip_errors(text, name):
    ask_everything(b"OPTIONS sip:a SIP/2.0\r\n" + name + b": " + text + b"\r\nTo: <sip:a>\r\n\r\n")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SMALL), st.randoms(use_true_random=False))
def test_mutated_messages_raise_only_sip_errors(buf, rng):
    ask_everything(mutate(buf, rng))


def test_many_mutations_from_a_fixed_seed_raise_only_sip_errors():
    rng = random.Random(4475)
    for _ in range(3000):
        ask_everything(mutate(rng.choice(SMALL), rng))


def test_every_cut_of_a_message_is_survived():
    for cut in range(0, len(SMALL[0]), 3):
        ask_everything(SMALL[0][:cut])


@given(token, token, st.lists(st.tuples(token, value), max_size=12), st.binary(max_size=60))
def test_what_was_built_is_parsed_and_serialised_unchanged(method, ruri, headers, body):
    built = request_line(method, ruri) + b"".join(header_line(*each) for each in headers) + b"\r\n" + body
    msg = Message(built)
    assert msg.buf == built
    assert (msg.method, msg.ruri) == (method, ruri)
    assert [(msg.name(i), msg.value(i)) for i in range(len(msg.hdr_ids))] == headers
    again = msg.buf[: msg.line_end] + b"".join(msg.buf[slice(*msg.line_span(i))] for i in range(len(headers)))
    assert again + b"\r\n" + msg.buf[msg.body_start :] == built


def test_corpus_messages_are_kept_byte_for_byte_but_for_folds_and_line_ends():
    for buf in CORPUS:
        try:
            msg = Message(buf)
        except SipError:
            continue
        if b"\r\n " not in buf and b"\r\n\t" not in buf:
            assert msg.buf == buf
        else:
            assert len(msg.buf) == len(buf)
            assert msg.buf.split() == buf.split()


class Never:
    """A pattern that matches nothing, in the place of those for common forms."""

    def match(self, *_):
        return None

    fullmatch = match


def answers(buf):
    """What the fields with a quick form say of a message, errors by their code."""

    def ask(question):
        try:
            return question()
        except SipError as error:
            return error.code

    try:
        msg = Message(buf)
    except SipError as error:
        return error.code
    checks = (lambda: msg.from_tag, lambda: msg.to_tag, msg.validate_request, msg.validate_reply)
    found = ask(lambda: [parts(each) for each in msg.vias()])
    top = ask(lambda: parts(msg.top_via()))
    assert top == found[0] if isinstance(found, list) and found else True
    return [found, top, *map(ask, checks)]


def parts(one):
    """All that is known of a Via."""
    return [getattr(one, name) for name in via.Via.__slots__]


def test_quick_and_careful_forms_give_the_same_answers(monkeypatch):
    rng = random.Random(3261)
    messages = SMALL + [mutate(rng.choice(SMALL), rng) for _ in range(3000)]
    messages += [rng.choice(SMALL).replace(b" SIP/2.0", b":%d SIP/2.0" % port) for port in (0, 1, 5060, 65536)]
    quick = [answers(buf) for buf in messages]
    assert usual._address_heads
    assert usual._via_heads
    assert [answers(buf) for buf in messages] == quick, "with heads of lines that were learned before"
    for heads in (usual._address_heads, usual._branch_heads, usual._via_heads):
        heads.clear()
    monkeypatch.setattr(usual, "MOST_HEADS", 0)
    for where, name in ((via, "_PLAIN"), (usual, "_ADDRESS_LINE"), (usual, "_VIA_LINE"), (message, "_QUICK_RURI")):
        monkeypatch.setattr(where, name, Never())
    assert [answers(buf) for buf in messages] == quick

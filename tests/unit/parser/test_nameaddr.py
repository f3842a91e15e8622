import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import SipError
from openserd.parser.nameaddr import all_addresses, first_address, one_address, split_values


def one(text, before=b"To: "):
    return one_address(before + text, len(before), len(before) + len(text))


@pytest.mark.parametrize(
    ("text", "display", "uri", "params"),
    [
        (b"<sip:a@b>", b"", b"sip:a@b", b""),
        (b'"Bob" <sip:a@b>;tag=1', b'"Bob"', b"sip:a@b", b";tag=1"),
        (b"Bob B. Builder  <sip:a@b;lr>;x;y=2", b"Bob B. Builder", b"sip:a@b;lr", b";x;y=2"),
        (b'"a,;<b>\\"" <sip:a@b>', b'"a,;<b>\\""', b"sip:a@b", b""),
        (b"sip:a@b;tag=1", b"", b"sip:a@b", b";tag=1"),
        (b"tel:+1;tag=2", b"", b"tel:+1", b";tag=2"),
        (b"caller<sip:a@b>", b"caller", b"sip:a@b", b""),
        (b"\xc3\xa4 (x) <sip:a,b?c@b?d=e>", b"\xc3\xa4 (x)", b"sip:a,b?c@b?d=e", b""),
        (b"joe@b <sip:a@b>", b"joe@b", b"sip:a@b", b""),
    ],
)
def test_address_is_told_apart(text, display, uri, params):
    address = one(text)
    assert (address.display, address.uri, address.params) == (display, uri, params)


def test_offsets_span_the_parts():
    text = b' \t"Bob"\t<sip:a@b> ; tag=1;q=0.5 '
    buf = b"Contact:" + text
    address = one(text, b"Contact:")
    assert buf[address.start : address.end] == b'"Bob"\t<sip:a@b> ; tag=1;q=0.5'
    assert buf[address.uri_start : address.uri_end] == b"sip:a@b"
    assert buf[address.params_start : address.end] == address.params
    assert [buf[first:last] for _, _, first, last in address.param_list] == [b"tag=1", b"q=0.5"]
    assert "Bob" in repr(address)


def test_parameters_by_name():
    address = one(b'"B\\"ob" <sip:a@b>;TAG=x;q=0.75;expires="60";lr')
    assert (address.name, address.tag, address.q, address.expires) == (b'B"ob', b"x", 750, 60)
    assert (address.param(b"LR"), address.param(b"none")) == (b"", None)


def test_absent_parameters_are_none():
    address = one(b"<sip:a@b>")
    assert address.tag is address.q is address.expires is None


def test_malformed_q_is_refused_and_malformed_expires_is_none():
    address = one(b"<sip:a@b>;q=2;expires=soon")
    with pytest.raises(SipError):
        _ = address.q
    assert address.expires is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b"<>", b"<sip:a@b", b"sip:a@b>", b'"Bob <sip:a@b>', b"Bell, A <sip:a@b>", b"< sip:a@b >",
        b"<sip:a b>",
        b"<sip:a@b>;;x", b"<sip:a@b>;", b"<sip:a@b> x", b"sip:a@b?x=y", b"<sip:a@b>,<sip:c@d>", b"a b",
        b"<<sip:a@b>>",
        b'"a" "b" <sip:a@b>', b"a: <sip:a@b>",
    ],
)  # fmt: skip
def test_malformed_address_is_refused(text):
    with pytest.raises(SipError) as caught:
        one(text)
    assert caught.value.offset >= 4


def test_list_is_read_in_order():
    text = b'"a, b" <sip:a@b;x=1,2>;q=1 ,sip:c@d;p="x,y",\t<sip:e@f>'
    found = all_addresses(text, 0, len(text))
    assert [address.uri for address in found] == [b"sip:a@b;x=1,2", b"sip:c@d", b"sip:e@f"]
    assert [text[address.start : address.end] for address in found] == [
        b'"a, b" <sip:a@b;x=1,2>;q=1', b'sip:c@d;p="x,y"', b"<sip:e@f>",
    ]  # fmt: skip
    assert first_address(text, 0, len(text)).uri == b"sip:a@b;x=1,2"


@pytest.mark.parametrize("text", [b"<sip:a>,", b",<sip:a>", b"<sip:a>,,<sip:b>", b"<sip:a> ,  "])
def test_empty_list_member_is_refused(text):
    with pytest.raises(SipError):
        all_addresses(text, 0, len(text))


def test_values_are_split_outside_quotes_and_brackets():
    text = b' "a,\\"b" <x,y>;z , c ,, <d>,'
    assert [text[start:end] for start, end in split_values(text, 0, len(text))] == [
        b'"a,\\"b" <x,y>;z',
        b"c",
        b"<d>",
    ]
    assert split_values(b"", 0, 0) == []


@given(st.binary())
def test_split_never_fails_and_spans_are_ordered(text):
    last = 0
    for start, end in split_values(text, 0, len(text)):
        assert last <= start < end <= len(text)
        last = end

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import SipError
from openserd.parser.params import parse_params, quote, scan_params, skip_space, unquote


def test_parameters_with_their_offsets():
    text = b';tag=a ; Q = 0.5;lr;x="a;\\",b"'
    found = parse_params(text, 100)
    assert [(name, value) for name, value, _, _ in found] == [
        (b"tag", b"a"), (b"q", b"0.5"), (b"lr", None), (b"x", b'"a;\\",b"'),
    ]  # fmt: skip
    assert [text[first - 100 : last - 100] for _, _, first, last in found] == [
        b"tag=a", b"Q = 0.5", b"lr", b'x="a;\\",b"',
    ]  # fmt: skip


def test_scan_stops_where_parameters_stop():
    found, end = scan_params(b";a=1;b ,<c>", 0, 11)
    assert [name for name, _, _, _ in found] == [b"a", b"b"]
    assert end == 6


def test_no_text_is_no_parameter():
    assert parse_params(b"") == parse_params(b"  ") == []


@pytest.mark.parametrize(("text", "offset"), [(b";;a", 5), (b";a;", 7), (b"a=1", 5), (b';a="x', 8), (b";a b", 7)])
def test_malformed_parameter_is_refused_at_its_offset(text, offset):
    with pytest.raises(SipError) as caught:
        parse_params(text, 5)
    assert caught.value.offset == offset


@given(st.binary())
def test_quoting_is_undone_by_unquoting(value):
    assert unquote(quote(value)) == value


@pytest.mark.parametrize("value", [b"", b'"', b"abc", b'a"b"', b'"abc'])
def test_value_without_quotes_is_unchanged(value):
    assert unquote(value) == value


def test_space_is_skipped_up_to_the_end():
    assert skip_space(b" \t x", 0, 4) == 3
    assert skip_space(b"    ", 0, 2) == 2

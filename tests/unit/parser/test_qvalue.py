import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import SipError
from openserd.parser.qvalue import format_q, parse_q


@pytest.mark.parametrize(
    ("value", "thousandths"),
    [
        (b"1", 1000), (b"1.", 1000), (b"1.000", 1000), (b"0", 0), (b"0.5", 500), (b".5", 500), (b"0.05", 50),
        (b"0.123", 123), (b"0.1230", 123), (b"00.7", 700), (b"0.", 0),
    ],
)  # fmt: skip
def test_preference_is_read_in_thousandths(value, thousandths):
    assert parse_q(value) == thousandths


@pytest.mark.parametrize("value", [b"", b".", b"2", b"1.001", b"1.5", b"0.1234", b"-1", b"a", b"0,5", b"10", b"0.5 "])
def test_malformed_preference_is_refused(value):
    with pytest.raises(SipError) as caught:
        parse_q(value, 9)
    assert caught.value.offset == 9


@given(st.integers(0, 1000))
def test_format_is_undone_by_parse(thousandths):
    assert parse_q(format_q(thousandths)) == thousandths


def test_format_is_short():
    assert [format_q(each) for each in (0, 500, 50, 123, 1000)] == [b"0", b"0.5", b"0.05", b"0.123", b"1"]

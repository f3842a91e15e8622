import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.errors import SipError
from openserd.parser.date import MAX_TIME, MIN_TIME, format_date, parse_date


def test_date_of_the_rfc_is_read_and_written():
    assert parse_date(b"Sat, 13 Nov 2010 23:29:00 GMT") == 1289690940
    assert format_date(1289690940) == b"Sat, 13 Nov 2010 23:29:00 GMT"


@given(st.integers(MIN_TIME, MAX_TIME))
def test_format_is_undone_by_parse(seconds):
    assert parse_date(format_date(seconds)) == seconds


@pytest.mark.parametrize(
    "value",
    [
        b"", b"Fri, 01 Jan 2010 16:00:00 EST", b"Sat, 13 Nov 10 23:29:00 GMT",
        b"Sat, 32 Nov 2010 23:29:00 GMT",
        b"Sat, 13 Nov 2010 24:00:00 GMT", b"Sat, 13 Nov 0000 23:29:00 GMT", b"Sat, 00 Nov 2010 23:29:00 GMT",
        b"Sat, 31 Feb 2010 00:00:00 GMT", b"Sat,13 Nov 2010 23:29:00 GMT",
    ],
)  # fmt: skip
def test_other_forms_and_impossible_dates_are_refused(value):
    with pytest.raises(SipError):
        parse_date(value)

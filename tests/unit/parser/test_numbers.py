import pytest

from openserd.parser.numbers import MAX_SECONDS, read_number, read_seconds


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (b"0", 0), (b"255", 255), (b"256", None), (b"0068", 68), (b"0" * 30 + b"9", 9), (b"0" * 30, 0),
        (b"1" * 30, None), (b"", None), (b"-1", None), (b"+1", None), (b"1 ", None), (b"0x1", None),
        (b"1_0", None),
        (b"\xd9\xa1", None),
    ],
)  # fmt: skip
def test_number_is_read_up_to_its_limit(value, number):
    assert read_number(value, 255) == number


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"3600", 3600), (b"4294967296", MAX_SECONDS), (b"9" * 5000, MAX_SECONDS), (b"soon", None), (b"", None)],
)
def test_seconds_are_capped(value, seconds):
    assert read_seconds(value) == seconds

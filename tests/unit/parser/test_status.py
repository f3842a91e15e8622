from openserd.parser.status import REASONS, reason_phrase


def test_listed_codes_have_their_phrase():
    assert reason_phrase(200) == b"OK"
    assert reason_phrase(405) == b"Method not Allowed"
    assert reason_phrase(481) == b"Call/Transaction Does not Exist"


def test_other_codes_have_that_of_their_class():
    phrases = [reason_phrase(code) for code in (99, 199, 150, 299, 399, 499, 599, 699, 999, -5)]
    assert phrases == [
        b"Unspecified", b"Early Dialog Terminated", b"Provisional", b"Successful", b"Redirection",
        b"Request Failure", b"Server Failure", b"Global Failure", b"Global Failure", b"Unspecified",
    ]  # fmt: skip


def test_table_is_sorted_and_in_range():
    assert list(REASONS) == sorted(REASONS)
    assert all(100 <= code <= 699 for code in REASONS)

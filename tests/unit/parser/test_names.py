import pytest

from openserd.parser import names


def test_every_name_is_found_in_any_case_and_compact():
    for hid, name in names.CANONICAL.items():
        forms = [name, name.lower(), name.upper(), name.swapcase()]
        if hid in names.COMPACT:
            forms += [names.COMPACT[hid], names.COMPACT[hid].upper()]
        assert {names.header_id(form) for form in forms} == {hid}


def test_numbers_are_the_module_constants():
    assert names.CANONICAL[names.CALL_ID] == b"Call-ID"
    assert names.COMPACT[names.CALL_ID] == b"i"
    assert len(set(names.CANONICAL)) == len(set(names.CANONICAL.values()))
    assert names.OTHER not in names.CANONICAL


def test_compact_forms_are_those_of_the_registry():
    table = {short: names.CANONICAL[hid] for hid, short in names.COMPACT.items()}
    assert table == {
        b"a": b"Accept-Contact", b"b": b"Referred-By", b"c": b"Content-Type", b"d": b"Request-Disposition",
        b"e": b"Content-Encoding", b"f": b"From", b"i": b"Call-ID", b"j": b"Reject-Contact",
        b"k": b"Supported",
        b"l": b"Content-Length", b"m": b"Contact", b"n": b"Identity-Info", b"o": b"Event", b"r": b"Refer-To",
        b"s": b"Subject", b"t": b"To", b"u": b"Allow-Events", b"v": b"Via", b"x": b"Session-Expires",
        b"y": b"Identity",
    }  # fmt: skip


def test_unknown_name_is_other():
    assert names.header_id(b"X-Nobody-Knows") == names.OTHER
    assert names.header_id(b"") == names.OTHER


def test_white_space_before_the_colon_is_ignored():
    assert names.header_id(b"Call-ID \t") == names.CALL_ID


@pytest.mark.parametrize(
    ("name", "good"), [(b"Via", True), (b"X-1.a!", True), (b"", False), (b"a b", False), (b"a(", False)]
)
def test_header_name_is_a_token(name, good):
    assert names.is_header_name(name) is good

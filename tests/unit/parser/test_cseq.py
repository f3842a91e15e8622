import pytest

from openserd.errors import SipError
from openserd.parser.cseq import parse_cseq


@pytest.mark.parametrize(
    ("value", "number", "method"),
    [
        (b"0 ACK", 0, b"ACK"),
        (b"1 INVITE", 1, b"INVITE"),
        (b"0009\t  INVITE", 9, b"INVITE"),
        (b"4294967295 x", 2**32 - 1, b"x"),
        (b"0" * 50 + b"7 !odd", 7, b"!odd"),
    ],
)
def test_number_and_method_are_read(value, number, method):
    cseq = parse_cseq(value)
    assert (cseq.number, cseq.method) == (number, method)
    assert repr(cseq) == f"CSeq({number}, {method!r})"


@pytest.mark.parametrize("value", [b"", b"1", b"INVITE", b"1INVITE", b"-1 INVITE", b"1 INV ITE", b"1 (x)", b"0x1 A"])
def test_malformed_value_is_refused(value):
    with pytest.raises(SipError, match="Malformed CSeq") as caught:
        parse_cseq(value, 40)
    assert (caught.value.offset, caught.value.code) == (40, 400)


@pytest.mark.parametrize("value", [b"4294967296 A", b"9" * 9000 + b" A"])
def test_number_beyond_32_bits_is_refused(value):
    with pytest.raises(SipError, match="too large"):
        parse_cseq(value)

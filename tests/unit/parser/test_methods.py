from openserd.parser import methods
from openserd.parser.methods import method_bit, method_mask


def test_bits_are_those_of_openser():
    order = (
        b"INVITE", b"CANCEL", b"ACK", b"BYE", b"INFO", b"OPTIONS", b"UPDATE", b"REGISTER", b"MESSAGE",
        b"SUBSCRIBE", b"NOTIFY", b"PRACK", b"REFER", b"PUBLISH",
    )  # fmt: skip
    assert [method_bit(name) for name in order] == [1 << power for power in range(14)]
    assert method_bit(b"FETCH") == methods.OTHER == 16384


def test_methods_are_case_sensitive():
    assert method_bit(b"invite") == methods.OTHER


def test_allow_lines_make_one_mask():
    assert method_mask([b"INVITE, ACK", b" BYE ,,FOO"]) == methods.INVITE | methods.ACK | methods.BYE | methods.OTHER
    assert method_mask([b""]) == method_mask([]) == 0

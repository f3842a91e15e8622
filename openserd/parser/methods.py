"""Methods and their bits.

OpenSER: the bits of `request_method` in 1.2's message header file; they are what `$rm` gives as a number and
what the `methods` column of the location table holds.
"""

from typing import Final

INVITE: Final = 1
CANCEL: Final = 2
ACK: Final = 4
BYE: Final = 8
INFO: Final = 16
OPTIONS: Final = 32
UPDATE: Final = 64
REGISTER: Final = 128
MESSAGE: Final = 256
SUBSCRIBE: Final = 512
NOTIFY: Final = 1024
PRACK: Final = 2048
REFER: Final = 4096
PUBLISH: Final = 8192
OTHER: Final = 16384

#: What a binding without Allow and `methods` accepts.
ALL_METHODS: Final = 2**32 - 1

METHOD_BITS: Final[dict[bytes, int]] = {
    b"INVITE": INVITE, b"CANCEL": CANCEL, b"ACK": ACK, b"BYE": BYE, b"INFO": INFO, b"OPTIONS": OPTIONS,
    b"UPDATE": UPDATE, b"REGISTER": REGISTER, b"MESSAGE": MESSAGE, b"SUBSCRIBE": SUBSCRIBE, b"NOTIFY": NOTIFY,
    b"PRACK": PRACK, b"REFER": REFER, b"PUBLISH": PUBLISH,
}  # fmt: skip


def method_bit(method: bytes) -> int:
    """The bit of a method, OTHER for one not known; methods are case-sensitive (RFC 3261 section 7.1)."""
    return METHOD_BITS.get(method, OTHER)


def method_mask(values: list[bytes]) -> int:
    """The bits of all methods in the values of Allow header fields, 0 for none."""
    mask = 0
    for value in values:
        for method in value.split(b","):
            name = method.strip(b" \t")
            if name:
                mask |= method_bit(name)
    return mask

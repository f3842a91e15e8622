"""Pseudo-variables of the message as a whole: its way here, its numbers, flags, body, time, and the last
error."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from openserd.core.arguments import Value
from openserd.errors import ResourceError, SipError
from openserd.parser import names
from openserd.script.variables.variable import Definition, reading

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

PARSER_ERROR: Final = 1  #: OpenSER: OSER_EC_PARSER
MEMORY_ERROR: Final = 3  #: OpenSER: OSER_EC_SMEMORY
ERROR_LEVEL: Final = 3  #: OpenSER: OSER_EL_MEDIUM, what its parser uses


def header(hid: int) -> Callable[["SipMsg"], Value]:
    """A getter of the first header field `hid`."""
    return lambda msg: msg.header(hid)


@reading
def call_id(msg: "SipMsg") -> Value:
    """$ci: Call-ID."""
    return msg.call_id


@reading
def content_length(msg: "SipMsg") -> Value:
    """$cl: the number in Content-Length."""
    length = msg.content_length
    return b"" if length is None else length


@reading
def cseq_number(msg: "SipMsg") -> Value:
    """$cs: the number in CSeq, as text."""
    return b"%d" % msg.cseq.number


@reading
def method(msg: "SipMsg") -> Value:
    """$rm: the request's method; in a reply, the one in CSeq."""
    return msg.method if msg.is_request else msg.cseq.method


@reading
def body(msg: "SipMsg") -> Value:
    """$rb: the body."""
    return msg.body


def hexadecimal(flags: Callable[["SipMsg"], int]) -> Callable[["SipMsg"], Value]:
    """Flags as eight hexadecimal digits."""
    return lambda msg: b"%08x" % flags(msg)


def message_flags(msg: "SipMsg") -> int:
    """$mf: the message flags."""
    return msg.flags


def branch_flags(msg: "SipMsg") -> int:
    """$bf: the flags of branch 0, the request URI's."""
    return msg.branch_flags


def script_flags(msg: "SipMsg") -> int:
    """$sf: the script flags."""
    return msg.script_flags


def forced_socket(msg: "SipMsg") -> Value:
    """$fs: the listener the message will leave by, if one was forced, as proto:ip:port."""
    return str(msg.force_listener).encode() if msg.force_listener is not None else None


def error_class(msg: "SipMsg") -> Value:
    """$err.class: 1 for a message that cannot be read, 3 for memory that ran out."""
    error: Exception | None = msg.error
    if error is None:
        return None
    return MEMORY_ERROR if isinstance(error, ResourceError) else PARSER_ERROR


def error_reason(msg: "SipMsg") -> Value:
    """$err.info and $err.rreason: what is wrong."""
    error: Exception | None = msg.error
    if error is None:
        return None
    return (error.reason if isinstance(error, SipError) else str(error)).encode()


def error_code(msg: "SipMsg") -> Value:
    """$err.rcode: the reply the message earns."""
    error: Exception | None = msg.error
    if error is None:
        return None
    return error.code if isinstance(error, SipError) else 500


VARIABLES: Final = {
    "bf": Definition(branch_flags),
    "bF": Definition(branch_flags, printed=hexadecimal(branch_flags)),
    "ci": Definition(call_id),
    "cl": Definition(content_length),
    "cs": Definition(cseq_number),
    "cT": Definition(lambda msg: msg.content_type or b""),
    "ct": Definition(header(names.CONTACT)),
    "err.class": Definition(error_class),
    "err.info": Definition(error_reason),
    "err.level": Definition(lambda msg: None if msg.error is None else ERROR_LEVEL),
    "err.rcode": Definition(error_code),
    "err.rreason": Definition(error_reason),
    "fs": Definition(forced_socket),
    "mb": Definition(lambda msg: msg.buf),
    "mf": Definition(message_flags),
    "mF": Definition(message_flags, printed=hexadecimal(message_flags)),
    "mi": Definition(lambda msg: msg.number),
    "ml": Definition(lambda msg: len(msg.buf)),
    "pp": Definition(lambda msg: os.getpid()),
    "rb": Definition(body),
    "rc": Definition(lambda msg: msg.retcode, aliases=("retcode",)),
    "Ri": Definition(lambda msg: msg.listener.host.encode()),
    "rm": Definition(method),
    "Rp": Definition(lambda msg: msg.listener.port),
    "rr": Definition(lambda msg: None if msg.is_request else msg.reason),
    "rs": Definition(lambda msg: None if msg.is_request else msg.status),
    "sf": Definition(script_flags),
    "sF": Definition(script_flags, printed=hexadecimal(script_flags)),
    "si": Definition(lambda msg: msg.source_host.encode(), aliases=("src_ip",)),
    "sp": Definition(lambda msg: msg.source_port),
    "Tf": Definition(lambda msg: time.ctime(msg.received_at).encode()),
    "Ts": Definition(lambda msg: int(msg.received_at)),
    "ua": Definition(header(names.USER_AGENT)),
}

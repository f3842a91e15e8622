"""What a request is answered when the server itself could not do what the script wanted.

`reason (number/WHO)`: the reason of the error, OpenSER's number for it, and who answered: SL, TM, MI or UAC
(OpenSER: err2reason_phrase() in error.c).
"""

from typing import Final

from openserd.errors import SipError
from openserd.parser.status import reason_phrase

BAD_REQUEST: Final = 400
SERVER_ERROR: Final = 500
UNCLASSIFIED: Final = 1  #: OpenSER's number where no error was noted

#: Reason -> (code, OpenSER's number) where the number is not the code.
_NUMBERED: Final = {
    "Excuse me I ran out of memory": (SERVER_ERROR, 2),
    "Transaction tuple incomplete": (BAD_REQUEST, 9),
    "Error in external logic": (SERVER_ERROR, 11),
    "Forking capacity exceeded": (SERVER_ERROR, 12),
    "Bad To": (BAD_REQUEST, 13),
    "Invalid character in q parameter": (BAD_REQUEST, 15),
    "Empty q parameter": (BAD_REQUEST, 16),
    "q parameter too big": (BAD_REQUEST, 17),
    "Decimal part missing in q": (BAD_REQUEST, 18),
}
#: Code -> reason where the one in `parser.status` is not what OpenSER says.
_REASONS: Final = {
    473: b"Filtered destination",
    475: b"Bad URI",
    476: b"Unresolvable destination",
    477: b"Send failed",
    500: b"Server error occurred",
}


def error_reply(error: SipError | None, who: bytes) -> tuple[int, bytes]:
    """Code and reason phrase of the answer to `error`; None where none was noted."""
    if error is None:
        return SERVER_ERROR, b"%b (%d/%b)" % (_REASONS[SERVER_ERROR], UNCLASSIFIED, who)
    code, number = _NUMBERED.get(error.reason, (error.code, error.code))
    if code != number:
        reason = error.reason.encode()
    else:
        reason = _REASONS.get(code) or reason_phrase(code)
    return code, b"%b (%d/%b)" % (reason, number, who)

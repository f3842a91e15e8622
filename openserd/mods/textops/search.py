"""Edits where an expression matches the message as received (the expression itself: `core/line_regex.py`)."""

from typing import TYPE_CHECKING

from openserd.core.line_regex import matches
from openserd.core.message import SipMsg

if TYPE_CHECKING:
    import regex

    Pattern = regex.Pattern[bytes]


def replace_matches(msg: SipMsg, start: int, pattern: "Pattern", text: bytes, every: bool) -> bool:
    """Puts `text` in the place of the first match after offset `start`, or of every one; False for none."""
    found = matches(pattern, msg.buf[start : msg.end], every)
    for match in found:
        msg.replace(start + match.start(), start + match.end(), text)
    return bool(found)


def append_after(msg: SipMsg, start: int, pattern: "Pattern", text: bytes) -> bool:
    """Puts `text` behind the first match after offset `start`; False for none."""
    found = matches(pattern, msg.buf[start : msg.end])
    if not found:
        return False
    msg.insert(start + found[0].end(), text)
    return True

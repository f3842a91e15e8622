"""textops: questions about the text of a message, and edits of it.

Questions see the message as received, whatever has been edited; edits take effect when the message is sent.
"""

from typing import TYPE_CHECKING, Final

import regex

from openserd.core.line_regex import line_regex, matches
from openserd.core.message import SipMsg
from openserd.core.module import (
    BRANCH,
    ERROR,
    FAILURE,
    FALSE,
    OK,
    ONREPLY,
    REQUEST,
    Context,
    Fixup,
    Fn,
    Module,
    PvStr,
    Str,
)
from openserd.core.ruri import set_user
from openserd.core.substitution import Substitution, compile_substitution
from openserd.errors import ConfigError
from openserd.mods.textops import headers, search
from openserd.mods.textops.headers import HeaderName
from openserd.parser.date import format_date

if TYPE_CHECKING:
    Pattern = regex.Pattern[bytes]

EVERYWHERE: Final = REQUEST | FAILURE | ONREPLY | BRANCH
REQUESTS: Final = REQUEST | FAILURE | BRANCH

_REGEX: Final = Fixup("regex", "fix_regex", expects="a POSIX extended regular expression")
_SUBST: Final = Fixup("subst", "fix_subst", expects="/regex/replacement/flags")
_NAME: Final = Fixup("name", "fix_name", expects="a header field name")
_BESIDE: Final = Fixup("hdr", "fix_name", expects="a header field name", optional=True)


class TextOps(Module):
    name = "textops"
    functions = {
        "append_hf": Fn(PvStr("text"), _BESIDE, routes=EVERYWHERE),
        "insert_hf": Fn(PvStr("text"), _BESIDE, routes=EVERYWHERE),
        "append_urihf": Fn(Str("prefix"), Str("suffix"), routes=REQUESTS),
        "append_time": Fn(routes=REQUESTS),
        "append_to_reply": Fn(PvStr("text"), routes=REQUEST | BRANCH | ERROR),
        "remove_hf": Fn(_NAME, routes=EVERYWHERE),
        "is_present_hf": Fn(_NAME, routes=EVERYWHERE),
        "is_method": Fn(Fixup("methods", "fix_methods", expects="a method or several: INVITE|ACK"), routes=EVERYWHERE),
        "has_body": Fn(Fixup("type", "fix_type", expects="type/subtype", optional=True), routes=EVERYWHERE),
        "is_privacy": Fn(Fixup("value", "fix_privacy", expects="a value of Privacy"), routes=EVERYWHERE),
        "search": Fn(_REGEX, routes=EVERYWHERE),
        "search_body": Fn(_REGEX, routes=EVERYWHERE),
        "search_append": Fn(_REGEX, Str("text"), routes=EVERYWHERE),
        "search_append_body": Fn(_REGEX, Str("text"), routes=EVERYWHERE),
        "replace": Fn(_REGEX, Str("text"), routes=EVERYWHERE),
        "replace_all": Fn(_REGEX, Str("text"), routes=EVERYWHERE),
        "replace_body": Fn(_REGEX, Str("text"), routes=EVERYWHERE),
        "replace_body_all": Fn(_REGEX, Str("text"), routes=EVERYWHERE),
        "subst": Fn(_SUBST, routes=EVERYWHERE),
        "subst_uri": Fn(_SUBST, routes=EVERYWHERE),
        "subst_user": Fn(_SUBST, routes=EVERYWHERE),
        "subst_body": Fn(_SUBST, routes=EVERYWHERE),
    }

    # -- arguments -------------------------------------------------------------------------------------

    def fix_regex(self, text: str) -> object:
        """An expression that works by lines, whatever the case."""
        return line_regex(text)

    def fix_subst(self, text: str, context: Context) -> object:
        """A substitution, the variables in it compiled."""
        return compile_substitution(text, context)

    def fix_name(self, text: str) -> object:
        """A header field name."""
        return headers.header_name(text)

    def fix_methods(self, text: str) -> object:
        """The methods to compare with."""
        return headers.method_names(text)

    def fix_type(self, text: str) -> object:
        """A media type; None, any, for no text."""
        wanted = headers.mime_type(text.encode())
        if wanted is None and text.strip():
            raise ConfigError(f"'{text}' is no media type", expected="one such as application/sdp")
        return wanted

    def fix_privacy(self, text: str) -> object:
        """A value of Privacy."""
        value = text.strip().lower().encode()
        if value not in headers.PRIVACY_VALUES:
            raise ConfigError(
                f"'{text}' is no value of Privacy",
                expected=", ".join(sorted(one.decode() for one in headers.PRIVACY_VALUES)),
            )
        return value

    # -- header fields ---------------------------------------------------------------------------------

    def append_hf(self, msg: SipMsg, text: bytes, beside: HeaderName | None = None) -> int:
        """1: header text, with its CRLF, is added after the first line of `beside`, or after the last."""
        lines = beside.lines(msg) if beside is not None else None
        if lines:
            msg.insert(msg.hdr_starts[lines[0] + 1], text)
        else:
            msg.add_line(text)
        return OK

    def insert_hf(self, msg: SipMsg, text: bytes, beside: HeaderName | None = None) -> int:
        """1: header text, with its CRLF, is added before the first line of `beside`, or before the first."""
        lines = beside.lines(msg) if beside is not None else None
        if lines:
            msg.insert(msg.hdr_starts[lines[0]], text)
        else:
            msg.insert_line(text)
        return OK

    def append_urihf(self, msg: SipMsg, prefix: bytes, suffix: bytes) -> int:
        """1: the request URI as received is added after the last header line, between two texts."""
        msg.add_line(prefix + msg.original_ruri + suffix)
        return OK

    def append_time(self, msg: SipMsg) -> int:
        """1: replies made here to the request get a Date (RFC 3261 section 20.17)."""
        msg.reply_headers.append(b"Date: %b\r\n" % format_date(int(msg.received_at)))
        return OK

    def append_to_reply(self, msg: SipMsg, text: bytes) -> int:
        """1: replies made here to the request get that header text, with its CRLF."""
        msg.reply_headers.append(text)
        return OK

    def remove_hf(self, msg: SipMsg, name: HeaderName) -> int:
        """1 all lines of that header field are taken out, -1 there is none."""
        lines = name.lines(msg)
        msg.remove_lines(lines)
        return OK if lines else FALSE

    def is_present_hf(self, msg: SipMsg, name: HeaderName) -> int:
        """1 the message as received has the header field, in long or compact form; -1 not."""
        return OK if name.is_in(msg) else FALSE

    # -- questions -------------------------------------------------------------------------------------

    def is_method(self, msg: SipMsg, methods: frozenset[bytes]) -> int:
        """1 the method, of a reply that in CSeq, is one of those; -1 not."""
        return OK if headers.is_one_of(msg, methods) else FALSE

    def has_body(self, msg: SipMsg, wanted: bytes | None = None) -> int:
        """1 there is a body, by Content-Length, and it is of that type; -1 not."""
        return OK if headers.has_body(msg, wanted) else FALSE

    def is_privacy(self, msg: SipMsg, wanted: bytes) -> int:
        """1 Privacy has that value, -1 not."""
        return OK if headers.asks_privacy(msg, wanted) else FALSE

    def search(self, msg: SipMsg, pattern: "Pattern") -> int:
        """1 the message as received matches, its start line included; -1 not."""
        return OK if matches(pattern, msg.buf[: msg.end]) else FALSE

    def search_body(self, msg: SipMsg, pattern: "Pattern") -> int:
        """1 the body matches, -1 not, or there is none."""
        return OK if matches(pattern, msg.buf[msg.body_start : msg.end]) else FALSE

    # -- edits by expression ---------------------------------------------------------------------------

    def search_append(self, msg: SipMsg, pattern: "Pattern", text: bytes) -> int:
        """1 text is put behind the first match after the start line, -1 there is none."""
        return OK if search.append_after(msg, msg.line_end, pattern, text) else FALSE

    def search_append_body(self, msg: SipMsg, pattern: "Pattern", text: bytes) -> int:
        """1 text is put behind the first match in the body, -1 there is none."""
        return OK if search.append_after(msg, msg.body_start, pattern, text) else FALSE

    def replace(self, msg: SipMsg, pattern: "Pattern", text: bytes) -> int:
        """1 the first match after the start line is replaced, -1 there is none."""
        return OK if search.replace_matches(msg, msg.line_end, pattern, text, False) else FALSE

    def replace_all(self, msg: SipMsg, pattern: "Pattern", text: bytes) -> int:
        """1 every match after the start line is replaced, -1 there is none."""
        return OK if search.replace_matches(msg, msg.line_end, pattern, text, True) else FALSE

    def replace_body(self, msg: SipMsg, pattern: "Pattern", text: bytes) -> int:
        """1 the first match in the body is replaced, -1 there is none."""
        return OK if search.replace_matches(msg, msg.body_start, pattern, text, False) else FALSE

    def replace_body_all(self, msg: SipMsg, pattern: "Pattern", text: bytes) -> int:
        """1 every match in the body is replaced, -1 there is none."""
        return OK if search.replace_matches(msg, msg.body_start, pattern, text, True) else FALSE

    # -- substitutions ---------------------------------------------------------------------------------

    def subst(self, msg: SipMsg, substitution: Substitution) -> int:
        """1 substituted after the start line, -1 nothing matches."""
        return self.substitute(msg, substitution, msg.line_end)

    def subst_body(self, msg: SipMsg, substitution: Substitution) -> int:
        """1 substituted in the body, -1 nothing matches."""
        return self.substitute(msg, substitution, msg.body_start)

    def substitute(self, msg: SipMsg, substitution: Substitution, start: int) -> int:
        """1 substituted from offset `start` on, -1 nothing matches."""
        edits = substitution.edits(msg.buf[start : msg.end], msg)
        for first, last, text in edits:
            msg.replace(start + first, start + last, text)
        return OK if edits else FALSE

    def subst_uri(self, msg: SipMsg, substitution: Substitution) -> int:
        """1 substituted in the current request URI, -1 nothing matches."""
        uri = substitution.apply(msg.ruri, msg)
        if uri is None:
            return FALSE
        msg.set_ruri(uri)
        return OK

    def subst_user(self, msg: SipMsg, substitution: Substitution) -> int:
        """1 substituted in the user of the current request URI, -1 nothing matches or no URI would result."""
        user = substitution.apply(msg.uri.user or b"", msg)
        return OK if user is not None and set_user(msg, user) else FALSE

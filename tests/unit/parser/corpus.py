"""The message corpora of tests/data/messages, and the way a test asks everything of a message."""

import csv
from pathlib import Path

from openserd.errors import SipError
from openserd.parser import names
from openserd.parser.message import Message
from openserd.parser.uri import parse_uri

ROOT = Path(__file__).parents[2] / "data" / "messages"

PROPERTIES = (
    "from_", "to", "from_tag", "to_tag", "call_id", "cseq", "contacts", "contact_star", "routes",
    "record_routes", "paths", "max_forwards", "content_length", "expires", "content_type", "event",
    "supported",
    "require", "proxy_require", "allow_methods", "body", "end", "bad_headers",
)  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated table, by its first row."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def load(name: str) -> bytes:
    """The bytes of a message, by its path under tests/data/messages."""
    return (ROOT / name).read_bytes()


def files(folder: str) -> list[Path]:
    """All message files under a corpus folder."""
    return sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".dat", ".sip"))


def validate(msg: Message) -> None:
    """The check that is right for the kind of message."""
    if msg.is_request:
        msg.validate_request()
        msg.check_ruri_scheme()
    else:
        msg.validate_reply()


def refusal(buf: bytes) -> tuple[str, int, str]:
    """Which step refuses a message first, with code and reason; ("accept", 0, "") when none does."""
    step = "parse"
    try:
        msg = Message(buf)
        step = "validate"
        msg.validate_request() if msg.is_request else msg.validate_reply()
        step = "contacts"
        _ = msg.contacts
        step = "scheme"
        if msg.is_request:
            msg.check_ruri_scheme()
    except SipError as error:
        return step, error.code, error.reason
    return "accept", 0, ""


def ask_everything(buf: bytes) -> list[SipError]:
    """Touches all that a message offers and returns the SipErrors met; any other exception escapes."""
    errors: list[SipError] = []

    def ask(question: object) -> object:
        try:
            return question()  # type: ignore[operator]
        except SipError as error:
            errors.append(error)
            return None

    msg = ask(lambda: Message(buf))
    if not isinstance(msg, Message):
        return errors
    ask(msg.top_via)
    for name in PROPERTIES:
        ask(lambda name=name: getattr(msg, name))
    for check in (
        msg.vias,
        msg.validate_request,
        msg.validate_reply,
        msg.check_length,
        msg.check_ruri_scheme,
    ):
        ask(check)
    for hid in (names.AUTHORIZATION, names.PROXY_AUTHORIZATION, names.WWW_AUTHENTICATE):
        ask(lambda hid=hid: [vars_of(each) for each in msg.credentials(hid)])
    for hid in (
        names.REMOTE_PARTY_ID,
        names.P_ASSERTED_IDENTITY,
        names.DIVERSION,
        names.REFER_TO,
        names.CONTACT,
    ):
        ask(lambda hid=hid: [address_parts(each) for each in msg.addresses(hid)])
    ask(lambda: parse_uri(msg.ruri).to_bytes())
    for index in range(min(3, len(msg.hdr_ids))):
        start, end = msg.value_span(index)
        assert msg.buf[start:end] == msg.value(index)
        msg.name(index), msg.line_span(index), msg.indexes_named(msg.name(index))
    ask(lambda: [msg.removal_span(via) for via in msg.vias()[:20]])
    ask(lambda: [msg.removal_span(value) for value in msg.routes[:20]])
    return errors


def vars_of(credentials: object) -> list[object]:
    """Every property of a credentials value."""
    return [getattr(credentials, name) for name in dir(credentials) if not name.startswith("_")]


def address_parts(address: object) -> list[object]:
    """Every property of an address that raises no error of its own."""
    return [getattr(address, name) for name in ("name", "tag", "expires", "param_list", "uri_end")]

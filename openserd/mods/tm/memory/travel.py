"""What of a script's work on a request travels through shared memory with its transaction.

`capture` makes a `ScriptRecord` of a message and of what its script has armed, `restore` puts it back onto the request
as received, in whichever process goes on with it.  Everything is written out field by field:

    lumps        each: u32 start, u32 end, u8 kind, u8 number of texts, then u32 length and bytes for each text
                 kind 0 the one text
                 kind 1 a text for each listener, in their order: it depends on the listener
                 kind 2 a Record-Route: its parameters, then for each listener the pieces around them, packed as texts
    avps, attachments, watchers   as AvpList packs them
"""

import struct
from typing import TYPE_CHECKING, Final

from openserd.core.avp import AvpList
from openserd.core.lumps import Lump, LumpData, RecordRouteLump
from openserd.core.message import SipMsg
from openserd.core.network.transport import Advertised, Listener
from openserd.errors import ResourceError
from openserd.mods.tm.memory.record import ScriptRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

_LUMP: Final = struct.Struct("<IIBB")
_LENGTH: Final = struct.Struct("<I")
PLAIN: Final = 0
BY_LISTENER: Final = 1
RECORD_ROUTE: Final = 2
MAX_LISTENERS: Final = 254


class Armed:
    """What the script has armed before there is a transaction."""

    __slots__ = ("on_branch", "on_failure", "on_reply", "watchers")

    def __init__(self) -> None:
        self.on_failure = b""
        self.on_reply = b""
        self.on_branch = b""
        self.watchers: list[tuple[bytes, bytes]] = []


class ByListener:
    """Text of a lump that depends on the listener by which the request leaves."""

    __slots__ = ("texts",)

    def __init__(self, texts: list[bytes]) -> None:
        self.texts = texts

    def __call__(self, listener: Listener) -> bytes:
        """The text for one listener."""
        return self.texts[listener.index]


class RouteByListener(RecordRouteLump):
    """A Record-Route on its way: `parts` for each listener, with one number of pieces for all."""

    __slots__ = ("parts",)

    def __init__(self, params: bytes, parts: list[list[bytes]]) -> None:
        super().__init__(params)
        self.parts = parts

    def pieces(self, listener: Listener) -> list[bytes]:
        """The header lines by one listener, cut where the parameters come."""
        return self.parts[listener.index]


def capture(msg: SipMsg, armed: Armed, listeners: "Sequence[Listener]") -> ScriptRecord:
    """What goes on with the transaction of `msg`."""
    max_forwards = msg.max_forwards
    return ScriptRecord(
        fr=0,
        fr_inv=0,
        claimant=0,
        claimant_since=0,
        claims=0,
        local_rport=int(msg.local_rport),
        has_own_route=int(msg.own_route is not None),
        advertised_port=msg.advertised_port,
        listener=-1 if msg.force_listener is None else msg.force_listener.index,
        max_forwards=-1 if max_forwards is None else max_forwards,
        received_at=msg.received_at,
        on_failure=armed.on_failure,
        on_reply=armed.on_reply,
        on_branch=armed.on_branch,
        avps=msg.avps.pack(),
        ruri=msg.ruri if msg.ruri != msg.original_ruri else b"",
        lumps=pack_lumps(msg, listeners),
        reply_headers=b"".join(msg.reply_headers),
        attachments=pack_attachments(msg.attachments),
        watchers=pack_pairs(armed.watchers),
        own_route=msg.own_route or b"",
        rr_params=msg.rr_params,
        advertised_host=msg.advertised_host or b"",
    )


def restore(msg: SipMsg, script: ScriptRecord, listeners: "Sequence[Listener]") -> None:
    """Puts the script's work back onto a request that was made anew from what was received."""
    if script.ruri:
        msg.set_ruri(script.ruri)
    msg.local_rport = bool(script.local_rport)
    msg.own_route = script.own_route if script.has_own_route else None
    msg.rr_params = script.rr_params
    msg.advertised_host = script.advertised_host or None
    msg.advertised_port = script.advertised_port
    msg.force_listener = listeners[script.listener] if script.listener >= 0 else None
    if script.max_forwards >= 0:
        msg._max_forwards = script.max_forwards
    msg.clock = script.received_at
    msg.avps = AvpList.unpack(script.avps)
    msg.lumps = unpack_lumps(script.lumps)
    msg.reply_headers = [script.reply_headers] if script.reply_headers else []
    msg.attachments = unpack_attachments(script.attachments)


# -- lumps ---------------------------------------------------------------------------------------------------


def pack_lumps(msg: SipMsg, listeners: "Sequence[Listener]") -> bytes:
    """The pending edits of a message as bytes. Raises ResourceError where there are too many listeners."""
    parts: list[bytes] = []
    for start, end, data in msg.lumps:
        if isinstance(data, bytes):
            parts += (_LUMP.pack(start, end, PLAIN, 1), pack_texts([data]))
            continue
        if len(listeners) > MAX_LISTENERS:
            raise ResourceError(f"no failure routes with more than {MAX_LISTENERS} listeners")
        shown = [shown_as(msg, listener) for listener in listeners]
        if isinstance(data, RecordRouteLump):
            kind, texts = RECORD_ROUTE, [data.params, *(pack_texts(data.pieces(listener)) for listener in shown)]
        else:
            kind, texts = BY_LISTENER, [data(listener) for listener in shown]
        parts += (_LUMP.pack(start, end, kind, len(texts)), pack_texts(texts))
    return b"".join(parts)


def pack_texts(texts: list[bytes]) -> bytes:
    """Texts, each behind its length."""
    return b"".join([piece for text in texts for piece in (_LENGTH.pack(len(text)), text)])


def shown_as(msg: SipMsg, listener: Listener) -> Listener:
    """A listener under the address that the script has set for this message, if any."""
    if msg.advertised_host is None and not msg.advertised_port:
        return listener
    return Advertised(listener, (msg.advertised_host or b"").decode(), msg.advertised_port)


def unpack_lumps(packed: bytes) -> list[Lump]:
    """The edits that `pack_lumps` made these bytes of."""
    lumps: list[Lump] = []
    at = 0
    while at < len(packed):
        start, end, kind, n_texts = _LUMP.unpack_from(packed, at)
        texts, at = unpack_texts(packed, at + _LUMP.size, n_texts)
        lumps.append((start, end, lump_data(kind, texts)))
    return lumps


def lump_data(kind: int, texts: list[bytes]) -> LumpData:
    """The data of one edit."""
    if kind == PLAIN:
        return texts[0]
    if kind == BY_LISTENER:
        return ByListener(texts)
    return RouteByListener(texts[0], [unpack_texts(pieces, 0)[0] for pieces in texts[1:]])


def unpack_texts(packed: bytes, at: int, n_texts: int = -1) -> tuple[list[bytes], int]:
    """The next texts from `at` on, all that there are where `n_texts` is not given, and where they end."""
    texts: list[bytes] = []
    while n_texts and at < len(packed):
        (length,) = _LENGTH.unpack_from(packed, at)
        at += _LENGTH.size
        texts.append(packed[at : at + length])
        at += length
        n_texts -= 1
    return texts, at


# -- pairs of names and bytes --------------------------------------------------------------------------------


def pack_pairs(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Pairs of a name and bytes, in their order."""
    return AvpList([(name, value, 0) for name, value in pairs]).pack() if pairs else b""


def unpack_pairs(packed: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs that `pack_pairs` made these bytes of."""
    if not packed:
        return []
    found = AvpList.unpack(packed)
    return [(name, value) for name, value, _ in found if isinstance(name, bytes) and isinstance(value, bytes)]


def pack_attachments(attachments: dict[str, bytes] | None) -> bytes:
    """What other modules keep with a message."""
    return pack_pairs([(name.encode(), data) for name, data in attachments.items()]) if attachments else b""


def unpack_attachments(packed: bytes) -> dict[str, bytes] | None:
    """What `pack_attachments` made these bytes of."""
    return {name.decode(): data for name, data in unpack_pairs(packed)} or None

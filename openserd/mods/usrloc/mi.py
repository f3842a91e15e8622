"""The MI commands of usrloc, as functions of the store (OpenSER: ul_mi.c, whose texts the answers keep)."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from openserd.core.management.mi import Node, Reply
from openserd.errors import OpenserError, ResourceError, SipError
from openserd.mods.usrloc.binding import DELETED, DIRTY, MAX_TIME, NEW, PERMANENT, REFUSED, SYNC, Binding
from openserd.mods.usrloc.location import Location
from openserd.parser.numbers import read_number
from openserd.parser.qvalue import format_q, parse_q

CALL_ID: Final = b"dfjrewr12386fd6-343@openser.mi"
CSEQ: Final = 1
USER_AGENT: Final = b"OpenSER MI Server"

STATES: Final = {NEW: "CS_NEW", SYNC: "CS_SYNC", DIRTY: "CS_DIRTY", REFUSED: "CS_DIRTY"}


class Refused(OpenserError):
    """A command that cannot be carried out, with its answer."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.reply = Reply(code, reason)


def answering(command: Callable[..., Reply], *args: object) -> Reply:
    """What a command answers, refused or not; 500 when shared memory is exhausted."""
    try:
        return command(*args)
    except Refused as refused:
        return refused.reply
    except ResourceError:
        return Reply(500, "Server Internal Error")


def raw(text: str) -> bytes:
    """An argument as it stands in messages."""
    return text.encode("utf-8", "surrogateescape")


def find_domain(location: Location, table: str) -> bytes:
    """The name of a table that the script uses."""
    name = raw(table)
    if name not in location.domains:
        raise Refused(404, "Table not found")
    return name


def normal_aor(location: Location, aor: str) -> bytes:
    """The AoR as stored: in lower case, with its domain exactly where `use_domain` is set."""
    name = raw(aor).lower()
    if not location.use_domain:
        return name.partition(b"@")[0]
    if b"@" not in name:
        raise Refused(400, "Domain missing in AOR")
    return name


def remove_aor(location: Location, table: str, aor: str, now: int) -> Reply:
    """ul_rm: 200 whether the AoR had bindings or not."""
    domain = find_domain(location, table)
    name = normal_aor(location, aor)
    try:
        location.delete(domain, name, now)
    except ResourceError:
        raise Refused(500, "Failed to delete AOR") from None
    return Reply()


def remove_contact(location: Location, table: str, aor: str, contact: str, now: int) -> Reply:
    """ul_rm_contact: removes the bindings of one contact URI, whatever their Call-ID."""
    domain = find_domain(location, table)
    name = normal_aor(location, aor)
    uri = raw(contact)

    def without(bindings: list[Binding], now: int) -> list[Binding]:
        if not bindings:
            raise Refused(404, "AOR not found")
        rest = [binding for binding in bindings if binding.uri != uri]
        if len(rest) == len(bindings):
            raise Refused(404, "Contact not found")
        return rest

    location.update(domain, name, now, without)
    return Reply()


def number(text: str) -> int:
    """A number of 32 bits."""
    value = read_number(raw(text), MAX_TIME)
    if value is None:
        raise Refused(400, "Bad parameter")
    return value


def q_value(text: str) -> int:
    """A q between 0 and 1 in thousandths."""
    try:
        return parse_q(raw(text))
    except SipError:
        raise Refused(400, "Bad parameter") from None


def add_contact(location: Location, args: tuple[str, ...], now: int) -> Reply:
    """ul_add: table, AoR, contact, expires (0 permanent), q, a word not used, flags, cflags, methods."""
    table, aor, contact, expires, q, _, flags, cflags, methods = args
    domain = find_domain(location, table)
    name = normal_aor(location, aor)
    seconds = number(expires)
    binding = Binding(
        expires=min(now + seconds, MAX_TIME) if seconds else PERMANENT,
        cseq=CSEQ,
        flags=number(flags),
        cflags=number(cflags),
        methods=number(methods),
        last_modified=now,
        q=q_value(q),
        uri=raw(contact),
        call_id=CALL_ID,
        user_agent=USER_AGENT,
        socket=b"",
        received=b"",
        path=b"",
    )

    def put(bindings: list[Binding], now: int) -> list[Binding]:
        index = location.rules.find(bindings, binding.uri, CALL_ID)
        if index < 0:
            location.rules.insert(bindings, binding)
        else:
            location.rules.replace(bindings, index, binding)
        return bindings

    location.update(domain, name, now, put)
    return Reply()


def show_contacts(location: Location, table: str, aor: str, now: int) -> Reply:
    """ul_show_contact: one line for each valid binding."""
    domain = find_domain(location, table)
    bindings = location.get(domain, normal_aor(location, aor))
    if not bindings:
        raise Refused(404, "AOR not found")
    reply = Reply()
    for binding in bindings:
        if binding.is_valid(now):
            reply.add("Contact", contact_line(binding, now))
    if not reply.nodes:
        raise Refused(404, "AOR has no contacts")
    return reply


def contact_line(binding: Binding, now: int) -> bytes:
    """A binding on one line; `expires=0` is permanent."""
    left = binding.seconds_left(now) if binding.expires else 0
    line = b"<%b>;q=%b;expires=%d" % (binding.uri, q_text(binding), left)
    line += b";flags=0x%X;cflags=0x%X" % (binding.flags, binding.cflags)
    line += b";socket=<%b>;methods=0x%X" % (binding.socket or b"NULL", binding.methods)
    rest = ((b"received", binding.received), (b"user_agent", binding.user_agent), (b"path", binding.path))
    for name, value in rest:
        if value:
            line += b";%b=<%b>" % (name, value)
    return line


def q_text(binding: Binding) -> bytes:
    """q as it is written, nothing when unspecified."""
    return b"" if binding.preference is None else format_q(binding.preference)


def dump(location: Location, brief: bool, now: int) -> Reply:
    """ul_dump: every table with its AoRs and, unless `brief`, their bindings in full.

    `table` is the number of hash buckets, `max_slot` the most AoRs of this table in one of them.
    """
    reply = Reply()
    nodes: dict[bytes, Node] = {}
    chains: dict[bytes, Counter[int]] = {}
    for name, domain in location.domains.items():
        nodes[name] = reply.add("Domain", domain.name, table=location.n_buckets)
        chains[name] = Counter()
    for name, aor, bindings in location.records():
        hash = location.table.hash(location.domains[name].prefix + aor)
        chains[name][hash & (location.n_buckets - 1)] += 1
        node = nodes[name].add("AOR", aor)
        if not brief:
            for binding in bindings:
                add_binding(node, binding, now)
    for name, node in nodes.items():
        node.attributes["records"] = chains[name].total()
        node.attributes["max_slot"] = max(chains[name].values(), default=0)
    return reply


def add_binding(parent: Node, binding: Binding, now: int) -> None:
    """One binding as a node with a child for each of its fields."""
    node = parent.add("Contact", binding.uri, Q=q_text(binding))
    node.add("Expires", expiry_text(binding, now))
    node.add("Callid", binding.call_id)
    node.add("Cseq", binding.cseq)
    rest = (("User-agent", binding.user_agent), ("Received", binding.received), ("Path", binding.path))
    for name, value in rest:
        if value:
            node.add(name, value)
    node.add("State", STATES[binding.state])
    node.add("Flags", binding.flags)
    node.add("Cflags", binding.cflags)
    if binding.socket:
        node.add("Socket", binding.socket)
    node.add("Methods", binding.methods)


def expiry_text(binding: Binding, now: int) -> str:
    """Seconds left, or the word for a binding that has none."""
    if binding.expires == PERMANENT:
        return "permanent"
    if binding.expires == DELETED:
        return "deleted"
    return str(binding.expires - now) if binding.is_valid(now) else "expired"

"""permissions: who may call whom, register what, and be trusted, by files and tables (OpenSER: modules/permissions).

rules.py       files of rules for URIs, as hosts.allow and hosts.deny
trusted.py     peers that need no authentication, by a table
addresses.py   groups of IP addresses, by a table
basic.py       the regular expressions of trusted peers
"""

import logging
import os
from typing import TYPE_CHECKING, Final

from openserd.core.avp import Name
from openserd.core.database import Condition, DatabaseError, name_check, open_database
from openserd.core.database.cached import RETRY_SECONDS, CachedTable
from openserd.core.database.reader import Reader
from openserd.core.management.mi import Reply
from openserd.core.module import (
    FAILURE,
    FALSE,
    OK,
    REQUEST,
    Context,
    Every,
    Fixup,
    Fn,
    Mi,
    Module,
    PvInt,
    PvName,
    PvStr,
    between,
    param,
)  # fmt: skip
from openserd.errors import ConfigError, SipError
from openserd.mods.permissions.addresses import AddressGroups, shown_host, shown_subnet
from openserd.mods.permissions.rules import Rule, Rules, parse_rules, without_escapes
from openserd.mods.permissions.trusted import Peer, TrustedPeers, usable
from openserd.parser.uri import parse_uri
from openserd.script.variables.named import avp_param, parse_avp_aliases, parse_avp_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from openserd.core.context import Core
    from openserd.core.message import SipMsg
    from openserd.script.variables.variable import Variable

log = logging.getLogger("openserd")

ROUTES: Final = REQUEST | FAILURE
TRUSTED_VERSION: Final = 4
ADDRESS_VERSION: Final = 3
NO_DATABASE: Final = "there is no database (db_url is not set)"
NOT_CACHED: Final = "trusted peers are not cached (db_mode is 0)"

FILE: Final = "the name of a file of rules"
FIRST: Final = "basename or allow file"


class Permissions(Module):
    """Rules for URIs in files; trusted peers and groups of addresses in a database, which only these need."""

    name = "permissions"

    default_allow_file: str = param("permissions.allow")  #: file used when no argument is given
    default_deny_file: str = param("permissions.deny")  #: file used when no argument is given
    check_all_branches: int = param(1)  #: 1: allow_routing() looks at all branches, 0: at the request URI alone
    allow_suffix: str = param(".allow")  #: what a basename and this make is the name of an allow file
    deny_suffix: str = param(".deny")  #: what a basename and this make is the name of a deny file
    db_url: str = param("")  #: where the tables are; empty where only files are used
    db_mode: int = param(0, check=between(0, 1))  #: trusted peers: 0 the database is asked each time, 1 kept in memory
    trusted_table: str = param("trusted", check=name_check)
    source_col: str = param("src_ip", check=name_check)  #: column of the source address
    proto_col: str = param("proto", check=name_check)  #: column of the protocol: any, udp, tcp, tls, sctp or none
    from_col: str = param("from_pattern", check=name_check)  #: column of the basic regular expression for From's URI
    tag_col: str = param("tag", check=name_check)
    peer_tag_avp: str = param("")  #: AVP that is given the tag of a trusted peer, such as `$avp(i:707)` or `i:707`
    address_table: str = param("address", check=name_check)
    grp_col: str = param("grp", check=name_check)
    ip_addr_col: str = param("ip_addr", check=name_check)
    mask_col: str = param("mask", check=name_check)
    port_col: str = param("port", check=name_check)

    functions = {
        "allow_routing": Fn(
            Fixup(FIRST, "fix_first", expects=FILE, optional=True),
            Fixup("deny file", "fix_deny", expects=FILE, optional=True),
            routes=ROUTES,
        ),
        "allow_register": Fn(
            Fixup(FIRST, "fix_first", expects=FILE),
            Fixup("deny file", "fix_deny", expects=FILE, optional=True),
            routes=ROUTES,
        ),
        "allow_uri": Fn(
            Fixup("basename", "fix_basename", expects="the name of two files without its end"),
            PvName("variable"),
            routes=ROUTES,
        ),
        "allow_trusted": Fn(routes=ROUTES),
        "set_address_group": Fn(PvInt("group"), routes=ROUTES),
        "allow_address": Fn(PvStr("address"), PvInt("port"), routes=ROUTES),
        "allow_source_address": Fn(PvInt("group"), routes=ROUTES),
    }
    mi = {
        "trusted_reload": Mi(),
        "trusted_dump": Mi(),
        "address_reload": Mi(),
        "address_dump": Mi(),
        "subnet_dump": Mi(),
    }
    timers = {"load": Every(RETRY_SECONDS)}

    reader: Reader | None = None
    trusted: CachedTable[TrustedPeers] | None = None
    addresses: CachedTable[AddressGroups] | None = None
    tag_avp: tuple[Name, int] | None = None

    def __init__(self, **values: int | str) -> None:
        super().__init__(**values)
        self.files: dict[str, tuple[Rule, ...]] = {}
        self.default = Rules((), ())
        self.warned = False

    def on_init(self, core: "Core") -> None:
        """Reads the default files; binds to the database, looks whether the tables are of the right version, reads
        them."""
        names = (self.default_allow_file, self.default_deny_file)
        self.default = Rules(*(self.read(name, core.script, logging.INFO) for name in names))
        self.tag_avp = tag_avp(self.peer_tag_avp, core.params.avp_aliases or "")
        if self.db_url.strip():
            self.use_database(core)

    def use_database(self, core: "Core") -> None:
        """Makes the tables known. Raises ConfigError."""
        database = open_database(core, self.db_url)
        self.reader = Reader(database, self.name)
        if self.db_mode:
            columns = (self.source_col, self.proto_col, self.from_col, self.tag_col)
            self.trusted = CachedTable(
                core, database, self.name, self.trusted_table, TRUSTED_VERSION, columns, TrustedPeers
            )
            self.trusted.load()
        else:
            database.expect(self.trusted_table, TRUSTED_VERSION)
        columns = (self.grp_col, self.ip_addr_col, self.mask_col, self.port_col)
        self.addresses = CachedTable(
            core, database, self.name, self.address_table, ADDRESS_VERSION, columns, AddressGroups
        )
        self.addresses.load()

    def timer_load(self) -> None:
        """Reads the tables that could not be read at the start."""
        for cached in (self.trusted, self.addresses):
            if cached is not None:
                cached.retry()

    # -- files ----------------------------------------------------------------------------------------------

    def read(self, name: str, script: str, level: int = logging.WARNING) -> tuple[Rule, ...]:
        """The rules in a file, none where there is no such file, which is logged at `level`; a name without a folder is
        that of a file beside the script. Raises ConfigError."""
        path = name if "/" in name else os.path.join(os.path.dirname(script), name)
        if path not in self.files:
            found = read_rules(path)
            if found is None:
                log.log(level, "permissions: there is no file %s, and so there are no such rules", path)
            self.files[path] = found or ()
        return self.files[path]

    def fix_basename(self, text: str, context: Context) -> Rules:
        """The rules of the files that a basename makes with `allow_suffix` and `deny_suffix`."""
        script = context.core.script
        return Rules(self.read(text + self.allow_suffix, script), self.read(text + self.deny_suffix, script))

    def fix_first(self, text: str, context: Context) -> Rules:
        """The rules of a basename where that is the only argument, else of an allow file."""
        if context.n_args == 1:
            return self.fix_basename(text, context)
        return Rules(self.read(text, context.core.script), ())

    def fix_deny(self, text: str, context: Context) -> Rules:
        """The rules of a deny file."""
        return Rules((), self.read(text, context.core.script))

    # -- rules ----------------------------------------------------------------------------------------------

    def allow_routing(self, msg: "SipMsg", first: Rules | None = None, deny: Rules | None = None) -> int:
        """1 the rules let the caller, by the URI of From, reach the request URI and all branches; -1 not, or an address
        is malformed.

        One is let through by a rule of the allow file, or where no rule of the deny file is about it either.  Request
        URI and branches are compared as `sip:user@host`.  Without rules everything is allowed.

        A file has one rule a line, `callers [EXCEPT callers] : destinations [EXCEPT destinations]`.  Each of these is
        ALL or a list of POSIX extended regular expressions in double quotes, separated by commas; they ignore case and
        match anywhere in a URI.  `#` begins a comment.  A name without a folder is that of a file beside the script.
        """
        rules = self.default_rules() if first is None else chosen(first, deny)
        if rules.are_none:
            return OK
        caller = without_escapes(msg.from_.uri)
        destinations = [msg.ruri]
        if self.check_all_branches:
            destinations += [branch.uri for branch in msg.branches]
        return allowed(rules, caller, (plain_uri(uri) for uri in destinations))

    def default_rules(self) -> Rules:
        """The rules of the default files; that there are none is said once."""
        if self.default.are_none and not self.warned:
            self.warned = True
            log.warning(
                "permissions: neither %s nor %s has rules, and allow_routing() allows everything",
                self.default_allow_file,
                self.default_deny_file,
            )
        return self.default

    def allow_register(self, msg: "SipMsg", first: Rules, deny: Rules | None = None) -> int:
        """1 the rules let the user, by the URI of To, register all Contacts, or there is none, or it is `*`; -1 not, or
        an address is malformed.

        Files and rules are as for allow_routing(), each Contact being compared as `sip:user@host`.
        """
        rules = chosen(first, deny)
        if rules.are_none or msg.contact_star or not msg.contacts:
            return OK
        return allowed(rules, without_escapes(msg.to.uri), (plain_uri(contact.uri) for contact in msg.contacts))

    def allow_uri(self, msg: "SipMsg", rules: Rules, variable: "Variable") -> int:
        """1 the rules let the caller, by the URI of From, reach the URI in the variable, which is compared as it is; -1
        not, or it holds none, or From is malformed."""
        if rules.are_none:
            return OK
        value = variable.get(msg)
        if not isinstance(value, bytes):
            return FALSE
        return allowed(rules, without_escapes(msg.from_.uri), [without_escapes(value)])

    # -- trusted peers --------------------------------------------------------------------------------------

    def allow_trusted(self, msg: "SipMsg") -> int:
        """1 the request comes from a trusted peer by source address, transport protocol and URI of From; its tag, if it
        has one, is in the AVP `peer_tag_avp`.  -1 not, or the database does not answer."""
        for peer in self.peers(msg.source_host):
            if peer.matches(msg):
                if self.tag_avp is not None and peer.tag is not None:
                    msg.avps.add(self.tag_avp[0], peer.tag, self.tag_avp[1])
                return OK
        return FALSE

    def peers(self, source: str) -> "Iterable[Peer]":
        """The peers with a source address."""
        if self.trusted is not None:
            known = self.trusted.get()
            return known.of(source) if known is not None else ()
        if self.reader is None:
            log.error("permissions: allow_trusted() needs a database, and db_url is empty")
            return ()
        try:
            where = (Condition(self.source_col, source.encode()),)
            rows = self.reader.rows(self.trusted_table, (self.proto_col, self.from_col, self.tag_col), where)
        except DatabaseError:
            return ()
        return usable(source, rows)

    # -- groups of addresses --------------------------------------------------------------------------------

    def set_address_group(self, msg: "SipMsg", group: int) -> int:
        """1 allow_address() looks into this group from now on, for this request; -1 that is no number of a group."""
        if group < 0:
            return FALSE
        msg.attach(self.name, b"%d" % group)
        return OK

    def allow_address(self, msg: "SipMsg", address: bytes, port: int) -> int:
        """1 the group of set_address_group(), else group 0, has the IP address and port; -1 not, or they are none."""
        group = int(msg.attached(self.name) or 0)
        return self.look_up(group, address.decode("latin-1").strip("[]"), port)

    def allow_source_address(self, msg: "SipMsg", group: int) -> int:
        """1 the group has the IP address and port that the request came from, -1 not."""
        return self.look_up(group, msg.source_host, msg.source_port)

    def look_up(self, group: int, host: str, port: int) -> int:
        """1 the group has a host and port, -1 not."""
        if self.addresses is None:
            log.error("permissions: groups of addresses need a database, and db_url is empty")
            return FALSE
        known = self.addresses.get()
        return OK if known is not None and known.has(group, host, port) else FALSE

    # -- management -----------------------------------------------------------------------------------------

    def mi_trusted_reload(self) -> Reply:
        """Reads the table of trusted peers again, for all processes; 400, and the old ones stay, where that is not
        possible."""
        if self.trusted is None:
            return Reply(400, NOT_CACHED if self.reader is not None else NO_DATABASE)
        return Reply() if self.trusted.reload() else Reply(400, "Trusted table reload failed")

    def mi_trusted_dump(self) -> Reply:
        """The trusted peers in memory: number, source, number of the protocol (0 any, 1 UDP, 2 TCP, 3 TLS, 4 SCTP),
        expression, tag."""
        if self.trusted is None:
            return Reply(400, NOT_CACHED if self.reader is not None else NO_DATABASE)
        return listing(peer.shown(slot) for slot, peer in enumerate(self.trusted.get() or ()))

    def mi_address_reload(self) -> Reply:
        """Reads the table of addresses again, for all processes; 400, and the old ones stay, where that is not
        possible."""
        if self.addresses is None:
            return Reply(400, NO_DATABASE)
        return Reply() if self.addresses.reload() else Reply(400, "Address table reload failed")

    def mi_address_dump(self) -> Reply:
        """The single addresses in memory: number, group, address, port."""
        known = self.addresses.get() if self.addresses is not None else None
        return listing(shown_host(slot, one) for slot, one in enumerate(known.hosts if known else ()))

    def mi_subnet_dump(self) -> Reply:
        """The subnets in memory by group: number, group, address, bits of the mask, port."""
        known = self.addresses.get() if self.addresses is not None else None
        return listing(shown_subnet(index, one) for index, one in enumerate(known.subnets if known else ()))


def listing(lines: "Iterable[str]") -> Reply:
    """An answer of lines."""
    reply = Reply()
    for line in lines:
        reply.add(value=line)
    return reply


def read_rules(path: str) -> tuple[Rule, ...] | None:
    """The rules in a file, None where there is no such file. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", expected="a file of rules") from None
    return parse_rules(text, path)


def tag_avp(text: str, aliases: str) -> tuple[Name, int] | None:
    """The AVP for tags, with or without `$avp(...)` around its name, None where none is named. Raises ConfigError."""
    if not text.strip() or text.strip().startswith("$avp("):
        return avp_param(text, aliases)
    return parse_avp_name(text, parse_avp_aliases(aliases))


def chosen(first: Rules, deny: Rules | None) -> Rules:
    """The rules of one or two arguments."""
    return first if deny is None else Rules(first.allow, deny.deny)


def allowed(rules: Rules, caller: bytes, destinations: "Iterable[bytes]") -> int:
    """1 the rules let the caller reach all destinations, -1 not. Raises SipError."""
    return OK if all(rules.allows(caller, destination) for destination in destinations) else FALSE


def plain_uri(uri: bytes) -> bytes:
    """A URI as `sip:user@host`, whatever its scheme, port and parameters. Raises SipError where it has neither."""
    parsed = parse_uri(uri)
    if not parsed.user and not parsed.host:
        raise SipError("A URI without user and host")
    user = without_escapes(parsed.user) + b"@" if parsed.user else b""
    return b"sip:%b%b" % (user, parsed.host)

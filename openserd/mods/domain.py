"""domain: whether a host is one of the domains that this server serves, by a table (OpenSER: modules/domain).

Hosts are compared without regard to case.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.core.database import Condition, DatabaseError, name_check, open_database
from openserd.core.database.cached import RETRY_SECONDS, CachedTable
from openserd.core.database.reader import READ_URL, Reader, text_of
from openserd.core.management.mi import Reply
from openserd.core.module import BRANCH, FAILURE, FALSE, OK, REQUEST, Every, Fn, Mi, Module, PvName, param
from openserd.parser.uri import parse_uri

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.database.values import Row
    from openserd.core.message import SipMsg
    from openserd.script.variables.variable import Variable

TABLE_VERSION: Final = 1
ROUTES: Final = REQUEST | FAILURE | BRANCH
NOT_CACHED: Final = "domains are not cached (db_mode is 0)"


class Domains:
    """All domains of the table: `names` as written there, `known` in lower case."""

    __slots__ = ("known", "names")

    def __init__(self, rows: "Sequence[Row]") -> None:
        self.names = tuple(name for row in rows if (name := text_of(row[0])))
        self.known = frozenset(name.lower() for name in self.names)


class Domain(Module):
    """The domains of this server. Needs a database."""

    name = "domain"

    db_url: str = param(READ_URL)  #: where the table is
    db_mode: int = param(0)  #: 0: the database is asked each time, 1: the table is kept in memory
    domain_table: str = param("domain", check=name_check)
    domain_col: str = param("domain", check=name_check)

    functions = {
        "is_from_local": Fn(routes=ROUTES, on_error=-2),
        "is_uri_host_local": Fn(routes=ROUTES),
        "is_domain_local": Fn(PvName("variable"), routes=ROUTES),
    }
    mi = {"domain_reload": Mi(), "domain_dump": Mi()}
    timers = {"load": Every(RETRY_SECONDS)}

    reader: Reader
    cached: CachedTable[Domains] | None = None

    def on_init(self, core: "Core") -> None:
        """Binds to the database, looks whether the table is of the right version, reads it with `db_mode` 1."""
        self.reader = Reader(open_database(core, self.db_url), self.name)
        database = self.reader.database
        if self.db_mode == 0:
            database.expect(self.domain_table, TABLE_VERSION)
            return
        self.cached = CachedTable(
            core, database, self.name, self.domain_table, TABLE_VERSION, (self.domain_col,), Domains
        )
        self.cached.load()

    def timer_load(self) -> None:
        """Reads the table that could not be read at the start."""
        if self.cached is not None:
            self.cached.retry()

    # -- script functions -----------------------------------------------------------------------------------

    def is_from_local(self, msg: "SipMsg") -> int:
        """1 the host of From is a domain of the table, -1 not, or the database does not answer; -2 From is
        malformed."""
        return self.answer(parse_uri(msg.from_.uri).host)

    def is_uri_host_local(self, msg: "SipMsg") -> int:
        """1 the host of the request URI, in a branch route that of the branch, is a domain of the table; -1 not, or
        the database does not answer."""
        return self.answer(msg.uri.host)

    def is_domain_local(self, msg: "SipMsg", variable: "Variable") -> int:
        """1 the text in the variable is a domain of the table, -1 not, or it holds none."""
        value = variable.get(msg)
        return self.answer(value) if isinstance(value, bytes) else FALSE

    def answer(self, host: bytes) -> int:
        """What the functions answer for a host."""
        if not host:
            return FALSE
        if self.cached is None:
            return OK if self.is_stored(host) else FALSE
        domains = self.cached.get()
        return OK if domains is not None and host.lower() in domains.known else FALSE

    def is_stored(self, host: bytes) -> bool:
        """Whether the database has the domain, in lower case or, where it tells cases apart, as it is written."""
        try:
            return any(
                self.reader.rows(self.domain_table, (self.domain_col,), (Condition(self.domain_col, name),))
                for name in dict.fromkeys((host.lower(), host))
            )
        except DatabaseError:
            return False

    # -- management -----------------------------------------------------------------------------------------

    def mi_domain_reload(self) -> Reply:
        """Reads the table again, for all processes; 500, and the old domains stay, where that is not possible."""
        if self.cached is None:
            return Reply(500, NOT_CACHED)
        return Reply() if self.cached.reload() else Reply(500, "Domain table reload failed")

    def mi_domain_dump(self) -> Reply:
        """The domains in memory, one node each."""
        if self.cached is None:
            return Reply(500, NOT_CACHED)
        reply = Reply()
        domains = self.cached.get()
        for name in domains.names if domains is not None else ():
            reply.add(value=name)
        return reply

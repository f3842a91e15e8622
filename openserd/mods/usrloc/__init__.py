"""usrloc: who is reachable where; the store behind registrar, in shared memory or a database (OpenSER: modules/usrloc).

binding.py          one contact of an AoR, and how a list of them changes
location.py         the store in shared memory: db_mode 0, and what all modes have in common
backed.py           the same with a database behind it: db_mode 1 and 2
preload.py          from the database into memory
database_only.py    the database alone: db_mode 3
rows.py             bindings as rows
mi.py               the MI commands
"""

import time
from typing import TYPE_CHECKING, Final

from openserd.core.database import Database, name_check, open_database
from openserd.core.database.cached import RETRY_SECONDS
from openserd.core.database.opening import shared_breaker
from openserd.core.management.mi import Reply
from openserd.core.module import Every, Mi, Module, Process, Str, between, not_negative, param, positive, stat
from openserd.errors import ConfigError
from openserd.mods.usrloc import mi as commands
from openserd.mods.usrloc.backed import Backed
from openserd.mods.usrloc.binding import CONTACT_CALLID, Rules
from openserd.mods.usrloc.database_only import DatabaseOnly
from openserd.mods.usrloc.location import Location
from openserd.mods.usrloc.rows import TABLE_VERSION, Columns, Rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openserd.core.context import Core
    from openserd.shm.table import Table

MEMORY: Final = 0
WRITE_THROUGH: Final = 1
DATABASE_ONLY: Final = 3

BYTES_PER_AOR: Final = 256  #: shared memory for each AoR that the table has room for, unless `max_aors` says


class UsrLoc(Module):
    """The location service.  It publishes a `Location` by the name usrloc."""

    name = "usrloc"
    late_statistics = True

    timer_interval: int = param(60, check=positive)  #: seconds between two sweeps for expired bindings, and write-backs
    use_domain: int = param(0)  #: 1: an AoR is user@host, 0: the user alone
    desc_time_order: int = param(0)  #: 1: the contact refreshed last comes first, 0: the one with the highest q
    matching_mode: int = param(0, check=between(0, 1))  #: 0: a contact is known by its URI, 1: by URI and Call-ID
    cseq_delay: int = param(20, check=not_negative)  #: seconds in which an equal CSeq counts as a retransmission
    nat_bflag: int = param(-1, check=between(-1, 31))  #: branch flag that marks contacts behind NAT, -1 none
    hash_size: int = param(9, check=between(0, 24))  #: log2 of the least number of hash buckets, all tables together
    max_aors: int = param(0, check=not_negative)  #: most AoRs of all tables together, 0: as many as -m has room for

    #: 0: memory only; 1: memory, each change written to the database at once; 2: memory, changes written every
    #: `timer_interval` and at the end; 3: the database alone, asked each time
    db_mode: int = param(0, check=between(0, 3))
    db_url: str = param("mysql://openser:openserrw@localhost/openser")  #: where the tables are
    fetch_rows: int = param(2000, check=positive)  #: rows read at a time when a table is loaded
    user_column: str = param("username", check=name_check)
    domain_column: str = param("domain", check=name_check)
    contact_column: str = param("contact", check=name_check)
    received_column: str = param("received", check=name_check)
    path_column: str = param("path", check=name_check)
    expires_column: str = param("expires", check=name_check)
    q_column: str = param("q", check=name_check)
    callid_column: str = param("callid", check=name_check)
    cseq_column: str = param("cseq", check=name_check)
    flags_column: str = param("flags", check=name_check)
    cflags_column: str = param("cflags", check=name_check)
    user_agent_column: str = param("user_agent", check=name_check)
    socket_column: str = param("socket", check=name_check)
    methods_column: str = param("methods", check=name_check)

    #: AoRs with bindings over all tables.  Each table adds TABLE-users, TABLE-contacts and TABLE-expires.
    registered_users = stat("registered_users", computed=True)

    timers = {"expire": Every("timer_interval")}
    processes = {"database": Process("usrloc database")}

    mi = {
        "ul_dump": Mi(Str("brief", optional=True)),
        "ul_rm": Mi(Str("table"), Str("aor")),
        "ul_rm_contact": Mi(Str("table"), Str("aor"), Str("contact")),
        "ul_add": Mi(
            Str("table"),
            Str("aor"),
            Str("contact"),
            Str("expires"),
            Str("q"),
            Str("unused"),
            Str("flags"),
            Str("cflags"),
            Str("methods"),
        ),
        "ul_show_contact": Mi(Str("table"), Str("aor")),
        "ul_flush": Mi(),
    }

    location: Location
    database: Database | None = None

    def on_init(self, core: "Core") -> None:
        """Makes the shared table and publishes the store."""
        n_aors = 1 if self.db_mode == DATABASE_ONLY else self.max_aors or core.memory.segment.size // BYTES_PER_AOR
        n_buckets = 1 << max(self.hash_size, (n_aors - 1).bit_length())
        table = core.memory.table("usrloc", n_aors, n_buckets)
        self.location = self.make_location(core, table, n_buckets)
        core.publish("usrloc", self.location)

    def make_location(self, core: "Core", table: "Table", n_buckets: int) -> Location:
        """The store of this `db_mode`. Raises ConfigError."""
        rules = Rules(self.matching_mode, self.cseq_delay, bool(self.desc_time_order))
        use_domain = bool(self.use_domain)
        nat_bflag = 1 << self.nat_bflag if self.nat_bflag >= 0 else 0
        if self.db_mode == MEMORY:
            return Location(
                table, n_buckets, rules, core.statistics, use_domain=use_domain, nat_bflag=nat_bflag
            )  # fmt: skip
        rows = Rows(self.columns(), use_domain=use_domain, by_call_id=self.matching_mode == CONTACT_CALLID)
        self.database = open_database(core, self.db_url)
        if self.db_mode == DATABASE_ONLY:
            return DatabaseOnly(
                table, n_buckets, rules, core.statistics, self.database, rows,
                fetch_rows=self.fetch_rows, use_domain=use_domain, nat_bflag=nat_bflag,
            )  # fmt: skip
        return Backed(
            core.memory, table, n_buckets, rules, core.statistics, self.database, rows, shared_breaker(core),
            writes_through=self.db_mode == WRITE_THROUGH,
            fetch_rows=self.fetch_rows, use_domain=use_domain, nat_bflag=nat_bflag,
        )  # fmt: skip

    def columns(self) -> Columns:
        """The names of the columns."""
        return Columns(
            self.user_column, self.domain_column, self.contact_column, self.expires_column, self.q_column,
            self.callid_column, self.cseq_column, self.flags_column, self.cflags_column, self.user_agent_column,
            self.received_column, self.path_column, self.socket_column, self.methods_column,
        )  # fmt: skip

    def on_ready(self, core: "Core") -> None:
        """Looks whether the tables are of the right version; reads them into memory. Raises ConfigError."""
        if self.database is None:
            return
        for name in self.location.domains:
            table = name.decode("utf-8", "replace")
            problem = name_check(table)
            if problem:
                raise ConfigError(f"'{table}' cannot be a table of a database", expected=problem)
            self.database.expect(table, TABLE_VERSION)
        self.location.begin(self.clock())

    def on_exit(self) -> None:
        """Writes what the database does not have yet."""
        self.location.finish(self.clock())

    def clock(self) -> int:
        """Now, in seconds since 1970."""
        return int(time.time())

    def stat_registered_users(self) -> int:
        """AoRs with bindings over all tables."""
        return self.location.n_users()

    def timer_expire(self) -> None:
        """Removes the bindings that have expired from memory; with a database, `process_database` does."""
        if self.db_mode == MEMORY:
            self.expire()

    def expire(self) -> None:
        """Removes the bindings that have expired, and writes what the database does not have yet."""
        self.location.expire(self.clock())

    def catch_up(self) -> None:
        """Reads and writes what had to wait for the database."""
        self.location.catch_up(self.clock())

    def own_processes(self) -> "Mapping[str, Process]":
        """With a database, a process that writes to it: the timer process has no time to wait."""
        return self.processes if self.db_mode != MEMORY else {}

    def process_database(self) -> None:
        """Every `timer_interval`, and soon after the database is back, what is due; until SIGTERM."""
        due = time.monotonic() + self.timer_interval
        while True:
            time.sleep(max(0.0, min(RETRY_SECONDS, due - time.monotonic())))
            if time.monotonic() < due:
                self.catch_up()
                continue
            due = max(due, time.monotonic() - self.timer_interval) + self.timer_interval
            self.expire()

    def mi_ul_dump(self, brief: str = "") -> Reply:
        """All tables, AoRs and bindings; tables and AoRs alone with the word brief."""
        return commands.answering(commands.dump, self.location, brief.lower() == "brief", self.clock())

    def mi_ul_rm(self, table: str, aor: str) -> Reply:
        """Removes an AoR with all its bindings."""
        return commands.answering(commands.remove_aor, self.location, table, aor, self.clock())

    def mi_ul_rm_contact(self, table: str, aor: str, contact: str) -> Reply:
        """Removes one contact of an AoR."""
        return commands.answering(commands.remove_contact, self.location, table, aor, contact, self.clock())

    def mi_ul_add(
        self,
        table: str,
        aor: str,
        contact: str,
        expires: str,
        q: str,
        unused: str,
        flags: str,
        cflags: str,
        methods: str,
    ) -> Reply:
        """Adds a contact, or changes it; expires 0 makes it permanent."""
        args = (table, aor, contact, expires, q, unused, flags, cflags, methods)
        return commands.answering(commands.add_contact, self.location, args, self.clock())

    def mi_ul_show_contact(self, table: str, aor: str) -> Reply:
        """The valid bindings of an AoR, one line each."""
        return commands.answering(commands.show_contacts, self.location, table, aor, self.clock())

    def mi_ul_flush(self) -> Reply:
        """Writes bindings that are not in the database yet; 500 when it does not answer."""
        return Reply() if self.location.flush(self.clock()) else Reply(500, "Server Internal Error")

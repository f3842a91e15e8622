"""usrloc: who is reachable where; the store behind registrar, in shared memory (OpenSER: modules/usrloc)."""

import time
from typing import TYPE_CHECKING, Final

from openserd.core.mi import Reply
from openserd.core.module import Every, Mi, Module, Str, between, not_negative, param, positive, stat
from openserd.errors import ConfigError
from openserd.mods.usrloc import mi as commands
from openserd.mods.usrloc.binding import Rules
from openserd.mods.usrloc.location import Location

if TYPE_CHECKING:
    from openserd.core.context import Core

BYTES_PER_AOR: Final = 256  #: shared memory for each AoR that the table has room for, unless `max_aors` says


class UsrLoc(Module):
    """The location service.  It publishes a `Location` by the name usrloc."""

    name = "usrloc"
    late_statistics = True

    timer_interval: int = param(60, check=positive)  #: seconds between two sweeps for expired bindings
    use_domain: int = param(0)  #: 1: an AoR is user@host, 0: the user alone
    desc_time_order: int = param(0)  #: 1: the contact refreshed last comes first, 0: the one with the highest q
    matching_mode: int = param(0, check=between(0, 1))  #: 0: a contact is known by its URI, 1: by URI and Call-ID
    cseq_delay: int = param(20, check=not_negative)  #: seconds in which an equal CSeq counts as a retransmission
    nat_bflag: int = param(-1, check=between(-1, 31))  #: branch flag that marks contacts behind NAT, -1 none
    hash_size: int = param(9, check=between(0, 24))  #: log2 of the least number of hash buckets, all tables together
    max_aors: int = param(0, check=not_negative)  #: most AoRs of all tables together, 0: as many as -m has room for

    db_mode: int = param(0, check=between(0, 3))  #: 0: memory only, the one mode there is in this version
    db_url: str = param("mysql://openser:openserrw@localhost/openser")
    fetch_rows: int = param(2000, check=positive)  #: rows read at a time when a table is loaded
    user_column: str = param("username")
    domain_column: str = param("domain")
    contact_column: str = param("contact")
    received_column: str = param("received")
    path_column: str = param("path")
    expires_column: str = param("expires")
    q_column: str = param("q")
    callid_column: str = param("callid")
    cseq_column: str = param("cseq")
    flags_column: str = param("flags")
    cflags_column: str = param("cflags")
    user_agent_column: str = param("user_agent")
    socket_column: str = param("socket")
    methods_column: str = param("methods")

    #: AoRs with bindings over all tables.  Each table adds TABLE-users, TABLE-contacts and TABLE-expires.
    registered_users = stat("registered_users", computed=True)

    timers = {"expire": Every("timer_interval")}

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

    def on_init(self, core: "Core") -> None:
        """Makes the shared table and publishes the store."""
        if self.db_mode:
            raise ConfigError(
                f"usrloc: db_mode {self.db_mode} needs a database, and databases are not available in this version yet",
                expected="db_mode 0, which keeps bindings in memory",
            )
        n_aors = self.max_aors or core.memory.segment.size // BYTES_PER_AOR
        n_buckets = 1 << max(self.hash_size, (n_aors - 1).bit_length())
        table = core.memory.table("usrloc", n_aors, n_buckets)
        rules = Rules(self.matching_mode, self.cseq_delay, bool(self.desc_time_order))
        self.location = Location(
            table,
            n_buckets,
            rules,
            core.statistics,
            use_domain=bool(self.use_domain),
            nat_bflag=1 << self.nat_bflag if self.nat_bflag >= 0 else 0,
        )
        core.publish("usrloc", self.location)

    def clock(self) -> int:
        """Now, in seconds since 1970."""
        return int(time.time())

    def stat_registered_users(self) -> int:
        """AoRs with bindings over all tables."""
        return self.location.n_users()

    def timer_expire(self) -> None:
        """Removes the bindings that have expired."""
        self.location.expire(self.clock())

    def mi_ul_dump(self, brief: str = "") -> Reply:
        """All tables, AoRs and bindings; tables and AoRs alone with the word brief."""
        return commands.dump(self.location, brief.lower() == "brief", self.clock())

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
        """Writes bindings that are not in the database yet; there are none in memory mode."""
        return Reply()

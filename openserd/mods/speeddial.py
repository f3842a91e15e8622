"""speeddial: short numbers of users, in a database (OpenSER: modules/speeddial)."""

import logging
import re
from typing import TYPE_CHECKING, Final

from openserd.core.database import Condition, DatabaseError, name_check, open_database
from openserd.core.database.reader import READ_URL, Reader, TableName, text_of, without_prefix
from openserd.core.module import FALSE, OK, REQUEST, Fn, Module, PvStr, between, param
from openserd.core.ruri import put
from openserd.parser.uri import Uri, parse_uri

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

SCHEME: Final = re.compile(rb"(?:sips?|tel):", re.IGNORECASE)


class SpeedDial(Module):
    """Speed dialling. Needs a database."""

    name = "speeddial"

    db_url: str = param(READ_URL)  #: where the table is
    user_column: str = param("username", check=name_check)  #: whose number it is
    domain_column: str = param("domain", check=name_check)
    sd_user_column: str = param("sd_username", check=name_check)  #: the number that is dialled
    sd_domain_column: str = param("sd_domain", check=name_check)
    new_uri_column: str = param("new_uri", check=name_check)  #: what it stands for
    use_domain: int = param(0, check=between(0, 2))  #: 1: the owner's domain counts too, 2: the dialled one as well
    domain_prefix: str = param("")  #: taken off domains before they are looked up, such as "sip."

    functions = {
        "sd_lookup": Fn(TableName("table"), PvStr("owner", optional=True), routes=REQUEST),
    }

    reader: Reader

    def on_init(self, core: "Core") -> None:
        """Binds to the database."""
        self.reader = Reader(open_database(core, self.db_url), self.name)

    def sd_lookup(self, msg: "SipMsg", table: str, owner: bytes | None = None) -> int:
        """1 the request URI was a short number of the caller, or of the user in the URI `owner`, and is what it stands
        for now; -1 it was not, the URI is none, or the database does not answer."""
        caller = parse_uri(msg.from_.uri if owner is None else owner)
        try:
            row = self.reader.row(table, (self.new_uri_column,), self.conditions(caller, msg.uri))
        except DatabaseError:
            return FALSE
        if row is None or row[0] is None:
            return FALSE
        stored = text_of(row[0])
        if put(msg, stored if SCHEME.match(stored) else b"sip:" + stored):
            return OK
        log.error("speeddial: %r in table %s is no URI", stored, table)
        return FALSE

    def conditions(self, owner: Uri, dialled: Uri) -> list[Condition]:
        """Which row it is."""
        prefix = self.domain_prefix.encode()
        found = [Condition(self.user_column, owner.user or b"")]
        if self.use_domain >= 1:
            found.append(Condition(self.domain_column, without_prefix(owner.host, prefix)))
        found.append(Condition(self.sd_user_column, dialled.user or b""))
        if self.use_domain >= 2:
            found.append(Condition(self.sd_domain_column, without_prefix(dialled.host, prefix)))
        return found

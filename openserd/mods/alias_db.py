"""alias_db: other names of users, in a database (OpenSER: modules/alias_db)."""

import logging
from typing import TYPE_CHECKING

from openserd.core.database import Condition, DatabaseError, name_check, open_database
from openserd.core.database.reader import READ_URL, Reader, TableName, text_of, without_prefix
from openserd.core.module import FAILURE, FALSE, OK, REQUEST, Fn, Module, param
from openserd.core.ruri import put

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")


class AliasDb(Module):
    """Aliases of users. Needs a database."""

    name = "alias_db"

    db_url: str = param(READ_URL)  #: where the table is
    user_column: str = param("username", check=name_check)
    domain_column: str = param("domain", check=name_check)
    alias_user_column: str = param("alias_username", check=name_check)
    alias_domain_column: str = param("alias_domain", check=name_check)
    use_domain: int = param(0)  #: 1: an alias is found by name and domain, 0: by name alone
    domain_prefix: str = param("")  #: taken off the domain before it is looked up, such as "sip."

    functions = {"alias_db_lookup": Fn(TableName("table"), routes=REQUEST | FAILURE)}

    reader: Reader

    def on_init(self, core: "Core") -> None:
        """Binds to the database."""
        self.reader = Reader(open_database(core, self.db_url), self.name)

    def alias_db_lookup(self, msg: "SipMsg", table: str) -> int:
        """1 the request URI was an alias and is the user's now; -1 it is none, or the database does not answer."""
        uri = msg.uri
        where = [Condition(self.alias_user_column, uri.user or b"")]
        if self.use_domain:
            where.append(Condition(self.alias_domain_column, without_prefix(uri.host, self.domain_prefix.encode())))
        try:
            row = self.reader.row(table, (self.user_column, self.domain_column), where)
        except DatabaseError:
            return FALSE
        if row is None or row[0] is None:
            return FALSE
        user = b"sip:%b@%b" % (text_of(row[0]), text_of(row[1]))
        if put(msg, user):
            return OK
        log.error("alias_db: %r in table %s is no URI", user, table)
        return FALSE

"""uri_db: whether URIs belong to users, by a database (OpenSER: modules/uri_db)."""

import logging
from typing import TYPE_CHECKING, Any, Final

from openserd.core.database import Condition, DatabaseError, name_check, open_database
from openserd.core.database.reader import READ_URL, Reader
from openserd.core.module import OK, REQUEST, Fn, Module, param
from openserd.errors import ConfigError
from openserd.parser.uri import parse_uri

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

URI_VERSION: Final = 1
SUBSCRIBER_VERSION: Final = 6

NOT_AUTHORIZED: Final = -2
NO_USER: Final = -4
NO_DATABASE: Final = -8
NOT_IN_TABLE: Final = -9
OTHER_USER: Final = -10
NO_ANSWER: Final = -4
UNKNOWN: Final = -5


class UriDb(Module):
    """Checks of URIs. Needs auth for check_to() and check_from(), a database for the rest."""

    name = "uri_db"

    db_url: str = param(READ_URL)  #: where the tables are; empty where only check_to() and check_from() are used
    use_uri_table: int = param(0)  #: 1: the table of URIs tells which names a user has, 0: its own alone
    use_domain: int = param(0)  #: 1: does_uri_exist() looks at the domain too
    subscriber_table: str = param("subscriber", check=name_check)
    subscriber_user_column: str = param("username", check=name_check)
    subscriber_domain_column: str = param("domain", check=name_check)
    uri_table: str = param("uri", check=name_check)
    uri_user_column: str = param("username", check=name_check)  #: the user's name in the table of URIs
    uri_domain_column: str = param("domain", check=name_check)
    uri_uriuser_column: str = param("uri_user", check=name_check)  #: a name that the user has

    functions = {
        "check_to": Fn(routes=REQUEST),
        "check_from": Fn(routes=REQUEST),
        "does_uri_exist": Fn(routes=REQUEST),
    }

    reader: Reader | None = None

    def on_init(self, core: "Core") -> None:
        """Binds to the database; looks whether the table is of the right version."""
        if not self.db_url.strip():
            if self.use_uri_table:
                raise ConfigError("uri_db: use_uri_table needs a database", hint="set db_url")
            return
        self.reader = Reader(open_database(core, self.db_url), self.name)
        if self.use_uri_table:
            self.reader.database.expect(self.uri_table, URI_VERSION)
        else:
            self.reader.database.expect(self.subscriber_table, SUBSCRIBER_VERSION)

    def check_to(self, msg: "SipMsg") -> int:
        """1 the user in To is the one whose credentials have been found right, or has that name in the table of URIs.

        -1 To is malformed, -2 no credentials have been found right, -4 it names no user, -8 the database does not
        answer, -9 the user has no such name, -10 it is another user.
        """
        return self.check(msg, msg.to.uri)

    def check_from(self, msg: "SipMsg") -> int:
        """As `check_to`, for From."""
        return self.check(msg, msg.from_.uri)

    def check(self, msg: "SipMsg", uri: bytes) -> int:
        """Whether the user in `uri` is the authorized one."""
        user = parse_uri(uri).user
        auth: Any = self.core.published.get("auth")
        presented = auth.authorized(msg) if auth is not None else None
        if presented is None:
            log.error("uri_db: no credentials have been found right before check_to() or check_from()")
            return NOT_AUTHORIZED
        if not user:
            return NO_USER
        if self.use_uri_table:
            return self.check_table(presented, user)
        return OK if user.lower() == presented.user.lower() else OTHER_USER

    def check_table(self, presented: Any, user: bytes) -> int:
        """Whether the authorized user has the name `user` in the table of URIs."""
        where = (
            Condition(self.uri_user_column, presented.user),
            Condition(self.uri_domain_column, presented.domain),
            Condition(self.uri_uriuser_column, user),
        )
        assert self.reader is not None
        try:
            found = self.reader.rows(self.uri_table, (self.uri_user_column,), where)
        except DatabaseError:
            return NO_DATABASE
        return OK if found else NOT_IN_TABLE

    def does_uri_exist(self, msg: "SipMsg") -> int:
        """1 the user of the request URI is in the table of subscribers, or of URIs with `use_uri_table`.

        -1 the request URI is malformed, -4 the database does not answer or there is none, -5 the user is not there.
        """
        uri = msg.uri
        if self.reader is None:
            log.error("uri_db: does_uri_exist() needs a database, and db_url is empty")
            return NO_ANSWER
        table, user_column, domain_column = self.users()
        where = [Condition(user_column, uri.user or b"")]
        if self.use_domain:
            where.append(Condition(domain_column, uri.host))
        try:
            found = self.reader.rows(table, (user_column,), where)
        except DatabaseError:
            return NO_ANSWER
        return OK if found else UNKNOWN

    def users(self) -> tuple[str, str, str]:
        """The table of users with its columns of users and domains."""
        if self.use_uri_table:
            return self.uri_table, self.uri_uriuser_column, self.uri_domain_column
        return self.subscriber_table, self.subscriber_user_column, self.subscriber_domain_column

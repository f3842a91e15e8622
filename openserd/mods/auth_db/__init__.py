"""auth_db: digest authentication of the users in a database (OpenSER: modules/auth_db).

loaded.py    columns that become AVPs
"""

from typing import TYPE_CHECKING, Final

from openserd.core.database import Condition, DatabaseError, name_check, open_database
from openserd.core.database.reader import READ_URL, Reader, text_of
from openserd.core.module import FALSE, REQUEST, STOP, Fixup, Fn, Module, PvStr, param
from openserd.errors import ConfigError
from openserd.mods.auth_db.loaded import Loaded, load, parse_loaded
from openserd.parser import names

if TYPE_CHECKING:
    from typing import Any

    from openserd.core.context import Core
    from openserd.core.message import SipMsg

TABLE_VERSION: Final = 6
CHECK: Final = 2  #: what `pre_auth` answers where there is something to check


class AuthDb(Module):
    """Authentication by the table of subscribers. Needs auth and a database."""

    name = "auth_db"
    requires = ("auth",)

    db_url: str = param(READ_URL)  #: where the table is
    user_column: str = param("username", check=name_check)
    domain_column: str = param("domain", check=name_check)
    password_column: str = param("ha1", check=name_check)  #: HA1, or the password with calculate_ha1
    password_column_2: str = param("ha1b", check=name_check)  #: HA1 of users that write user@domain
    calculate_ha1: int = param(0)  #: 1: the column holds passwords in clear text
    use_domain: int = param(0)  #: 1: a user is found by name and domain, 0: by name alone
    load_credentials: str = param("rpid")  #: columns that become AVPs: `[$avp(...)=]column` separated by semicolons

    functions = {
        "www_authorize": Fn(PvStr("realm"), Fixup("table", "fix_table"), routes=REQUEST),
        "proxy_authorize": Fn(PvStr("realm"), Fixup("table", "fix_table"), routes=REQUEST),
    }

    auth: "Any"
    reader: Reader
    loaded: list[Loaded]

    def __init__(self, **values: int | str) -> None:
        super().__init__(**values)
        self.tables: list[str] = []

    def on_init(self, core: "Core") -> None:
        """Binds to auth and the database; looks whether the tables are of the right version."""
        self.auth = core.require("auth")
        self.reader = Reader(open_database(core, self.db_url), self.name)
        self.loaded = parse_loaded(self.load_credentials, core.params.avp_aliases or "")
        for table in dict.fromkeys(self.tables):
            self.reader.database.expect(table, TABLE_VERSION)

    def fix_table(self, text: str) -> str:
        """The name of a table of subscribers."""
        table = text.strip()
        problem = name_check(table)
        if problem:
            raise ConfigError(f"'{text}' is no name of a table", expected=problem)
        self.tables.append(table)
        return table

    def www_authorize(self, msg: "SipMsg", realm: bytes, table: str) -> int:
        """1 the Authorization is that of a user in the table (ACK and CANCEL always); its `load_credentials` are set.

        -1 there is none, the user is not known or has no password, password or nonce are wrong or the nonce is too
        old; 0 answered with 400, as the credentials are malformed, or with 500, as the database does not answer.
        """
        return self.authorize(msg, realm, table, names.AUTHORIZATION)

    def proxy_authorize(self, msg: "SipMsg", realm: bytes, table: str) -> int:
        """As `www_authorize`, for Proxy-Authorization."""
        return self.authorize(msg, realm, table, names.PROXY_AUTHORIZATION)

    def authorize(self, msg: "SipMsg", realm: bytes, table: str, header: int) -> int:
        """What the credentials in `header` come to."""
        result, presented = self.auth.pre_auth(msg, realm, header)
        if result != CHECK:
            return int(result)
        try:
            row = self.reader.row(table, self.columns(presented), self.conditions(presented))
        except DatabaseError:
            return int(self.auth.refuse(msg, 500, b"Server Internal Error"))
        password = b"" if row is None else text_of(row[0])
        if row is None or not password or not self.auth.check_response(presented, self.ha1(presented, password), msg):
            return FALSE
        result = self.auth.post_auth(msg, presented)
        if result > STOP:
            load(msg, self.loaded, row[1:])
        return int(result)

    def columns(self, presented: "Any") -> list[str]:
        """What to read of a user's row: the password, then what becomes AVPs.

        HA1 for another algorithm than MD5 has a column of its own: ha1_sha256, ha1b_sha256, ha1_sha512t256 ...
        """
        if self.calculate_ha1:
            password = self.password_column
        else:
            password = self.password_column_2 if presented.user_domain else self.password_column
            password += presented.algorithm.suffix
        return [password, *(one.column for one in self.loaded)]

    def conditions(self, presented: "Any") -> list[Condition]:
        """Which row is the user's."""
        found = [Condition(self.user_column, presented.user)]
        if self.use_domain:
            found.append(Condition(self.domain_column, presented.domain))
        return found

    def ha1(self, presented: "Any", stored: bytes) -> bytes:
        """HA1 as it is stored, or of a stored password."""
        if not self.calculate_ha1:
            return stored
        ha1: bytes = self.auth.calc_ha1(presented.username, presented.realm, stored, presented.algorithm)
        return ha1

"""group: which groups a user is in, by a database (OpenSER: modules/group).

whose.py         the user that is asked about
expressions.py   groups by regular expressions
"""

import logging
from typing import TYPE_CHECKING, Final

from openserd.core.avp import Name
from openserd.core.database import Condition, DatabaseError, DatabaseUnavailable, name_check, open_database
from openserd.core.database.reader import READ_URL, Reader
from openserd.core.management.mi import Reply
from openserd.core.module import FAILURE, FALSE, OK, REQUEST, Context, Fixup, Fn, Mi, Module, Str, param
from openserd.errors import ConfigError, OpenserError
from openserd.mods.group.expressions import Expressions, Rule, rules_of
from openserd.mods.group.whose import EXPECTED, Whose, compile_whose
from openserd.script.variables.named import avp_param, parse_avp_aliases, parse_avp_name

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

TABLE_VERSION: Final = 2
RE_TABLE_VERSION: Final = 1
NO_ANSWER: Final = -5
NOT_A_MEMBER: Final = -6


def name_or_none(value: str) -> str | None:
    """A check: the name of a table, or nothing."""
    return name_check(value) if value else None


class Group(Module):
    """Groups of users. Needs a database."""

    name = "group"

    db_url: str = param(READ_URL)  #: where the tables are
    table: str = param("grp", check=name_check)  #: who is in which group
    user_column: str = param("username", check=name_check)
    domain_column: str = param("domain", check=name_check)
    group_column: str = param("grp", check=name_check)
    use_domain: int = param(0)  #: 1: a user is found by name and domain, 0: by name alone
    re_table: str = param("", check=name_or_none)  #: groups by regular expressions, empty none
    re_exp_column: str = param("reg_exp", check=name_check)
    re_gid_column: str = param("group_id", check=name_check)
    multiple_gid: int = param(1)  #: 0: get_user_group() takes the first group that matches

    functions = {
        "is_user_in": Fn(Fixup("uri", "fix_whose", expects=EXPECTED), Str("group"), routes=REQUEST | FAILURE),
        "get_user_group": Fn(
            Fixup("uri", "fix_whose", expects=EXPECTED),
            Fixup("avp", "fix_avp", expects="an AVP such as i:10 or $avp(i:10)"),
            routes=REQUEST | FAILURE,
        ),
    }
    mi = {"group_reload": Mi()}

    reader: Reader
    expressions: Expressions | None = None

    def on_init(self, core: "Core") -> None:
        """Binds to the database, looks whether the tables are of the right version, reads the regular expressions."""
        self.reader = Reader(open_database(core, self.db_url), self.name)
        self.reader.database.expect(self.table, TABLE_VERSION)
        if not self.re_table:
            return
        self.reader.database.expect(self.re_table, RE_TABLE_VERSION)
        self.expressions = Expressions(core.memory)
        try:
            self.expressions.use(self.rules())
        except DatabaseUnavailable:
            log.warning("group: the regular expressions will be read when the database is there")
        except DatabaseError as error:
            raise ConfigError(str(error)) from None
        finally:
            self.reader.database.close()

    def rules(self) -> list[Rule]:
        """Reads the table of regular expressions. Raises ConfigError, DatabaseError."""
        return rules_of(self.reader.rows(self.re_table, (self.re_exp_column, self.re_gid_column)))

    def fix_whose(self, text: str, context: Context) -> Whose:
        """What finds the user."""
        return compile_whose(text, context)

    def fix_avp(self, text: str, context: Context) -> tuple[Name, int]:
        """The name of an AVP, with or without `$avp(...)` around it."""
        aliases = context.core.params.avp_aliases or ""
        found = avp_param(text, aliases) if text.strip().startswith("$avp(") else None
        return found or parse_avp_name(text, parse_avp_aliases(aliases))

    def is_user_in(self, msg: "SipMsg", whose: Whose, group: bytes) -> int:
        """1 the user is in the group, -1 there is no user, -5 the database does not answer, -6 it is not."""
        user, domain = whose(msg)
        where = [Condition(self.user_column, user), Condition(self.group_column, group)]
        if self.use_domain:
            where.append(Condition(self.domain_column, domain))
        try:
            found = self.reader.rows(self.table, (self.group_column,), where)
        except DatabaseError:
            return NO_ANSWER
        return OK if found else NOT_A_MEMBER

    def get_user_group(self, msg: "SipMsg", whose: Whose, avp: tuple[Name, int]) -> int:
        """How many groups the regular expressions put `sip:user@domain` into, their numbers as values of the AVP; -1
        none, no user, or the expressions have not been read."""
        user, domain = whose(msg)
        expressions = self.expressions
        if expressions is None or not (expressions.is_loaded or self.try_load(expressions)):
            return FALSE
        groups = expressions.groups(b"sip:%b@%b" % (user, domain), first_only=not self.multiple_gid)
        for group in groups:
            msg.avps.add(avp[0], group, avp[1])
        return len(groups) or FALSE

    def try_load(self, expressions: Expressions) -> bool:
        """Reads the expressions that could not be read at the start."""
        try:
            expressions.publish(self.rules())
        except OpenserError as error:
            log.info("group: the regular expressions were not read: %s", error)
            return False
        return True

    def mi_group_reload(self) -> Reply:
        """Reads the table of regular expressions again; with an error in it the old ones stay."""
        if self.expressions is None:
            return Reply(500, "no table of regular expressions is configured")
        try:
            self.expressions.publish(self.rules())
        except OpenserError as error:
            return Reply(500, str(error).splitlines()[0])
        return Reply()

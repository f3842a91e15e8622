"""avpops: what a script does with AVPs beside assigning them, and AVPs in a database (OpenSER: modules/avpops)."""

import logging
from typing import TYPE_CHECKING, Final

from openserd.core.database import Database, DatabaseError, DatabaseRefused, name_check, open_database
from openserd.core.module import (
    BRANCH,
    FAILURE,
    FALSE,
    OK,
    ONREPLY,
    REQUEST,
    Context,
    Fixup,
    Fn,
    Module,
    PvStr,
    param,
)
from openserd.core.substitution import Substitution, compile_substitution
from openserd.errors import ConfigError
from openserd.mods.avpops import operations, statements, tables
from openserd.mods.avpops.checks import EXPECTED as CHECK_EXPECTED
from openserd.mods.avpops.checks import Check, Values, compile_check, values_of
from openserd.mods.avpops.names import AVP_EXPECTED, GROUP_EXPECTED, AvpRef, Group, avp_ref, list_of
from openserd.mods.avpops.operations import OP_EXPECTED, PUSH_EXPECTED, Flagged, Operation, Presence, Push
from openserd.mods.avpops.schemes import problem_with
from openserd.mods.avpops.statements import Statement, Unsafe
from openserd.mods.avpops.tables import SOURCE_EXPECTED, Columns, Place, Tables, WhoseAvps

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

EVERYWHERE: Final = REQUEST | FAILURE | ONREPLY | BRANCH

_SOURCE: Final = Fixup("source", "fix_source", expects=SOURCE_EXPECTED)
_PLACE: Final = Fixup("name", "fix_place", expects=GROUP_EXPECTED + ", with /table behind it where wanted")
_SCHEME: Final = Fixup("name", "fix_scheme", expects="as for avp_db_store, with /$scheme behind it where wanted")


def name_or_none(value: str) -> str | None:
    """A check: the name of a table, or nothing."""
    return name_check(value) if value else None


class AvpOps(Module):
    """Operations on AVPs."""

    name = "avpops"

    db_url: str = param("", names=("db_url", "avp_url"))  #: where the avp_db functions read and write, empty nowhere
    avp_table: str = param("", check=name_or_none)  #: the table that they use; needed with db_url
    use_domain: int = param(0)  #: 1: a user in a URI is name and domain, 0: the name alone
    uuid_column: str = param("uuid", check=name_check)  #: a user's unique id
    attribute_column: str = param("attribute", check=name_check)  #: the name of an AVP
    value_column: str = param("value", check=name_check)
    type_column: str = param("type", check=name_check)  #: 1 the value is a number, 2 the name, 3 both, 0 none
    username_column: str = param("username", check=name_check)
    domain_column: str = param("domain", check=name_check)
    db_scheme: list[str] = param([], check=problem_with)  #: another layout of a table: name:table=..;value_col=..

    functions = {
        "avp_db_load": Fn(_SOURCE, _SCHEME, routes=EVERYWHERE),
        "avp_db_store": Fn(_SOURCE, _PLACE, routes=EVERYWHERE),
        "avp_db_delete": Fn(_SOURCE, _PLACE, routes=EVERYWHERE),
        "avp_db_query": Fn(
            Fixup("query", "fix_statement", expects="a statement in SQL, variables in quotes"),
            Fixup("dest", "fix_list", expects="$avp(s:one);$avp(s:two)", optional=True),
            routes=EVERYWHERE,
        ),
        "avp_delete": Fn(Fixup("name", "fix_delete", expects=GROUP_EXPECTED), routes=EVERYWHERE),
        "avp_copy": Fn(
            Fixup("old", "fix_avp", expects=AVP_EXPECTED),
            Fixup("new", "fix_target", expects=AVP_EXPECTED + ", with /flags behind it"),
            routes=EVERYWHERE,
        ),
        "avp_printf": Fn(Fixup("dest", "fix_avp", expects=AVP_EXPECTED), PvStr("format"), routes=EVERYWHERE),
        "avp_pushto": Fn(
            Fixup("destination", "fix_push", expects=PUSH_EXPECTED),
            Fixup("name", "fix_pushed", expects="a pseudo-variable, or $avp(name)/g"),
            routes=EVERYWHERE,
        ),
        "avp_check": Fn(
            Fixup("name", "fix_checked", expects="a pseudo-variable"),
            Fixup("op/value/flags", "fix_check", expects=CHECK_EXPECTED),
            routes=EVERYWHERE,
        ),
        "avp_op": Fn(
            Fixup("source/dest", "fix_pair", expects=AVP_EXPECTED),
            Fixup("op/value/flags", "fix_operation", expects=OP_EXPECTED),
            routes=EVERYWHERE,
        ),
        "avp_subst": Fn(
            Fixup("source/dest/flags", "fix_subst_names", expects=AVP_EXPECTED),
            Fixup("subst", "fix_subst", expects="/expression/replacement/flags"),
            routes=EVERYWHERE,
        ),
        "is_avp_set": Fn(Fixup("name/flags", "fix_presence", expects=AVP_EXPECTED), routes=EVERYWHERE),
        "avp_print": Fn(routes=EVERYWHERE),
    }

    database: Database | None = None
    tables: Tables

    def on_init(self, core: "Core") -> None:
        """Binds to the database, where there is one."""
        if not self.db_url:
            return
        if not self.avp_table:
            raise ConfigError("avpops: db_url is set, avp_table is not", expected='a table, such as "usr_preferences"')
        self.database = open_database(core, self.db_url)
        self.tables = Tables(
            self.database,
            Columns(
                self.avp_table,
                self.uuid_column,
                self.attribute_column,
                self.value_column,
                self.type_column,
                self.username_column,
                self.domain_column,
            ),
        )

    # -- arguments -------------------------------------------------------------------------------------------

    def needs_database(self) -> None:
        """Raises ConfigError where none is configured."""
        if not self.db_url:
            raise ConfigError("this function needs a database", hint='modparam("avpops", "db_url", ...) names it')

    def fix_source(self, text: str, context: Context) -> object:
        """Whose AVPs."""
        self.needs_database()
        return tables.compile_source(text, context, bool(self.use_domain))

    def fix_place(self, text: str, context: Context) -> object:
        """Which AVPs in which table."""
        return tables.compile_place(text, context, None)

    def fix_scheme(self, text: str, context: Context) -> object:
        """Which AVPs in which table or by which scheme."""
        return tables.compile_place(text, context, self.db_scheme)

    def fix_statement(self, text: str, context: Context) -> object:
        """A statement."""
        self.needs_database()
        return statements.compile_statement(text, context)

    def fix_list(self, text: str, context: Context) -> object:
        """AVPs with semicolons between them."""
        return list_of(text, context)

    def fix_avp(self, text: str, context: Context) -> object:
        """The name of an AVP."""
        return avp_ref(text, context)

    def fix_delete(self, text: str, context: Context) -> object:
        """Which AVPs are dropped."""
        return operations.compile_delete(text, context)

    def fix_target(self, text: str, context: Context) -> object:
        """The name that AVPs are copied to."""
        return operations.compile_target(text, context)

    def fix_push(self, text: str) -> object:
        """Where a value is written."""
        return operations.compile_push(text)

    def fix_pushed(self, text: str, context: Context) -> object:
        """What is written."""
        return operations.compile_pushed(text, context)

    def fix_checked(self, text: str, context: Context) -> object:
        """What is compared."""
        if not text.strip().startswith("$"):
            raise ConfigError(f"'{text}' is no pseudo-variable")
        return values_of(text.strip(), None, context)

    def fix_check(self, text: str, context: Context) -> object:
        """How it is compared, and with what."""
        return compile_check(text, context)

    def fix_pair(self, text: str, context: Context) -> object:
        """Source and target of a calculation."""
        return operations.compile_pair(text, context)

    def fix_operation(self, text: str, context: Context) -> object:
        """A calculation."""
        return operations.compile_operation(text, context)

    def fix_subst_names(self, text: str, context: Context) -> object:
        """Source and target of a substitution."""
        return operations.compile_subst_names(text, context)

    def fix_subst(self, text: str, context: Context) -> object:
        """A substitution, the variables in it compiled."""
        return compile_substitution(text, context)

    def fix_presence(self, text: str, context: Context) -> object:
        """An AVP and of what kind it must be."""
        return operations.compile_presence(text, context)

    # -- in the database -------------------------------------------------------------------------------------

    def avp_db_load(self, msg: "SipMsg", whose: WhoseAvps, place: Place) -> int:
        """1 values have been added, -1 there are none, nobody is meant, or the database does not answer."""
        owner = whose(msg)
        return OK if tables.guarded(lambda: self.tables.load(msg.avps, owner, place)) else FALSE

    def avp_db_store(self, msg: "SipMsg", whose: WhoseAvps, place: Place) -> int:
        """1 stored, -1 there is nothing that is not there already, nobody is meant, or the database does not answer."""
        owner = whose(msg)
        return OK if tables.guarded(lambda: self.tables.store(msg.avps, owner, place)) else FALSE

    def avp_db_delete(self, msg: "SipMsg", whose: WhoseAvps, place: Place) -> int:
        """1 they are not there any more, -1 nobody is meant, or the database does not answer."""
        owner = whose(msg)

        def delete() -> int:
            self.tables.delete(owner, place)
            return OK

        return tables.guarded(delete) or FALSE

    def avp_db_query(self, msg: "SipMsg", statement: Statement, names: list[AvpRef] | None = None) -> int:
        """1 the statement had a result, whose columns are in AVPs now; -1 it had none, as DELETE and its kin, or the
        database refuses it, or a variable outside of quotes holds more than a word."""
        database = self.database
        assert database is not None, "no database"
        try:
            return OK if statements.run(database, statement, msg, names) else FALSE
        except DatabaseRefused as refused:
            log.error("avpops: %s: %s", statement.text, refused)
        except DatabaseError as error:
            log.info("avpops: %s", error)
        except Unsafe as unsafe:
            log.error("avpops: %s is not run: %s stands in no quotes and is no word", statement.text, unsafe)
        return FALSE

    # -- in memory -------------------------------------------------------------------------------------------

    def avp_delete(self, msg: "SipMsg", which: tuple[AvpRef | Group, bool]) -> int:
        """1 the newest value, or all of them, are dropped; -1 there is none."""
        return OK if operations.delete(msg, *which) else FALSE

    def avp_copy(self, msg: "SipMsg", source: AvpRef, target: Flagged) -> int:
        """1 copied or moved, -1 there is nothing to copy, or text is no number."""
        return OK if operations.copy(msg, source, target) else FALSE

    def avp_printf(self, msg: "SipMsg", ref: AvpRef, text: bytes) -> int:
        """1: the text is a further value of the AVP."""
        msg.avps.add(ref.name, text, ref.flags)
        return OK

    def avp_pushto(self, msg: "SipMsg", write: Push, what: tuple[Values, bool]) -> int:
        """1 written, -1 there is no value, or it cannot stand there."""
        return OK if operations.push(msg, write, *what) else FALSE

    def avp_check(self, msg: "SipMsg", values: Values, check: Check) -> int:
        """1 the comparison is true, -1 not, or there is no value."""
        return OK if check.holds(msg, values(msg)) else FALSE

    def avp_op(self, msg: "SipMsg", names: Flagged, operation: Operation) -> int:
        """1 calculated, -1 there is no number to calculate with."""
        return OK if operations.operate(msg, names, operation) else FALSE

    def avp_subst(self, msg: "SipMsg", names: Flagged, substitution: Substitution) -> int:
        """1 substituted, -1 there is no text, or none that matches."""
        return OK if operations.substitute(msg, names, substitution) else FALSE

    def is_avp_set(self, msg: "SipMsg", wanted: Presence) -> int:
        """1 there is a value, of that kind where one is asked for; -1 not."""
        return OK if operations.is_set(msg, wanted) else FALSE

    def avp_print(self, msg: "SipMsg") -> int:
        """1: all AVPs are in the log, the newest first."""
        for name, value, flags in reversed(msg.avps):
            log.info("avpops: %s, %s, classes 0x%04x", shown("name", name), shown("value", value), flags & 0xFFFFFFFF)
        return OK


def shown(what: str, value: int | bytes) -> str:
    """A name or value in the log."""
    return f"{what} {value}" if isinstance(value, int) else f"{what} <{value.decode('utf-8', 'backslashreplace')}>"

"""AVPs in a database: one row a value, found by the unique id of a user or by name and domain.

    uuid   attribute   value   type   username   domain

`type` says what is a number: 1 the value, 2 the name, 3 both, 0 none.  What was loaded or stored carries a mark, bit
IN_DATABASE of its classes, so that it is not stored again.  (OpenSER: avpops_db.c.)
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from openserd.core.avp import Avp, AvpList
from openserd.core.database import Condition, Database, DatabaseError, DatabaseRefused, Row, Value, name_check
from openserd.core.database.reader import text_of
from openserd.errors import ConfigError, SipError
from openserd.mods.avpops.names import AvpRef, Group, avp_or_group, split, wrapped
from openserd.mods.avpops.schemes import Scheme, find_scheme
from openserd.parser.uri import parse_uri
from openserd.script.variables.named import encoded
from openserd.script.variables.variable import as_bytes

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

IN_DATABASE: Final = 1 << 32  #: above the 32 classes of the script
VALUE_IS_INT: Final = 1
NAME_IS_INT: Final = 2
URI_VARIABLES: Final = frozenset(("$ru", "$ruri", "$fu", "$from", "$tu", "$to", "$ou", "$ouri"))
SOURCE_EXPECTED: Final = "a pseudo-variable or text, with /username, /domain, /uri or /uuid behind it where wanted"


class Owner(NamedTuple):
    """Whose AVPs: a unique id, or name and domain; None for what is not asked for."""

    uuid: bytes | None
    username: bytes | None = None
    domain: bytes | None = None


WhoseAvps = Callable[["SipMsg"], Owner]  #: raises SipError where there is nobody


class Place(NamedTuple):
    """The second argument of the database functions: which AVPs, in which table or by which scheme."""

    which: AvpRef | Group
    table: str = ""
    scheme: Scheme | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """How the table is called, and its columns."""

    table: str
    uuid: str
    attribute: str
    value: str
    type: str
    username: str
    domain: str


# -- arguments -----------------------------------------------------------------------------------------------


def compile_source(text: str, context: Any, use_domain: bool) -> WhoseAvps:
    """What finds whose AVPs an argument means. Raises ConfigError."""
    word, *rest = split(text.strip()) if text.strip().startswith("$") else text.strip().split("/")
    is_variable = word.startswith("$")
    default = "uri" if word.replace("(", "").replace(")", "") in URI_VARIABLES else "uuid"
    part = rest[0].lower() if rest else default
    if not word or len(rest) > 1 or part not in ("username", "domain", "uri", "uuid"):
        raise ConfigError(f"'{text}' is no source of AVPs", expected=SOURCE_EXPECTED)
    get = context.variable(word).get if is_variable else constantly(encoded(word))

    def whose(msg: "SipMsg") -> Owner:
        value = get(msg)
        if value is None or value == b"":
            raise SipError(f"avpops: {word} has no value")
        text = as_bytes(value)
        return Owner(text) if part == "uuid" else user_of(text, part, use_domain)

    return whose


def constantly(value: bytes) -> Callable[["SipMsg"], bytes]:
    """What gives the same text for every message."""
    return lambda msg: value


def user_of(text: bytes, part: str, use_domain: bool) -> Owner:
    """The user in a URI, or what `part` asks for of it. Raises SipError."""
    uri = parse_uri(text)
    if not uri.user or not uri.host:
        raise SipError("avpops: the URI has no user or no host")
    with_domain = part == "domain" or (part == "uri" and use_domain)
    return Owner(None, None if part == "domain" else uri.user, uri.host if with_domain else None)


def compile_place(text: str, context: Any, schemes: list[str] | None) -> Place:
    """The second argument; schemes None where the function knows none. Raises ConfigError."""
    name, *rest = split(text.strip()) if text.strip().startswith("$") else text.strip().split("/")
    which = avp_or_group(name, context)
    table = "/".join(rest)
    if not rest:
        return Place(which)
    if not table.startswith("$"):
        if problem := name_check(table):
            raise ConfigError(f"'{table}' is no name of a table", expected=problem)
        return Place(which, table)
    if schemes is None:
        raise ConfigError("this function knows no schemes", expected="the name of a table")
    if isinstance(which, Group):
        raise ConfigError("a scheme needs the name of an AVP", expected="$avp(name)/$scheme")
    return Place(which, scheme=find_scheme(schemes, table[1:]))


# -- rows ----------------------------------------------------------------------------------------------------


class Tables:
    """The AVPs in one database."""

    __slots__ = ("columns", "database")

    def __init__(self, database: Database, columns: Columns) -> None:
        self.database = database
        self.columns = columns

    def load(self, avps: AvpList, owner: Owner, place: Place) -> int:
        """Adds the AVPs of `owner`; how many. Raises DatabaseError."""
        scheme = place.scheme
        if scheme is not None:
            return self.load_by_scheme(avps, owner, place.which, scheme)
        columns = self.columns
        rows = self.database.query(
            place.table or columns.table,
            (columns.value, columns.attribute, columns.type),
            self.conditions(owner, place.which),
        )
        read = [avp for avp in map(avp_of, rows) if avp is not None and fits(avp, place.which)]
        for name, value, _ in read:
            avps.add(name, value, IN_DATABASE | place.which.flags)
        return len(read)

    def load_by_scheme(self, avps: AvpList, owner: Owner, which: AvpRef | Group, scheme: Scheme) -> int:
        """Adds the values in one column as values of one AVP; how many. Raises DatabaseError."""
        assert isinstance(which, AvpRef), "a scheme without a name"
        rows = self.database.query(
            scheme.table or self.columns.table, (scheme.value_col or self.columns.value,), self.who(owner, scheme)
        )
        values = [value_of(row[0], scheme.is_integer) for row in rows]
        read = [value for value in values if value is not None]
        for value in read:
            avps.add(which.name, value, IN_DATABASE | which.flags)
        return len(read)

    def store(self, avps: AvpList, owner: Owner, place: Place) -> int:
        """Adds rows for those AVPs that are not in the database yet; how many. Raises DatabaseUnavailable."""
        stored = 0
        for avp in place.which.find(avps):
            if avp[2] & IN_DATABASE:
                continue
            try:
                self.database.insert(place.table or self.columns.table, self.row(owner, avp))
            except DatabaseRefused as refused:
                log.error("avpops: %r is not stored: %s", avp[0], refused)
                continue
            avps.put(avp, (avp[0], avp[1], avp[2] | IN_DATABASE))
            stored += 1
        return stored

    def delete(self, owner: Owner, place: Place) -> None:
        """Removes rows. Raises DatabaseError."""
        which = place.which
        table = place.table or self.columns.table
        where = self.conditions(owner, which)
        kinds: list[int | None] = [None]
        if isinstance(which, Group) and which.kind is not None:
            first = NAME_IS_INT if which.kind is int else 0
            kinds = [first, first | VALUE_IS_INT]
        for kind in kinds:
            self.database.delete(table, where if kind is None else [*where, Condition(self.columns.type, kind)])

    def row(self, owner: Owner, avp: Avp) -> dict[str, Value]:
        """An AVP as a row."""
        name, value, _ = avp
        columns = self.columns
        return {
            columns.uuid: owner.uuid or b"",
            columns.attribute: as_bytes(name),
            columns.value: as_bytes(value),
            columns.type: (NAME_IS_INT if isinstance(name, int) else 0)
            | (VALUE_IS_INT if isinstance(value, int) else 0),
            columns.username: owner.username or b"",
            columns.domain: owner.domain or b"",
        }

    def conditions(self, owner: Owner, which: AvpRef | Group) -> list[Condition]:
        """Which rows belong to an owner and, where one is given, have a name."""
        where = self.who(owner, None)
        if isinstance(which, AvpRef):
            where.append(Condition(self.columns.attribute, as_bytes(which.name)))
        return where

    def who(self, owner: Owner, scheme: Scheme | None) -> list[Condition]:
        """Which rows belong to an owner."""
        columns = self.columns
        layout = scheme or Scheme("")
        if owner.uuid is not None:
            return [Condition(layout.uuid_col or columns.uuid, owner.uuid)]
        where = []
        if owner.username is not None:
            where.append(Condition(layout.username_col or columns.username, owner.username))
        if owner.domain is not None:
            where.append(Condition(layout.domain_col or columns.domain, owner.domain))
        return where


def avp_of(row: Row) -> Avp | None:
    """A row of value, attribute and type as an AVP; None, and a line in the log, for one that is none."""
    try:
        kind = int(row[2])  # type: ignore[arg-type]
        if row[0] is None or row[1] is None:
            raise ValueError
        name = int(text_of(row[1])) if kind & NAME_IS_INT else text_of(row[1])
        value = wrapped(int(text_of(row[0]))) if kind & VALUE_IS_INT else text_of(row[0])
    except (TypeError, ValueError):
        log.error("avpops: the row %r is no AVP", row)
        return None
    return name, value, 0


def value_of(found: Value, is_integer: bool) -> int | bytes | None:
    """A value of a column; None, and a line in the log, for one that is none."""
    try:
        if found is not None:
            return wrapped(int(text_of(found))) if is_integer else text_of(found)
    except ValueError:
        pass
    log.error("avpops: %r in the column of a scheme is no value", found)
    return None


def fits(avp: Avp, which: AvpRef | Group) -> bool:
    """Whether an AVP that was read is one of those asked for; a name's kind counts too."""
    return avp[0] == which.name if isinstance(which, AvpRef) else which.kind is None or isinstance(avp[0], which.kind)


def guarded(work: Callable[[], int]) -> int:
    """What `work` comes to, 0 where the database does not do it."""
    try:
        return work()
    except DatabaseRefused as refused:
        log.error("avpops: %s", refused)
    except DatabaseError as error:
        log.info("avpops: %s", error)
    return 0

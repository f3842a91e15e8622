"""acc: records of transactions, in the log and in a database (OpenSER: modules/acc).

extras.py       what is recorded beside the usual values
record.py       one record as text and as a row
backends.py     where records go
accountant.py   when they are made

RADIUS and DIAMETER are not in this version.
"""

import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from openserd.core.database import name_check, open_database
from openserd.core.module import FAILURE, FALSE, OK, REQUEST, Fixup, Fn, Module, between, param
from openserd.errors import ConfigError
from openserd.mods.acc.accountant import Accountant
from openserd.mods.acc.backends import DatabaseBackend, LogBackend
from openserd.mods.acc.extras import parse_extras, parse_legs
from openserd.mods.acc.record import REQUESTED, Answer, Record, make_record, own_to_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from openserd.core.context import Core
    from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

FLAG: Final = between(-1, 31)


def only(default: object, backend: str) -> "Callable[[object], str | None]":
    """A check: a parameter of a backend that is not there may only have the value that turns it off."""
    return lambda value: None if value == default else f"nothing else: {backend} is not in this version"


def mask(flag: int) -> int:
    """The mask of a flag, 0 for none."""
    return 1 << flag if flag >= 0 else 0


class Comment(NamedTuple):
    """What a script says of a request: a code, where it begins with one, and text."""

    code: bytes
    reason: bytes


class Acc(Module):
    """Accounting."""

    name = "acc"
    requires = ("tm",)

    early_media: int = param(0, check=between(0, 1))  #: 1: 183 is recorded too
    failed_transaction_flag: int = param(-1, check=FLAG)  #: flag that has answers from 300 on recorded
    report_ack: int = param(0, check=between(0, 1))  #: 1: ACK to a 2xx is recorded
    report_cancels: int = param(0, check=between(0, 1))  #: 1: CANCEL is recorded
    multi_leg_info: str = param("")  #: name=$avp(..);name=$avp(..), recorded for each leg of a call
    detect_direction: int = param(0, check=between(0, 1))  #: 1: tags change places in requests of the callee

    log_flag: int = param(-1, check=FLAG)  #: flag that asks for records in the log
    log_missed_flag: int = param(-1, check=FLAG)  #: flag that asks for missed calls in the log
    log_level: int = param(2, check=between(-3, 4))  #: of records in the log, 2 notice
    log_extra: str = param("")  #: label=$variable;label=$variable, recorded too

    db_url: str = param("")  #: where the tables are, empty without a database
    db_flag: int = param(-1, check=FLAG)  #: flag that asks for records in the database
    db_missed_flag: int = param(-1, check=FLAG)  #: flag that asks for missed calls in the database
    db_extra: str = param("")  #: column=$variable;column=$variable, recorded too
    db_table_acc: str = param("acc", check=name_check)
    db_table_missed_calls: str = param("missed_calls", check=name_check)
    acc_method_column: str = param("method", check=name_check)
    acc_from_tag_column: str = param("from_tag", check=name_check)
    acc_totag_column: str = param("to_tag", check=name_check)
    acc_callid_column: str = param("callid", check=name_check)
    acc_sip_code_column: str = param("sip_code", check=name_check)
    acc_sip_reason_column: str = param("sip_reason", check=name_check)
    acc_time_column: str = param("time", check=name_check)

    radius_config: str = param("", check=only("", "RADIUS"))  #: only empty in this version
    radius_flag: int = param(-1, check=only(-1, "RADIUS"))  #: only -1 in this version
    radius_missed_flag: int = param(-1, check=only(-1, "RADIUS"))  #: only -1 in this version
    radius_extra: str = param("", check=only("", "RADIUS"))  #: only empty in this version
    service_type: int = param(-1, check=only(-1, "RADIUS"))  #: only -1 in this version
    diameter_flag: int = param(-1, check=only(-1, "DIAMETER"))  #: only -1 in this version
    diameter_missed_flag: int = param(-1, check=only(-1, "DIAMETER"))  #: only -1 in this version
    diameter_extra: str = param("", check=only("", "DIAMETER"))  #: only empty in this version
    diameter_client_host: str = param("localhost", check=only("localhost", "DIAMETER"))  #: as it is in this version
    diameter_client_port: int = param(3000, check=only(3000, "DIAMETER"))  #: as it is in this version

    functions = {
        "acc_log_request": Fn(
            Fixup("comment", "fix_comment", expects="text, with a code before it where wanted"),
            routes=REQUEST | FAILURE,
        ),
        "acc_db_request": Fn(
            Fixup("comment", "fix_comment", expects="text, with a code before it where wanted"),
            Fixup("table", "fix_table", expects="the name of a table"),
            routes=REQUEST | FAILURE,
        ),
    }

    log_backend: LogBackend
    database_backend: DatabaseBackend | None = None
    tm: Any
    rr: Any = None

    def on_init(self, core: "Core") -> None:
        """Reads the extras, binds to the database and watches transactions."""
        legs = parse_legs(core, self.multi_leg_info)
        self.log_backend = LogBackend(self.log_level, parse_extras(core, self.log_extra, "log_extra"), legs)
        if self.db_url:
            extras = parse_extras(core, self.db_extra, "db_extra")
            for label in [*(label for label, _ in extras), *(leg.label for leg in legs)]:
                if problem := name_check(label):
                    raise ConfigError(f"acc: {label} is no name of a column", expected=problem)
            self.database_backend = DatabaseBackend(open_database(core, self.db_url), self.columns(), extras, legs)
        self.set_masks()
        if self.detect_direction:
            self.rr = core.require("rr")
        self.tm = core.require("tm")
        self.watch(self.tm)

    def columns(self) -> tuple[str, ...]:
        """The columns of the six values, and of the time."""
        return (
            self.acc_method_column, self.acc_from_tag_column, self.acc_totag_column, self.acc_callid_column,
            self.acc_sip_code_column, self.acc_sip_reason_column, self.acc_time_column,
        )  # fmt: skip

    def set_masks(self) -> None:
        """What the flags come to; those of the database count only where there is one."""
        has_database = self.database_backend is not None
        self.failed_mask = mask(self.failed_transaction_flag)
        self.log_mask, self.log_missed_mask = mask(self.log_flag), mask(self.log_missed_flag)
        self.db_mask = mask(self.db_flag) if has_database else 0
        self.db_missed_mask = mask(self.db_missed_flag) if has_database else 0
        self.answered_mask = self.log_mask | self.db_mask
        self.missed_mask = self.log_missed_mask | self.db_missed_mask

    def watch(self, tm: Any) -> None:
        """Has `tm` tell of transactions whose flags ask for it when they begin."""
        accountant = Accountant(self)
        tm.add_watcher("acc", accountant)

        def request_in(msg: "SipMsg") -> None:
            if accountant.should_watch(msg):
                tm.watch(msg, "acc", b"%d" % msg.flags)

        tm.request_in.append(request_in)

    # -- arguments -------------------------------------------------------------------------------------------

    def fix_comment(self, text: str) -> object:
        """Code and reason in a comment."""
        if not text:
            raise ConfigError("the comment is empty")
        raw = text.encode("utf-8", "surrogateescape")
        if raw[:3].isdigit() and len(raw) >= 3:
            return Comment(raw[:3], raw[3:].lstrip())
        return Comment(b"", raw)

    def fix_table(self, text: str) -> object:
        """The name of a table."""
        if problem := name_check(text):
            raise ConfigError(f"'{text}' is no name of a table", expected=problem)
        return text

    # -- script functions ------------------------------------------------------------------------------------

    def acc_log_request(self, msg: "SipMsg", comment: Comment) -> int:
        """1 the request is recorded in the log, -1 it cannot be read."""
        self.log_backend.write(msg, REQUESTED, self.requested(msg, comment))
        return OK

    def acc_db_request(self, msg: "SipMsg", comment: Comment, table: str) -> int:
        """1 the request is recorded in the table, -1 it cannot be read, there is no database or it does not take it."""
        backend = self.database_backend
        if backend is None:
            log.error("acc: acc_db_request needs the parameter db_url")
            return FALSE
        return OK if backend.write(msg, table, self.requested(msg, comment)) else FALSE

    def requested(self, msg: "SipMsg", comment: Comment) -> Record:
        """The record that a script asks for. Raises SipError."""
        return make_record(msg, Answer(comment.code, comment.reason, own_to_tag(msg)), self.is_upstream(msg))

    # -- what accountant.py asks for -------------------------------------------------------------------------

    def is_upstream(self, msg: "SipMsg") -> bool:
        """Whether a request goes from callee to caller, where that is to be found out."""
        return self.rr is not None and bool(self.rr.is_upstream(msg))

    def write(self, msg: "SipMsg", record: Record, kind: bytes, table: str, to_log: bool, to_database: bool) -> None:
        """Writes a record wherever it is wanted."""
        if to_log:
            self.log_backend.write(msg, kind, record)
        if to_database and self.database_backend is not None:
            self.database_backend.write(msg, table, record)

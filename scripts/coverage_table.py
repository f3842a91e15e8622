"""Writes COVERAGE.md: which part of OpenSER 1.2's surface openserd has, by its own declarations.

    python -m scripts.coverage_table            make coverage-table

Each row of the tables in `tests/data/openser12/` is held against what openserd declares: classes of modules, tables of
parameters, functions and variables, the registrations of a server with all modules; for the grammar the compiler itself
is asked (`probes.py`).  That a row works the way OpenSER's does is for the tests to show, not for this table.
"""

import importlib
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, NamedTuple

from openserd.core import schema
from openserd.core.context import Core
from openserd.core.module import Module, Param
from openserd.core.params import NAMES
from openserd.errors import ConfigError
from openserd.script.commands import COMMANDS
from openserd.script.variables.compile import compile_variable
from scripts import declarations, openser12, probes
from scripts.openser12 import Facts

FILE: Final = openser12.ROOT / "COVERAGE.md"

WORKS: Final = "works"
PARTLY: Final = "partly"
READ: Final = "read, not in effect yet"
MISSING: Final = "missing"
ASIDE: Final = "not counted"
STATES: Final = (WORKS, PARTLY, READ, MISSING, ASIDE)
#: The words by which the comment of a parameter says that not all of its values are there.
LIMITED: Final = "in this version"


class Row(NamedTuple):
    """One row of a table: the group it is listed under, its name, how far it is, and a word about that."""

    group: str
    name: str
    state: str
    note: str = ""


def combined(states: Iterable[str]) -> str:
    """The state of a row that consists of several things."""
    found = set(states)
    if len(found) == 1:
        return found.pop()
    return READ if found <= {WORKS, READ} else PARTLY


def tried(group: str, name: str, snippets: Iterable[str]) -> Row:
    """A row that works when the compiler accepts all its snippets."""
    verdicts = {snippet: probes.verdict(snippet) for snippet in snippets}
    if not any(verdict.accepted for verdict in verdicts.values()):
        return Row(group, name, MISSING)
    refused = [snippet for snippet, verdict in verdicts.items() if not verdict.accepted]
    if refused:
        return Row(group, name, PARTLY, f"refused: {'; '.join(refused)}")
    return Row(group, name, WORKS if all(verdict.in_effect for verdict in verdicts.values()) else READ)


# -- the core -----------------------------------------------------------------------------------------------


def cmdline() -> list[Row]:
    """Options of the server: one whose help begins with `Accepted` has no effect."""
    options = declarations.server_options()
    rows = []
    for fact in openser12.read("cmdline"):
        name = fact["option"]
        if name == "-i":
            rows.append(Row("", name, ASIDE, "OpenSER names it and aborts"))
        elif name in options:
            rows.append(Row("", name, READ if (options[name].help or "").startswith("Accepted") else WORKS))
        else:
            rows.append(Row("", name, MISSING))
    return rows


def core_params() -> list[Row]:
    """Global parameters, by the table of `core/params.py` and by whether anything reads them."""
    rows = []
    for fact in openser12.read("core_params"):
        name = fact["name"]
        if name in probes.PARAMETERS:
            rows.append(tried("", name, probes.PARAMETERS[name]))
            continue
        lacking = [one for one in (name, *openser12.words(fact["aliases"])) if one not in NAMES]
        if name in lacking:
            rows.append(Row("", name, MISSING))
        elif lacking:
            rows.append(Row("", name, PARTLY, f"without {', '.join(lacking)}"))
        else:
            rows.append(Row("", name, WORKS if declarations.is_in_effect(name) else READ))
    return rows


def core_functions() -> list[Row]:
    """Statements and functions of the core."""
    return [tried("", fact["name"], probes.STATEMENTS[fact["name"]]) if fact["name"] in probes.STATEMENTS
            else core_function(fact) for fact in openser12.read("core_functions")]  # fmt: skip


def core_function(fact: Facts) -> Row:
    """One function of the core: its names and its numbers of arguments."""
    name = fact["name"]
    command = COMMANDS.get(name)
    if command is None:
        return Row("", name, MISSING)
    if command.unavailable:
        return Row("", name, MISSING, command.unavailable)
    lacking = [alias for alias in openser12.words(fact["aliases"]) if alias not in COMMANDS]
    lacking += [f"{count} arguments" for count in sorted(openser12.form_arities(fact["parameter_forms"])
                                                         - declarations.command_arities(command))]  # fmt: skip
    return Row("", name, PARTLY if lacking else WORKS, f"without {', '.join(lacking)}" if lacking else "")


#: Route blocks that run only when a function of tm has named them.
ARMED_BY: Final = {
    "branch_route[n] { }": "t_on_branch",
    "failure_route[n] { }": "t_on_failure",
    "onreply_route[n] { }": "t_on_reply",
}


def core_expressions() -> list[Row]:
    """The grammar, by asking the compiler."""
    rows = []
    for fact in openser12.read("core_expressions"):
        key = f"{fact['category']} {fact['name']}"
        row = tried(fact["category"], fact["name"], probes.EXPRESSIONS[key])
        if any(probes.verdict(snippet).accepted for snippet in probes.REFUSED.get(key, ())):
            row = row._replace(state=PARTLY, note="not refused")
        arming = ARMED_BY.get(fact["name"])
        if arming is not None and arming not in declarations.modules()["tm"].functions:
            row = row._replace(state=READ, note=f"nothing runs it: tm has no {arming}")
        if fact["name"] == "while" and row.state == MISSING:
            row = row._replace(state=ASIDE, note="1.2 has none either")
        rows.append(row)
    return rows


class Surroundings:
    """What compiling a variable asks for: every module."""

    def __init__(self) -> None:
        self.core = Core()
        self.modules = [cls() for cls in declarations.modules().values()]


@cache
def surroundings() -> Surroundings:
    """The same for all variables."""
    return Surroundings()


def exists(variable: str) -> bool:
    """Whether a variable compiles."""
    try:
        compile_variable(variable, surroundings())
    except ConfigError:
        return False
    return True


def spellings(fact: Facts) -> tuple[str, ...]:
    """How the variable or transformation of a row is written in a script."""
    name = fact["name"]
    if fact["kind"] == "transformation":
        return (probes.transformation(name),)
    return probes.VARIABLES.get(name) or (name, *openser12.words(fact["aliases"]))


def pseudo_variables() -> list[Row]:
    """Pseudo-variables of core and modules, and transformations."""
    rows = []
    for fact in openser12.read("pseudo_variables"):
        owner = fact["source"].removeprefix("module ")
        group = "transformations" if fact["kind"] == "transformation" else owner.partition(" (")[0]
        lacking = [spelled for spelled in spellings(fact) if not exists(spelled)]
        state = WORKS if not lacking else MISSING if lacking == list(spellings(fact)) else PARTLY
        rows.append(Row(group, fact["name"], state, f"without {', '.join(lacking)}" if state == PARTLY else ""))
    return rows


def statistics() -> list[Row]:
    """Statistics, by the registrations of a server; one of the core must be counted somewhere."""
    names = {name.replace(f"{declarations.TABLE}-", "TABLE-") for name in declarations.registered().statistics}
    rows = []
    for fact in openser12.read("statistics"):
        group, name = fact["group"], fact["name"]
        if f"{group}:{name}" not in names:
            rows.append(Row(group, name, MISSING))
        elif group == "core" and name not in declarations.attributes_read():
            rows.append(Row(group, name, READ, "never counted"))
        else:
            rows.append(Row(group, name, WORKS))
    return rows


def mi_commands() -> list[Row]:
    """Management commands, by the registrations of a server."""
    rows = []
    for fact in openser12.read("mi_commands"):
        command = declarations.registered().commands.get(fact["command"])
        if command is None or command.module != fact["module"]:
            rows.append(Row(fact["module"], fact["command"], MISSING))
            continue
        wanted = openser12.mi_arities(fact["arguments"])
        same = wanted == (command.least, command.most)
        rows.append(Row(fact["module"], fact["command"], WORKS if same else PARTLY, "" if same else "other arguments"))
    return rows


# -- modules ------------------------------------------------------------------------------------------------


def module_functions() -> list[Row]:
    """Script functions, one row for each number of arguments."""
    return [module_function(fact) for fact in openser12.read("module_functions")]


def module_function(fact: Facts) -> Row:
    """One function with one number of arguments: there, and callable in all kinds of route that it should be."""
    module, count = fact["module"], int(fact["parameters"])
    name = f"{fact['function']}/{count}"
    if fact["internal"] == "yes":
        return Row(module, name, ASIDE, "no script can call it")
    cls = declarations.modules().get(module)
    declared = cls.functions.get(fact["function"]) if cls else None
    if declared is None or count not in declared.arities:
        return Row(module, name, MISSING)
    here = {route_kind(word) for word in declarations.route_words(declared.routes)}
    lacking = [kind for kind in openser12.words(fact["routes"]) if kind not in here]
    return Row(module, name, PARTLY if lacking else WORKS, f"not in {', '.join(lacking)}" if lacking else "")


def route_kind(word: str) -> str:
    """The reference's word for a kind of route block."""
    return "REQUEST" if word == "route" else word.removesuffix("_route").upper()


def module_params() -> list[Row]:
    """Parameters of modules; one that exists as number and as text has two rows."""
    rows = []
    for fact in openser12.read("module_params"):
        module, name = fact["module"], fact["param"]
        cls = declarations.modules().get(module)
        declared = cls.params.get(name) if cls else None
        if cls is None or declared is None or not takes(declared, fact["type"]):
            rows.append(Row(module, name, MISSING))
        else:
            rows.append(Row(module, name, *param_state(cls, declared)))
    return rows


def takes(declared: Param, kind: str) -> bool:
    """Whether a parameter takes values of this type of the reference."""
    return kind == declarations.param_type(declared) or kind in declarations.param_type(declared).split(" or ")


def param_state(cls: type[Module], declared: Param) -> tuple[str, str]:
    """How far a declared parameter is, and a word about it."""
    if declared.name not in declarations.names_read(cls.name):
        return READ, ""
    comment = declarations.explained(cls)[declared.name].comment
    return (PARTLY, comment) if LIMITED in comment else (WORKS, "")


class Place(NamedTuple):
    """Where a timer's length is declared: a parameter of a module or of the core, or a constant."""

    module: str
    name: str
    seconds: float = 0  #: what a constant must be


TIMERS: Final[dict[str, Place]] = {
    "delete_timer": Place("tm", "delete_timer"),
    "fr_inv_timer": Place("tm", "fr_inv_timer"),
    "fr_inv_timer per call": Place("tm", "fr_inv_timer_avp"),
    "fr_timer": Place("tm", "fr_timer"),
    "fr_timer per call": Place("tm", "fr_timer_avp"),
    "msilo check": Place("msilo", "check_time"),
    "nathelper ping": Place("nathelper", "natping_interval"),
    "pike remove": Place("pike", "remove_latency"),
    "pike sample": Place("pike", "sampling_time_unit"),
    "presence clean": Place("presence", "clean_period"),
    "pua update": Place("pua", "update_period"),
    "registrar cseq window": Place("usrloc", "cseq_delay"),
    "retransmission timer": Place("openserd.mods.tm", "TICK_SECONDS", 0.1),
    "RT_T1_TO_2": Place("tm", "T1_timer"),
    "RT_T1_TO_3": Place("tm", "T1_timer"),
    "rtpproxy disable": Place("nathelper", "rtpproxy_disable_tout"),
    "rtpproxy wait": Place("nathelper", "rtpproxy_tout"),
    "sl ACK window": Place("openserd.mods.sl", "ACK_WAIT", 20),
    "T1_timer (RT_T1_TO_1)": Place("tm", "T1_timer"),
    "T2_timer (RT_T2)": Place("tm", "T2_timer"),
    "TCP connect": Place("core", "tcp_connect_timeout"),
    "TCP idle": Place("core", "tcp_connection_lifetime"),
    "TCP send": Place("core", "tcp_send_timeout"),
    "transaction timer": Place("openserd.mods.tm", "TICK_SECONDS", 0.1),
    "unix_tx_timeout": Place("tm", "unix_tx_timeout"),
    "usrloc timer": Place("usrloc", "timer_interval"),
    "wt_timer": Place("tm", "wt_timer"),
}
#: Timers that are fixed in OpenSER and have no counterpart that could be looked up.
OTHER_TIMERS: Final[dict[str, tuple[str, str]]] = {
    "dialog timer": (MISSING, ""),
    "dns blacklist": (MISSING, ""),
    "shutdown": (WORKS, "5 s, then whoever is left is killed"),
    "transaction table": (WORKS, "grows with max_transactions"),
}


def tm_timers() -> list[Row]:
    """Timers, by the parameters or constants that hold their lengths."""
    rows = []
    for fact in openser12.read("tm_timers"):
        name = fact["timer"]
        state, note = OTHER_TIMERS.get(name) or place_state(TIMERS[name])
        rows.append(Row("", name, state, note))
    return rows


def place_state(place: Place) -> tuple[str, str]:
    """How far a timer is whose length is declared there."""
    if place.seconds:
        value = getattr(importlib.import_module(place.module), place.name, None)
        return (WORKS if value == place.seconds else MISSING), ""
    if place.module == "core":
        return (WORKS if declarations.is_in_effect(place.name) else READ), ""
    cls = declarations.modules().get(place.module)
    declared = cls.params.get(place.name) if cls else None
    return param_state(cls, declared) if cls and declared else (MISSING, "")


def modules() -> list[Row]:
    """Modules: one works when all its rows in the other tables do."""
    rows = []
    for fact in openser12.read("modules"):
        name = fact["module"]
        if name not in declarations.modules():
            rows.append(Row("", name, MISSING))
            continue
        counts = Counter(row.state for row in rows_of_module(name) if row.state != ASIDE)
        if counts.keys() <= {WORKS}:
            rows.append(Row("", name, WORKS))
        else:
            rows.append(Row("", name, PARTLY, f"{counts[WORKS]} of {counts.total()}"))
    return rows


# -- around the server --------------------------------------------------------------------------------------

WORD_WITH_ALIASES: Final = re.compile(r"([\w.]+)(?: \(([^)]*)\))?")


def ctl_commands() -> list[Row]:
    """Commands and variables of the control tool; the database scripts."""
    rows = []
    for fact in openser12.read("ctl_commands"):
        if fact["kind"] == "variable":
            rows.append(control_variable(fact["name"]))
        elif fact["tool"] == "openserctl":
            rows.append(control_command(fact["name"]))
        else:
            rows.append(database_command(fact))
    return rows


#: Variables that name programs and folders of a tool that is a shell script.
OF_THE_SHELL: Final = frozenset(("AWK", "EGREP", "EXPR", "LAST_LINE", "MD5", "MYLIBDIR", "OSERUNIX"))


def control_variable(name: str) -> Row:
    """A variable of openserctlrc."""
    if name in OF_THE_SHELL:
        return Row("variables", name, ASIDE, "a program or folder of the shell script, of which none is run")
    return Row("variables", name, WORKS if name in declarations.control_variables() else MISSING)


def database_command(fact: Facts) -> Row:
    """A command of one of OpenSER's database scripts: openserdbctl has those of all."""
    if fact["tool"] == "sc.dbtext":
        return Row(fact["tool"], fact["name"], ASIDE, "a second tool for what openserctl does with DBENGINE=DBTEXT")
    lacking = [name for name in openser12.words(fact["name"]) if name not in declarations.database_commands()]
    if lacking:
        return Row(fact["tool"], fact["name"], MISSING)
    return Row(fact["tool"], fact["name"], WORKS)


def control_command(name: str) -> Row:
    """A command of openserctl with its other names, such as `alias (ul, usrloc) show`."""
    spelled = [""]
    for word, aliases in WORD_WITH_ALIASES.findall(name):
        spelled = [f"{begun} {one}".strip() for begun in spelled for one in (word, *openser12.words(aliases))]
    lacking = [one for one in spelled if one not in declarations.control_commands()]
    if not lacking:
        return Row("openserctl", name, WORKS)
    if lacking == spelled:
        return Row("openserctl", name, MISSING)
    return Row("openserctl", name, PARTLY, f"without {', '.join(lacking)}")


#: The reference's word for a kind of database, and ours.
SCHEMA_BACKENDS: Final = {"mysql": "mysql", "postgresql": "postgres", "dbtext": "dbtext"}


def db_schema() -> list[Row]:
    """Columns of database tables, by what openserdbctl makes."""
    return [schema_column(fact) for fact in openser12.read("db_schema")]


def schema_column(fact: Facts) -> Row:
    """One column: there, with its type."""
    group, name = f"{fact['backend']}, {fact['set']}", f"{fact['table']}.{fact['column']}"
    of_set = schema.tables(SCHEMA_BACKENDS[fact["backend"]]).get(fact["set"].removeprefix("module "), {})
    columns = {column.name: column for column in of_set[fact["table"]].columns} if fact["table"] in of_set else {}
    column = columns.get(fact["column"])
    if column is None:
        return Row(group, name, MISSING)
    same = column.type == fact["type"] and column.null == (fact["null"] == "YES")
    return Row(group, name, WORKS if same else PARTLY, "" if same else "another type")


MAKERS: Final[dict[str, Callable[[], list[Row]]]] = {
    "core_params": core_params,
    "core_functions": core_functions,
    "core_expressions": core_expressions,
    "pseudo_variables": pseudo_variables,
    "statistics": statistics,
    "mi_commands": mi_commands,
    "cmdline": cmdline,
    "modules": modules,
    "module_functions": module_functions,
    "module_params": module_params,
    "tm_timers": tm_timers,
    "ctl_commands": ctl_commands,
    "db_schema": db_schema,
}
#: The tables that have rows of modules, under the heading of their column in the summary.
OF_MODULES: Final = {
    "functions": "module_functions",
    "parameters": "module_params",
    "MI": "mi_commands",
    "statistics": "statistics",
    "variables": "pseudo_variables",
}


@cache
def rows(table: str) -> tuple[Row, ...]:
    """The rows of a table with their states."""
    return tuple(MAKERS[table]())


def rows_of_module(module: str) -> list[Row]:
    """The rows of all tables that are about a module."""
    return [row for table in OF_MODULES.values() for row in rows(table) if row.group == module]


# -- COVERAGE.md --------------------------------------------------------------------------------------------

INTRODUCTION: Final = """# What of OpenSER 1.2 is there

Written by `make coverage-table` from the declarations of openserd and the tables of
[tests/data/openser12](tests/data/openser12/README.md). Do not edit.

**works**: declared, and for the grammar accepted by the compiler. **partly**: a name, a form or a kind of route is
missing. **not yet**: read and checked, without effect. **aside**: nothing that a user could use, not counted.
"""


def percent(part: int, whole: int) -> str:
    """A share in full per cent, rounded down."""
    return f"{100 * part // whole} %" if whole else ""


def document() -> str:
    """The whole of COVERAGE.md."""
    parts = [INTRODUCTION, "## Tables\n", summary(), "## Modules\n", module_summary(), "## Rows\n"]
    parts += [details(table) for table in openser12.TABLES]
    return "\n".join(parts)


def summary() -> str:
    """A line for each table."""
    lines = ["| table | rows | works | partly | not yet | missing | aside | |", "|---|--:|--:|--:|--:|--:|--:|--:|"]
    total: Counter[str] = Counter()
    for table in openser12.TABLES:
        counts = Counter(row.state for row in rows(table))
        total += counts
        lines.append(summary_line(f"[{table}](#{table})", counts))
    return "\n".join([*lines, summary_line("all", total), ""])


def summary_line(name: str, counts: Counter[str]) -> str:
    """One line of the summary."""
    numbers = [str(counts[state] or "") for state in STATES]
    share = percent(counts[WORKS], counts.total() - counts[ASIDE])
    return f"| {name} | {counts.total()} | {' | '.join(numbers)} | {share} |"


def module_summary() -> str:
    """A line for each module that is there, with what works of what; the names of the others."""
    columns = "".join(f" {column} |" for column in OF_MODULES)
    lines = [f"| module |{columns} all | |", f"|---|{'--:|' * (len(OF_MODULES) + 2)}"]
    absent = []
    for row in rows("modules"):
        if row.state == MISSING:
            absent.append(row.name)
            continue
        cells = [share_of(one for one in rows(table) if one.group == row.name) for table in OF_MODULES.values()]
        counted = [one for one in rows_of_module(row.name) if one.state != ASIDE]
        works = sum(one.state == WORKS for one in counted)
        all_of_it = f"{works} of {len(counted)} | {percent(works, len(counted))}" if counted else "no rows | 100 %"
        lines.append(f"| {row.name} | {' | '.join(cells)} | {all_of_it} |")
    return "\n".join([*lines, "", f"Not there yet ({len(absent)}): {', '.join(absent)}.", ""])


def share_of(found: Iterable[Row]) -> str:
    """`3 of 4` for the rows that count, nothing where there are none."""
    counted = [row for row in found if row.state != ASIDE]
    return f"{sum(row.state == WORKS for row in counted)} of {len(counted)}" if counted else ""


def details(table: str) -> str:
    """The rows of a table, by group and state, folded away."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows(table), key=lambda row: (row.group, STATES.index(row.state))):
        grouped.setdefault((row.group, row.state), []).append(named(row))
    lines = [f"### {table}", "", f"<details><summary>{share_of(rows(table))} work</summary>", "",
             "| | | |", "|---|---|---|"]  # fmt: skip
    for (group, state), names in grouped.items():
        listed = per_table(names) if table == "db_schema" else names
        lines.append(f"| {group} | {state} ({len(names)}) | {', '.join(listed)} |")
    return "\n".join([*lines, "", "</details>", ""])


def named(row: Row) -> str:
    """A row's name as code, with its note."""
    note = f" ({escaped(row.note)})" if row.note else ""
    return f"`{escaped(row.name)}`{note}"


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def per_table(columns: Iterable[str]) -> list[str]:
    """Database tables with the number of their columns in place of the columns."""
    counts = Counter(column.strip("`").partition(".")[0] for column in columns)
    return [f"`{table}` {count}" for table, count in counts.items()]


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")

"""COVERAGE.md is up to date, and what openserd declares is what OpenSER 1.2 has, in names, arguments and defaults."""

import re
from collections.abc import Iterator
from typing import Final

import pytest

from openserd.core.module import ANY_ROUTE, Module, Param
from openserd.core.params import NAMES, Setting
from openserd.script.commands import COMMANDS
from openserd.script.variables.compile import compile_variable
from scripts import coverage_table, declarations, openser12, probes
from scripts.openser12 import Facts

#: Where a declaration differs from the tables, and why. A key that is no difference any more fails the test.
DIFFERENCES: Final[dict[str, str]] = {
    "tm.t_cancel_branch ours": "of OpenSER 1.3: nothing else lets a script cancel one branch",
    "tm.t_retransmit_reply ours": "internal in OpenSER, harmless and useful in a script",
    **dict.fromkeys(("acc.acc_diam_request missing", "acc.acc_rad_request missing"), "not written yet"),
    "acc.radius_config default": "empty, which turns RADIUS off: it is not written yet",
    "tm.fr_inv_timer default": "RFC 3261 16.6 wants more than three minutes",
    "tm.noisy_ctimer default": "OpenSER's 0 drops a call without a word to the caller",
    "tm.retry_after ours": "a 503 with Retry-After tells a caller more than OpenSER's 500",
    "tm.refused_requests ours": "nothing is refused without being counted",
    "tm.accepted_timer ours": "RFC 6026 wants later 2xx to be passed on for 64 * T1",
    "tm.late_408 ours": "RFC 4320 forbids what OpenSER does",
    **dict.fromkeys(
        (f"tm.{one} ours" for one in ("reply_choice", "disable_6xx_block", "aggregate_challenges", "forward_503")),
        "RFC 3261 16.7 chooses otherwise than OpenSER",
    ),
    **dict.fromkeys(("tm.loop_detection ours", "tm.max_breadth ours"), "RFC 5393 asks for both"),
    "tm.merged_requests ours": "RFC 3261 8.2.2.2, where a script answers requests itself",
    "tm.forward_stray_replies ours": "RFC 6026 forbids what OpenSER does",
    "tm.memory_reserve ours": "with no block left, no transaction could go on or end",
    "tm.max_transactions ours": "the table is made before the fork and does not grow",
    "tm.other_process_replies ours": "shows that any process takes any message",
    "tm.other_process_requests ours": "shows that any process takes any message",
    "auth.pv_proxy_authenticate ours": "a password that the script knows, as in Kamailio",
    "auth.pv_www_authenticate ours": "a password that the script knows, as in Kamailio",
    "registrar.unregister ours": "as in OpenSER 1.3",
    "auth.algorithms ours": "RFC 8760 asks for more than MD5",
    "auth.qop ours": "auth-int has to be offered to be used",
    **dict.fromkeys(("auth.one_time_nonce ours", "auth.max_nonces ours", "auth.retransmission_window ours"),
                    "OpenSER accepts a replay until the nonce expires"),
    "group.group_reload ours": "a restart for a changed expression is too much",
    "usrloc.max_aors ours": "the table is made before the fork and does not grow",
}  # fmt: skip

MODULES: Final = [row["module"] for row in openser12.read("modules") if row["module"] in declarations.modules()]


# -- what the tables say, in our words ----------------------------------------------------------------------


def wanted_arities(module: str) -> dict[str, set[int]]:
    """The numbers of arguments of a module's functions."""
    found: dict[str, set[int]] = {}
    for fact in openser12.callable_functions(module):
        found.setdefault(fact["function"], set()).add(int(fact["parameters"]))
    return found


def wanted_routes(module: str) -> dict[str, set[str]]:
    """The kinds of route of a module's functions; every row of a function names the same."""
    found: dict[str, set[str]] = {}
    for fact in openser12.callable_functions(module):
        kinds = set(openser12.words(fact["routes"]))
        assert found.setdefault(fact["function"], kinds) == kinds
    return found


def wanted_types(module: str) -> dict[str, set[str]]:
    """The types of a module's parameters."""
    found: dict[str, set[str]] = {}
    for fact in openser12.module_params(module):
        found.setdefault(fact["param"], set()).add(fact["type"])
    return found


NUMBER: Final = re.compile(r"(-?\d+)(?: \(.*\))?")
#: Defaults that the tables describe in words.
NO_VALUE: Final = ("unset", "none", "(empty)", "")
WORDS: Final[dict[str, object]] = {"TAB": "\t", "unspecified": -1}


def wanted_default(fact: Facts) -> object:
    """The default of a module's parameter; numbers with a leading 0 are octal."""
    written = fact["default"]
    if written in WORDS:
        return WORDS[written]
    if fact["type"] == "int" and (number := NUMBER.fullmatch(written)):
        digits = number[1]
        return int(digits, 8 if digits.startswith("0") and digits != "0" else 10)
    return None if written in NO_VALUE else written


def own_default(declared: Param) -> object:
    """The default of a declared parameter, None for no value."""
    value = declared.default
    return None if value in ("", b"", []) else value


# -- comparing ----------------------------------------------------------------------------------------------


def function_differences(name: str, cls: type[Module]) -> Iterator[str]:
    """Functions of a module that are missing, ours alone, or called otherwise."""
    arities, routes = wanted_arities(name), wanted_routes(name)
    for function in sorted(arities.keys() | cls.functions.keys()):
        key = f"{name}.{function}"
        if function not in cls.functions:
            yield f"{key} missing"
        elif function not in arities:
            yield f"{key} ours"
        else:
            declared = cls.functions[function]
            if set(declared.arities) != arities[function]:
                yield f"{key} arguments"
            kinds = {coverage_table.route_kind(word) for word in declarations.route_words(declared.routes)}
            if kinds != routes[function]:
                yield f"{key} routes"


def param_differences(name: str, cls: type[Module]) -> Iterator[str]:
    """Parameters of a module that are missing, ours alone, of another type or default."""
    types = wanted_types(name)
    for param in sorted(types.keys() | cls.params.keys()):
        key = f"{name}.{param}"
        if param not in cls.params:
            yield f"{key} missing"
        elif param not in types:
            yield f"{key} ours"
        else:
            declared = cls.params[param]
            kind = declarations.param_type(declared)
            if types[param] != ({kind} if kind in types[param] else set(kind.split(" or "))):
                yield f"{key} type"
            defaults = [wanted_default(fact) for fact in openser12.module_params(name) if fact["param"] == param]
            if own_default(declared) not in defaults:
                yield f"{key} default"


def registered_differences(name: str) -> Iterator[str]:
    """Management commands and statistics of a module that are ours alone or behave otherwise."""
    commands = {row["command"]: row for row in openser12.read("mi_commands") if row["module"] == name}
    for command in declarations.registered().commands.values():
        if command.module != name:
            continue
        if command.name not in commands:
            yield f"{name}.{command.name} ours"
        elif (command.least, command.most) != openser12.mi_arities(commands[command.name]["arguments"]):
            yield f"{name}.{command.name} arguments"
    statistics = {row["name"]: row["resettable"] for row in openser12.read("statistics") if row["group"] == name}
    for one in declarations.registered().statistics.values():
        shown = one.name.replace(f"{declarations.TABLE}-", "TABLE-")
        if one.group != name:
            continue
        if shown not in statistics:
            yield f"{name}.{shown} ours"
        elif one.resettable != (statistics[shown] == "yes"):
            yield f"{name}.{shown} reset"


def differences() -> list[str]:
    """Every difference between declarations and tables."""
    found = [difference for name in ("core", "shmem", *MODULES) for difference in registered_differences(name)]
    for name in MODULES:
        cls = declarations.modules()[name]
        found += [*function_differences(name, cls), *param_differences(name, cls)]
    return found


# -- tests --------------------------------------------------------------------------------------------------


def test_the_file_is_what_the_declarations_say() -> None:
    assert coverage_table.FILE.read_text("utf-8") == coverage_table.document(), "make coverage-table"


def test_declarations_of_modules_agree_with_the_tables() -> None:
    unknown = sorted(set(differences()) - DIFFERENCES.keys())
    assert unknown == [], "repair them, or say in DIFFERENCES why they are so"


def test_every_difference_that_is_listed_is_one() -> None:
    assert sorted(DIFFERENCES.keys() - set(differences())) == []
    assert all(DIFFERENCES.values())


@pytest.mark.parametrize("table", openser12.TABLES)
def test_every_row_of_a_table_has_a_state(table: str) -> None:
    rows = coverage_table.rows(table)
    assert len(rows) == len(openser12.read(table)) > 0
    assert {row.state for row in rows} <= set(coverage_table.STATES)


def test_the_readme_of_the_tables_counts_their_rows() -> None:
    text = (openser12.FOLDER / "README.md").read_text("utf-8")
    counted = {name: int(count) for name, count in re.findall(r"^\| (\w+)\.tsv \| (\d+) \|", text, re.MULTILINE)}
    assert counted == {table: len(openser12.read(table)) for table in openser12.TABLES}


def test_every_row_of_the_grammar_has_a_piece_of_script() -> None:
    rows = {f"{row['category']} {row['name']}" for row in openser12.read("core_expressions")}
    assert rows == probes.EXPRESSIONS.keys()


def test_every_timer_has_a_place() -> None:
    rows = {row["timer"] for row in openser12.read("tm_timers")}
    assert rows == coverage_table.TIMERS.keys() | coverage_table.OTHER_TIMERS.keys()


CORE_FUNCTIONS: Final = [row for row in openser12.read("core_functions") if row["name"] in COMMANDS]


@pytest.mark.parametrize("fact", CORE_FUNCTIONS, ids=lambda fact: fact["name"])
def test_a_core_function_is_called_as_in_the_tables(fact: Facts) -> None:
    command = COMMANDS[fact["name"]]
    assert sorted(command.aliases) == sorted(openser12.words(fact["aliases"]))
    assert declarations.command_arities(command) == openser12.form_arities(fact["parameter_forms"])
    assert declarations.route_words(command.fn.routes) == core_routes(fact["routes"])


def core_routes(cell: str) -> list[str]:
    """The kinds of route of a core function, from `any` or `request, failure`."""
    words = openser12.words(cell)
    kinds = declarations.route_words(ANY_ROUTE)
    return [kind for kind in kinds if coverage_table.route_kind(kind).lower() in words or cell.startswith("any")]


CORE_PARAMS: Final = [row for row in openser12.read("core_params") if row["name"] in NAMES]
WITHOUT_VALUE: Final = ("unset", "none", "program name", "Server: OpenSER", "User-Agent: OpenSER", "CFG_DIR/",
                        "all local interfaces")  # fmt: skip
TRUTHS: Final = {"1": True, "0": False, "yes": True, "no": False}


def core_default(fact: Facts, declared: Setting) -> object:
    """The default of a global parameter as the declaration should have it."""
    written = fact["default"]
    if isinstance(declared.default, bool):
        return TRUTHS[written]
    if written.startswith(WITHOUT_VALUE):
        return [] if declared.many else 0 if isinstance(declared.default, int) else ""
    if written == "same as children":
        return 0
    first = written.partition(" ")[0]
    if isinstance(declared.default, int):
        return int(first, 16 if first.startswith("0x") else 8 if re.fullmatch(r"0\d+", first) else 10)
    return first


@pytest.mark.parametrize("fact", CORE_PARAMS, ids=lambda fact: fact["name"])
def test_a_global_parameter_is_the_one_of_the_tables(fact: Facts) -> None:
    declared = NAMES[fact["name"]]
    assert declared.name == fact["name"]
    assert sorted(declared.aliases) == sorted(openser12.words(fact["aliases"]))
    assert declared.default == core_default(fact, declared)


VARIABLES: Final = [row for row in openser12.read("pseudo_variables")
                    if row["kind"] == "pv" and row["source"].startswith("core")]  # fmt: skip


@pytest.mark.parametrize("fact", VARIABLES, ids=lambda fact: fact["name"])
def test_a_variable_can_be_written_where_the_tables_say_so(fact: Facts) -> None:
    wanted = "(writable" in fact["value_type"] and "avpops" not in fact["value_type"]
    wanted = wanted or fact["name"] == "$avp(name)[n]"  # 1.2 takes the index and passes over it
    for spelled in coverage_table.spellings(fact):
        assert compile_variable(spelled, coverage_table.surroundings()).writable == wanted

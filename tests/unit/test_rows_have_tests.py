"""Every row of OpenSER's tables that COVERAGE.md claims to work is named by a test.

What counts is what a test does, not what it says: the texts in the code of a test file (its scripts, commands and
values, no docstrings or comments) and the names of attributes and keyword arguments there.  Tests whose rows are
made from the declarations, or that only read values without using them, name nothing.
"""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from scripts import coverage_table, openser12
from scripts.openser12 import Facts

TESTS: Final = openser12.ROOT / "tests"
FOLDERS: Final = ("unit", "process", "sipp")
#: Tests over the tables themselves, and of what the parser and the table of parameters take.
NAMELESS: Final = frozenset(
    ("test_rows_have_tests.py", "test_coverage_table.py", "test_documents.py", "test_script_language.py",
     "test_params.py", "test_mutations.py")
)  # fmt: skip
CLAIMED: Final = (coverage_table.WORKS, coverage_table.PARTLY)


#: A number of arguments that is not seen in the source.
ANY: Final = -1


class Source(NamedTuple):
    """One test file: its texts and its identifiers, each on its own line; what it calls as a method or by name, with
    the number of arguments, message included (ANY where it is open)."""

    path: Path
    texts: str
    identifiers: str
    calls: frozenset[tuple[str, int]]


@cache
def sources() -> tuple[Source, ...]:
    """All test files that can name something."""
    files = [file for folder in FOLDERS for file in sorted((TESTS / folder).rglob("*.py")) if file.name not in NAMELESS]
    found = [read(file) for file in files]
    scripts = sorted((TESTS / "sipp").rglob("*.cfg"))
    return (*found, *(Source(file, file.read_text("utf-8"), "", frozenset()) for file in scripts))


def read(file: Path) -> Source:
    """What a test file names."""
    tree = ast.parse(file.read_text("utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts: list[str] = []
    identifiers: list[str] = []
    calls: set[tuple[str, int]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in said:
            texts += [text_of(node.value)] if isinstance(node.value, str | bytes) else []
        elif isinstance(node, ast.JoinedStr):
            texts.append("".join(piece_of(piece) for piece in node.values))
        elif isinstance(node, ast.Call):
            calls.update(calls_of(node))
        if isinstance(node, ast.Attribute):
            identifiers.append(node.attr)
        elif isinstance(node, ast.keyword):
            identifiers.append(node.arg or "")
        elif isinstance(node, ast.ImportFrom):
            identifiers += (node.module or "").split(".") + [alias.name for alias in node.names]
    return Source(file, "\n".join(texts), "\n".join(identifiers), frozenset(calls))


def calls_of(node: ast.Call) -> Iterator[tuple[str, int]]:
    """`module.name(msg, ...)` and `call(..., "name", msg, ...)` as name and number of arguments."""
    is_open = any(isinstance(one, ast.Starred) for one in node.args)
    if isinstance(node.func, ast.Attribute):
        yield node.func.attr, ANY if is_open else len(node.args)
    for index, one in enumerate(node.args):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value, ANY if is_open else len(node.args) - index - 1


def piece_of(node: ast.expr) -> str:
    """A piece of a text that is put together: itself, or a word in place of what is filled in."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else "x"


def text_of(value: str | bytes) -> str:
    """A text of a test, bytes as they are."""
    return value if isinstance(value, str) else value.decode("latin-1")


def in_texts(pattern: str) -> bool:
    """Whether some test has it in a text."""
    searched = re.compile(pattern, re.MULTILINE)
    return any(searched.search(source.texts) for source in sources())


def word(name: str) -> str:
    """The pattern of a whole word."""
    return rf"(?<![\w$]){re.escape(name)}(?!\w)"


def is_named(name: str, module: str = "") -> bool:
    """Whether some test, one that mentions `module`, has the word in a text or as an identifier."""
    searched, mentioned = re.compile(word(name)), re.compile(word(module))
    return any(
        searched.search(source.texts) or searched.search(source.identifiers)
        for source in sources()
        if not module or mentioned.search(source.texts) or mentioned.search(source.identifiers)
    )


# -- what names a row of each table -------------------------------------------------------------------------


STATEMENTS: Final = {
    "modparam": r"\bmodparam\(",
    "loadmodule": r"\bloadmodule \"",
    "assignment": r"\$\w+(\([^)]*\))? = ",
    "module function": r"\bsl_send_reply\(",
}


def core_param(fact: Facts) -> bool:
    """A global parameter: assigned in a script, or given by its name."""
    if fact["name"] in STATEMENTS:
        return in_texts(STATEMENTS[fact["name"]])
    names = "|".join(map(re.escape, (fact["name"], *openser12.words(fact["aliases"]))))
    return in_texts(rf"(?<![\w.$])({names})\s*=(?!=)|^({names})$") or any(
        re.search(rf"^({names})$", source.identifiers, re.MULTILINE) for source in sources() if is_of_server(source)
    )


def is_of_server(source: Source) -> bool:
    """Whether a test file works with global parameters as attributes or keywords."""
    return source.path.parent.name == "server" or re.search(word("GlobalParams"), source.identifiers) is not None


def core_function(fact: Facts) -> bool:
    """A function or statement of the core: in a script."""
    return in_texts(STATEMENTS.get(fact["name"], word(fact["name"])))


def binary(operator: str) -> str:
    """An operator between two operands, the first of them a variable."""
    return rf"\$[\w().:]+ {re.escape(operator)} [\w$(\"]"


EXPRESSIONS: Final = {
    **{f"arithmetic {operator}": binary(operator) for operator in "%&*+-/^|"},
    "arithmetic = += -= *= /= %= &= |= ^=": r"\$\S+ \+= |^\+=$",
    "arithmetic null on the right": r"\$\S+ = null",
    "arithmetic unary + -": r"= [-+][\w$(]",
    "arithmetic ~": r"(= |^)~ ?[\w$(]",
    'lexical "string"': r'\w\("[^"]+"',
    "lexical # comment": r"^\s*#[^!]|[;}] #",
    "lexical 'string'": r"\w\('[^']+'",
    "lexical /* comment */": r"/\*.*\*/",
    "lexical boolean words": r"=(yes|no|on|off|true|false|enable|disable)\b",
    "lexical host name": r"==[a-z]\w*\.\w+",
    "lexical identifier": r"\broute\[[a-z]\w*\]",
    "lexical IPv4 literal": r"==\s*\d+\.\d+\.\d+\.\d+",
    "lexical IPv6 literal": r"==\s*\[?[0-9a-fA-F]*:[0-9a-fA-F:]+",
    "lexical keywords": r"\bif \(",
    "lexical line joining": r"\\\n",
    "lexical network": r"==\s*\d+\.\d+\.\d+\.\d+/",
    "lexical number": r"0x[0-9a-fA-F]+",
    "lexical proto words": r"==\s*(udp|UDP|tcp|TCP)\b",
    "operand $name script variable": r"\(\$\w+[^=]*==",
    "operand [ expression ]": r"\(\[",
    "operand af": r"\baf\s*==",
    "operand assignment in parentheses": r"\(\(?\$\S+ = ",
    "operand bare $name": r"if \(!?\$[\w().:]+\)",
    "operand bare number": r"if \(\d+\)",
    "operand command call": r"if \(!?\w+\(",
    "operand dst_ip": r"\bdst_ip\s*==",
    "operand dst_port": r"\bdst_port\s*==",
    "operand from_uri": r"\bfrom_uri\s*[=!]",
    "operand max_len": r"\bmax_len\b",
    "operand method": r"\bmethod\s*==",
    "operand msg:len": r"\bmsg:len\b",
    "operand myself": r"==\s*myself\b",
    "operand null": r"==\s*null\b",
    "operand proto": r"\bproto\s*==",
    "operand retcode (rc)": r"\bretcode\b|\$rc\b",
    "operand src_ip": r"\bsrc_ip\s*==",
    "operand src_port": r"\bsrc_port\s*[=<>]",
    "operand to_uri": r"\bto_uri\s*[=!]",
    "operand uri (alias status)": r"\bstatus\s*=",
    "operator !=": r"\w\s*!=\s*[\w\"]",
    "operator !~": r"\w\s*!~\s*\"",
    "operator ( )": r"if \(\(|[&|!] ?\(",
    "operator < > <= >=": r"\w\s*<=\s*\w",
    "operator ==": r"\w\s*==\s*[\w\"]",
    "operator =~": r"\w\s*=~\s*\"",
    "operator and (alias &&)": r"\w \b(and|&&) ",
    "operator not (alias !)": r"if \(\s*(not|!) ?\w",
    "operator or (alias ||)": r"\w (or|\|\|) ",
    "route branch_route[n] { }": r"\bbranch_route\[",
    "route error_route { }": r"\berror_route\b",
    "route failure_route[n] { }": r"\bfailure_route\[",
    "route onreply_route { }": r"\bonreply_route\s*\{",
    "route onreply_route[n] { }": r"\bonreply_route\[",
    "route redefinition": r"route\[(\w+)\]\s*\{[^}]*\}\s*route\[\1\]|route\s*\{[^}]*\}\s*route\s*\{",
    "route route { } / route[n] { }": r"\broute\[\w+\]\s*\{",
    "statement ;": r"\};|; ;|\) ;",
    "statement function call name(args)": r"\bsl_send_reply\(",
    "statement if (expr) stmt [else stmt]": r"\belse\b",
    'statement loadmodule "file"': r"\bloadmodule \"",
    'statement modparam("regex","param",value)': r"\bmodparam\(",
    "statement switch ($pv) { case K: ... break; default: ... }": r"\bswitch ?\(\$\S+\)",
    "statement while": r"\bwhile ?\(",
    "variable $(name) / $(name{transformation})": r"\$\(\w+\{",
    "variable $name": r"\$ru\b",
    "variable $name(inner) / $name(inner[index])": r"\$hdr\([\w-]+\[",
    "variable index [n], [-n], [*]": r"\[\*\]",
    "variable {class.func,arg,...}": r"\{s\.substr,\d+",
}


def core_expression(fact: Facts) -> bool:
    """A piece of the grammar: in a script."""
    return in_texts(EXPRESSIONS[f"{fact['category']} {fact['name']}"])


VARIABLES: Final = {
    "$$": r"\$\$",
    "$Cxy": r"\$\(?C[a-z]{2}\b|\$C\([a-z]{2}\)",
    "$avp(name)[n]": r"\$\(?avp\([^)]*\)\[|\$avp\([^)]*\[",
    "$hdr(name[n])": r"hdr\([\w-]+\)?\[",
}


def pseudo_variable(fact: Facts) -> bool:
    """A variable, by its name or an alias, or a transformation: in a text."""
    name = fact["name"]
    if fact["kind"] == "transformation":
        return in_texts(re.escape(name.partition(",")[0].rstrip("}")) + r"\b")
    return in_texts(VARIABLES.get(name) or "|".join(spelled(one) for one in (name, *openser12.words(fact["aliases"]))))


def spelled(name: str) -> str:
    """The pattern of a variable, with or without parentheses around it."""
    bare = name.removeprefix("$").partition("(")
    return rf"\$\(?{re.escape(bare[0])}" + (r"\(" if bare[1] else r"\b(?![.(])")


def statistic(fact: Facts) -> bool:
    """A statistic: in a test that knows its group, or anywhere in a text."""
    name = fact["name"].removeprefix("TABLE-")
    return is_named(name, fact["group"]) or in_texts(rf"\b{fact['group']}:(\w+-)?{name}\b")


def mi_command(fact: Facts) -> bool:
    """A management command: as a text, or by the method that runs it."""
    name = fact["command"]
    return in_texts(rf"^{name}$|:{name}:") or is_named(f"mi_{name}")


def option(fact: Facts) -> bool:
    """An option of the command line: a text of its own, at most with others of one letter or a value."""
    return in_texts(rf"^{fact['option']}($|\W)") or in_texts(rf"(^| )-\w*{fact['option'][1]}( |$)")


def module_function(fact: Facts) -> bool:
    """A function of a module: called in a script, or as a method, in a test that knows the module."""
    name, count = fact["function"], int(fact["parameters"])
    called = re.compile(rf"{word(name)}{ARGUMENTS[count]}")
    wanted = {(name, count + 1), (name, ANY)}
    return any(called.search(source.texts) or source.calls & wanted for source in knowing(fact["module"]))


ARGUMENT: Final = r"""\s*("[^"]*"|'[^']*'|[^\s"',()][^"',()]*)\s*"""
ARGUMENTS: Final = (r"\(\s*\)|(?![\w(])", *(r"\(" + ",".join([ARGUMENT] * n) + r"\)" for n in range(1, 7)))


def module_param(fact: Facts) -> bool:
    """A parameter of a module: set in a script, or as a text or keyword of its own in a test that knows the module."""
    module, name = fact["module"], fact["param"]
    if in_texts(rf"\"[^\"]*{module}[^\"]*\"\s*,\s*\"{name}\"|^{module} {name} "):
        return True
    alone = re.compile(rf"(^|,){name}( |=|$)", re.MULTILINE)
    return any(alone.search(source.texts) or alone.search(source.identifiers) for source in knowing(module))


def knowing(module: str) -> Iterator[Source]:
    """The test files that mention a module."""
    mentioned = re.compile(word(module))
    return (one for one in sources() if mentioned.search(one.texts) or mentioned.search(one.identifiers))


NAMING: Final[dict[str, Callable[[Facts], bool]]] = {
    "core_params": core_param,
    "core_functions": core_function,
    "core_expressions": core_expression,
    "pseudo_variables": pseudo_variable,
    "statistics": statistic,
    "mi_commands": mi_command,
    "cmdline": option,
    "module_functions": module_function,
    "module_params": module_param,
}

#: Rows that no test names, with the reason; one that a test names by now fails here.
WITHOUT_TEST: Final[dict[str, str]] = {}


def unnamed(table: str) -> Iterator[str]:
    """The rows of a table that are claimed to work and that no test names, each once."""
    seen = set()
    for fact, row in zip(openser12.read(table), coverage_table.rows(table), strict=True):
        key = f"{table} {row.group} {row.name}".replace("  ", " ")
        if row.state in CLAIMED and key not in seen and not NAMING[table](fact):
            seen.add(key)
            yield key


@pytest.mark.parametrize("table", NAMING)
def test_every_row_that_works_is_named_by_a_test(table: str) -> None:
    listed = {key for key in WITHOUT_TEST if key.startswith(f"{table} ")}
    assert sorted(set(unnamed(table)) - listed) == [], "write a test that fails without it"
    assert sorted(listed - set(unnamed(table))) == [], "these have a test now: take them off the list"


INVENTED: Final = {
    "core_params": {"name": "frobnicate", "aliases": ""},
    "core_functions": {"name": "frobnicate"},
    "pseudo_variables": {"name": "$frobnicate", "aliases": "", "kind": "pv"},
    "statistics": {"group": "tm", "name": "frobnications"},
    "mi_commands": {"command": "t_frobnicate"},
    "cmdline": {"option": "-J"},
    "module_functions": {"module": "tm", "function": "t_relay", "parameters": "6"},
    "module_params": {"module": "tm", "param": "frobnicate"},
}


@pytest.mark.parametrize("table", INVENTED)
def test_a_row_without_a_test_is_noticed(table: str) -> None:
    assert not NAMING[table](INVENTED[table])


def test_every_kind_of_expression_has_a_pattern() -> None:
    assert {f"{fact['category']} {fact['name']}" for fact in openser12.read("core_expressions")} == EXPRESSIONS.keys()

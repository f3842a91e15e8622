"""What openserd declares, as the coverage table and the generated documents need it.

Nothing here is written down twice: names, defaults, routes and arguments come from the objects that the server itself
works with, explanations from the `#:` comments and docstrings beside them.
"""

import ast
import inspect
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import click

import openserd
from openserd.__main__ import main as server_main
from openserd.core.arguments import Arg, Int
from openserd.core.context import Core
from openserd.core.management.commands import register
from openserd.core.management.mi import Command as MiCommand
from openserd.core.management.statistics import Statistic
from openserd.core.module import EITHER, ROUTE_NAMES, Module, Param
from openserd.core.params import SETTINGS, GlobalParams
from openserd.ctl.__main__ import main as ctl_main
from openserd.ctl.database.__main__ import main as database_main
from openserd.errors import OpenserError
from openserd.script import load
from openserd.script.commands import COMMANDS
from openserd.script.commands.command import Command
from openserd.server.assembly import SHMEM_STATISTICS, Server, mi_command
from openserd.server.listening import make_listeners
from openserd.server.loader import ModuleLoader
from openserd.server.options import Options
from openserd.shm.memory import SharedMemory

PACKAGE: Final = Path(openserd.__file__).resolve().parent
#: What modules want to be told before they start at all.
NEEDED: Final = {"mi_fifo": {"fifo_name": "{folder}/fifo"}}
MEGABYTES: Final = 4
TABLE: Final = "location"

# -- modules ------------------------------------------------------------------------------------------------


@cache
def modules() -> dict[str, type[Module]]:
    """The class of every module, by name."""
    loader = ModuleLoader()
    return {name: loader.load(name) for name in loader.names()}


def in_order_of_need() -> list[str]:
    """The names of all modules, each behind those that it requires."""
    ordered: list[str] = []

    def add(name: str) -> None:
        for needed in modules()[name].requires:
            if needed in modules():
                add(needed)
        if name not in ordered:
            ordered.append(name)

    for name in modules():
        add(name)
    return ordered


class Registered(NamedTuple):
    """What a server with all modules has registered: statistics by `group:name`, management commands by name."""

    statistics: dict[str, Statistic]
    commands: dict[str, MiCommand]


@cache
def registered() -> Registered:
    """The registrations of a server with every module and one location table; nothing is bound or forked."""
    core = Core()
    with TemporaryDirectory() as folder:
        script = load(all_modules_script(folder), "openser.cfg", core, ModuleLoader(), 1,
                      lambda loaded: make_listeners(core))  # fmt: skip
        core.modules = {module.name: module for module in script.modules}
        core.shared = SharedMemory(MEGABYTES, 2)
        try:
            server = Server(core, Options())
            for module in script.modules:
                initialise(server, core, module)
            register(core, server)
        finally:
            core.shared.close()
    for name in SHMEM_STATISTICS:
        core.statistics.add(Statistic("shmem", name, compute=lambda: 0))
    named = {f"{one.group}:{one.name}": one for one in core.statistics.by_name.values()}
    return Registered(dict(sorted(named.items())), dict(sorted(core.mi.commands.items())))


def all_modules_script(folder: str) -> str:
    """A script that loads every module and names a location table."""
    lines = ["listen=udp:127.0.0.1:5060", "auto_aliases=no"]
    lines += [f'loadmodule "{name}.so"' for name in in_order_of_need()]
    lines += [f'modparam("{module}", "{name}", "{value.format(folder=folder)}")'
              for module, params in NEEDED.items() for name, value in params.items()]  # fmt: skip
    return "\n".join([*lines, f'route {{ save("{TABLE}"); }}', ""])


def initialise(server: Server, core: Core, module: Module) -> None:
    """Has a module register itself; one that cannot start here registers what it declares."""
    try:
        server.initialise(module)
    except OpenserError:
        for declared in module.statistics():
            core.statistics.add(getattr(module, declared.attribute))
        for name, command in module.mi.items():
            if core.mi.find(name) is None:
                core.mi.add(mi_command(module, name, command))


# -- explanations -------------------------------------------------------------------------------------------


class Explained(NamedTuple):
    """An assignment in a class body: the comment that explains it and the default as written in the source."""

    comment: str
    default: str


def explained(cls: type) -> dict[str, Explained]:
    """The assignments in the body of a class, by name."""
    return explained_in(cls.__module__, cls.__name__)


@cache
def explained_in(module: str, name: str) -> dict[str, Explained]:
    """The assignments in the body of a class of a Python module, by name."""
    source = inspect.getsource(sys.modules[module])
    comments = comments_of(source)
    body = next(node.body for node in ast.parse(source).body
                if isinstance(node, ast.ClassDef) and node.name == name)  # fmt: skip
    found: dict[str, Explained] = {}
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                found[target.id] = Explained(comment_on(node, comments), default_of(node, source))
    return found


def comments_of(source: str) -> dict[int, tuple[str, bool]]:
    """The `#:` comments of a source by line: their text, and whether they have the line to themselves."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.string.startswith("#:"):
            found[token.start[0]] = (token.string[2:].strip(), not token.line[: token.start[1]].strip())
    return found


def comment_on(node: ast.stmt, comments: dict[int, tuple[str, bool]]) -> str:
    """The comment at the end of a statement, otherwise the ones on the lines above it."""
    for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
        if line in comments and not comments[line][1]:
            return comments[line][0]
    above: list[str] = []
    line = node.lineno - 1
    while line in comments and comments[line][1]:
        above.insert(0, comments[line][0])
        line -= 1
    return " ".join(above)


def default_of(node: ast.Assign | ast.AnnAssign, source: str) -> str:
    """The first argument of the call that is assigned, where it is a literal; "" otherwise."""
    if not isinstance(node.value, ast.Call) or not node.value.args:
        return ""
    first = node.value.args[0]
    literal = first.operand if isinstance(first, ast.UnaryOp) else first
    return (ast.get_source_segment(source, first) or "") if isinstance(literal, ast.Constant) else ""


def sentence(text: str | None) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def paragraphs(text: str | None) -> list[str]:
    """The paragraphs of a docstring, each on one line."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text or "").split("\n\n") if part.strip()]


def doc(member: object) -> str:
    """The first paragraph of what a function says of itself."""
    return sentence(getattr(member, "__doc__", None))


# -- parameters ---------------------------------------------------------------------------------------------

TYPES: Final[dict[Any, str]] = {int: "int", str: "string", bytes: "string", list: "string (repeatable)",
                                EITHER: "int or string"}  # fmt: skip
IMPOSSIBLE: Final = (-(10**9), 10**9, "", "\0")


def param_type(declared: Param) -> str:
    """The type of a module parameter in the words of the reference."""
    return TYPES[declared.kind]


def expectation(declared: Param) -> str:
    """What the check of a parameter wants, by asking it about values that are unlikely to pass."""
    if declared.check is None:
        return ""
    for value in IMPOSSIBLE:
        if isinstance(value, int) == (declared.kind is int):
            problem = declared.check(value)
            if problem:
                return problem
    return ""


@cache
def names_read(module: str) -> frozenset[str]:
    """Every attribute and text that the source of a module uses, its declarations of parameters left out."""
    path = PACKAGE / "mods" / module
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return frozenset(name for file in files for name in names_in(ast.parse(file.read_text("utf-8"))))


@cache
def names_read_by_core() -> frozenset[str]:
    """Every attribute and text that openserd uses anywhere but in the table of global parameters."""
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "core/params.py"]
    return frozenset(name for file in files for name in names_in(ast.parse(file.read_text("utf-8"))))


@cache
def attributes_read() -> frozenset[str]:
    """Every attribute that openserd reads anywhere: a counter that nobody reads is never bumped."""
    trees = (ast.parse(file.read_text("utf-8")) for file in sorted(PACKAGE.rglob("*.py")))
    return frozenset(node.attr for tree in trees for node in ast.walk(tree)
                     if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load))  # fmt: skip


def names_in(tree: ast.AST) -> Iterable[str]:
    """Attributes that are read, and texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def is_in_effect(name: str) -> bool:
    """Whether anything happens because of a global parameter."""
    return SETTINGS[name].effective and name in names_read_by_core()


def sections(cls: type = GlobalParams) -> dict[str, str]:
    """The heading above each assignment of a class body: the `# comment` that stands on a line of its own."""
    source = inspect.getsource(cls).splitlines()
    found: dict[str, str] = {}
    heading = ""
    for line in source:
        title = re.fullmatch(r"    # (\w.*)", line)
        name = re.match(r"    (\w+)(?::| =)", line)
        if title:
            heading = title[1]
        elif name:
            found.setdefault(name[1], heading)
    return found


# -- functions ----------------------------------------------------------------------------------------------


def core_functions() -> dict[str, Command]:
    """The functions of the core, aliases left out, sorted."""
    return {name: command for name, command in sorted(COMMANDS.items()) if name == command.name}


def command_arities(command: Command) -> set[int]:
    """How many arguments a function of the core takes."""
    return {count for form in command.forms or (command.fn,) for count in form.arities}


def command_doc(command: Command) -> str:
    """What a function of the core says of itself."""
    return doc(command.bind(Core())) or doc(command.factory)


def route_words(routes: int) -> list[str]:
    """The kinds of route in the words of a script."""
    return [name for kind, name in ROUTE_NAMES.items() if routes & kind]


def argument_text(argument: Arg) -> str:
    """What an argument takes."""
    if isinstance(argument, Int) and not (argument.lo is None and argument.hi is None):
        low = "" if argument.lo is None else f" from {argument.lo}"
        high = "" if argument.hi is None else f" to {argument.hi}"
        return f"a number{low}{high}" if low else f"a number up to {argument.hi}"
    return argument.expects


# -- command lines ------------------------------------------------------------------------------------------


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command line by each of their names; those for help included."""
    context = click.Context(command, **command.context_settings)
    return {name: option for option in command.get_params(context) if isinstance(option, click.Option)
            for name in option.opts}  # fmt: skip


def server_options() -> dict[str, click.Option]:
    """The options of the server."""
    return options_of(server_main)


def control_commands(group: click.Command = ctl_main, prefix: str = "") -> dict[str, click.Command]:
    """The commands of the control tool: `ps`, `ul show`, ..."""
    found: dict[str, click.Command] = {}
    commands: Mapping[str, click.Command] = getattr(group, "commands", {})
    for name, command in sorted(commands.items()):
        if isinstance(command, click.Group):
            found |= control_commands(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = command
    return found


def database_commands() -> dict[str, click.Command]:
    """The commands of the database tool."""
    return control_commands(database_main)


def control_variables() -> frozenset[str]:
    """The variables of openserctlrc that the control tool asks for."""
    return frozenset(name for file in sorted((PACKAGE / "ctl").rglob("*.py"))
                     for name in names_in(ast.parse(file.read_text("utf-8")))
                     if re.fullmatch(r"[A-Z][A-Z0-9_]+", name))  # fmt: skip

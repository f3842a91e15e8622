"""From a call in the script to a function and its prepared arguments."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from openserd.core.arguments import Arg, DynamicValue, PvInt, PvStr
from openserd.core.module import ROUTE_NAMES, Fn, Module, guarded
from openserd.core.routes import RouteFn
from openserd.errors import ConfigError
from openserd.script.checks.blocks import undefined
from openserd.script.checks.graph import Graph, Key
from openserd.script.checks.report import STRICT, Report
from openserd.script.commands import COMMANDS, Command
from openserd.script.compiler.loading import Loader, Loading
from openserd.script.grammar.mistakes import WORDS
from openserd.script.problems import did_you_mean
from openserd.script.tree import Block, Call, Node, Number, Text, Variable, Word
from openserd.script.variables.compile import compile_variable
from openserd.script.variables.format import TextFormat, compile_format

if TYPE_CHECKING:
    from openserd.core.context import Core

Wrap = Callable[[Callable[..., int], list[RouteFn]], Callable[..., int]]
STEERING: Final = {
    "route": "the number or name of one route block",
    "return": "a number or nothing",
    "exit": "no arguments",
    "drop": "no arguments",
    "break": "no arguments and no parentheses",
    "esac": "no arguments and no parentheses",
}


class Environment:
    """What compiling a pseudo-variable asks for (`Env` of variables/variable.py)."""

    def __init__(self, core: "Core", modules: list[Module]) -> None:
        self.core = core
        self.modules = modules


class CallContext:
    """What an argument kind may ask for while one call is prepared."""

    def __init__(self, module: Any, env: Environment, graph: Graph, armed: set[Key], n_args: int) -> None:
        self.module = module
        self.env = env
        self.graph = graph
        self.armed = armed
        self.n_args = n_args

    @property
    def core(self) -> "Core":
        """The server that the script is compiled for."""
        return self.env.core

    def format(self, text: str) -> Any:
        """Text with pseudo-variables."""
        return compile_format(text, self.env)

    def variable(self, text: str) -> Any:
        """One pseudo-variable."""
        return compile_variable(text, self.env)

    def route(self, kind: int, name: str) -> str:
        """The canonical name of a block. Raises ConfigError where there is none."""
        canonical = str(int(name)) if name.isdigit() else name
        if (kind, canonical) not in self.graph.blocks:
            message, hint = undefined((kind, canonical), self.graph)
            raise ConfigError(message, hint=hint)
        self.armed.add((kind, canonical))
        return canonical


class Evaluated:
    """An argument that generated code evaluates for each message."""

    def __init__(self, value: Callable[..., Any]) -> None:
        self.value = value


class Functions:
    """The functions that a script may call, and the preparation of their arguments."""

    def __init__(
        self, core: "Core", loading: Loading, loader: Loader, graph: Graph, report: Report, wrap: Wrap
    ) -> None:
        self.core = core
        self.modules = loading.modules
        self.module_missing = loading.failed
        self.loader = loader
        self.graph = graph
        self.report = report
        self.wrap = wrap
        self.env = Environment(core, loading.modules)
        self.error_routes: list[RouteFn] = []
        self.bound: dict[str, Callable[..., int]] = {}
        self.referenced: set[str] = set()
        self.armed: set[Key] = set()

    def prepare(self, node: Call, key: Key) -> tuple[Callable[..., int], list[object]] | None:
        """The function and its arguments for a call in block `key`; None where an error was reported."""
        command = COMMANDS.get(node.name)
        module = None if command else self.exporter(node)
        if command is None and module is None:
            self.unknown(node)
            return None
        count = len(node.args or ())
        declared = command.form(count) if command else module.functions[node.name] if module else Fn(routes=0)
        if not self.fits(node, declared, command) or not self.allowed(node, declared, key):
            return None
        if command is not None and command.unavailable:
            self.report.error(f"{node.name} cannot be used: {command.unavailable}", node)
            return None
        self.referenced.add(node.name)
        context = CallContext(module, self.env, self.graph, self.armed, count)
        values = [self.argument(kind, arg, context) for kind, arg in zip(declared.args, node.args or (), strict=False)]
        return self.function(node.name, command, module, len(values)), values

    # -- which function ---------------------------------------------------------------------------------------

    def exporter(self, node: Call) -> Module | None:
        """The loaded module whose function is called: the first that takes that many arguments."""
        known = [module for module in self.modules if node.name in module.functions]
        count = len(node.args or ())
        fitting = [module for module in known if count in module.functions[node.name].arities]
        return (fitting or known or [None])[0]  # type: ignore[list-item]

    def function(self, name: str, command: Command | None, module: Module | None, n_args: int) -> Callable[..., int]:
        """The function itself, to be called with `n_args` arguments; the same object each time."""
        key = f"{module.name}.{name}/{n_args}" if module else f"{command.name if command else name}/{n_args}"
        if key not in self.bound:
            if module is not None:
                function = module.function(name, n_args)
            else:
                assert command is not None
                function = guarded(command.bind(self.core), command.fn.on_error, n_args)
            self.bound[key] = self.wrap(function, self.error_routes)
        return self.bound[key]

    def unknown(self, node: Call) -> None:
        """Reports a function that is not there."""
        end = node.start + len(node.name)
        if node.name in STEERING:
            self.report.error(f"{node.name} takes {STEERING[node.name]}", node, expected=STEERING[node.name])
            return
        exporters = self.loader.exporters(node.name)
        if exporters:
            owner = exporters[0]
            hint = f'module {owner} exports {node.name}: add loadmodule "{owner}.so"'
        elif self.module_missing:
            return
        else:
            known = {*COMMANDS, *STEERING, *(name for module in self.modules for name in module.functions)}
            hint = WORDS.get(node.name, "") or did_you_mean(node.name, known)
            if node.name.isupper():
                hint = f'to test the method, write method=="{node.name}"'
        self.report.error_at(f"unknown function {node.name}", node.start, end, hint=hint)

    # -- whether the call is right ----------------------------------------------------------------------------

    def fits(self, node: Call, declared: Fn, command: Command | None) -> bool:
        """Whether the number of arguments is right."""
        forms = command.forms if command and command.forms else (declared,)
        if node.args is None and command is None:
            self.report.error(f"{node.name} without parentheses", node, expected=signature(node.name, declared))
            return False
        count = len(node.args or ())
        if any(count in form.arities for form in forms):
            return True
        counts = sorted({n for form in forms for n in form.arities})
        wanted = " or ".join(str(n) for n in counts)
        plural = "" if counts == [1] else "s"
        self.report.error(
            f"{node.name} takes {wanted} argument{plural}, not {count}",
            node,
            expected=" or ".join(dict.fromkeys(signature(node.name, form) for form in forms)),
        )
        return False

    def allowed(self, node: Call, declared: Fn, key: Key) -> bool:
        """Whether the function may be called in this block; at the strict level in all kinds that reach it."""
        kind = key[0]
        names = ", ".join(name for bit, name in ROUTE_NAMES.items() if declared.routes & bit)
        end = node.start + len(node.name)
        if not declared.routes & kind:
            self.report.error_at(f"{node.name} cannot be used in {ROUTE_NAMES[kind]}", node.start, end, expected=names)
            return False
        if self.report.level >= STRICT:
            self.check_reached(node, declared, key, names)
        return True

    def check_reached(self, node: Call, declared: Fn, key: Key, names: str) -> None:
        """Reports a function in a block that is called from kinds of route where it cannot be used."""
        wrong = self.graph.kinds(key) & ~declared.routes
        for bit, word in ROUTE_NAMES.items():
            if wrong & bit:
                self.report.error_at(
                    f"{node.name} cannot be used in {word}",
                    node.start,
                    node.start + len(node.name),
                    expected=names,
                    hint=self.way(self.graph.path(key, bit), node),
                )

    def way(self, path: list[Block], node: Call) -> str:
        """How a call is reached, in words: `path` leads to the block that it stands in."""
        first, *rest = path
        calls = ", which calls ".join(block.title for block in rest)
        return f"{first.title} in {self.report.where(first, node)} calls {calls}"

    # -- arguments --------------------------------------------------------------------------------------------

    def argument(self, kind: Arg, node: Node, context: CallContext) -> object:
        """One prepared argument: a value, or `Evaluated`."""
        try:
            value: Any = kind.compile(argument_text(node), context)
        except ConfigError as error:
            if not error.expected:
                error.expected = kind.expects
            self.report.raised(error, node)
            return None
        except UnicodeError:
            self.report.error("this text cannot be used here", node, expected=kind.expects)
            return None
        if isinstance(value, DynamicValue | TextFormat) or (isinstance(kind, PvStr | PvInt) and callable(value)):
            return Evaluated(value)
        return value

    def unused_blocks(self) -> Iterable[Block]:
        """The blocks that nothing arms: failure, branch and numbered onreply routes."""
        for key, block in self.graph.blocks.items():
            if (
                block.kind in ("failure_route", "branch_route", "onreply_route")
                and block.named
                and (key not in self.armed and key[1] != "0")
            ):
                yield block


def argument_text(node: Node) -> str:
    """An argument as the text that its kind reads."""
    match node:
        case Number():
            try:
                int(node.written, 0)
            except ValueError:
                return str(node.value)
            return node.written
        case Text() | Word():
            return node.value
        case Variable():
            return node.text
    raise AssertionError(f"{type(node).__name__} is no argument")


def signature(name: str, declared: Fn) -> str:
    """How a function is called."""
    needed = [arg.name for arg in declared.args if not arg.optional]
    optional = [arg.name for arg in declared.args if arg.optional]
    text = ", ".join(needed)
    if declared.counts:
        joined = ", ".join(optional)
        return f"{name}({text}[, {joined}])" if text else f"{name}([{joined}])"
    for arg in optional:
        text += f"[, {arg}]" if text else f"[{arg}]"
    return f"{name}({text})"

"""From the tree of a script to Python functions, one for each route block.

    if (!t_relay()) sl_reply_error();       if not ((rc := t_relay(msg)) > 0 or (not rc and stop())):
    exit;                                       if not sl_reply_error(msg): return 0
                                            return 0

Generated code carries the script's own lines, so that a traceback names `openser.cfg:57`.  A function that returns 0
ends the script: from a statement by `return 0`, from inside a condition by `stop()`, which whoever started the block
catches (`core.routes.run`).  A block returns the last result of a function in it only where some condition looks at
the block's value, else 1.

Python knows one file for each function.  Statements that an `include_file` puts inside a block are therefore a function
of their own, which answers None (or, where `rc` is kept, `rc, False`) when the block goes on after it.
"""

import ast
import os.path
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from openserd.core.module import ERROR, ONREPLY, REQUEST
from openserd.core.routes import RouteFn, Routes
from openserd.script.checks.blocks import misused
from openserd.script.checks.graph import Graph, Key
from openserd.script.checks.report import Report
from openserd.script.compiler import runtime, values
from openserd.script.compiler.comparisons import Comparisons
from openserd.script.compiler.emit import (
    Places,
    assign,
    both,
    call,
    compare,
    constant,
    either,
    leave,
    load,
    msg_field,
    named,
    negate,
    when,
)
from openserd.script.compiler.expressions import Expressions
from openserd.script.compiler.functions import Evaluated, Functions, Wrap
from openserd.script.compiler.names import Names
from openserd.script.text.source import Source
from openserd.script.tree import (
    Assign,
    Block,
    Bracket,
    Break,
    Broken,
    Call,
    Compare,
    Exit,
    If,
    Logic,
    Node,
    Not,
    Number,
    Return,
    RouteCall,
    Switch,
    Variable,
    While,
)

if TYPE_CHECKING:
    from openserd.core.context import Core

Generated = tuple[str, ast.FunctionDef]  #: file and function
RETCODE: Final = re.compile(r"\$\(?(?:rc|retcode)\b")
PLAIN: Final = (bytes, int, str, type(None))


class Compiler:
    """Compiles the blocks of one script."""

    def __init__(
        self,
        source: Source,
        core: "Core",
        functions: Functions,
        graph: Graph,
        report: Report,
        names: Names,
        comparisons: Comparisons,
    ) -> None:
        self.source = source
        self.core = core
        self.functions = functions
        self.graph = graph
        self.report = report
        self.names = names
        self.comparisons = comparisons
        self.expressions = Expressions(comparisons, self.invoke)
        self.at = Places(source)
        self.keeps = uses_retcode(source)
        self.block_names = {key: names.reserve(block.title) for key, block in graph.blocks.items()}
        self.deep = runtime.Depth()
        self.key: Key = (REQUEST, "0")
        self.tracked = False
        self.switches = 0
        self.loops = 0
        self.file = ""  #: where the function stands that is being made
        self.made: list[Generated] = []

    def module(self) -> list["Generated"]:
        """All blocks as functions of one Python module, each with its file."""
        for key, block in self.graph.blocks.items():
            self.file = self.source.file_of(block.start)
            self.made.append((self.file, self.block(key, block)))
        return self.made

    # -- blocks -----------------------------------------------------------------------------------------------

    def block(self, key: Key, block: Block) -> ast.FunctionDef:
        """One block as a function."""
        self.key = key
        self.comparisons.kinds = self.graph.kinds(key)
        self.tracked = key[0] == REQUEST and key[1] in self.graph.tested
        body = self.statements(block.body)
        if self.tracked:
            body.insert(0, assign("rc", constant(1)))
        if not body or not isinstance(body[-1], ast.Return):
            body.append(leave(load("rc") if self.tracked else constant(1)))
        return self.at(function(self.block_names[key], body, "msg"), block)

    def statements(self, nodes: Iterable[Node]) -> list[ast.stmt]:
        """Statements, each on its own line; those of an included file in a function of their own."""
        made: list[ast.stmt] = []
        if not self.source.plain:
            for file, group in groupby(nodes, lambda node: self.source.file_of(node.start)):
                run = list(group)
                made += self.included(file, run) if file != self.file else self.own(run)
            return made
        return self.own(nodes)

    def own(self, nodes: Iterable[Node]) -> list[ast.stmt]:
        """Statements of the file at hand."""
        return [self.at(one, node) for node in nodes for one in self.statement(node)]

    def included(self, file: str, nodes: list[Node]) -> list[ast.stmt]:
        """Statements that stand in another file: a function of their own and its call."""
        outer, self.file = self.file, file
        body = self.own(nodes)
        self.file = outer
        name = self.names.reserve(os.path.splitext(os.path.basename(file))[0])
        arguments = ["msg", "rc"] if self.tracked else ["msg"]
        if self.tracked:
            body = [leave_with_more(one) for one in body]
            body.append(leave(ast.Tuple([load("rc"), constant(False)], ast.Load())))
        self.made.append((file, self.at(function(name, body, *arguments), nodes[0])))
        result = call(load(name), *map(load, arguments))
        at = self.source.last_before(nodes[0].start, outer)
        self.at(result, Node(at, at + 1))
        if not self.tracked:
            ended = compare(named("ended", result), "is not", constant(None))
            return [when(ended, [leave(load("ended"))])]
        both_names = ast.Tuple([ast.Name("rc", ast.Store()), ast.Name("ended", ast.Store())], ast.Store())
        return [ast.Assign([both_names], result), when(load("ended"), [leave(load("rc"))])]

    def body(self, nodes: Iterable[Node]) -> list[ast.stmt]:
        """Statements where Python wants at least one."""
        return self.statements(nodes) or [ast.Pass()]

    def statement(self, node: Node) -> list[ast.stmt]:
        """One statement."""
        match node:
            case Call() | RouteCall():
                result = self.invoke(node)
                value = named("rc", result) if self.tracked else result
                return [when(negate(value), [leave(constant(0))])]
            case If():
                return [when(self.condition(node.condition), self.body(node.then), self.statements(node.orelse or ()))]
            case Assign():
                value = self.expressions.assign(node)
                return [assign("rc", value) if self.tracked else ast.Expr(value)]
            case Exit():
                dropped: list[ast.stmt] = [set_field("dropped", constant(True))] if node.drop else []
                return [*dropped, leave(constant(0))]
            case Return():
                kept: list[ast.stmt] = [set_field("retcode", constant(node.value))] if self.keeps else []
                return [*kept, leave(constant(node.value))]
            case Break():
                return [ast.Break()]
            case Switch():
                return self.switch(node)
            case While():
                return self.loop(node)
            case Broken():
                return []
        raise AssertionError(f"{type(node).__name__} is no statement")

    def switch(self, node: Switch) -> list[ast.stmt]:
        """A choice: the case is found in a table, `case` is its number; bodies run from there on until a break."""
        keys: dict[bytes, int] = {}
        plain = [case for case in node.cases if case.value is not None]
        for number, case in enumerate(plain):
            assert case.value is not None
            keys.setdefault(values.text(case_value(case.value)).lower(), number)
        self.switches += 1
        chosen = f"case_{self.switches}"
        key = call(self.names.bind("switch_key", values.switch_key), self.comparisons.getter(node.variable))
        table = self.names.bind("cases", keys)
        found = call(ast.Attribute(table, "get", ast.Load()), key, constant(len(plain)))
        body: list[ast.stmt] = [self.at(assign(chosen, found), node)]
        for number, case in enumerate(plain):
            op = "==" if number == 0 else "<="
            test = compare(load(chosen), op, constant(number))
            body.append(self.at(when(test, self.body(case.body)), case))
        if len(plain) < len(node.cases):
            last = node.cases[-1]
            body.append(self.at(when(compare(load(chosen), "==", constant(len(plain))), self.body(last.body)), last))
        body.append(self.at(ast.Break(), node))
        return [ast.While(constant(True), body, [])]

    def loop(self, node: While) -> list[ast.stmt]:
        """A loop, with its rounds counted down."""
        limit = self.core.params.max_while_loops
        self.loops += 1
        left = f"rounds_{self.loops}"
        place = f"{self.source.file_of(node.start)}:{self.source.line(node.start)}"
        too_many = call(self.names.bind("too_many_rounds", runtime.too_many_rounds), constant(place), constant(limit))
        counted: list[ast.stmt] = [
            when(negate(load(left)), [ast.Expr(too_many), ast.Break()]),
            ast.AugAssign(ast.Name(left, ast.Store()), ast.Sub(), constant(1)),
        ]
        made = [self.at(one, node) for one in counted]
        return [
            assign(left, constant(limit)),
            ast.While(self.condition(node.condition), [*made, *self.statements(node.body)], []),
        ]

    # -- calls ------------------------------------------------------------------------------------------------

    def invoke(self, node: Call | RouteCall) -> ast.expr:
        """The call of a function or block."""
        if isinstance(node, RouteCall):
            key = (REQUEST, node.name)
            if key not in self.block_names:
                return constant(1)
            block = load(self.block_names[key])
            if key in self.graph.cyclic:
                return self.at(call(self.names.bind("deep", self.deep), block, load("msg")), node)
            return self.at(call(block, load("msg")), node)
        prepared = self.functions.prepare(node, self.key)
        if prepared is None:
            return constant(1)
        callee, args = prepared
        return self.at(call(self.names.bind(node.name, callee), load("msg"), *map(self.argument, args)), node)

    def argument(self, value: Any) -> ast.expr:
        """A prepared argument: written out where it is plain, else by name."""
        if isinstance(value, Evaluated):
            return call(self.names.bind("text", value.value), load("msg"))
        if type(value) in PLAIN:
            return constant(value)
        return self.names.bind(type(value).__name__.lower(), value)

    # -- conditions -------------------------------------------------------------------------------------------

    def condition(self, node: Node) -> ast.expr:
        """A condition, as an expression that Python takes as true or false."""
        match node:
            case Call() | RouteCall():
                stop = call(self.names.bind("stop", runtime.stop))
                return self.at(
                    either(compare(named("rc", self.invoke(node)), ">", constant(0)), both(negate(load("rc")), stop)),
                    node,
                )
            case Compare():
                return self.at(self.comparisons.expression(node), node)
            case Variable():
                return self.at(self.comparisons.getter(node), node)
            case Number():
                return constant(node.value != 0)
            case Not():
                return negate(self.condition(node.condition))
            case Logic():
                return self.logic(node)
            case Bracket():
                return self.expressions.truth(node.inner)
            case Assign():
                return compare(self.expressions.assign(node), ">", constant(0))
            case Broken():
                return constant(False)
        self.report.error("this cannot be a condition", node, expected="a function or a comparison")
        return constant(False)

    def logic(self, node: Logic) -> ast.expr:
        """Conditions joined from the left; what is joined by the same operator stays flat."""
        misused((node.first, *(part for _, part in node.rest)), self.report)
        result = self.condition(node.first)
        last = ""
        for op, part in node.rest:
            right = self.condition(part)
            if op == last and isinstance(result, ast.BoolOp):
                result.values.append(right)
            else:
                result = both(result, right) if op == "&&" else either(result, right)
            last = op
        return result


def case_value(node: Any) -> bytes | int:
    """The constant of a case."""
    return node.value if isinstance(node, Number) else node.value.encode("utf-8", "surrogateescape")


def set_field(field: str, value: ast.expr) -> ast.stmt:
    """`msg.field = value`."""
    target = msg_field(field)
    assert isinstance(target, ast.Attribute)
    target.ctx = ast.Store()
    return ast.Assign([target], value)


def uses_retcode(source: Source) -> bool:
    """Whether the script looks at `$rc` anywhere, in strings too."""
    return RETCODE.search(source.code) is not None


def function(name: str, body: list[ast.stmt], *arguments: str) -> ast.FunctionDef:
    """A function."""
    taken = ast.arguments([], [ast.arg(one) for one in arguments], None, [], [], None, [])
    return ast.FunctionDef(name, taken, body, [])


def leave_with_more(statement: ast.stmt) -> ast.stmt:
    """A statement in which each `return x` has become `return x, True`."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Tuple):
            node.value = ast.Tuple([node.value, constant(True)], ast.Load())
    return statement


def run_module(made: list[Generated], names: Names) -> dict[str, Any]:
    """Compiles and runs the generated functions; the namespace in which they are."""
    by_file: dict[str, list[ast.stmt]] = {}
    for file, one in made:
        by_file.setdefault(file, []).append(one)
    for file, functions in by_file.items():
        exec(compile(ast.Module(functions, []), file, "exec"), names.namespace)
    return names.namespace


def routes_of(graph: Graph, names: dict[Key, str], namespace: dict[str, Any]) -> Routes:
    """The compiled blocks by kind and name."""
    routes = Routes()
    for key in graph.blocks:
        kind, name = key
        block: RouteFn = namespace[names[key]]
        if kind == REQUEST:
            if name == "0":
                routes.request = block
        elif kind == ERROR:
            routes.error = block
        elif kind == ONREPLY and name == "0":
            routes.reply = block
        else:
            table = {2: routes.failure, 4: routes.onreply, 8: routes.branch}[kind]
            table[name] = block
    return routes


def wrapping(source: Source, graph: Graph) -> Wrap:
    """What is put around each function: keeping its result for `$rc`, running error_route after it."""
    keeps = uses_retcode(source)
    watches = (ERROR, "0") in graph.blocks

    def wrap(callee: Callable[..., int], error_routes: list[RouteFn]) -> Callable[..., int]:
        if keeps:
            callee = runtime.keeping(callee)
        return runtime.watched(callee, error_routes) if watches else callee

    return wrap

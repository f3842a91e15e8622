"""From the text of `openser.cfg` to a `Script`: the one way in."""

import ast
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from openserd.core.module import Module
from openserd.core.params import GlobalParams
from openserd.core.routes import Routes
from openserd.errors import ConfigError
from openserd.script.checks.blocks import check_blocks
from openserd.script.checks.graph import Graph
from openserd.script.checks.lint import lint
from openserd.script.checks.report import CHECK, LINT, STRICT, Report
from openserd.script.compiler.comparisons import Comparisons
from openserd.script.compiler.emit import locate
from openserd.script.compiler.functions import Functions
from openserd.script.compiler.loading import Loader, Loading
from openserd.script.compiler.names import Names
from openserd.script.compiler.routes import Compiler, Generated, routes_of, run_module, wrapping
from openserd.script.grammar.read import read
from openserd.script.problems import ConfigErrors, in_order
from openserd.script.text.source import Source
from openserd.script.text.surroundings import NOWHERE, Surroundings
from openserd.script.tree import Block

if TYPE_CHECKING:
    from openserd.core.context import Core

RECURSION: Final = 30000


class Script:
    """A script that was read, checked and compiled.

    `modules` are in the order of `loadmodule`, their parameters set; `functions` the names of all functions called.
    """

    def __init__(
        self,
        file: str,
        params: GlobalParams,
        modules: list[Module],
        routes: Routes,
        warnings: list[ConfigError],
        functions: frozenset[str],
        generated: list[Generated],
    ) -> None:
        self.file: Final = file
        self.params: Final = params
        self.modules: Final = modules
        self.routes: Final = routes
        self.warnings: Final = warnings
        self.functions: Final = functions
        self.generated: Final = generated

    def dump(self) -> str:
        """The generated Python, to be read."""
        return ast.unparse(ast.Module([function for _, function in self.generated], [])) + "\n"


def load(
    text: str,
    file: str,
    core: "Core",
    loader: Loader,
    level: int = CHECK,
    configured: Callable[[list[Module]], None] | None = None,
    around: Surroundings = NOWHERE,
) -> Script:
    """The script that `text` is; parameters go into `core.params`.

    `level` 2 also checks the kinds of route from which blocks are reached, 3 looks for what is unwise.  `configured` is
    called with the modules when parameters and modules are known and route blocks are not compiled yet: whoever has
    listeners to make for `force_send_socket` does it there.  `around` is where included files come from.  Raises
    ConfigErrors with everything that is wrong.
    """
    core.script = file
    try:
        with deep_recursion(), no_collection():
            source, items, errors = read(text, file, around)
            report = Report(source, level)
            report.errors += errors
            report.unread = bool(errors)
            loading = Loading(core.params, loader, report)
            loading.run(items)
            if configured is not None and not report.errors:
                configured(loading.modules)
            blocks = [item for item in items if isinstance(item, Block)]
            compiler, made = generate(source, blocks, core, loader, loading, report)
        report.finish()
        namespace = run_module(made, compiler.names)
    except RecursionError:
        raise ConfigErrors([ConfigError("the script is nested too deeply", file=file, line=1, column=1)]) from None
    routes = routes_of(compiler.graph, compiler.block_names, namespace)
    compiler.functions.error_routes += [routes.error] if routes.error is not None else []
    return Script(
        file,
        core.params,
        loading.modules,
        routes,
        in_order(report.warnings),
        frozenset(compiler.functions.referenced),
        made,
    )


def generate(
    source: Source, blocks: list[Block], core: "Core", loader: Loader, loading: Loading, report: Report
) -> tuple[Compiler, list[Generated]]:
    """The Python for all blocks, every error of theirs reported."""
    graph = Graph(blocks)
    check_blocks(blocks, graph, report)
    names = Names()
    functions = Functions(core, loading, loader, graph, report, wrapping(source, graph))
    comparisons = Comparisons(core, functions.env, names, report)
    compiler = Compiler(source, core, functions, graph, report, names, comparisons)
    made = compiler.module()
    for _, function in made:
        locate(function, 1, 0, 1, 0)
    if report.level >= STRICT and not report.errors:
        for block in functions.unused_blocks():
            report.warn(f"{block.title} is never armed", block)
    if report.level >= LINT and not report.errors:
        lint(graph, report)
    return compiler, made


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Room for scripts with long `else if` chains: reading them takes more than Python's 1000 nested calls.

    Calls from Python to Python do not use the C stack; the compiler of Python itself does, and runs outside of this.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@contextmanager
def no_collection() -> Iterator[None]:
    """No search for garbage: while a script is read nothing becomes any, and the search passes over the whole tree.

    126 -> 98 ms for a script of 1000 lines (bench/script.py).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()

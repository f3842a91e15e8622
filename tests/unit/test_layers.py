"""Each package imports only what stands below it, nobody in a circle, and no import hides in a function."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "openserd"

# Lowest first. Packages of one row do not know each other.
LAYERS = [
    {"", "errors"},
    {"shm", "parser"},
    {"core"},
    {"script"},
    {"mods"},
    {"server"},
    {"testing"},
    {"ctl", "__main__"},
]
RANK = {part: rank for rank, row in enumerate(LAYERS) for part in row}

# The same inside of the script layer.
SCRIPT_LAYERS = [
    {"problems", "tree"},
    {"text", "variables", "commands"},
    {"grammar"},
    {"checks"},
    {"compiler"},
    {"load"},
    {""},
]
SCRIPT_RANK = {part: rank for rank, row in enumerate(SCRIPT_LAYERS) for part in row}


@dataclass(frozen=True)
class Import:
    """One import of our own package; `source` and `target` are module names without `openserd.`."""

    source: str
    target: str
    line: int
    in_function: bool

    def __str__(self) -> str:
        return f"{PACKAGE}.{self.source}:{self.line} imports {PACKAGE}.{self.target}"


def module_name(path: Path, root: Path) -> str:
    """`core.message` for core/message.py, `core` for core/__init__.py, empty for the package itself."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def import_nodes(node: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """The import statements below `node` that run, and whether they stand in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, in_function
        elif isinstance(child, ast.If) and is_type_checking(child.test):
            for other in child.orelse:
                yield from import_nodes(ast.Module([other], []), in_function)
        else:
            inside = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from import_nodes(child, inside)


def targets_of(node: ast.Import | ast.ImportFrom, source: str, is_package: bool, modules: set[str]) -> Iterator[str]:
    """The modules of our package that a statement in `source` names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
        yield from (name.partition(".")[2] for name in names if name.split(".")[0] == PACKAGE)
        return
    if node.level:
        package = source.split(".") if source else []
        up = node.level - 1 if is_package else node.level
        base = ".".join([*package[: len(package) - up], *([node.module] if node.module else [])])
    elif node.module and node.module.split(".")[0] == PACKAGE:
        base = node.module.partition(".")[2]
    else:
        return
    for alias in node.names:
        inner = f"{base}.{alias.name}" if base else alias.name
        yield inner if inner in modules else base


def imports_below(root: Path) -> list[Import]:
    """Every import that the files below `root` make of their own package."""
    paths = {module_name(path, root): path for path in sorted(root.rglob("*.py"))}
    found = []
    for source, path in paths.items():
        tree = ast.parse(path.read_text(), str(path))
        for node, in_function in import_nodes(tree):
            targets = targets_of(node, source, path.name == "__init__.py", set(paths))
            found += [Import(source, target, node.lineno, in_function) for target in targets]
    return found


def script_part(module: str) -> str:
    """`text` for script.text.source, `tree` for script.tree, empty for script itself."""
    return module.split(".")[1] if "." in module else ""


def is_allowed(link: Import) -> bool:
    source, target = link.source.split("."), link.target.split(".")
    if source[0] != target[0]:
        return RANK[target[0]] < RANK[source[0]]
    if source[0] == "script" and script_part(link.source) != script_part(link.target):
        return SCRIPT_RANK[script_part(link.target)] < SCRIPT_RANK[script_part(link.source)]
    if source[0] == "mods" and len(source) > 1 and len(target) > 1:
        return source[1] == target[1]  # modules meet through published objects, never by import
    return True


def find_cycle(links: list[Import]) -> list[str]:
    """A circle of modules, its first name repeated at the end; empty when there is none."""
    graph: dict[str, set[str]] = {}
    for link in links:
        graph.setdefault(link.source, set()).add(link.target)
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module not in done:
            for target in sorted(graph.get(module, ())):
                if cycle := visit(target, [*path, module]):
                    return cycle
            done.add(module)
        return []

    return next((cycle for module in sorted(graph) if (cycle := visit(module, []))), [])


IMPORTS = imports_below(ROOT / PACKAGE)


def test_every_part_of_the_package_has_a_layer() -> None:
    parts = {module_name(path, ROOT / PACKAGE).split(".")[0] for path in (ROOT / PACKAGE).rglob("*.py")}
    assert parts <= set(RANK)
    script = ROOT / PACKAGE / "script"
    assert {module_name(path, script).split(".")[0] for path in script.rglob("*.py")} == set(SCRIPT_RANK)


def test_no_import_goes_upwards_or_sideways() -> None:
    assert [str(link) for link in IMPORTS if not is_allowed(link)] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert find_cycle(IMPORTS) == []


def test_no_import_of_our_own_hides_in_a_function() -> None:
    assert [str(link) for link in IMPORTS if link.in_function] == []


# --- the walk itself ----------


def write_package(root: Path, files: dict[str, str]) -> list[Import]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return imports_below(root)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("shm/lock.py", "from openserd.parser import via"),
        ("parser/via.py", "import openserd.core.message"),
        ("core/message.py", "from ..script import grammar"),
        ("script/tree.py", "from openserd.mods.tm import t_relay"),
        ("script/tree.py", "from openserd.script.text.source import Source"),
        ("script/text/source.py", "from openserd.script.grammar import read"),
        ("script/text/source.py", "from openserd.script import load"),
        ("script/variables/uri.py", "from openserd.script.commands import uri"),
        ("mods/rr.py", "from openserd.mods import tm"),
        ("mods/rr.py", "from openserd.mods.tm.table import Cell"),
        ("server/master.py", "from openserd.ctl.__main__ import main"),
        ("errors.py", "try:\n    from openserd.shm import lock\nexcept ImportError:\n    pass"),
    ],
)
def test_walk_sees_an_import_that_is_not_allowed(tmp_path: Path, file: str, text: str) -> None:
    modules = {"parser/via.py": "", "mods/tm/table.py": "", "shm/lock.py": "", "script/grammar/read.py": ""}
    links = write_package(tmp_path, {**modules, file: text})
    assert [is_allowed(link) for link in links] == [False]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("mods/tm/module.py", "from openserd.mods.tm.table import Cell"),
        ("mods/tm/module.py", "from .table import Cell"),
        ("core/message.py", "from openserd import __version__, errors"),
        ("server/master.py", "from openserd.core import message\nimport os"),
        ("script/grammar/read.py", "from openserd.script.tree import Item"),
        ("script/grammar/read.py", "from openserd.script.grammar import tokens"),
    ],
)
def test_walk_lets_pass_what_looks_down(tmp_path: Path, file: str, text: str) -> None:
    links = write_package(tmp_path, {"mods/tm/table.py": "", "errors.py": "", "core/message.py": "", file: text})
    assert links
    assert all(is_allowed(link) for link in links)


def test_walk_does_not_count_imports_for_type_checking_only(tmp_path: Path) -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from openserd.mods import tm\n"
    assert write_package(tmp_path, {"core/message.py": text}) == []


def test_walk_finds_a_circle_and_an_import_in_a_function(tmp_path: Path) -> None:
    links = write_package(
        tmp_path,
        {
            "core/a.py": "from openserd.core import b",
            "core/b.py": "from openserd.core.c import x",
            "core/c.py": "def f():\n    from . import a",
        },
    )
    assert find_cycle(links) == ["core.a", "core.b", "core.c", "core.a"]
    assert [link.source for link in links if link.in_function] == ["core.c"]

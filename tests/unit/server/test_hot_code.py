"""The functions that every message runs lie together in memory."""

import gc
import importlib
import subprocess
import sys
from collections.abc import Callable
from types import CodeType, FunctionType

import pytest

from openserd.server.hot_code import gather, hot_functions
from scripts.hot_functions import FILE, ROOT, measured, text

MODULE = __name__


def double(number: int) -> int:
    return 2 * number


def adder(first: int) -> Callable[[int], int]:
    def add(second: int) -> int:
        return first + sum(each for each in (second,))

    return add


class Counter:
    """Counts."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def next(self) -> int:
        self.count += 1
        return self.count


def codes_of(name: str) -> set[CodeType]:
    """The code of all functions of that name."""
    return {
        one.__code__ for one in gc.get_objects()
        if type(one) is FunctionType and (one.__module__, one.__qualname__) == (MODULE, name)
    }  # fmt: skip


def test_gathered_functions_have_new_code_and_do_what_they_did() -> None:
    add_one, add_two, counter = adder(1), adder(2), Counter()
    names = ["double", "adder", "adder.<locals>.add", "Counter.next", "Counter.__init__"]
    before = {name: codes_of(name) for name in names}
    assert gather([(MODULE, name) for name in names]) == 6
    for name in names:
        assert len(codes_of(name)) == 1
        assert {id(code) for code in codes_of(name)}.isdisjoint(map(id, before[name])), name
    assert (double(4), add_one(5), add_two(5), adder(3)(5), counter.next, Counter().next) == (8, 6, 7, 8, 1, 1)


def test_a_closure_made_later_runs_the_gathered_code() -> None:
    gather([(MODULE, "adder"), (MODULE, "adder.<locals>.add")])
    inner = next(one for one in adder.__code__.co_consts if isinstance(one, CodeType))
    assert adder(1).__code__ is inner


def test_what_is_not_loaded_or_not_there_is_passed_over() -> None:
    assert gather([("openserd.no.such.module", "f"), (MODULE, "no_such_function")]) == 0


def pages(wanted: set[tuple[str, str]]) -> int:
    """How many pages of memory hold the code of these functions."""
    codes = {
        one.__code__ for one in gc.get_objects()
        if type(one) is FunctionType and (one.__module__, one.__qualname__) in wanted
    }  # fmt: skip
    return len({page for code in codes for page in range(id(code) >> 12, (id(code) + sys.getsizeof(code) >> 12) + 1)})


LOOK = """
from scripts.hot_functions import measured
from tests.unit.server.test_hot_code import gather, hot_functions, pages
wanted = hot_functions()
measured()
before = pages(set(wanted))
gather(wanted)
print(before, pages(set(wanted)))
"""


def test_gathered_code_lies_together() -> None:
    run = subprocess.run([sys.executable, "-c", LOOK], cwd=ROOT, capture_output=True, text=True, check=True)
    before, after = map(int, run.stdout.split())
    assert after < 0.75 * before, run.stdout


@pytest.mark.parametrize("module", sorted({module for module, _ in hot_functions()}))
def test_every_name_on_the_list_is_that_of_a_function(module: str) -> None:
    """Otherwise `make hot-functions` has to be run: something was renamed or moved."""
    importlib.import_module(module)
    known = {one.__qualname__ for one in gc.get_objects() if type(one) is FunctionType and one.__module__ == module}
    listed = {name for found, name in hot_functions() if found == module and "<locals>" not in name}
    assert listed <= known


def test_the_list_has_what_messages_run() -> None:
    """Otherwise `make hot-functions` has to be run: the way of a message has changed."""
    now = set(measured())
    listed = set(hot_functions())
    assert len(now - listed) <= len(now) // 20, sorted(now - listed)


def test_the_list_is_as_it_is_written() -> None:
    assert text(hot_functions()) == FILE.read_text()

"""The code that every message runs, gathered in one place of memory.

A worker that wakes for a message finds its caches cold, and fetches what the message needs page by page from wherever
imports have put it.  So the functions that a call, a REGISTER and an OPTIONS run get new code objects, made one after
the other in the order in which they run: they lie in 110 pages instead of 190, and a call costs 5 to 10 % less CPU
(`make bench`).

The master does it once, before the fork, for whichever of them are loaded; a function that is not among them, or is
new, works as it did.  `data/hot_functions.txt` names them, a module and a qualified name a line; `make hot-functions`
writes it anew.
"""

import gc
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from types import CodeType, FunctionType
from typing import Final

FILE: Final = "data/hot_functions.txt"


def hot_functions() -> list[tuple[str, str]]:
    """(module, qualified name) of the functions that messages run, in their order."""
    lines = files("openserd").joinpath(FILE).read_text().splitlines()
    return [(module, name) for module, name in map(str.split, lines)]


def gather(wanted: Iterable[tuple[str, str]]) -> int:
    """Gives these functions new code objects in this order; how many functions there were."""
    order = list(wanted)
    copy = Copier(frozenset(order)).copy
    loaded: dict[tuple[str, str], list[FunctionType]] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType:
            loaded.setdefault((one.__module__, one.__qualname__), []).append(one)
    n_functions = 0
    for key in order:
        for function in loaded.get(key, ()):
            function.__code__ = copy(function.__module__, function.__code__)
            n_functions += 1
    return n_functions


class Copier:
    """Makes copies of code objects, each once, with those of the wanted functions inside."""

    def __init__(self, wanted: frozenset[tuple[str, str]]) -> None:
        self.wanted = wanted
        self.copy = cache(self.make)  #: closures of one function share their code, and share its copy

    def make(self, module: str, code: CodeType) -> CodeType:
        """A copy; code of a wanted function that it makes when it runs is copied with it."""
        constants = tuple(
            self.copy(module, one) if isinstance(one, CodeType) and (module, one.co_qualname) in self.wanted else one
            for one in code.co_consts
        )
        return code.replace(co_consts=constants)

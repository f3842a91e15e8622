"""The names that generated code uses for functions, variables and prepared arguments."""

import ast
import builtins
import keyword
import re
from typing import Final

LOCAL: Final = ("msg", "rc", "case")
BAD: Final = re.compile(r"\W+")


class Names:
    """The namespace of the generated functions; the same object has one name, two objects never share one."""

    def __init__(self) -> None:
        self.namespace: dict[str, object] = {}
        self.by_object: dict[int, str] = {}

    def bind(self, wanted: str, thing: object) -> ast.expr:
        """A reference to `thing` under a name like `wanted`."""
        if id(thing) not in self.by_object:
            name = self.free(wanted)
            self.namespace[name] = thing
            self.by_object[id(thing)] = name
        return ast.Name(self.by_object[id(thing)], ast.Load())

    def free(self, wanted: str) -> str:
        """A name like `wanted` that is not taken."""
        base = BAD.sub("_", wanted).strip("_") or "value"
        if base[0].isdigit() or keyword.iskeyword(base) or hasattr(builtins, base) or base in LOCAL:
            base = f"_{base}"
        name, count = base, 1
        while name in self.namespace:
            count += 1
            name = f"{base}_{count}"
        return name

    def reserve(self, wanted: str) -> str:
        """Takes a name for a function that will be generated."""
        name = self.free(wanted)
        self.namespace[name] = None
        return name

"""Finds modules for `loadmodule`: a file or folder of `openserd/mods/` that holds one Module class of that name."""

import importlib
import pkgutil
from difflib import get_close_matches

from openserd import mods
from openserd.core.module import Module
from openserd.errors import ConfigError


class ModuleLoader:
    """Module classes by name, and who exports which script function."""

    def names(self) -> list[str]:
        """The names of all modules there are, sorted."""
        return sorted(found.name for found in pkgutil.iter_modules(mods.__path__))

    def load(self, name: str) -> type[Module]:
        """The class of module `name`. Raises ConfigError where there is none or a library it needs is missing."""
        known = self.names()
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise ConfigError(
                f"there is no module '{name}'",
                expected="one of " + ", ".join(known),
                hint=f"did you mean {near[0]}?" if near else "",
            )
        try:
            package = importlib.import_module(f"{mods.__name__}.{name}")
        except ModuleNotFoundError as missing:
            if (missing.name or "").startswith(mods.__name__.partition(".")[0]):
                raise  # a file of our own: nothing that an operator could install
            raise ConfigError(
                f"module '{name}' needs the Python package '{missing.name}'",
                hint=f"pip install 'openserd[{name}]' or pip install {missing.name}",
            ) from None
        return next(
            member
            for member in vars(package).values()
            if isinstance(member, type) and issubclass(member, Module) and member.name == name
        )

    def exporters(self, function: str) -> list[str]:
        """The names of all modules that export the script function `function`."""
        found = []
        for name in self.names():
            try:
                if function in self.load(name).functions:
                    found.append(name)
            except ConfigError:
                continue
        return found

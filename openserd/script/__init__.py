"""The script language: `openser.cfg` as text, as a tree, checked, and as Python functions."""

from openserd.script.load import Script, load
from openserd.script.problems import ConfigErrors, as_json
from openserd.script.report import CHECK, LINT, STRICT
from openserd.script.surroundings import Surroundings

__all__ = ["CHECK", "LINT", "STRICT", "ConfigErrors", "Script", "Surroundings", "as_json", "load"]

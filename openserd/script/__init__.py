"""The script language: `openser.cfg` as text, as a tree, checked, and as Python functions."""

from openserd.script.load import Script, load
from openserd.script.problems import ConfigErrors
from openserd.script.report import CHECK, STRICT

__all__ = ["CHECK", "STRICT", "ConfigErrors", "Script", "load"]

"""The script language: `openser.cfg` as text, as a tree, checked, and as Python functions.

`load.py` goes through the folders in this order, each of which imports only those before it:

    text/       files, includes, `#!` directives -> one text whose offsets lead back to file, line and column
    variables/  `$ru`, `$avp(...)`, transformations, formatted text -> objects that read and write a message
    commands/   the functions of the core: `forward`, `setflag`, `rewritehost`, ...
    grammar/    text -> tree, and what is said where the text is no script
    checks/     what errors, warnings and lints are found in the tree
    compiler/   tree -> Python functions, modules loaded on the way; what these functions call at run time

`tree.py` (the nodes) and `problems.py` (several errors told together) are what all of them share.
"""

from openserd.script.checks.report import CHECK, LINT, STRICT
from openserd.script.load import Script, load
from openserd.script.problems import ConfigErrors, as_json
from openserd.script.text.surroundings import Surroundings

__all__ = ["CHECK", "LINT", "STRICT", "ConfigErrors", "Script", "Surroundings", "as_json", "load"]

"""What a script may ask of the machine while it is read: files to include, definitions, the environment.

Whoever loads a script hands these in; the reader itself opens no file and looks at no environment.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple


def no_files(path: str) -> str:
    """There are no files here."""
    raise FileNotFoundError(2, "No such file or directory", path)


class Surroundings(NamedTuple):
    """`read` gives the text of a file (OSError where it cannot), `definitions` come from the command line (`-A`)."""

    read: Callable[[str], str] = no_files
    definitions: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}


NOWHERE = Surroundings()

"""Several errors of one script, told together to people and to programs, and what they have in common."""

import json
from collections.abc import Iterable
from difflib import get_close_matches

from openserd.errors import ConfigError, OpenserError


class ConfigErrors(OpenserError):
    """All that is wrong with one script, in the order of the text; `errors` is never empty."""

    def __init__(self, errors: Iterable[ConfigError], warnings: Iterable[ConfigError] = ()) -> None:
        self.errors = in_order(errors)
        self.warnings = in_order(warnings)
        super().__init__(f"{len(self.errors)} errors")

    def __str__(self) -> str:
        """Every error as an operator reads it, and their number when there are several."""
        text = "\n".join(str(error) for error in self.errors)
        return f"{text}\n{len(self.errors)} errors" if len(self.errors) > 1 else text


def in_order(problems: Iterable[ConfigError]) -> list[ConfigError]:
    """Errors or warnings in the order of the text."""
    return sorted(problems, key=lambda one: (one.file, one.line, one.column))


def as_json(errors: Iterable[ConfigError], warnings: Iterable[ConfigError]) -> str:
    """Errors and warnings as a JSON array with one of them on each line."""
    objects = [as_object(one, "error") for one in errors] + [as_object(one, "warning") for one in warnings]
    return "[\n" + ",\n".join(json.dumps(one) for one in objects) + "\n]" if objects else "[]"


def as_object(problem: ConfigError, severity: str) -> dict[str, str | int]:
    """One error or warning; lines and columns count from 1, `endColumn` is the first one after it."""
    placed: dict[str, str | int] = {"file": problem.file, "line": problem.line, "column": problem.column}
    placed["endColumn"] = problem.column + problem.width if problem.column else 0
    said = {"message": problem.message, "expected": problem.expected, "hint": problem.hint, "lint": problem.code}
    return {**placed, "severity": severity, **{name: text for name, text in said.items() if text}}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that is most like `word`, "" when none is near."""
    found = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.7)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known name, "" when none is near."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else ""

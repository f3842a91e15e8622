"""Several errors of one script, told together, and what they have in common."""

from collections.abc import Iterable
from difflib import get_close_matches

from openserd.errors import ConfigError, OpenserError


class ConfigErrors(OpenserError):
    """All that is wrong with one script, in the order of the text; `errors` is never empty."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = sorted(errors, key=lambda error: (error.file, error.line, error.column))
        super().__init__(f"{len(self.errors)} errors")

    def __str__(self) -> str:
        """Every error as an operator reads it, and their number when there are several."""
        text = "\n".join(str(error) for error in self.errors)
        return f"{text}\n{len(self.errors)} errors" if len(self.errors) > 1 else text


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that is most like `word`, "" when none is near."""
    found = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.7)
    return found[0] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest known name, "" when none is near."""
    found = nearest(word, known)
    return f"did you mean {found}?" if found else ""

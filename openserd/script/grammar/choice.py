"""One of several rules, chosen by how the text begins.

pyparsing's `MatchFirst` tries rule after rule, each failure an exception: with one look at the text a script of 1000
lines is read in two thirds of the time (`python bench/script.py`).
"""

import re
from typing import Any

from pyparsing import MatchFirst, ParseException, ParserElement


class Choice(MatchFirst):
    """The first rule whose beginning matches; `rules` are pairs of a regular expression and a rule."""

    def __init__(self, rules: list[tuple[str, ParserElement]], name: str) -> None:
        super().__init__([rule for _, rule in rules])
        self.beginning = re.compile("|".join(f"({pattern})" for pattern, _ in rules))
        self.leave_whitespace(recursive=False)
        self.set_name(name)

    def parseImpl(self, instring: str, loc: int, do_actions: bool = True) -> Any:
        begins = self.beginning.match(instring, loc)
        if begins is None or begins.lastindex is None:
            raise ParseException(instring, loc, self.errmsg, self)
        return self.exprs[begins.lastindex - 1]._parse(instring, loc, do_actions, callPreParse=False)

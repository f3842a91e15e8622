"""Files become one text: comments taken out, files included, `#!` directives carried out, names replaced.

    #!define NAME [text]      NAME outside of strings stands for text; trydefine, redefine, undef
    #!subst "/pattern/text/g" pattern inside of strings is replaced; i ignores case
    #!substdef "!NAME!text!g" both; #!substdefs: outside of strings NAME stands for "text"
    #!defenv NAME             NAME stands for the environment's value; #!defenvs: as a string
    #!ifdef NAME  #!ifndef NAME  #!else  #!endif
    include_file "file"       the file's text stands here; import_file: nothing where there is no such file

(Kamailio: the preprocessor part of cfg.lex.)  A `#!` line with another word is a comment, as in OpenSER.
"""

import os.path
import re
from functools import lru_cache
from typing import Final, NamedTuple

from openserd.errors import ConfigError
from openserd.script.problems import did_you_mean
from openserd.script.text.definitions import NAME, STRING, Definitions, Substitution
from openserd.script.text.origin import Joined, Origin
from openserd.script.text.surroundings import Surroundings

QUOTED: Final = r"""(?P<string>"(?:[^"\\]|\\.)*+"|'[^']*')"""
QUOTED_IN_LINE: Final = r"""(?P<string>"(?:[^"\\\n]|\\.)*+"|'[^'\n]*')"""
OTHERS: Final = r"""(?P<hash>\#[^\n]*)|(?P<open>/\*)|(?P<join>\\\r?\n)|(?P<quote>["'])"""
INCLUDE: Final = r"(?P<include>^[ \t]*(?:include_file|import_file)\b[^\n]*)"
COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
NOT_LINE_END: Final = re.compile(r"[^\n]")
DIRECTIVE: Final = re.compile(r"#!(?P<word>[A-Za-z_]+)\b[ \t]*(?P<rest>(?:[^\n\\]|\\\r?\n|\\.)*)")
CONDITIONAL: Final = re.compile(r"^[ \t]*#!(ifdef|ifndef|else|endif)\b", re.MULTILINE)
INCLUDED: Final = re.compile(
    rf"[ \t]*(?:#!)?(?P<word>include_file|import_file)\s+(?P<path>{STRING})[ \t]*;?[ \t]*(?:#.*)?\r?"
)
NAMED_TEXT: Final = re.compile(r"(?P<name>[A-Za-z_]\w*)(?:[ \t]+(?P<text>.*))?", re.DOTALL)
IN_VARIABLE: Final = re.compile(r"\$\(?[\w.]+\($")
TRAILING: Final = re.compile(rf"((?:{STRING}|[^\"'#])*)")
DEFINING: Final = {
    "define": "", "def": "", "trydefine": "first_only", "trydef": "first_only", "redefine": "again", "redef": "again",
}  # fmt: skip
ENVIRONMENT: Final = ("defenv", "defenvs")
SUBSTITUTING: Final = ("subst", "substdef", "substdefs")
CONDITIONS: Final = ("ifdef", "ifndef", "else", "endif")
FILES: Final = ("include_file", "import_file")
WORDS: Final = (*DEFINING, "undef", "undefine", *ENVIRONMENT, *SUBSTITUTING, *CONDITIONS, *FILES)


@lru_cache(maxsize=64)
def pattern_for(in_line: bool, includes: bool, names: str) -> "re.Pattern[str]":
    """The pattern for everything in a text that is not simply copied."""
    parts = [QUOTED_IN_LINE if in_line else QUOTED, OTHERS]
    parts += [INCLUDE] if includes else []
    parts += [f"(?P<name>{names})"] if names else []
    return re.compile("|".join(parts), re.DOTALL | re.MULTILINE)


class Condition:
    """An `#!ifdef` whose `#!endif` has not come yet."""

    def __init__(self, start: int, end: int, taken: bool) -> None:
        self.start = start
        self.end = end
        self.taken = taken
        self.turned = False  #: whether its `#!else` has come


class Here(NamedTuple):
    """Where a directive stands."""

    origin: Origin
    start: int
    end: int


class Preprocessor:
    """Reads one script. `in_line` reads strings as ending on their line, to find the quote that is missing."""

    def __init__(self, around: Surroundings, *, in_line: bool) -> None:
        self.around = around
        self.in_line = in_line
        self.joined = Joined()
        self.definitions = Definitions(around.definitions)
        self.problems: list[ConfigError] = []
        self.bad_lines: set[tuple[str, int]] = set()  #: file and line where quotes do not match
        self.odd_strings = False  #: whether a string runs over a line end and stands where none would be written
        self.chain: list[str] = []  #: the files that are being read
        self.conditions: list[Condition] = []

    def read(self, origin: Origin) -> None:
        """Adds a file to the text."""
        self.chain.append(os.path.normpath(origin.file))
        outer, self.conditions = self.conditions, []
        text = origin.text
        includes = "include_file" in text or "import_file" in text
        at = 0
        while match := self.pattern(includes).search(text, at):
            self.copy(origin, at, match.start())
            at = self.piece(origin, match)
        self.copy(origin, at, len(text))
        for condition in self.conditions:
            self.report(
                Here(origin, condition.start, condition.end), "this condition is not closed", expected="#!endif"
            )
        self.conditions = outer
        self.chain.pop()

    def pattern(self, includes: bool) -> "re.Pattern[str]":
        """What to look for next."""
        names = self.definitions.pattern
        return pattern_for(self.in_line, includes, names.pattern if names is not None else "")

    def report(self, here: Here, message: str, *, expected: str = "", hint: str = "") -> None:
        """Keeps an error."""
        self.problems.append(here.origin.error(message, here.start, here.end, expected=expected, hint=hint))

    # -- pieces ---------------------------------------------------------------------------------------------

    def copy(self, origin: Origin, start: int, end: int) -> None:
        """Text that stays as it is."""
        text = origin.text[start:end]
        self.joined.add(origin, start, text, text, text)

    def blank(self, origin: Origin, start: int, end: int) -> int:
        """Text that means nothing to the grammar; its end."""
        text = origin.text[start:end]
        spaces = NOT_LINE_END.sub(" ", text)
        self.joined.add(origin, start, text, spaces, spaces)
        return end

    def piece(self, origin: Origin, match: "re.Match[str]") -> int:
        """Carries out what was found; where reading goes on."""
        start, end = match.span()
        kind = match.lastgroup
        if kind == "string":
            return self.string(origin, match)
        if kind == "name":
            return self.name(origin, match)
        if kind == "include":
            return self.include(Here(origin, start, end))
        if kind == "quote":
            return self.open_quote(origin, start)
        if kind == "open":
            return self.blank(origin, start, self.comment_end(origin, start))
        if kind == "hash" and match[0].startswith("#!") and is_first(origin.text, start):
            return self.directive(origin, start)
        return self.blank(origin, start, end)

    def string(self, origin: Origin, match: "re.Match[str]") -> int:
        """A string, with substitutions made in it."""
        written = match[0]
        if "\n" in written and is_odd(origin.text, *match.span()):
            self.odd_strings = True
        changed = self.definitions.in_string(written) if self.definitions.substitutions else written
        if changed == written:
            self.joined.add(origin, match.start(), written, written, filled(written))
        else:
            note = f"{written} becomes {changed}"
            self.joined.replace(origin, match.start(), len(written), changed, filled(changed), note)
        return match.end()

    def name(self, origin: Origin, match: "re.Match[str]") -> int:
        """A name that stands for a text, unless it is the name of a variable."""
        if IN_VARIABLE.search(origin.text, max(0, match.start() - 40), match.start()):
            self.copy(origin, *match.span())
        else:
            text = self.definitions.text_of(match[0])
            mask = re.sub(STRING, lambda string: filled(string[0]), text)
            note = f"{match[0]} stands for {text}" if text else f"{match[0]} stands for nothing"
            self.joined.replace(origin, match.start(), len(match[0]), text or " ", mask or " ", note)
        return match.end()

    def comment_end(self, origin: Origin, start: int) -> int:
        """The offset after a comment; comments nest."""
        depth = 1
        at = start + 2
        while edge := COMMENT_EDGE.search(origin.text, at):
            at = edge.end()
            depth += 1 if edge[0] == "/*" else -1
            if not depth:
                return at
        self.report(
            Here(origin, start, start + 2),
            "this comment is not closed",
            expected="*/",
            hint="comments nest: each /* needs its own */",
        )
        return len(origin.text)

    def open_quote(self, origin: Origin, start: int) -> int:
        """A string that is not closed: reported, and read as if it ended with its line."""
        line = origin.line(start)
        end = origin.line_end(line)
        quote = origin.text[start]
        self.bad_lines.add((origin.file, line))
        self.report(
            Here(origin, start, start + 1),
            "this string is not closed",
            expected=quote,
            hint="the quotes of this line do not pair up",
        )
        length = end - start
        shown = quote + "_" * (length - 2) + quote if length > 1 else " " * length
        self.joined.add(origin, start, origin.text[start:end], shown, shown)
        return end

    # -- files ----------------------------------------------------------------------------------------------

    def include(self, here: Here) -> int:
        """`include_file` or `import_file`."""
        origin, start, end = here
        match = INCLUDED.fullmatch(origin.text, start, end)
        line_end = self.blank(origin, start, end)
        if match is None:
            self.report(first_word(here), "no file is named here", expected='include_file "file.cfg"')
            return line_end
        at = Here(origin, *match.span("path"))
        path = os.path.join(os.path.dirname(origin.file), match["path"][1:-1])
        if os.path.normpath(path) in self.chain:
            self.report(at, "this file includes itself", hint=" -> ".join([*self.chain, os.path.normpath(path)]))
            return line_end
        text = self.text_of(at, path, optional=match["word"] == "import_file")
        if text:
            self.read(Origin(text if text.endswith("\n") else f"{text}\n", path))
        return line_end

    def text_of(self, here: Here, path: str, *, optional: bool) -> str:
        """The text of a file, "" where it cannot be read."""
        try:
            return self.around.read(path)
        except FileNotFoundError:
            if not optional:
                self.report(here, f"there is no file {path}", hint="import_file passes over a file that is not there")
        except (OSError, ValueError) as error:
            self.report(here, f"cannot read {path}: {getattr(error, 'strerror', None) or error}")
        return ""

    # -- directives -----------------------------------------------------------------------------------------

    def directive(self, origin: Origin, start: int) -> int:
        """A `#!` line; where reading goes on."""
        match = DIRECTIVE.match(origin.text, start)
        if match is None or match["word"] not in WORDS:
            return self.not_a_directive(origin, start, match)
        here = Here(origin, start, start + 2 + len(match["word"]))
        word, rest = match["word"], without_comment(match["rest"])
        if word in FILES:
            return self.include(Here(origin, start, origin.line_end(origin.line(start))))
        self.blank(origin, start, match.end())
        if word in CONDITIONS:
            return self.conditional(Here(origin, start, match.end()), word, rest)
        try:
            self.carry_out(word, rest)
        except ConfigError as error:
            self.report(here, error.message, expected=error.expected, hint=error.hint)
        return match.end()

    def not_a_directive(self, origin: Origin, start: int, match: "re.Match[str] | None") -> int:
        """A comment that begins with `#!`; what is nearly a directive is reported."""
        word = match["word"] if match else ""
        hint = did_you_mean(word, WORDS) if word.islower() else ""
        if hint:
            self.report(Here(origin, start, start + 2 + len(word)), f"there is no directive #!{word}", hint=hint)
        return self.blank(origin, start, origin.line_end(origin.line(start)))

    def carry_out(self, word: str, rest: str) -> None:
        """A directive that defines something. Raises ConfigError."""
        if word in SUBSTITUTING:
            self.substitute(word, rest)
        elif word in ENVIRONMENT:
            self.from_environment(word, rest)
        elif word in ("undef", "undefine"):
            self.definitions.undefine(named(word, rest))
        else:
            match = NAMED_TEXT.fullmatch(rest)
            if match is None:
                raise ConfigError(f"#!{word} needs a name", expected=f"#!{word} NAME or #!{word} NAME text")
            self.define(match["name"], match["text"] or "", DEFINING[word])

    def define(self, name: str, text: str, how: str = "") -> None:
        """Gives a name its text."""
        joined = re.sub(r"\\\r?\n", "\n", text).strip()
        self.definitions.define(name, joined, again=how == "again", first_only=how == "first_only")

    def substitute(self, word: str, rest: str) -> None:
        """`#!subst`, `#!substdef`, `#!substdefs`."""
        if not re.fullmatch(STRING, rest):
            raise ConfigError(f"#!{word} needs a string", expected=f'#!{word} "/pattern/text/g"')
        made = Substitution(rest[1:-1])
        if word != "subst":
            name = named(word, made.pattern_text)
            self.define(name, f'"{made.text}"' if word == "substdefs" else made.text)
        self.definitions.substitutions.append(made)

    def from_environment(self, word: str, rest: str) -> None:
        """`#!defenv`, `#!defenvs`: `NAME` or `NAME=VARIABLE`."""
        name, _, variable = rest.partition("=")
        name = named(word, name.strip())
        variable = variable.strip() or name
        value = self.around.environment.get(variable)
        if value is None and name not in self.definitions.fixed:
            raise ConfigError(
                f"the environment has no {variable}", hint=f"start openserd with {variable}=... or with -A {name}=..."
            )
        self.define(name, f'"{value}"' if word == "defenvs" else value or "")

    # -- conditions -----------------------------------------------------------------------------------------

    def conditional(self, here: Here, word: str, rest: str) -> int:
        """`#!ifdef` and its kin; where reading goes on."""
        if word in ("ifdef", "ifndef"):
            if not NAME.fullmatch(rest):
                self.report(here, f"#!{word} needs a name", expected=f"#!{word} NAME")
            taken = (rest in self.definitions.names) == (word == "ifdef")
            self.conditions.append(Condition(here.start, here.end, taken))
            return here.end if taken else self.skip(here)
        if not self.conditions:
            self.report(here, f"#!{word} without #!ifdef", expected="#!ifdef NAME before it")
            return here.end
        if word == "endif":
            self.conditions.pop()
            return here.end
        return self.turn(here, self.conditions[-1])

    def turn(self, here: Here, condition: Condition) -> int:
        """`#!else`."""
        if condition.turned:
            line = here.origin.line(condition.start)
            self.report(here, "a second #!else", hint=f"the #!ifdef in line {line} has one already")
            return here.end
        condition.turned = True
        if condition.taken:
            return self.skip(here)
        condition.taken = True
        return here.end

    def skip(self, here: Here) -> int:
        """Leaves out what is not read, up to the `#!else` or `#!endif` that belongs here."""
        depth = 0
        text = here.origin.text
        for match in CONDITIONAL.finditer(text, here.end):
            if match[1] in ("ifdef", "ifndef"):
                depth += 1
            elif depth == 0:
                return self.blank(here.origin, here.end, match.start())
            elif match[1] == "endif":
                depth -= 1
        return self.blank(here.origin, here.end, len(text))


def filled(written: str) -> str:
    """A string whose text is filled in: the mask of it."""
    return written[0] + NOT_LINE_END.sub("_", written[1:-1]) + written[-1]


def is_odd(text: str, start: int, end: int) -> bool:
    """Whether a string stands where none belongs: what is between two strings, when a quote is missing."""
    before, after = text[max(0, start - 40) : start].rstrip(), text[end : end + 40].lstrip()
    return before[-1:] not in "(,=~:+" or after[:1] not in "),;:+&|#"


def is_first(text: str, offset: int) -> bool:
    """Whether only white space stands before an offset on its line."""
    return not text[text.rfind("\n", 0, offset) + 1 : offset].strip()


def first_word(here: Here) -> Here:
    """The first word of a line."""
    start = here.end - len(here.origin.text[here.start : here.end].lstrip())
    found = re.compile(r"\S+").match(here.origin.text, start)
    return Here(here.origin, start, found.end() if found else start + 1)


def without_comment(rest: str) -> str:
    """What follows a directive's word, without a comment."""
    match = TRAILING.match(rest)
    return (match[1] if match else rest).strip()


def named(word: str, name: str) -> str:
    """A name. Raises ConfigError where it is none."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"#!{word} needs a name", expected="a letter or _, then letters, digits and _")
    return name

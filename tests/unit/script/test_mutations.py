"""Whatever is done to a script, the reader says what is wrong and never fails itself."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from openserd.script import LINT, ConfigErrors
from tests.unit.script.script_modules import files, script

GOOD = Path(__file__).resolve().parents[3] / "tests/data/scripts/good"
TEXTS = [path.read_text() for path in sorted(GOOD.glob("*.cfg"))]
PIECES = st.sampled_from(
    [
        "",
        "{",
        "}",
        "(",
        ")",
        ";",
        '"',
        "'",
        "/*",
        "*/",
        "#",
        "\n",
        "\\",
        "$",
        "$(",
        "==",
        "=",
        "&&",
        "||",
        "!",
        "if",
        "else",
        "route",
        "route[1] {",
        "switch ($rm) {",
        "case",
        "default:",
        "0x",
        "-",
        "[",
        "]",
        ",",
        ":",
        "null",
        "\0",
        "é",
        "\udc80",
        "return(",
        "exit",
        "loadmodule",
        "modparam(",
        '"\\',
        "99999999999999999999",
        "while (1)",
        "break;",
        "#!define A B\n",
        "\n#!ifdef A\n",
        "\n#!else\n",
        "\n#!endif\n",
        '\n#!subst "/a/b/g"\n',
        '\ninclude_file "x.cfg"\n',
    ]
)


def read(text: str) -> None:
    """Reads a script; errors are as they should be."""
    try:
        script(text, level=LINT, around=files(x="route[9] { exit; } log('x'); #!define A"))
    except ConfigErrors as errors:
        assert errors.errors
        for error in errors.errors:
            assert error.line >= 1
            assert error.column >= 1
            assert str(error)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_scripts_are_read_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.integers(0, 12)))
        text = text[:at] + data.draw(PIECES) + text[end:]
    read(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.sampled_from(['log("x");', "uri==myself", "$rU", "method", " "]), max_size=25))
def test_heaps_of_tokens_are_read_or_refused(pieces: list[str]) -> None:
    read("".join(pieces))
    read("route { " + "".join(pieces) + " }")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    read(text)
    read("route { " + text + " }")


def test_every_beginning_of_a_script_is_read_or_refused() -> None:
    text = TEXTS[0]
    for end in range(0, len(text), 7):
        read(text[:end])


def test_deep_nesting_is_read_or_refused() -> None:
    for depth in (5, 50, 400):
        read("route { if (" + "(" * depth + "1" + ")" * depth + ") exit; }")
        read("route { " + "if (1) { " * depth + "}" * depth + " }")
        read("route { $var(x) = " + "(" * depth + "1" + ")" * depth + "; }")
        read("route { if (" + "!" * depth + "1) exit; }")
        read("route { $var(x) = 1" + " + 1" * depth + "; }")
        read("route { if (1" + " && 1 || 0" * depth + ") exit; }")
        read("route { " + "if (1) ; else " * depth + " ; }")

"""Files, definitions and conditions: what the grammar gets to see of a script, and where it says that things stand."""

import traceback

import pytest

from openserd.core.context import Core
from openserd.core.module import REQUEST
from openserd.core.routes import run
from openserd.script import STRICT, ConfigErrors, Surroundings
from openserd.script.text.source import Source
from tests.unit.script.pv_samples import message
from tests.unit.script.script_modules import ALL_MODULES, calls, entry, files, marks, script


def code(text: str, **definitions: str) -> str:
    """What the grammar sees, without white space around and between its lines."""
    seen = Source(text, "openser.cfg", around=Surroundings(definitions=definitions)).code
    return " ".join(line.strip() for line in seen.splitlines() if line.strip())


def problems(text: str, around: Surroundings | None = None) -> list[str]:
    """What is wrong, as `file:line:column: message`."""
    found = Source(text, "openser.cfg", around=around or Surroundings()).problems
    return [f"{one.file}:{one.line}:{one.column}: {one.message}" for one in found]


# -- definitions ------------------------------------------------------------------------------------------------


def test_a_name_stands_for_its_text_outside_of_strings_and_comments() -> None:
    assert code('#!define A 16\nx(A, "A") AA A_ $A $var(A) # A\n/* A */') == 'x(16, "A") AA A_ $A $var(A)'


def test_a_text_may_be_empty_a_string_or_several_lines_and_has_no_comment() -> None:
    assert code("#!define A\nx A y") == "x   y"
    assert code('#!define A "b # c" # d\nA') == '"b # c"'
    assert code("#!define A x(); \\\n y();\nA") == "x(); y();"


def test_a_text_may_hold_other_names_and_its_own_stays() -> None:
    assert code('#!define A B + "B"\n#!define B A + 1\nA') == 'A + 1 + "B"'


def test_what_is_defined_before_a_line_counts() -> None:
    assert code("A\n#!define A 1\nA\n#!redefine A 2\nA\n#!trydefine A 3\nA\n#!undef A\nA") == "A 1 2 2 A"


def test_the_command_line_wins_without_a_word() -> None:
    text = "#!define A 1\n#!redefine A 2\n#!undef A\nA"
    assert code(text, A="9") == "9"
    assert problems(text, Surroundings(definitions={"A": "9"})) == []


def test_the_same_text_may_be_given_again() -> None:
    assert problems("#!define A 1\n#!define A 1") == []
    assert problems("#!define A 1\n#!define A 2") == ["openser.cfg:2:1: A is defined already"]


def test_subst_works_inside_strings_only() -> None:
    assert code('#!subst "/HOST/10.0.0.1/"\nHOST "HOST HOST" \'HOST\'') == "HOST \"10.0.0.1 HOST\" '10.0.0.1'"
    assert code('#!subst "/HOST/10.0.0.1/g"\n"HOST HOST"') == '"10.0.0.1 10.0.0.1"'
    assert code('#!subst "!h(o)st![\\1]!gi"\n"HOST host"') == '"[O] [o]"'


def test_substdef_works_in_both_and_substdefs_defines_a_string() -> None:
    assert code('#!substdef "!HOST!10.0.0.1!g"\nHOST "HOST"') == '10.0.0.1 "10.0.0.1"'
    assert code('#!substdefs "!HOST!10.0.0.1!g"\nHOST "HOST"') == '"10.0.0.1" "10.0.0.1"'


def test_the_environment_is_defined_by_name() -> None:
    around = Surroundings(environment={"HOME": "/root", "PORT": "5070"})
    text = "#!defenv PORT\n#!defenvs DIR=HOME\nlisten=udp:10.0.0.1:PORT workdir=DIR"
    made = script(text, around=around).params
    assert (made.listen[0].port, made.workdir) == (5070, "/root")
    assert problems("#!defenv NOT_THERE") == ["openser.cfg:1:1: the environment has no NOT_THERE"]


def test_any_other_line_with_that_beginning_is_a_comment() -> None:
    assert code("#!KAMAILIO\n#!/usr/sbin/openserd -f\nx #!define x y\n#! define x y") == "x"
    assert problems("#!OPENSER\n#!all") == []


# -- conditions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("#!ifdef A\nx\n#!endif\ny", "y"),
        ("#!ifndef A\nx\n#!endif\ny", "x y"),
        ("#!define A\n#!ifdef A\nx\n#!else\nz\n#!endif\ny", "x y"),
        ("#!ifdef A\nx\n#!else\nz\n#!endif\ny", "z y"),
        ("#!ifdef A\n#!ifdef B\nx\n#!else\nw\n#!endif\n#!else\nz\n#!endif", "z"),
        ("#!define A\n#!ifdef A\n#!ifdef B\nx\n#!else\nw\n#!endif\n#!else\nz\n#!endif", "w"),
        ("#!ifdef A\n#!define B\n#!endif\n#!ifdef B\nx\n#!endif", ""),
        ("  #!ifdef A\nx\n\t#!endif\ny", "y"),
    ],
)
def test_conditions_choose_what_is_read(text: str, seen: str) -> None:
    assert code(text) == seen


def test_what_is_left_out_need_not_make_sense() -> None:
    assert code("#!ifdef A\nit's \"not /* read\n#!nothing\n#!endif\ny") == "y"
    assert problems("#!ifdef A\nit's \"not /* read\n#!endif") == []


def test_lines_stay_right_after_definitions_conditions_and_replacements() -> None:
    text = (
        '#!define LIMIT \\\n 5000\n#!ifdef X\n"\n#!endif\n#!subst "/a/aaaaaaaa/g"\n'
        'route {\n\tlog("a"); nosuch(LIMIT); no2();\n}\n'
    )
    with pytest.raises(ConfigErrors) as raised:
        script(text)
    assert [(one.line, one.column, one.source) for one in raised.value.errors] == [
        (8, 12, '\tlog("a"); nosuch(LIMIT); no2();'),
        (8, 27, '\tlog("a"); nosuch(LIMIT); no2();'),
    ]


def test_an_error_in_a_text_is_shown_where_its_name_stands() -> None:
    with pytest.raises(ConfigErrors) as raised:
        script('#!define LIMIT nothing\nloadmodule "maxfwd.so"\nroute { mf_process_maxfwd_header(LIMIT); }')
    (error,) = raised.value.errors
    assert (error.line, error.column, error.width) == (3, 34, 5)
    assert error.hint == "LIMIT stands for nothing"


# -- files --------------------------------------------------------------------------------------------------------


def test_an_included_file_stands_where_it_is_named() -> None:
    around = files(head="children=3", blocks='route[1] { mark("b"); }', more='include_file "blocks.cfg" # and its own')
    text = f'include_file "head.cfg"\n{ALL_MODULES}\n#!include_file "more.cfg";\nroute {{ mark("a"); route(1); }}'
    assert script(text, around=around).params.children == 3
    assert marks('\ninclude_file "more.cfg"\nroute { mark("a"); route(1); }', around=around) == ["a", "b"]


def test_a_file_that_is_imported_may_be_missing() -> None:
    assert problems('import_file "nowhere.cfg"') == []
    assert problems('include_file "nowhere.cfg"') == ["openser.cfg:1:14: there is no file nowhere.cfg"]


def test_a_file_that_cannot_be_read_is_told_whoever_names_it() -> None:
    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    around = Surroundings(refuse)
    assert problems('import_file "secret.cfg"', around) == [
        "openser.cfg:1:13: cannot read secret.cfg: Permission denied"
    ]


def test_names_of_files_are_relative_to_the_file_that_includes() -> None:
    asked: list[str] = []

    def read(path: str) -> str:
        asked.append(path)
        return {"/etc/openser/a/b.cfg": 'include_file "c.cfg"\ninclude_file "/d.cfg"'}.get(path, "")

    Source('include_file "a/b.cfg"', "/etc/openser/openser.cfg", around=Surroundings(read))
    assert asked == ["/etc/openser/a/b.cfg", "/etc/openser/a/c.cfg", "/d.cfg"]


def test_a_file_that_includes_itself_is_told_with_the_whole_circle() -> None:
    around = files(a='include_file "b.cfg"', b='debug=3\n  include_file "./a.cfg"')
    (error,) = Source('include_file "a.cfg"', "openser.cfg", around=around).problems
    assert (error.file, error.line, error.column, error.message) == ("b.cfg", 2, 16, "this file includes itself")
    assert error.hint == "openser.cfg -> a.cfg -> b.cfg -> a.cfg"


def test_a_file_may_be_included_twice() -> None:
    assert marks('\nroute {\ninclude_file "a.cfg"\ninclude_file "a.cfg"\n}', around=files(a='mark("x");')) == ["x", "x"]


def test_definitions_reach_into_files_and_out_of_them() -> None:
    around = files(a='#!ifdef IN\n#!define OUT "yes"\n#!endif')
    assert marks('\n#!define IN\ninclude_file "a.cfg"\nroute { mark(OUT); }', around=around) == ["yes"]


def test_conditions_and_comments_end_with_their_file() -> None:
    around = files(a="#!ifdef X", b="/* open", c="#!endif")
    text = 'include_file "a.cfg"\ninclude_file "b.cfg"\n#!ifndef X\ninclude_file "c.cfg"\n#!endif'
    assert problems(text, around) == [
        "a.cfg:1:1: this condition is not closed",
        "b.cfg:1:1: this comment is not closed",
        "c.cfg:1:1: #!endif without #!ifdef",
    ]


def test_errors_name_the_included_file_with_its_own_line_and_column() -> None:
    around = files(a="# a comment\nroute[1] {\n\tnosuch();\n\texit\n}\n")
    with pytest.raises(ConfigErrors) as raised:
        script('debug=3\ninclude_file "a.cfg"\nroute { nosuch(); route(1); }', around=around)
    found = [(one.file, one.line, one.column, one.message) for one in raised.value.errors]
    assert found == [
        ("a.cfg", 3, 2, "unknown function nosuch"),
        ("a.cfg", 4, 6, "missing ; before }"),
        ("openser.cfg", 3, 9, "unknown function nosuch"),
    ]


def test_hints_name_the_file_of_another_place() -> None:
    around = files(a="route[1] { exit; }")
    with pytest.raises(ConfigErrors) as raised:
        script('include_file "a.cfg"\nroute[1] { exit; }', around=around)
    assert raised.value.errors[0].hint == "it is already defined in line 1 of a.cfg"


BLOCKS = """# blocks
route[1] {
	route(2);
}
"""
STATEMENTS = """mark("before");
if (1) {
	crash();
}
"""


def test_tracebacks_name_the_included_file_with_its_own_line() -> None:
    around = files(blocks=BLOCKS, statements=STATEMENTS)
    text = (
        ALL_MODULES
        + '\ninclude_file "blocks.cfg"\nroute {\n\troute(1);\n}\nroute[2] {\n\tinclude_file "statements.cfg"\n}\n'
    )
    made = script(text, around=around)
    with pytest.raises(RuntimeError) as raised:
        run(entry(made, REQUEST), message(), REQUEST)
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert [(frame.filename, frame.lineno, frame.name) for frame in frames if frame.filename.endswith(".cfg")] == [
        ("openser.cfg", 4, "route"),
        ("blocks.cfg", 3, "route_1"),
        ("openser.cfg", 7, "route_2"),
        ("statements.cfg", 3, "statements"),
    ]


@pytest.mark.parametrize(
    ("included", "seen"),
    [
        ('mark("b");', ["a", "b", "c", "true"]),
        ('mark("b"); return(-1);', ["a", "b", "false"]),
        ('if (give("-1")) ; else return(5);', ["a", "true"]),
        ('give("-1");', ["a", "c", "true"]),
        ("exit;", ["a"]),
        ('give("0");', ["a"]),
        ('while (1) { mark("b"); break; }', ["a", "b", "c", "true"]),
        ('switch ($rm) { case "INVITE": mark("b"); break; default: return; }', ["a", "b", "c", "true"]),
        ("", ["a", "c", "true"]),
    ],
)
def test_included_statements_work_as_if_they_were_written_there(included: str, seen: list[str]) -> None:
    text = """
route { if (route(1)) mark("true"); else mark("false"); }
route[1] { mark("a");
include_file "a.cfg"
mark("c"); }"""
    assert marks(text, around=files(a=included)) == seen
    assert marks(text.replace('include_file "a.cfg"', included)) == seen


def test_the_value_of_a_block_may_come_from_included_statements() -> None:
    text = '\nroute { if (route(1)) mark("true"); else mark("false"); }\nroute[1] { mark("a");\ninclude_file "a.cfg"\n}'
    assert marks(text, around=files(a='give("-1");')) == ["a", "false"]
    assert marks(text, around=files(a='give("1");')) == ["a", "true"]


def test_included_statements_may_include_others() -> None:
    around = files(a='mark("1");\ninclude_file "b.cfg"\nmark("3");', b='if (1) {\nmark("2");\n}')
    assert marks('\nroute {\ninclude_file "a.cfg"\nmark("4");\n}', around=around) == ["1", "2", "3", "4"]


def test_the_rest_of_an_open_file_is_not_read_as_part_of_the_file_around() -> None:
    with pytest.raises(ConfigErrors) as raised:
        script('include_file "a.cfg"\nroute[2] { exit; }\nroute { route(2); }', around=files(a="route[1] {\n\texit;\n"))
    assert [(one.file, one.line, one.message) for one in raised.value.errors] == [
        ("a.cfg", 1, "this block is not closed")
    ]


def test_a_script_of_one_file_has_one_piece() -> None:
    assert Source('loadmodule "a.so" # b\n/* c */ route { "d"; }', "openser.cfg").plain


def test_strings_over_several_lines_are_not_taken_for_missing_quotes() -> None:
    with pytest.raises(ConfigErrors) as raised:
        script("route {\n\tlog('one\n\"two\"\n');\n\texit\n}\n", level=STRICT)
    assert [(one.line, one.message) for one in raised.value.errors] == [(5, "missing ; before }")]


def test_the_environment_is_a_variable_too() -> None:
    core = Core()
    core.environment = {"SITE": "vienna"}
    assert calls('route { mark("$env(SITE)"); if ($env(X)==null) mark("no X"); }', core=core) == [
        ("mark", b"vienna"),
        ("mark", b"no X"),
    ]

"""Writes the reference part of docs/: modules, parameters, functions, variables, commands, statistics, command lines.

    python -m scripts.document                  make docs

Everything comes from the declarations that the server works with, from the comments and docstrings beside them and,
where those leave the meaning to the name, from the tables of `tests/data/openser12/`.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import click

from openserd.core.management import commands as mi_commands
from openserd.core.module import FALSE, Every, Fn, Mi, Module, Param, method_name
from openserd.core.params import SETTINGS, Setting, tos_value
from openserd.ctl.__main__ import main as ctl_main
from openserd.ctl.database.__main__ import main as database_main
from openserd.errors import ConfigError
from openserd.script.commands.command import Command
from openserd.script.compiler.functions import STEERING, signature
from openserd.script.variables import address, message, uri
from openserd.script.variables.named import FAMILIES, colour_variable
from openserd.script.variables.transformations import TRANSFORMATIONS
from openserd.script.variables.variable import Definition
from scripts import declarations, openser12, script_language
from scripts.declarations import doc, paragraphs, sentence
from scripts.markdown import NOTHING, Cells, begun, code, page, section, table

DOCS: Final = openser12.ROOT / "docs"

# -- modules ------------------------------------------------------------------------------------------------


def module_page(name: str) -> str:
    """docs/modules/NAME.md."""
    cls = declarations.modules()[name]
    head = sentence(inspect.getmodule(cls).__doc__)
    needs = f"Needs {', '.join(f'[{one}]({one}.md)' for one in cls.requires)}.\n" if cls.requires else ""
    return page(
        f"Module {name}",
        begun(head.removeprefix(f"{name}: ")) + "\n",
        needs,
        section("## Parameters", module_params(cls)),
        section("## Functions", *(function_part(cls, one, declared) for one, declared in cls.functions.items())),
        section("## MI commands", *(mi_part(cls, one, command) for one, command in cls.mi.items())),
        section("## Statistics", statistics_table(name)),
        section("## Pseudo-variables", module_variables(cls)),
        section("## Timers", table(("timer", "every", "what it does"), (
            (code(one), every_text(every), begun(doc(getattr(cls, f"timer_{one}"))))
            for one, every in cls.timers.items()))),
        section("## Processes", table(("process", "what it does"), (
            (code(process.title), begun(doc(getattr(cls, f"process_{one}"))))
            for one, process in cls.processes.items()))),
    )  # fmt: skip


def every_text(every: Every) -> str:
    """How often a timer runs."""
    return f"{code(every.seconds)} s" if isinstance(every.seconds, str) else f"{every.seconds:g} s"


def module_params(cls: type[Module]) -> str:
    """The parameters of a module."""
    return table(("parameter", "type", "default", "takes", "meaning"), (
        (code(name), declarations.param_type(declared), param_default(cls, declared),
         declarations.expectation(declared), param_meaning(cls, name, declared))
        for name, declared in cls.params.items()))  # fmt: skip


def param_default(cls: type[Module], declared: Param) -> str:
    """The default of a parameter as a script would write it."""
    written = declarations.explained(cls)[declared.name].default
    if declared.default in ("", b"", []):
        return "none"
    if isinstance(declared.default, str):
        return code('"' + declared.default.replace("\t", "\\t") + '"')
    return code(octal(written) or str(declared.default))


def octal(written: str) -> str:
    """A literal 0o660 as scripts write it, "" for another."""
    return f"0{written[2:]}" if written.startswith("0o") else ""


def param_meaning(cls: type[Module], name: str, declared: Param) -> str:
    """What a parameter is for; whether nothing happens because of it yet."""
    comment = declarations.explained(cls)[declared.name].comment
    meaning = begun(comment or openser12.meaning("module_params", module=cls.name, param=name))
    known = declared.name in declarations.names_read(cls.name) or comment.startswith("accepted")
    return meaning if known else f"{meaning} Not in effect yet."


def function_part(cls: type[Module], name: str, declared: Fn) -> str:
    """A script function: how it is called, where, with what, what comes back."""
    malformed = ""
    if declared.on_error != FALSE:
        malformed = f"A message that cannot be read: {declared.on_error}.\n"
    return section(f"### {code(signature(name, declared))}", callable_in(declared.routes), arguments_table(declared),
                   prose(getattr(cls, name).__doc__), malformed)  # fmt: skip


def callable_in(routes: int) -> str:
    """The kinds of route that a function may be called in."""
    return f"In {', '.join(map(code, declarations.route_words(routes)))}.\n"


def arguments_table(declared: Fn | Mi) -> str:
    """The arguments of a function."""
    return table(("argument", "takes"), (
        (code(argument.name), declarations.argument_text(argument) + (" (optional)" if argument.optional else ""))
        for argument in declared.args))  # fmt: skip


def prose(docstring: str | None) -> str:
    """A docstring as paragraphs."""
    return "\n\n".join(begun(part) for part in paragraphs(docstring)) + "\n"


def mi_part(cls: type[Module], name: str, command: Mi) -> str:
    """A management command of a module."""
    return section(f"### {code(usage(name, command))}", prose(getattr(cls, f"mi_{name}").__doc__))


def usage(name: str, command: Mi) -> str:
    """A management command with its arguments."""
    words = [f"[{one.name}]" if one.optional else one.name for one in command.args]
    return " ".join([name, *words, *(["..."] if command.rest else [])])


def module_variables(cls: type[Module]) -> str:
    """The pseudo-variables of a module."""
    return table(("variable", "writable", "meaning"), (
        (code(f"${name}(name)" if declared.inner else f"${name}"), "yes" if declared.writable else "",
         begun(own_doc(name, getattr(cls, f"pv_{method_name(name)}")) or variable_meaning(name)))
        for name, declared in cls.pvars.items()))  # fmt: skip


# -- statistics ---------------------------------------------------------------------------------------------


def statistics_table(group: str) -> str:
    """The statistics of a group: whether they can be reset, what they count."""
    found = {tabular(full.partition(":")[2]): one for full, one in declarations.registered().statistics.items()
             if one.group == group}  # fmt: skip
    rows = [(code(name), "" if one.resettable else "no", begun(statistic_meaning(group, name)))
            for name, one in sorted(found.items(), key=lambda item: item[0].lower())]  # fmt: skip
    return table(("statistic", "can be reset", "meaning"), rows)


def tabular(name: str) -> str:
    """The name of a statistic that each location table has, with TABLE for the table's name."""
    return name.replace(f"{declarations.TABLE}-", "TABLE-")


def statistic_meaning(group: str, name: str) -> str:
    """What a statistic counts: the comment at its declaration, or the reference's word."""
    cls = declarations.modules().get(group)
    declared = cls.stats.get(name) if cls else None
    comment = declarations.explained(cls)[declared.attribute].comment if cls and declared else ""
    return comment or openser12.meaning("statistics", group=group, name=name)


def statistics_page() -> str:
    """docs/statistics.md."""
    groups = dict.fromkeys(one.group for one in declarations.registered().statistics.values())
    order = sorted(groups, key=lambda group: (group not in ("core", "shmem"), group))
    return page("Statistics", "All processes count together. The MI commands `get_statistics` and `reset_statistics` "
                "take `all`, `group:`, `group:name` or a name.\n",
                *(section(f"## {group}", statistics_table(group)) for group in order))  # fmt: skip


# -- global parameters --------------------------------------------------------------------------------------

TRUTH: Final = "yes or no"


def core_params_page() -> str:
    """docs/core-parameters.md."""
    headings = declarations.sections()
    parts = []
    for heading in dict.fromkeys(headings[name] for name in SETTINGS):
        parts.append(section(f"## {heading[:1].upper()}{heading[1:]}", table(
            ("parameter", "takes", "default", "meaning"),
            (setting_row(one) for name, one in SETTINGS.items() if headings[name] == heading))))  # fmt: skip
    return page(
        "Global parameters",
        "`name = value` outside of the route blocks. Text stands in double quotes, a single word may stand without; "
        "numbers may be decimal, hexadecimal (`0x10`) or octal (`010`). A parameter *not in effect yet* is read and "
        "checked, and the server says so when it starts.\n",
        *parts,
        section("## Statements", table(("statement", "meaning"), (
            ('`loadmodule "name.so"`', "Loads a module. A path in front of the name is not needed."),
            ('`modparam("module", "parameter", value)`',
             "Sets a parameter of every loaded module whose whole name matches the regular expression."),
            ("`dst_blacklist = name : { [!](proto, network, port, \"pattern\"), ... }`",
             "A named list of destinations, for `use_blacklist`."),
            ("`tls_server_domain[address:port] { ... }`, `tls_client_domain[...] { ... }`",
             "TLS settings for one address or name. Not in effect yet."),
        ))),
    )  # fmt: skip


def setting_row(one: Setting) -> Cells:
    """A global parameter."""
    names = ", ".join(map(code, (one.name, *one.aliases)))
    later = "" if declarations.is_in_effect(one.name) else " Not in effect yet."
    return names, takes(one), setting_default(one), begun(one.meaning) + later


def takes(one: Setting) -> str:
    """What a global parameter takes, in the words of its own error message."""
    wanted = wanted_by(one.read)
    wanted = wanted.partition(" (or")[0] if wanted.startswith(TRUTH) else wanted
    return f"{wanted}; several" if one.many else wanted


def wanted_by(read: Callable[[Any], Any]) -> str:
    """What a reader of values expects, by what it says of values that are unlikely to pass."""
    for value in (-(10**9), "\0 \0", 10**9):
        try:
            read(value)
        except ConfigError as error:
            if error.expected:
                return error.expected.removesuffix(" without quotes")
    return "text or a number"


def setting_default(one: Setting) -> str:
    """The default of a global parameter."""
    if one.default in ("", []) or (one.default == 0 and isinstance(one.default, int) and wants_port(one)):
        return "none"
    if isinstance(one.default, bool):
        return "yes" if one.default else "no"
    if isinstance(one.default, str):
        return code(one.default)
    if one.name == "sock_mode":
        return code(f"0{one.default:o}")
    return code(f"{one.default:#x}" if one.read is tos_value else str(one.default))


def wants_port(one: Setting) -> bool:
    """Whether 0 is no value of a parameter at all."""
    return "port" in wanted_by(one.read) or "1 to 65535" in wanted_by(one.read)


# -- functions of the core ----------------------------------------------------------------------------------

STATEMENTS: Final = (
    ("`if (condition) statement`, `if (condition) statement else statement`", "Braces for more than one statement."),
    ("`switch ($variable) { case value: ... break; default: ... }`",
     "Values are texts, compared without regard to case, or numbers. Without `break` (or `esac`) the statements of "
     "the next case follow."),
    ("`while (condition) statement`", "Repeats the statement as long as the condition is true, `max_while_loops` times "
     "at most; OpenSER 1.2 has none."),
    ("`break`", "Leaves the innermost `switch` or `while`; `esac` is the same."),
    ("`$variable = expression`", "Writes a variable: `$ru`, `$rU`, `$rd`, `$du`, `$avp(...)`, `$var(...)`; `null` "
     "removes. `+` adds numbers or joins texts; `- * / % & | ^ ~` work on numbers. A function or a comparison yields "
     "its result. `+=` and its kin compute with the value that is there."),
    ("`route(name)`", "Runs another route block; its value is what the block returned."),
    ("`return`, `return(number)`", "Leaves the route block, by default with 1; 0 ends the script."),
    ("`exit`", "Ends the script."),
    ("`drop`", "Ends the script; in `branch_route` the branch is not sent, in `onreply_route` a provisional reply "
     "goes no further."),
)  # fmt: skip
CONDITIONS: Final = (
    ("`method`, `uri`, `from_uri`, `to_uri`, `status`", "`== != =~ !~`",
     "text; `status` in `onreply_route`; `uri == myself` for this server's names"),
    ("`src_ip`, `dst_ip`", "`== != =~ !~`", "an address, a network, a host name, `myself`"),
    ("`src_port`, `dst_port`, `proto`, `af`, `msg:len`", "`== != < > <= >=`",
     "a number; `udp` `tcp` `tls`; `inet` `inet6`; `max_len`"),
    ("`$variable`", "`== != =~ !~ < > <= >=`", "a text, a number, a variable, `null`"),
    ("`$variable`, `function()`, number, `[ expression ]`", "", "true when above 0, or a text that is not empty"),
    ("`!`, `not`, `&&`, `and`, `||`, `or`, `( )`", "",
     "`&&` and `||` bind equally, from left to right; `!` takes the next condition only"),
)  # fmt: skip


def core_functions_page() -> str:
    """docs/core-functions.md."""
    assert {"route", "return", "exit", "drop", "break", "esac"} == set(STEERING)
    return page(
        "Statements and functions of the core",
        "Functions return a number: above 0 is true, below 0 false, 0 ends the script.\n",
        section("## Statements", table(("statement", "meaning"), STATEMENTS)),
        section("## Conditions", table(("operand", "operators", "compared with"), CONDITIONS)),
        section("## Functions", *(core_function_part(one) for one in declarations.core_functions().values())),
    )


def core_function_part(command: Command) -> str:
    """A function of the core."""
    forms = command.forms or (command.fn,)
    calls = ", ".join(code(signature(command.name, form)) for form in forms)
    aliases = f"Also {', '.join(map(code, command.aliases))}.\n" if command.aliases else ""
    said = declarations.command_doc(command).partition(": ")[2]
    codes = re.search(r"(?:^|(?<=\. ))-?\d.*", said)
    meaning = openser12.meaning("core_functions", name=command.name) or said[: codes.start() if codes else None]
    returns = f"Returns {begun(codes[0])}\n" if codes and not command.unavailable else ""
    routes = "" if len(declarations.route_words(command.fn.routes)) == 5 else callable_in(command.fn.routes)
    lacking = f"**{begun(command.unavailable)}**\n" if command.unavailable else ""
    takes_ = dict.fromkeys((code(argument.name), declarations.argument_text(argument))
                           for form in forms for argument in form.args)  # fmt: skip
    return section(f"### {calls}", aliases, routes, lacking, begun(meaning) + "\n",
                   table(("argument", "takes"), takes_), returns)  # fmt: skip


# -- pseudo-variables ---------------------------------------------------------------------------------------

DRAWERS: Final[dict[str, Mapping[str, Definition]]] = {
    "Request URI and destination set": uri.VARIABLES,
    "Addresses and credentials": address.VARIABLES,
    "Message": message.VARIABLES,
}


def variables_page() -> str:
    """docs/pseudo-variables.md."""
    return page(
        "Pseudo-variables",
        "`$name` or `$(name)`; in parentheses with transformations, `$(ru{uri.user}{s.len})`. A variable that is "
        "absent prints as `<null>` and equals `null`. `$$` is a dollar sign.\n",
        *(section(f"## {title}", table(("variable", "writable", "meaning"), (
            (", ".join(code(f"${one}") for one in (name, *definition.aliases)), writable(definition),
             begun(own_doc(name, definition.get) or variable_meaning(name)))
            for name, definition in drawer.items()))) for title, drawer in DRAWERS.items()),
        section("## With a name", families()),
        section("## Of modules", table(("variable", "module", "meaning"), (
            (code(f"${name}"), f"[{module}](modules/{module}.md)",
             begun(own_doc(name, getattr(cls, f"pv_{method_name(name)}")) or variable_meaning(name)))
            for module, cls in declarations.modules().items() for name in cls.pvars))),
        section("## Transformations", "Names ignore case, arguments may be variables. An absent value stays absent.\n",
                table(("transformation", "meaning"), (
                    (code(transformation_fact(name)["name"]), begun(transformation_meaning(name)))
                    for name in TRANSFORMATIONS))),
    )  # fmt: skip


def writable(definition: Definition) -> str:
    """Whether a script may assign to a variable."""
    can = definition.set is not None if definition.writable is None else definition.writable
    return "yes" if can else ""


def own_doc(name: str, getter: object) -> str:
    """What the function behind a variable says of it, where it names it; "" otherwise."""
    text_ = doc(getter)
    named, colon, rest = text_.partition(": ")
    if colon and f"${name}" in re.findall(r"\$[\w.]+", named):
        return rest
    return "" if named.startswith("$") or getattr(getter, "__name__", "") == "<lambda>" else text_ if not colon else ""


def variable_meaning(name: str) -> str:
    """The reference's word for a variable; of a transport it also says what holds for ports."""
    meaning = openser12.meaning("pseudo_variables", name=f"${name}")
    return meaning.replace("UDP when not written, 5060 when not written", "UDP when not written")


def families() -> str:
    """Variables that are written with a name, and colours."""
    names: dict[Any, list[str]] = {}
    for name, family in FAMILIES.items():
        names.setdefault(family, []).append(name)
    rows = [(", ".join(code(f"${name}(...)") for name in listed), begun(doc(family).partition(": ")[2]))
            for family, listed in names.items()]  # fmt: skip
    return table(("variable", "meaning"), [*rows, (code("$Cxy"), begun(doc(colour_variable).partition(": ")[2]))])


def transformation_fact(name: str) -> openser12.Facts:
    """The reference's row for a transformation; one that is ours alone stands for itself."""
    rows = (row for row in openser12.read("pseudo_variables") if row["kind"] == "transformation")
    found = (row for row in rows if row["name"].strip("{}").partition(",")[0] == name)
    return next(found, {"name": f"{{{','.join((name, *TRANSFORMATIONS[name].kinds))}}}", "meaning": ""})


def transformation_meaning(name: str) -> str:
    """What a transformation yields."""
    said = doc(TRANSFORMATIONS[name].apply)
    if said.startswith(f"{{{name}"):
        return said.partition(": ")[2]
    meaning = transformation_fact(name)["meaning"].partition("; evaluated")[0]
    return re.sub(r"^(\w+) parameter$", r"The value of the parameter `\1`", meaning)


# -- management and command lines ---------------------------------------------------------------------------


def mi_page() -> str:
    """docs/mi-commands.md."""
    commands = declarations.registered().commands
    core = [(code(f"{name} word ..." if command.most is None else name), begun(core_mi_doc(name)))
            for name, command in commands.items() if command.module == "core"]  # fmt: skip
    parts = [section("## core", table(("command", "answer"), core))]
    for module, cls in declarations.modules().items():
        parts.append(section(f"## {module}", table(("command", "answer"), (
            (code(usage(name, command)), begun(doc(getattr(cls, f"mi_{name}"))))
            for name, command in sorted(cls.mi.items())))))  # fmt: skip
    return page("MI commands", "Sent by `openserctl fifo COMMAND ARGUMENT ...`, or through the FIFO of module "
                "[mi_fifo](modules/mi_fifo.md). A wrong number of arguments is answered with 400.\n",
                *parts)  # fmt: skip


def core_mi_doc(name: str) -> str:
    """What a command of the core answers."""
    return doc(getattr(mi_commands, name, None)) or openser12.meaning("mi_commands", command=name)


def command_line_page() -> str:
    """docs/command-line.md."""
    return page(
        "Command lines",
        section("## openserd", options_table(declarations.server_options())),
        section("## openserctl", options_table(declarations.options_of(ctl_main)),
                table(("command", "meaning"), (
                    (code(control_usage(name, command)), begun(sentence(command.help)))
                    for name, command in declarations.control_commands().items()))),
        section("## openserdbctl", "Also installed as `openser_mysql.sh`, `openser_postgresql.sh` and "
                "`openser_dbtext.sh`, the names of OpenSER's scripts. See [databases](databases.md).\n",
                options_table(declarations.options_of(database_main)),
                table(("command", "meaning"), (
                    (code(control_usage(name, command)), begun(sentence(command.help)))
                    for name, command in declarations.database_commands().items() if not command.hidden))),
    )  # fmt: skip


def options_table(options: Mapping[str, click.Option]) -> str:
    """The options of a command line."""
    rows = {option: ", ".join(code(name) for name in option.opts) for option in options.values()}
    return table(("option", "value", "meaning"), (
        (names, code(option_value(option)), begun(option_help(option))) for option, names in rows.items()))  # fmt: skip


def option_value(option: click.Option) -> str:
    """The value that an option takes, "" for none."""
    if option.is_flag or option.count or (option.flag_value is not None and option.is_bool_flag):
        return ""
    return option.metavar or option.human_readable_name


def option_help(option: click.Option) -> str:
    """What an option means, with its default where it shows one."""
    shown = f" Default: `{option.default}`." if option.show_default else ""
    return begun(" ".join((option.help or "").split())) + shown


def control_usage(name: str, command: click.Command) -> str:
    """A command of the control tool with its arguments and options."""
    words = [name]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            word = parameter.human_readable_name.upper() + (" ..." if parameter.nargs == -1 else "")
            words.append(word if parameter.required else f"[{word}]")
        else:
            words.append(f"[{parameter.opts[0]}]")
    return " ".join(words)


# -- the index ----------------------------------------------------------------------------------------------

PAGES: Final[dict[str, Callable[[], str]]] = {
    "core-parameters.md": core_params_page,
    "script-language.md": script_language.page_text,
    "core-functions.md": core_functions_page,
    "pseudo-variables.md": variables_page,
    "mi-commands.md": mi_page,
    "statistics.md": statistics_page,
    "command-line.md": command_line_page,
}


def index_page(others: Iterable[Path]) -> str:
    """docs/README.md: `others` are the pages written by hand."""
    written = [(f"[{path.name}]({path.name})", title_of(path.read_text("utf-8"))) for path in sorted(others)]
    generated = [(f"[{name}]({name})", title_of(make())) for name, make in PAGES.items()]
    listed = [(f"[{name}](modules/{name}.md)", module_title(name)) for name in declarations.modules()]
    return page(
        "Documentation",
        section("## To read", table(("page", "about"), written)),
        section("## To look up", "Written from the declarations in the source.\n", table(("page", "about"), generated)),
        section("## Modules", table(("module", "for"), listed)),
        "[COVERAGE.md](../COVERAGE.md) says which part of OpenSER 1.2 is there.\n",
    )


def title_of(text_: str) -> str:
    """The first heading of a page."""
    match = re.search(r"^# (.*)$", text_, re.MULTILINE)
    return match[1] if match else NOTHING


def module_title(name: str) -> str:
    """What a module is for, in a line."""
    head = sentence(inspect.getmodule(declarations.modules()[name]).__doc__)
    return begun(head.removeprefix(f"{name}: "))


def documents(folder: Path = DOCS) -> dict[str, str]:
    """Every generated page by its path below docs/."""
    pages = {name: make() for name, make in PAGES.items()}
    pages |= {f"modules/{name}.md": module_page(name) for name in declarations.modules()}
    others = [path for path in folder.glob("*.md") if path.name not in (*PAGES, "README.md")]
    return {"README.md": index_page(others), **pages}


def write(folder: Path = DOCS) -> None:
    """Writes all pages and removes those of modules that are gone."""
    (folder / "modules").mkdir(parents=True, exist_ok=True)
    pages = documents(folder)
    for path in (folder / "modules").glob("*.md"):
        if f"modules/{path.name}" not in pages:
            path.unlink()
    for name, text_ in pages.items():
        (folder / name).write_text(text_, encoding="utf-8")


if __name__ == "__main__":
    write()

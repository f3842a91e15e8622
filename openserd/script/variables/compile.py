"""Pseudo-variables: text such as `$ru` or `$(hdr(Via)[1]{s.len})` becomes an object that reads and writes it.

The core's variables are tables in the files beside this one: `uri` (request URI and destination set), `address`
(From, To, identities, credentials), `message` (everything else without a name in parentheses), `named` ($avp, $hdr,
$var and colours).  Modules add theirs with the `pvars` they declare.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from openserd.core.arguments import Value
from openserd.core.module import Module, Pv, method_name
from openserd.errors import ConfigError, SipError
from openserd.script.variables import address, message, uri
from openserd.script.variables.named import FAMILIES, colour_variable, encoded, is_colour
from openserd.script.variables.syntax import (
    VARIABLE_PATTERN,
    Spelling,
    malformed,
    match_variable,
    spelling_at,
)
from openserd.script.variables.transformations import compile_transformations
from openserd.script.variables.variable import Definition, Env, Getter, Setter, Variable

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

__all__ = ["VARIABLE_PATTERN", "Env", "Variable", "compile_variable", "known_names", "match_variable", "read_variable"]


def with_aliases(table: Mapping[str, Definition]) -> dict[str, Definition]:
    """A table with every alias as a name of its own."""
    return {name: definition for first, definition in table.items() for name in (first, *definition.aliases)}


CORE: Final[dict[str, Definition]] = {
    **with_aliases(address.VARIABLES),
    **with_aliases(message.VARIABLES),
    **with_aliases(uri.VARIABLES),
}
#: Which module a variable belongs to that is unknown because its module is not loaded.
OWNERS: Final = {"T_": "tm", "DLG_": "dialog", "tls_": "tlsops"}

DOLLAR: Final = Variable("$$", lambda msg: b"$")


def compile_variable(text: str, env: Env, *, colours: bool = True) -> Variable:
    """The variable that `text` is. Raises ConfigError where it is none, or one that does not exist.

    `colours` is False where the caller's text goes elsewhere than to a terminal or log: $Cxy is refused.
    """
    word = text.strip()
    if not word.startswith("$"):
        raise ConfigError(f"'{word}' is no pseudo-variable", expected="a pseudo-variable such as $ru or $avp(s:name)")
    variable, end = read_variable(word, 0, env, colours=colours)
    if end < len(word):
        raise unknown(word[1:], env) if word[1:2].isalpha() else malformed(word, 0)
    return variable


def read_variable(text: str, pos: int, env: Env, *, colours: bool = True) -> tuple[Variable, int]:
    """The variable that begins at the `$` at `pos`, and where it ends. Raises ConfigError."""
    if text.startswith("$$", pos):
        return DOLLAR, pos + 2
    found = spelling_at(text, pos, lambda name: is_known(name, env), lambda name: takes_inner(name, env))
    if not is_known(found.name, env) and is_colour(found.name[:3]):
        found = found._replace(name=found.name[:3], end=pos + 4)
    shown = text[pos : found.end]
    base = variable_of(found, shown, env, colours)
    if not found.steps:
        return base, found.end
    get = compile_transformations(found.steps, base, lambda inner: compile_variable(inner, env))
    return Variable(shown, get), found.end


def variable_of(found: Spelling, shown: str, env: Env, colours: bool) -> Variable:
    """The variable as spelled, without transformations. Raises ConfigError."""
    name = found.name
    if found.nth is not None and name in CORE:
        raise ConfigError(f"{shown} takes no index", hint="$avp and $hdr do")
    if found.inner is not None and name in CORE:
        raise ConfigError(f"{shown} takes no name in parentheses", expected=f"${name}")
    if name in CORE:
        definition = CORE[name]
        return Variable(shown, definition.get, definition.set, definition.printed, writable=definition.writable)
    if name in FAMILIES:
        if found.inner is None:
            raise ConfigError(f"${name} needs a name", expected=f"${name}(name)")
        return FAMILIES[name](shown, found.inner, found.nth, env)
    module = owner(name, env)
    if module is not None:
        return module_variable(found, shown, module)
    if is_colour(name):
        if not colours:
            raise ConfigError(f"{shown} is a colour, which has no meaning here")
        return colour_variable(name)
    raise unknown(name, env)


def module_variable(found: Spelling, shown: str, module: Module) -> Variable:
    """A variable that a module declares. Raises ConfigError where it is written wrongly."""
    declared = module.pvars[found.name]
    if found.nth is not None:
        raise ConfigError(f"{shown} takes no index", hint="$avp and $hdr do")
    if declared.inner and not found.inner:
        raise ConfigError(f"${found.name} needs a name", expected=f"${found.name}(name)")
    if not declared.inner and found.inner is not None:
        raise ConfigError(f"{shown} takes no name in parentheses", expected=f"${found.name}")
    method = method_name(found.name)
    inner = () if found.inner is None else (encoded(found.inner),)
    return Variable(
        shown, module_getter(getattr(module, f"pv_{method}"), inner), module_setter(module, method, inner, declared)
    )


def module_getter(method: Any, inner: tuple[bytes, ...]) -> Getter:
    """`method` as a getter; a message that it cannot read leaves the variable absent."""

    def get(msg: "SipMsg") -> Value:
        try:
            value: Value = method(msg, *inner)
        except SipError as error:
            msg.error = error
            return None
        return value

    return get


def module_setter(module: Module, method: str, inner: tuple[bytes, ...], declared: Pv) -> Setter | None:
    """`set_pv_NAME(msg[, inner], value)` of a writable variable as a setter."""
    if not declared.writable:
        return None
    put = getattr(module, f"set_pv_{method}")

    def set_value(msg: "SipMsg", value: Value) -> None:
        put(msg, *inner, value)

    return set_value


# -- names --------------------------------------------------------------------------------------------------


def modules_of(env: Env) -> Iterable[Module]:
    """The loaded modules."""
    modules: Any = env.modules
    return modules.values() if isinstance(modules, Mapping) else modules


def owner(name: str, env: Env) -> Module | None:
    """The loaded module that declares a variable."""
    return next((module for module in modules_of(env) if name in module.pvars), None)


def is_known(name: str, env: Env) -> bool:
    """Whether a variable of this name exists; colours are recognised elsewhere, being names without an
    end."""
    return name in CORE or name in FAMILIES or owner(name, env) is not None


def takes_inner(name: str, env: Env) -> bool:
    """Whether a parenthesis behind the name belongs to it."""
    module = owner(name, env) if name not in FAMILIES else None
    return name in FAMILIES or (module is not None and module.pvars[name].inner)


def known_names(env: Env) -> list[str]:
    """Every name that can follow a `$` here, without colours."""
    return sorted({*CORE, *FAMILIES, *(name for module in modules_of(env) for name in module.pvars)})


def unknown(name: str, env: Env) -> ConfigError:
    """The error for a name that does not exist, with the nearest that does."""
    for prefix, module in OWNERS.items():
        if name.startswith(prefix) and not any(loaded.name == module for loaded in modules_of(env)):
            return ConfigError(
                f"unknown pseudo-variable '${name}'", hint=f"it comes with module {module}, which is not loaded"
            )
    return ConfigError(f"unknown pseudo-variable '${name}'", hint=nearest(name, env))


def nearest(name: str, env: Env) -> str:
    """One sentence with the nearest name that exists, or with a way to have one of one's own."""
    names = known_names(env)
    same = [known for known in names if known.lower() == name.lower()]
    begun = [known for known in names if name.startswith(known)]
    near = same or get_close_matches(name, names, 1, 0.6) or begun[-1:]
    return f"is ${near[0]} meant?" if near else f"variables of the script are written $var({name})"

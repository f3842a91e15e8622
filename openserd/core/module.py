"""The vocabulary in which a module declares its surface, and the check that keeps the declaration honest.

A module is one class.  Its body, before the first method, is its manual page: parameters, statistics, script
functions, MI commands, pseudo-variables, timers and hooks.  Each name binds a method:

    functions = {"save": Fn(...)}             -> save(self, msg, ...)
    mi        = {"ul_dump": Mi(...)}          -> mi_ul_dump(self, ...)
    pvars     = {"T_reply_code": Pv()}        -> pv_T_reply_code(self, msg)
    timers    = {"expire": Every(60)}         -> timer_expire(self)
    hooks     = ("ack_in",)                   -> on_ack_in(self, msg)
    processes = {"fifo": Process("MI FIFO")}  -> process_fifo(self)
    stat("registered_users", computed=True)   -> stat_registered_users(self)

Creating the class compares the two lists both ways and counts arguments, so that the top of the file cannot say one
thing and the methods another.  (OpenSER: `struct module_exports` in sr_module.h.)
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from openserd.core.arguments import (
    Arg,
    Choice,
    Context,
    Dynamic,
    DynamicValue,
    Fixup,
    Int,
    PvInt,
    PvName,
    PvStr,
    Regex,
    RouteRef,
    Str,
    Uri,
    Value,
)
from openserd.core.management.statistics import Statistic
from openserd.errors import ConfigError, SipError

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg

__all__ = [
    "ANY_ROUTE", "BRANCH", "ERROR", "FAILURE", "FALSE", "OK", "ONREPLY", "REQUEST", "ROUTE_NAMES", "STOP",
    "Arg", "Choice", "Context", "Dynamic", "DynamicValue", "Every", "Fixup", "Fn", "Int", "Mi", "Module", "Process",
    "Pv", "PvInt", "PvName", "PvStr", "Regex", "RouteRef", "Str", "Uri", "Value",
    "between", "not_negative", "param", "positive", "stat",
]  # fmt: skip

REQUEST: Final = 1
FAILURE: Final = 2
ONREPLY: Final = 4
BRANCH: Final = 8
ERROR: Final = 16
ANY_ROUTE: Final = REQUEST | FAILURE | ONREPLY | BRANCH | ERROR
ROUTE_NAMES: Final = {
    REQUEST: "route",
    FAILURE: "failure_route",
    ONREPLY: "onreply_route",
    BRANCH: "branch_route",
    ERROR: "error_route",
}

OK: Final = 1
FALSE: Final = -1
STOP: Final = 0

EITHER: Final = int | str


class Param:
    """One modparam: its default, the check it must pass and, once the class exists, its name and type.

    `kind` is int, str, bytes, list (a parameter that may be given several times, each a str) or `int | str`
    (one that OpenSER exports as a number and as text: a user's id or name).
    """

    def __init__(self, default: object, check: Callable[[Any], str | None] | None, names: tuple[str, ...]) -> None:
        self.default = default
        self.check = check
        self.name = ""
        self.attribute = ""
        self.names = names
        self.kind: Any = type(default)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.attribute = name
        self.names = self.names or (name,)

    def convert(self, value: int | str) -> object:
        """`value` as the module will see it. Raises ConfigError."""
        if self.kind is int and not isinstance(value, int):
            raise ConfigError(f"{self.name} takes a number", expected="a number without quotes")
        if self.kind not in (int, EITHER) and isinstance(value, int):
            raise ConfigError(f"{self.name} takes text", expected="text in double quotes")
        problem = self.check(value) if self.check else None
        if problem:
            raise ConfigError(f"{self.name} cannot be {value!r}", expected=problem)
        return value.encode() if self.kind is bytes and isinstance(value, str) else value


def param(default: object, check: Callable[[Any], str | None] | None = None, *, names: tuple[str, ...] = ()) -> Any:
    """Declares a modparam; the annotation gives its type, `names` where the script's name is no Python name."""
    return Param(default, check, names)


def between(low: int, high: int) -> Callable[[int], str | None]:
    """A check: the number lies in low..high."""
    return lambda value: None if low <= value <= high else f"a number from {low} to {high}"


def positive(value: int) -> str | None:
    """A check: the number is above zero."""
    return None if value > 0 else "a number above 0"


def not_negative(value: int) -> str | None:
    """A check: the number is not below zero."""
    return None if value >= 0 else "0 or a number above it"


class Stat:
    """One statistic: its exported name, whether it is computed when read and whether it can be reset."""

    def __init__(self, name: str, computed: bool, resettable: bool) -> None:
        self.name = name
        self.computed = computed
        self.resettable = resettable
        self.attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name


def stat(name: str, *, computed: bool = False, resettable: bool = True) -> Any:
    """Declares a statistic shared by all processes; on the bound module it is a `Statistic` with bump() and value()."""
    return Stat(name, computed, resettable and not computed)


class Fn:
    """One script function: its arguments, the route kinds it may be called from, its code for a malformed message.

    `counts` says how many arguments a call may have where not every number of the optional ones is possible.
    """

    def __init__(self, *args: Arg, routes: int, on_error: int = FALSE, counts: tuple[int, ...] = ()) -> None:
        self.args = args
        self.routes = routes
        self.on_error = on_error
        self.counts = counts

    @property
    def arities(self) -> Sequence[int]:
        """How many arguments a call may have."""
        return self.counts or range(sum(not arg.optional for arg in self.args), len(self.args) + 1)


class Mi:
    """One MI command: its arguments. `rest` says that any number may follow; `no_input` that none are read; `later`
    that it gets a ticket before its arguments and may answer later (`core/mi.py`)."""

    def __init__(self, *args: Arg, rest: bool = False, later: bool = False) -> None:
        self.args = args
        self.rest = rest
        self.later = later

    @property
    def no_input(self) -> bool:
        """Whether the command is run without reading arguments."""
        return not self.args and not self.rest


class Pv:
    """One pseudo-variable; `inner` says that it is written with a name in parentheses, `writable` that it has a setter
    `set_pv_NAME(self, msg, value)`."""

    def __init__(self, *, inner: bool = False, writable: bool = False) -> None:
        self.inner = inner
        self.writable = writable


class Every:
    """Periodic work in the timer process: each `seconds`, a number or the name of a parameter."""

    def __init__(self, seconds: float | str) -> None:
        self.seconds = seconds


class Process:
    """A process of the module's own, forked and supervised by the master: `title` names it in `ps`.

    Its method runs until SIGTERM, which arrives as SystemExit; returning or raising counts as a death.
    """

    def __init__(self, title: str) -> None:
        self.title = title


HOOKS: Final = {
    "ack_in": 2,  #: (self, msg) -> bool; False swallows the ACK before the script sees it
    "request_out": 2,  #: (self, msg) -> None; after the request route has run
    "reply_in": 2,  #: (self, msg) -> bool; True takes the reply: the core does not forward it
}


class Module:
    """Base of what `loadmodule` names. `requires` lists published objects of other modules, by their name."""

    name: ClassVar[str] = ""
    requires: ClassVar[tuple[str, ...]] = ()
    functions: ClassVar[Mapping[str, Fn]] = {}
    mi: ClassVar[Mapping[str, Mi]] = {}
    pvars: ClassVar[Mapping[str, Pv]] = {}
    timers: ClassVar[Mapping[str, Every]] = {}
    hooks: ClassVar[tuple[str, ...]] = ()
    processes: ClassVar[Mapping[str, Process]] = {}
    params: ClassVar[Mapping[str, Param]] = {}
    stats: ClassVar[Mapping[str, Stat]] = {}
    late_statistics: ClassVar[bool] = False  #: whether `on_init` registers statistics that are not declared here
    core: "Core"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        hints = inspect.get_annotations(cls)
        params: dict[str, Param] = {}
        for attribute, declared in vars(cls).items():
            if isinstance(declared, Param):
                declared.kind = list if str(hints.get(attribute, "")).startswith("list") else hints[attribute]
                params |= dict.fromkeys(declared.names, declared)
        cls.params = {**cls.params, **params}
        stats = {declared.name: declared for declared in vars(cls).values() if isinstance(declared, Stat)}
        cls.stats = {**cls.stats, **stats}
        check_surface(cls)
        # The values are the instance's: what the class has by the same name would make each reading slow.
        for attribute in {*(one.attribute for one in params.values()), *(one.attribute for one in stats.values())}:
            delattr(cls, attribute)

    def __init__(self, **values: int | str) -> None:
        for declared in self.params.values():
            setattr(
                self, declared.name, list(declared.default) if isinstance(declared.default, list) else declared.default
            )
        for declared_stat in self.stats.values():
            compute = getattr(self, f"stat_{declared_stat.attribute}") if declared_stat.computed else None
            setattr(
                self,
                declared_stat.attribute,
                Statistic(self.name, declared_stat.name, resettable=declared_stat.resettable, compute=compute),
            )
        for name, value in values.items():
            self.set_param(name, value)

    def set_param(self, name: str, value: int | str) -> None:
        """What `modparam` does. Raises ConfigError for an unknown name or a value that does not fit."""
        declared = self.params.get(name)
        if declared is None:
            raise ConfigError(f"module {self.name} has no parameter '{name}'")
        converted = declared.convert(value)
        if declared.kind is list:
            getattr(self, declared.name).append(converted)
        else:
            setattr(self, declared.name, converted)

    def on_init(self, core: "Core") -> None:
        """In the master, before the fork: shared tables, published objects of others."""

    def on_ready(self, core: "Core") -> None:
        """In the master, once every module is initialised: what all of them have registered is there."""

    def on_child(self, rank: int) -> None:
        """In each process, after the fork: connections, random seeds."""

    def on_exit(self) -> None:
        """In the master, at shutdown."""

    def statistics(self) -> list[Stat]:
        """The statistics to be registered: all that are declared, unless a module says otherwise."""
        return list(self.stats.values())

    def own_processes(self) -> Mapping[str, Process]:
        """The processes to be started: all that are declared, unless a module says otherwise."""
        return self.processes

    def function(self, name: str, n_args: int | None = None) -> Callable[..., int]:
        """The script function `name`, bound, answering its `on_error` code when the message is malformed; to be called
        with `n_args` arguments, None for any number."""
        return guarded(getattr(self, name), self.functions[name].on_error, n_args)


def guarded(function: Callable[..., int], on_error: int, n_args: int | None = None) -> Callable[..., int]:
    """`function`, with SipError turned into `on_error` and noted on the message.

    One closure for each usual number of arguments: passing them on as a tuple costs 0.1 us a call.
    """

    def failed(msg: "SipMsg", error: SipError) -> int:
        msg.error = error
        return on_error

    def call(msg: "SipMsg", *args: object) -> int:
        try:
            return function(msg, *args)
        except SipError as error:
            return failed(msg, error)

    def call_0(msg: "SipMsg") -> int:
        try:
            return function(msg)
        except SipError as error:
            return failed(msg, error)

    def call_1(msg: "SipMsg", first: object) -> int:
        try:
            return function(msg, first)
        except SipError as error:
            return failed(msg, error)

    def call_2(msg: "SipMsg", first: object, second: object) -> int:
        try:
            return function(msg, first, second)
        except SipError as error:
            return failed(msg, error)

    def call_3(msg: "SipMsg", first: object, second: object, third: object) -> int:
        try:
            return function(msg, first, second, third)
        except SipError as error:
            return failed(msg, error)

    by_count: dict[int | None, Callable[..., int]] = {0: call_0, 1: call_1, 2: call_2, 3: call_3}
    return by_count.get(n_args, call)


LIFE_CYCLE: Final = {"on_init", "on_ready", "on_child", "on_exit"}


def check_surface(cls: type[Module]) -> None:
    """Raises TypeError where declarations and methods of a module class differ (a mistake of its author)."""
    problems: list[str] = []
    for name, function in cls.functions.items():
        problems += check_method(cls, name, 2 + len(function.args), sum(a.optional for a in function.args))
        problems += [
            f"{name}: no method {arg.method}"
            for arg in function.args
            if isinstance(arg, Fixup) and not hasattr(cls, arg.method)
        ]
    for name, command in cls.mi.items():
        if not command.rest:
            n_args = 1 + command.later + len(command.args)
            problems += check_method(cls, f"mi_{name}", n_args, sum(a.optional for a in command.args))
    for name, variable in cls.pvars.items():
        problems += check_method(cls, f"pv_{method_name(name)}", 3 if variable.inner else 2, 0)
    for name in cls.timers:
        problems += check_method(cls, f"timer_{name}", 1, 0)
    for name in cls.processes:
        problems += check_method(cls, f"process_{name}", 1, 0)
    for name in cls.hooks:
        problems += check_method(cls, f"on_{name}", HOOKS[name], 0) if name in HOOKS else [f"no hook {name}"]
    for declared in cls.stats.values():
        if declared.computed:
            problems += check_method(cls, f"stat_{declared.attribute}", 1, 0)
    problems += undeclared(cls)
    if problems:
        raise TypeError(f"module {cls.name or cls.__name__}: " + "; ".join(problems))


def method_name(exported: str) -> str:
    """An exported name as part of a Python name (`err.code` -> `err_code`)."""
    return exported.replace(".", "_").replace("-", "_")


def check_method(cls: type[Module], name: str, n_args: int, n_optional: int) -> list[str]:
    """What is wrong with method `name`, which must take n_args positional arguments, the last n_optional with a
    default."""
    method = inspect.getattr_static(cls, name, None)
    if not inspect.isfunction(method):
        return [f"{name} is declared but has no method"]
    code = method.__code__
    if code.co_argcount != n_args or len(method.__defaults__ or ()) < n_optional:
        return [f"{name} takes {code.co_argcount - 1} arguments, declared are {n_args - 1}"]
    return []


def undeclared(cls: type[Module]) -> list[str]:
    """Methods that carry the prefix of a declaration which does not exist."""
    declared = {
        "mi_": {f"mi_{n}" for n in cls.mi},
        "pv_": {f"pv_{method_name(n)}" for n in cls.pvars},
        "timer_": {f"timer_{n}" for n in cls.timers},
        "on_": {f"on_{n}" for n in cls.hooks} | LIFE_CYCLE,
        "stat_": {f"stat_{s.attribute}" for s in cls.stats.values()},
        "process_": {f"process_{n}" for n in cls.processes},
    }
    return [
        f"{name} is a method but not declared"
        for name, member in vars(cls).items()
        if inspect.isfunction(member)
        for prefix, names in declared.items()
        if name.startswith(prefix) and name not in names and name not in cls.functions
    ]

"""statistics: counters that the script names, changes and resets, in the group `script`.

    modparam("statistics", "variable", "calls")
    modparam("statistics", "variable", "total_calls/no_reset")
    ...
    update_stat("calls", "+1");

A function may name any other counter of the server as well.  Whether the counter exists is known when the script is
loaded, except for those that a module registers under names of its own making: these are looked up once every module
is ready.
"""

from typing import Final

from openserd.core.context import Core
from openserd.core.management.statistics import Statistic
from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, FAILURE, OK, ONREPLY, REQUEST, Context, Fixup, Fn, Module, param
from openserd.errors import ConfigError

GROUP: Final = "script"
NO_RESET: Final = "no_reset"
EVERYWHERE: Final = REQUEST | BRANCH | FAILURE | ONREPLY
MOST: Final = 0x7FFFFFFF


def check_variable(text: str) -> str | None:
    """A check: `name` or `name/no_reset`."""
    name, slash, flag = text.partition("/")
    right = name.strip() and ":" not in name and (not slash or flag.strip().lower() == NO_RESET)
    return None if right else f"a name, or a name and /{NO_RESET}"


class Named:
    """A counter as an argument: its name, and once every module is ready the counter itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counter = Statistic(GROUP, name)

    def bind(self, found: list[Statistic]) -> None:
        """Takes the counter out of all that have its name, one of the script's first. Raises ConfigError."""
        if not found:
            raise ConfigError(f"there is no statistic {self.name}", hint=how_to_define(self.name))
        self.counter = next((one for one in found if one.group == GROUP), found[0])
        if self.counter.compute is not None:
            raise ConfigError(f"the statistic {self.name} is computed and cannot be changed")


class StatisticsModule(Module):
    name = "statistics"
    variable: list[str] = param([], check=check_variable)  #: a counter, `name` or `name/no_reset`; repeatable
    functions = {
        "update_stat": Fn(
            Fixup("name", "fix_name", expects="the name of a statistic"),
            Fixup("value", "fix_value", expects="a number other than 0, with + or - where wanted"),
            routes=EVERYWHERE,
        ),
        "reset_stat": Fn(Fixup("name", "fix_name", expects="the name of a statistic"), routes=EVERYWHERE),
    }

    def __init__(self, **values: int | str) -> None:
        super().__init__(**values)
        self.named: list[Named] = []

    # -- arguments ------------------------------------------------------------------------------------------

    def fix_name(self, text: str, context: Context) -> Named:
        """The counter of that name. Raises ConfigError where nothing could be called so."""
        name = text.strip().lower()
        modules: list[Module] = list(context.core.modules.values())
        known = {variable_name(one).lower() for one in self.variable}
        known |= {one.name.lower() for one in context.core.statistics.by_name.values()}
        known |= {one.name.lower() for module in modules for one in module.statistics()}
        if name not in known and not any(module.late_statistics for module in modules):
            raise ConfigError(f"there is no statistic {text}", hint=how_to_define(text))
        self.named.append(Named(name))
        return self.named[-1]

    def fix_value(self, text: str) -> int:
        """A number with its sign."""
        word = text.strip()
        if not word.removeprefix("-").removeprefix("+").isdigit() or abs(int(word)) > MOST:
            raise ConfigError(f"'{text}' is not a number")
        if not int(word):
            raise ConfigError("a change by 0 changes nothing")
        return int(word)

    # -- life cycle -----------------------------------------------------------------------------------------

    def on_init(self, core: Core) -> None:
        """Registers the script's own counters."""
        for text in self.variable:
            resettable = NO_RESET not in text.lower().partition("/")[2]
            core.statistics.add(Statistic(GROUP, variable_name(text), resettable=resettable))

    def on_ready(self, core: Core) -> None:
        """Finds the counters that the script names. Raises ConfigError where there is none."""
        for one in self.named:
            one.bind([found for found in core.statistics.by_name.values() if found.name.lower() == one.name])

    # -- script functions -----------------------------------------------------------------------------------

    def update_stat(self, msg: SipMsg, named: Named, value: int) -> int:
        """1: the counter is raised by a number, or lowered by a negative one."""
        named.counter.bump(value)
        return OK

    def reset_stat(self, msg: SipMsg, named: Named) -> int:
        """1: the counter starts again from 0, unless it is one that cannot be reset."""
        named.counter.reset()
        return OK


def variable_name(text: str) -> str:
    """The name in a `variable`."""
    return text.partition("/")[0].strip()


def how_to_define(name: str) -> str:
    """A hint for a counter that does not exist."""
    return f'modparam("statistics", "variable", "{name}") defines it'

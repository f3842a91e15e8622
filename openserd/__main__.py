"""The daemon's command line: `openserd [-f openser.cfg] ...`, with OpenSER's options."""

import logging
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Callable

import click

from openserd import __version__
from openserd.core.context import Core
from openserd.core.receive import Receiver
from openserd.errors import ConfigError, OpenserError
from openserd.script import LINT, STRICT, ConfigErrors, as_json
from openserd.server.assembly import Server, announce, read_configuration
from openserd.server.daemon import Launch, PidFile, drop_privileges, set_limits
from openserd.server.fatal import FatalMessages
from openserd.server.hot_code import gather, hot_functions
from openserd.server.in_hand import InHand
from openserd.server.logs import configure
from openserd.server.master import Master
from openserd.server.options import DEFAULT_CONFIG, DEFAULT_MEGABYTES, Options
from openserd.server.udp import UdpReceiver, udp_listeners

log = logging.getLogger("openserd")

CONFIG_BAD = 255
CANNOT_START = 255


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-f", "config", default=DEFAULT_CONFIG, show_default=True, metavar="FILE", help="Configuration file.")
@click.option("-c", "check", flag_value=1, type=int, help="Check the configuration file and exit.")
@click.option("-C", "check_routes", is_flag=True, help="As -c; also check that functions may be used where they are.")
@click.option("--lint", is_flag=True, help="As -C; also warn of what is allowed and unwise, such as an open relay.")
@click.option("--json", is_flag=True, help="With -c, -C or --lint: errors and warnings as a JSON array.")
@click.option("--dump", is_flag=True, help="Print the Python that the script becomes and exit.")
@click.option(
    "-A", "definitions", multiple=True, metavar="NAME[=TEXT]", help="Define NAME for the script; may be repeated."
)
@click.option("-l", "listen", multiple=True, metavar="[PROTO:]ADDRESS[:PORT]", help="Listen there; may be repeated.")
@click.option("-n", "children", type=click.IntRange(1), metavar="PROCESSES", help="Workers per UDP listener.")
@click.option("-D", "no_fork", count=True, help="Do not fork: one process.  Twice: fork, but stay in the foreground.")
@click.option("-E", "log_stderror", is_flag=True, help="Log to standard error.")
@click.option("-d", "debug", count=True, help="Debugging mode; repeat for more.")
@click.option(
    "-m",
    "megabytes",
    type=click.IntRange(1),
    default=DEFAULT_MEGABYTES,
    show_default=True,
    metavar="MEGABYTES",
    help="Size of shared memory.",
)
@click.option("-P", "pid_file", default="", metavar="FILE", help="Write the pid there.")
@click.option("-G", "group_file", default="", metavar="FILE", help="Write the process group id there.")
@click.option("-t", "chroot", default="", metavar="DIRECTORY", help="Change the root directory.")
@click.option("-u", "user", default="", metavar="USER", help="Change to this user.")
@click.option("-g", "group", default="", metavar="GROUP", help="Change to this group.")
@click.option("-w", "workdir", default="", metavar="DIRECTORY", help="Working directory.  [default: /]")
@click.option("-b", "receive_buffer", type=click.IntRange(1), metavar="BYTES", help="Largest receive buffer.")
@click.option("-v", "check_via", is_flag=True, help="Check that the top Via of replies names this server.")
@click.option(
    "-T", "-r", "-R", "not_in_effect", is_flag=True, help="Accepted: TCP and DNS checks are off in this version."
)
@click.option("-x", "unix_sock", default="", metavar="FILE", help="Path of the control socket.")
@click.option("-N", "-W", "not_yet", metavar="VALUE", help="Accepted, not in effect in this version.")
@click.option("-V", "version", is_flag=True, help="Print the version and exit.")
@click.pass_context
def main(
    context: click.Context,
    /,
    version: bool,
    check: int | None,
    check_routes: bool,
    lint: bool,
    definitions: tuple[str, ...],
    listen: tuple[str, ...],
    not_in_effect: bool,
    not_yet: str | None,
    **given: object,
) -> None:
    """openserd: a SIP server that runs OpenSER's scripts."""
    if version:
        click.echo(
            f"version: openserd {__version__} (OpenSER 1.2 scripts), Python {platform.python_version()}, "
            f"{platform.machine()}/{platform.system().lower()}"
        )
        return
    level = LINT if lint else STRICT if check_routes else check or 0
    options = Options(check=level, listen=list(listen), argv=list(sys.argv))
    options.definitions = defined(definitions)
    for name, value in given.items():
        setattr(options, name, value)
    context.exit(run(options))


def defined(definitions: tuple[str, ...]) -> dict[str, str]:
    """What `-A` defines."""
    found = {}
    for definition in definitions:
        name, _, text = definition.partition("=")
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise click.BadParameter(f"{name!r} is no name", param_hint="-A")
        found[name] = text
    return found


def run(options: Options) -> int:
    """Checks the configuration or runs the server; the exit code."""
    configure(options.debug or 2, True, "LOG_DAEMON", "openserd")
    if options.json and not options.check:
        options.check = STRICT
    try:
        core, script = read_configuration(options)
    except OpenserError as error:
        report_errors(error, options)
        return CONFIG_BAD
    if options.json:
        print(as_json([], script.warnings))
        return 0
    for warning in script.warnings:
        print(warning, file=sys.stderr)
    if options.dump:
        print(script.dump(), end="")
        return 0
    if options.check:
        print("config file ok, exiting...")
        return 0
    try:
        return serve(core, options)
    except OpenserError as error:
        print(f"openserd cannot start: {error}", file=sys.stderr)
        return CANNOT_START


def report_errors(error: OpenserError, options: Options) -> None:
    """Says why the configuration cannot be used."""
    if not options.json:
        print(error, file=sys.stderr)
    elif isinstance(error, ConfigErrors):
        print(as_json(error.errors, error.warnings))
    else:
        placed = error if isinstance(error, ConfigError) else ConfigError(str(error))
        placed.file = placed.file or options.config
        print(as_json([placed], []))


def serve(core: Core, options: Options) -> int:
    """Runs a server until it is told to stop; the exit code. Raises OpenserError where it cannot start."""
    pid_files = [PidFile(path) for path in (options.pid_file,) if path]
    group_files = [PidFile(path) for path in (options.group_file,) if path]
    for file in pid_files:
        file.check()
    server = Server(core, options)
    server.assemble()
    gather(hot_functions())
    try:
        return run_server(server, pid_files, group_files)
    finally:
        server.close()


def run_server(server: Server, pid_files: list[PidFile], group_files: list[PidFile]) -> int:
    """Turns this process into the master of `server`; the exit code. Raises OpenserError."""
    core, options = server.core, server.options
    params = core.params
    launch = Launch()
    foreground = options.foreground or not params.fork
    if not foreground:
        launch.detach()
    set_limits(params.disable_core_dump, params.open_files_limit)
    enter_workdir(params.workdir)
    drop_privileges(params.chroot, params.user, params.group)
    configure(params.debug, params.log_stderror, params.log_facility, params.log_name or "openserd")
    for file in pid_files:
        file.write(os.getpid())
    for file in group_files:
        file.write(os.getpgid(0))
    log_start(core)
    launch.leave_terminal(keep_stderr=params.log_stderror)

    def stopped() -> None:
        for file in pid_files + group_files:
            file.remove()
        core.memory.close()

    def ready() -> None:
        if foreground:
            announce(core)
        launch.ready()

    master = Master(core, server.table, stopped)
    return master.run(ready) if params.fork else stand_alone(server, master, ready)


def enter_workdir(directory: str) -> None:
    """Changes to the working directory. Raises ConfigError."""
    try:
        os.chdir(directory)
    except OSError as error:
        raise ConfigError(f"cannot change to directory {directory}: {error.strerror}") from None


def log_start(core: Core) -> None:
    """Says in the log what runs."""
    log.info("openserd %s starts: %s", __version__, ", ".join(str(one) for one in core.listening.all))


def stand_alone(server: Server, master: Master, ready: Callable[[], None]) -> int:
    """fork=no: this process receives, for the first listener only; timer and module processes are its children."""
    core = server.core
    core.memory.enter(0)
    listener = udp_listeners(core.listening.all)[0]
    core.listening.serving = listener
    loop = UdpReceiver(listener, Receiver(core), InHand(FatalMessages()))
    master.start_helpers(loop.stop)
    ready()
    try:
        loop.run()
    except SystemExit:
        pass
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    started = time.monotonic()
    master.stop()
    log.info("stopped in %.1f s", time.monotonic() - started)
    return 0


if __name__ == "__main__":
    main()

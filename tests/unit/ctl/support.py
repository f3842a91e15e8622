"""What the tests of openserctl share: a database of files, and a server that answers as it is told."""

from pathlib import Path

from click.testing import CliRunner, Result

from openserd.ctl.__main__ import main
from openserd.ctl.client import Reply, Unanswered
from openserd.ctl.config import Settings
from openserd.ctl.context import Control
from openserd.ctl.database.__main__ import main as database_main

OK = Reply(200, "OK", [])


class Server:
    """Answers each command by its name, with OK where nothing else is said; None: there is no server."""

    def __init__(self, **replies: Reply | None) -> None:
        self.replies = replies
        self.timeout = 5.0
        self.calls: list[tuple[str, ...]] = []

    def call(self, command: str, *arguments: str) -> Reply:
        self.calls.append((command, *arguments))
        reply = self.replies.get(command, OK)
        if reply is None:
            raise Unanswered("openserd is not running")
        return reply


class Ctl:
    """openserctl with one database, settings and server."""

    def __init__(self, url: str, rc: str = "SIP_DOMAIN=example.com", **environment: str) -> None:
        self.url = url
        self.rc = rc
        self.environment = environment
        self.server = Server()

    def run(self, *words: str, rc: str = "", text: str = "", code: int = 0) -> Result:
        """Runs a command, which must end with `code`."""
        settings = Settings((), self.environment)
        settings.take(self.rc)
        settings.take(rc)
        result = CliRunner().invoke(main, words, input=text, obj=Control(settings, self.server, self.url))
        assert result.exit_code == code, (words, result.output, result.exception)
        return result

    def rows(self, *words: str, **more: str) -> list[list[str]]:
        """What a command prints."""
        return [line.split("\t") for line in self.run(*words, **more).stdout.splitlines()]  # type: ignore[arg-type]


def new_database(kind: str, folder: Path) -> str:
    """A database with the core tables; its URL."""
    url = f"{kind}:{folder}/database"
    result = CliRunner().invoke(database_main, ["--url", url, "create"])
    assert result.exit_code == 0, result.output
    return url

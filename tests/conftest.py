"""At the end of a run over a whole folder: the table of what the RFCs ask and what has proved it (`conformance`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import conformance


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the reports of a test carry the rows it proves; the controller of pytest-xdist sees nothing else of it."""
    for item in items:
        for mark in item.iter_markers(conformance.MARKER):
            if unknown := set(mark.args) - conformance.rows().keys():
                raise pytest.UsageError(
                    f"{item.nodeid}: {', '.join(sorted(unknown))} is no row of {conformance.FOLDER}"
                )
            item.user_properties += [(conformance.MARKER, id_) for id_ in mark.args]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    outcomes = conformance.Outcomes()
    for report in reports(terminalreporter):
        outcomes.add(report)
    is_whole = any(Path(arg).is_dir() for arg in terminalreporter.config.args)
    if outcomes.of_row and is_whole:
        terminalreporter.section("conformance")
        for line in outcomes.lines(conformance.rows().values()):
            terminalreporter.line(line)


def reports(terminalreporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    """The reports of tests that have come to an end, by pass, failure or otherwise."""
    for kind in ("passed", "failed", "error", "skipped"):
        yield from (one for one in terminalreporter.stats.get(kind, []) if isinstance(one, pytest.TestReport))

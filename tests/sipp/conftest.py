"""SIPp scenarios: marked `sipp`, one xdist worker, a fresh server for each variant."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("sipp")
            item.add_marker(pytest.mark.xdist_group("sipp"))
            item.add_marker(pytest.mark.timeout(120 + 4 * seconds()))


def seconds() -> int:
    """How long the load of a scenario lasts: short unless `OPENSERD_SIPP_SECONDS` says otherwise."""
    return int(os.environ.get("OPENSERD_SIPP_SECONDS", "10"))

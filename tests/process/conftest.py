"""Process tests run real servers: marked `process`, phones closed behind each test.

Several run at once (`make process`): a test whose file has servers for all its tests says so with an `xdist_group`.
One that measures rates, delays or the time that a successor takes is marked `quiet`: these run afterwards, two at once.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import Phone, Server, new_token

HERE = Path(__file__).parent
PhoneMaker = Callable[..., Phone]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("process")


@pytest.fixture
def phone() -> Iterator[PhoneMaker]:
    """`phone("alice", server)`: a phone whose user name nobody else has, closed at the end."""
    phones: list[Phone] = []

    def make(name: str, server: Server, *, user: str = "", **options: object) -> Phone:
        made = Phone(user or new_token(f"{name}-"), server.address, **options)  # type: ignore[arg-type]
        phones.append(made)
        return made

    yield make
    for made in phones:
        made.close()

"""A pair of links that is closed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.transport.pairs import Pair


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()

"""A bounded queue between two threads, that counts what it has to drop."""

from __future__ import annotations

from collections import Counter, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """One thread puts, another drains. When it is full the oldest item is dropped, because late
    speech is useless, and ``dropped[name]`` rises."""

    def __init__(self, name: str, size: int, dropped: Counter[str]) -> None:
        self._name = name
        self._items: deque[Item] = deque(maxlen=size)  # drops the oldest
        self._dropped = dropped

    def put(self, item: Item) -> None:
        if len(self._items) == self._items.maxlen:
            self._dropped[self._name] += 1
        self._items.append(item)

    def drain(self) -> list[Item]:
        """Everything that is there now, oldest first."""
        items: list[Item] = []
        try:
            while True:
                items.append(self._items.popleft())
        except IndexError:
            return items

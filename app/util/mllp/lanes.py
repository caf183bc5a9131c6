"""A queue of many lanes: in order of arrival, but a lane can be held back without holding back the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class InLane(Protocol):
    @property
    def lane(self) -> str: ...


Item = TypeVar("Item", bound=InLane)


class LaneQueue(Generic[Item]):
    """Items of one lane leave in the order they came, also across :meth:`hold` and :meth:`release`."""

    def __init__(self) -> None:
        self._ready: deque[Item] = deque()
        self._held: dict[str, deque[Item]] = {}

    def put(self, item: Item) -> None:
        self._ready.append(item)

    def take(self) -> Item | None:
        """The next item whose lane is not held."""
        while self._ready:
            item = self._ready.popleft()
            held = self._held.get(item.lane)
            if held is None:
                return item
            held.append(item)
        return None

    def hold(self, item: Item) -> None:
        """Put back what was taken; neither it nor what follows in its lane is taken before the lane is released."""
        self._held[item.lane] = deque((item,))

    def release(self, lane: str) -> None:
        """The items that the lane held back come next."""
        self._ready.extendleft(reversed(self._held.pop(lane)))

    def remove(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out every item that is unwanted; a lane that is held stays so."""
        removed = []
        for items in (self._ready, *self._held.values()):
            kept = [item for item in items if not unwanted(item)]
            removed += [item for item in items if unwanted(item)]
            items.clear()
            items.extend(kept)
        return removed

    def __bool__(self) -> bool:
        """Whether there may be something to take."""
        return bool(self._ready)

"""Stamps in nanoseconds: jumps in time, single wrong ones, and rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

# Smaller steps back are messages out of order, which the choice by stamps handles.
JUMP_NS = 1_000_000_000


def to_ns(seconds: float) -> int:
    """Whole nanoseconds of a time in seconds."""
    return round(seconds * 1e9)


def jumps_back(last_ns: int, stamp_ns: int) -> bool:
    """Whether time has jumped back between two stamps: a bag loops or a simulation restarts."""
    return stamp_ns < last_ns - JUMP_NS


_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _Timed(Generic[_Item]):
    """Item with its stamp and the time of its arrival or recording, both in ns."""

    item: _Item
    stamp_ns: int
    came_ns: int

    def follows(self, other: _Timed[Any]) -> bool:
        """Whether time has passed from the other to this one as clocks let it, at up to 20 times the pace."""
        passed_ns = self.stamp_ns - other.stamp_ns
        return -JUMP_NS <= passed_ns <= JUMP_NS + 20 * max(self.came_ns - other.came_ns, 0)


class StampGuard(Generic[_Item]):
    """Tells a jump in time from a single stamp that a driver sent wrong, in a stream of stamped items.

    An item whose stamp is far from the last one's is held back until another follows either: if it follows
    the one held back, time has jumped and both are good; else the one held back was wrong.
    """

    def __init__(self, *, first_too: bool = False) -> None:
        """``first_too``: the first item is held back, too, as it may be the wrong one."""
        self._last: _Timed[Any] | None = None
        self._held: list[_Timed[_Item]] = []
        self._first_too = first_too

    def put(self, item: _Item, stamp_ns: int, came_ns: int) -> tuple[list[_Item], list[_Item]]:
        """Takes the next item. Items that are good, in their order, and those with wrong stamps."""
        new = _Timed(item, stamp_ns, came_ns)
        before = next((one for one in reversed(self._held) if new.follows(one)), None)
        at_once = self._last is None and not self._first_too
        if before is None and not at_once and (self._last is None or not new.follows(self._last)):
            self._held.append(new)
            return [], [one.item for one in self._cut()]
        wrong = [one.item for one in self._held if one is not before]
        self._last, self._held = _Timed(None, stamp_ns, came_ns), []  # items may be large
        return ([] if before is None else [before.item]) + [item], wrong

    def end(self) -> tuple[list[_Item], list[_Item]]:
        """Good and wrong items of those that are held back, at the end of the stream."""
        left = [one.item for one in self._held]
        return ([], left) if self._last is not None else (left, [])

    def _cut(self) -> list[_Timed[_Item]]:
        """Gives up all items but those that the next may follow: one, or two before any good one."""
        kept = 1 if self._last is not None else 2
        given_up, self._held = self._held[:-kept], self._held[-kept:]
        return given_up


def is_due(last_ns: int | None, stamp_ns: int, rate_hz: float) -> bool:
    """Whether another message is due at a stamp; never at ``rate_hz`` 0, always after a jump in time."""
    if not rate_hz:
        return False
    return last_ns is None or abs(stamp_ns - last_ns) >= 0.95e9 / rate_hz

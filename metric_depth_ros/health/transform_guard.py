"""Keeps transforms that would break the tree of a running node out of it: wrong stamps, and loops."""

from __future__ import annotations

from dataclasses import dataclass

from metric_depth_ros.stamps import StampGuard
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import FloatArray, frame_name

# A transform that closes a loop for so long takes the place of one in it that is not published any more.
_INSISTS_NS = 1_000_000_000
# Beyond so many frames those that have not come for a minute are forgotten.
_MOST_FRAMES = 10_000
_SILENT_NS = 60_000_000_000
_LONGEST_NAME = 256


@dataclass(frozen=True, eq=False)
class _Moving:
    """Transform of a child to its parent at a time."""

    T: FloatArray
    stamp_ns: int


class TransformGuard:
    """Adds transforms to a tree, but not those that would end look-ups for good. Not thread safe.

    - One whose stamp is far from those around it is passed over. When the stamps of a frame jump, a bag
      loops, say, what was known of that frame is removed.
    - One that closes a loop is refused. Once repeated for a second, it replaces a moving transform of the
      loop that has not come since, as then that one was wrong.
    - A fixed transform gives way to a moving one only when that has come twice.
    """

    def __init__(self, tree: TransformTree) -> None:
        self._tree = tree
        self._streams: dict[tuple[str, str], StampGuard[_Moving]] = {}  # by parent and child
        self._heard_ns: dict[str, int] = {}  # when a moving transform of a child last came
        self._looped_ns: dict[tuple[str, str], int] = {}  # when a refused one first came
        self._looked_ns = -_SILENT_NS

    def add(
        self, parent: str, child: str, T: FloatArray, stamp_ns: int, came_ns: int, *, static: bool
    ) -> str | None:
        """Adds a transform if it is good. Returns what is wrong with it, or with the one before; or None.

        Args:
            T: T_parent_child (4, 4).
            came_ns: when it came, by a clock that never jumps.
        """
        parent, child = frame_name(parent), frame_name(child)
        if wrong := self._too_much(parent, child, came_ns) or self._loop(parent, child, came_ns):
            return wrong
        if static:
            self._tree.add(parent, child, T, stamp_ns, static=True)
            return None
        self._heard_ns[child] = came_ns
        return self._put(parent, child, _Moving(T, stamp_ns), came_ns)

    def _put(self, parent: str, child: str, new: _Moving, came_ns: int) -> str | None:
        """Adds a moving transform, and the one that was held back before it if this one follows it."""
        stream = self._streams.setdefault((parent, child), StampGuard(first_too=self._tree.is_static(child)))
        good, wrong = stream.put(new, new.stamp_ns, came_ns)
        jump_s = self._begin_anew(child, good[0]) if len(good) > 1 else 0.0
        for each in good:
            self._tree.add(parent, child, each.T, each.stamp_ns)
        if wrong:
            off_s = (wrong[0].stamp_ns - new.stamp_ns) / 1e9
            return (
                f"{_named(parent, child)} came once stamped {off_s:+.3f} s from those around it; it is "
                "passed over. Check the clock of its publisher, or whether there are two."
            )
        if jump_s > 0:
            return f"{_named(parent, child)}: stamps jumped by {jump_s:+.3f} s. Check its publisher's clock."
        return None

    def _begin_anew(self, child: str, first: _Moving) -> float:
        """Removes what is known of a frame whose stamps jump; returns by how many seconds."""
        newest_ns = self._tree.newest_ns(child)
        self._tree.remove(child)
        return 0.0 if newest_ns is None else (first.stamp_ns - newest_ns) / 1e9

    def _loop(self, parent: str, child: str, came_ns: int) -> str | None:
        """That a transform closes a loop, unless it replaces one in it that is not published any more."""
        loop = self._tree.loop(parent, child)
        if not loop:
            return None
        if len(self._looped_ns) > _MOST_FRAMES:
            self._looped_ns.clear()
        since_ns = self._looped_ns.setdefault((parent, child), came_ns)
        moving = [frame for frame in loop if not self._tree.is_static(frame)]
        silent = [frame for frame in moving if self._heard_ns[frame] < since_ns]
        if silent and came_ns - since_ns > _INSISTS_NS:
            self._tree.remove(min(silent, key=self._heard_ns.__getitem__))
            self._looped_ns.clear()
            return None
        way = " below ".join(map(repr, [*loop, child]))
        return (
            f"{_named(parent, child)} closes a loop, as {way}; it is refused. Stop its publisher, or that of "
            "the frame that is wrong."
        )

    def _too_much(self, parent: str, child: str, came_ns: int) -> str | None:
        """That no further frame is kept, or not one of this name."""
        if not self._has_room(parent, child):
            self._forget_silent(came_ns)
            if not self._has_room(parent, child):
                return f"tf: over {_MOST_FRAMES} frames; others are refused. Check who publishes so many."
        longest = max(len(parent), len(child))
        if longest > _LONGEST_NAME:
            return (
                f"tf: a frame's name has {longest} characters; needed {_LONGEST_NAME} or fewer. Check who "
                f"publishes {child[:40]!r}..."
            )
        return None

    def _has_room(self, parent: str, child: str) -> bool:
        known = (parent, child) in self._streams or self._tree.is_static(child)
        return known or max(len(self._streams), len(self._tree)) < _MOST_FRAMES

    def _forget_silent(self, came_ns: int) -> None:
        """Removes moving frames that have not come for a minute; looks for them now and then."""
        if came_ns - self._looked_ns < _SILENT_NS // 10:
            return
        self._looked_ns = came_ns
        for parent, child in list(self._streams):
            if self._heard_ns[child] < came_ns - _SILENT_NS:
                del self._streams[parent, child]
                if not self._tree.is_static(child):
                    self._tree.remove(child)
        self._heard_ns = {child: self._heard_ns[child] for _, child in self._streams}


def _named(parent: str, child: str) -> str:
    return f"tf: {child!r} in {parent!r}"

"""Floor plan of a room: walls, occupied space, and free space for cameras."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from metric_depth_ros.types import BoolArray, FloatArray
from metric_depth_synthetic.scene import Scene, Station
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Piece

CELL_M = 0.05
Rect = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Opening:
    """Opening in a wall, in metres along it and above the floor: "door", "open door", "window" or "gap"."""

    start: float
    end: float
    low: float
    high: float
    kind: str


@dataclass(eq=False)
class Wall:
    """Wall from one corner to the next, with the room on its left.

    Attributes:
        outer: whether no other part of the building is behind it.
        taken: (start, end, low, high) rectangles on it that are occupied.
    """

    start: Point
    end: Point
    outer: bool = True
    openings: list[Opening] = field(default_factory=list)
    taken: list[Rect] = field(default_factory=list)

    @property
    def length(self) -> float:
        """Length in metres."""
        return math.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])

    @property
    def yaw_deg(self) -> float:
        """Yaw of a piece with its back to the wall."""
        return math.degrees(math.atan2(self.end[1] - self.start[1], self.end[0] - self.start[0]))

    def at(self, along: float, out: float) -> Point:
        """Point ``along`` metres from the wall's start and ``out`` metres into the room."""
        dx = (self.end[0] - self.start[0]) / self.length
        dy = (self.end[1] - self.start[1]) / self.length
        return (self.start[0] + dx * along - dy * out, self.start[1] + dy * along + dx * out)

    def free(self, start: float, end: float, low: float, high: float) -> bool:
        """Whether a rectangle of the wall is free."""
        return (
            start >= 0
            and end <= self.length
            and not any(start < b and end > a and low < d and high > c for a, b, c, d in self.taken)
        )

    def spot(self, kit: Kit, width: float, low: float, high: float, margin: float = 0.02) -> float | None:
        """Middle of a random free rectangle along the wall; None if ten draws find none."""
        spare = self.length - width - 2 * margin
        if spare < 0:
            return None
        for _ in range(10):
            start = margin + kit.u(0, spare)
            if self.free(start, start + width, low, high):
                return start + width / 2
        return None


class Plan:
    """Occupancy grid of a room, with the walls around it."""

    def __init__(self, outline: list[Point], height: float, outer: list[bool] | None = None) -> None:
        """``outline``: counter-clockwise corners, metres; ``outer``: per wall, whether nothing is behind."""
        self.height = height
        following = outline[1:] + outline[:1]
        flags = outer or [True] * len(outline)
        self.walls = [Wall(a, b, f) for a, b, f in zip(outline, following, flags, strict=True)]
        corners = np.array(outline)
        self.low = corners.min(0) - 0.2
        shape = np.ceil((corners.max(0) + 0.2 - self.low) / CELL_M).astype(int)[::-1]
        inside = np.zeros(shape, np.uint8)
        cv2.fillPoly(inside, [np.round((corners - self.low) / CELL_M - 0.5).astype(np.int32)], 1)
        self.inside: BoolArray = inside.astype(bool)
        self._taken: BoolArray = ~self.inside
        self._kept: BoolArray = np.zeros_like(self.inside)
        self.ceiling = np.full(shape, height, np.float32)

    def free(
        self,
        x: float,
        y: float,
        width: float,
        depth: float,
        yaw_deg: float,
        *,
        gap: float = 0.0,
        high: float = 0.0,
    ) -> bool:
        """Whether a piece with this footprint, ``high`` metres tall, can stand at (x, y)."""
        span = self._cells(x, y, width + 2 * gap, depth + 2 * gap, yaw_deg)
        if span is None:
            return False
        if self._taken[span].any() or self._kept[span].any():
            return False
        return bool(self.ceiling[span].min() > high - 0.02)

    def take(self, x: float, y: float, width: float, depth: float, yaw_deg: float) -> None:
        """Marks a footprint as occupied."""
        span = self._cells(x, y, width, depth, yaw_deg)
        if span is not None:
            self._taken[span] = True

    def keep_clear(self, x: float, y: float, width: float, depth: float, yaw_deg: float) -> None:
        """Reserves a footprint that must stay free, such as the way through a door."""
        span = self._cells(x, y, width, depth, yaw_deg, clip=True)
        if span is not None:
            self._kept[span] = True

    def inside_rect(self, x: float, y: float, width: float, depth: float) -> bool:
        """Whether a rectangle is fully inside and reaches from wall to wall in y."""
        span = self._cells(x, y, width, depth - 2 * CELL_M, 0)
        past = self._cells(x, y, width, depth + 4 * CELL_M, 0, clip=True)
        if span is None or past is None:
            return False
        edge = self.inside[past][[0, -1]]
        return bool(self.inside[span].all()) and not bool(edge.any())

    def lower(self, x: float, y: float, width: float, depth: float, yaw_deg: float, ceiling: float) -> None:
        """Records a lower ceiling over a footprint, where tall pieces do not fit."""
        span = self._cells(x, y, width, depth, yaw_deg, clip=True)
        if span is not None:
            self.ceiling[span] = np.minimum(self.ceiling[span], ceiling)

    def _cells(
        self, x: float, y: float, width: float, depth: float, yaw_deg: float, *, clip: bool = False
    ) -> tuple[slice, slice] | None:
        c, s = abs(math.cos(math.radians(yaw_deg))), abs(math.sin(math.radians(yaw_deg)))
        w, d = (c * width + s * depth) / 2 - 0.02, (s * width + c * depth) / 2 - 0.02
        rows, columns = self.inside.shape
        left, right = (x - w - self.low[0]) / CELL_M, (x + w - self.low[0]) / CELL_M
        near, far = (y - d - self.low[1]) / CELL_M, (y + d - self.low[1]) / CELL_M
        if not clip and (left < 0 or near < 0 or right > columns or far > rows):
            return None
        return (
            slice(max(int(near), 0), max(math.ceil(far), 1)),
            slice(max(int(left), 0), max(math.ceil(right), 1)),
        )

    def against_wall(
        self, kit: Kit, root: Piece, piece: Piece, *, gap: float = 0.0, corner: bool = False
    ) -> bool:
        """Places a piece with its back to a wall; False if it fits nowhere."""
        walls = [w for w in self.walls if w.length >= piece.width + 0.02]
        for _ in range(7):
            if not walls:
                return False
            wall = kit.choose(walls)
            out = piece.depth / 2 + gap + 0.01
            if corner:
                along: float | None = kit.choose(
                    [piece.width / 2 + 0.02, wall.length - piece.width / 2 - 0.02]
                )
                assert along is not None
                if not wall.free(
                    along - piece.width / 2, along + piece.width / 2, piece.base_z, piece.height
                ):
                    continue
            else:
                along = wall.spot(kit, piece.width, piece.base_z, piece.height)
            if along is None:
                continue
            x, y = wall.at(along, out)
            if piece.base_z > 0 or self.free(x, y, piece.width, piece.depth, wall.yaw_deg, high=piece.height):
                self.stand(root, piece, x, y, wall.yaw_deg)
                half = piece.width / 2 + 0.03
                wall.taken.append((along - half, along + half, piece.base_z, piece.height + 0.03))
                return True
        return False

    def anywhere(
        self, kit: Kit, root: Piece, piece: Piece, *, gap: float = 0.3, turned: bool = False
    ) -> bool:
        """Places a piece on the floor with ``gap`` metres around it; False if it fits nowhere."""
        rows, columns = self.inside.shape
        for _ in range(12):
            x = self.low[0] + kit.u(0, columns * CELL_M)
            y = self.low[1] + kit.u(0, rows * CELL_M)
            yaw = kit.u(0, 360) if turned else 90.0 * kit.n(0, 3)
            if self.free(x, y, piece.width, piece.depth, yaw, gap=gap, high=piece.height):
                self.stand(root, piece, x, y, yaw)
                return True
        return False

    def stand(self, root: Piece, piece: Piece, x: float, y: float, yaw_deg: float) -> None:
        """Adds a piece at a place and marks its footprint as occupied."""
        root.add(piece, x, y, 0.0, yaw_deg)
        if piece.base_z <= 0:
            self.take(x, y, piece.width, piece.depth, yaw_deg)


class Headroom:
    """Free height at every place of a plan, between standing and hanging things."""

    def __init__(self, plan: Plan, boxes: tuple[FloatArray, FloatArray]) -> None:
        """``boxes``: lowest and highest corners (N, 3) of the things, metres in the world."""
        self.plan = plan
        self.top = np.where(plan.inside, 0, 1e3).astype(np.float32)
        self.hang = plan.ceiling.copy()
        rows, columns = plan.inside.shape
        low, high = boxes
        near = np.clip(((low[:, :2] - plan.low) / CELL_M).astype(int), 0, None).tolist()
        far = (((high[:, :2] - plan.low) / CELL_M).astype(int) + 1).tolist()
        for (left, front), (right, back), z0, z1 in zip(
            near, far, low[:, 2].tolist(), high[:, 2].tolist(), strict=True
        ):
            if right <= 0 or back <= 0 or left >= columns or front >= rows:
                continue
            span = (slice(front, back), slice(left, right))
            if z0 > 1.05:
                np.minimum(self.hang[span], z0, out=self.hang[span])
            else:
                np.maximum(self.top[span], z1, out=self.top[span])

    def places(self, z: float, clear: float) -> FloatArray:
        """Points (N, 2) in the room with nothing within ``clear`` metres of a camera at height ``z``."""
        blocked = (self.top > z - clear) | (self.hang < z + clear)
        size = 2 * math.ceil(clear / CELL_M) + 1
        grown = cv2.dilate(blocked.astype(np.uint8), np.ones((size, size), np.uint8), borderValue=1)
        row, column = np.nonzero(grown == 0)
        points: FloatArray = np.stack([column, row], 1) * CELL_M + self.plan.low + CELL_M / 2
        return points


@dataclass(frozen=True)
class Interest:
    """Target for cameras: its middle in the world and its width, metres."""

    x: float
    y: float
    z: float
    width: float


_WORTH_A_LOOK = ("furniture", "table", "screen", "person", "object", "vehicle", "clutter")
# Heights of cameras in hands and on heads, and how often these look down at the floor and what stands there.
_CARRIED = ("low", "hand", "eye")
_LOOKS_DOWN = 0.2
_ENCLOSURE = ("floor", "wall", "ceiling", "ground", "building", "vegetation")


def interests(root: Piece) -> list[Interest]:
    """Targets for cameras: the pieces in a room."""
    out = []
    for top in root.tops:
        width = min(top.high[0] - top.low[0], top.high[1] - top.low[1])
        if 0.3 < top.z < 1.8 and width > 0.2:
            out.append(Interest((top.low[0] + top.high[0]) / 2, (top.low[1] + top.high[1]) / 2, top.z, width))
    return out


def stations(
    kit: Kit, scene: Scene, head: Headroom, focus: list[Interest], far: FloatArray, *, count: int = 26
) -> list[Station]:
    """Camera stations of robots and people: most look across the room, some at near things.

    Args:
        focus: targets of near views.
        far: (N, 3) middles of the things that are targets of views across the room.
    """
    out: list[Station] = []
    height = head.plan.height
    heights = {
        "robot": kit.u(0.25, 0.5),
        "low": kit.u(0.8, 1.1),
        "hand": kit.u(1.2, 1.45),
        "eye": kit.u(1.5, 1.75),
    }
    heights["top"] = height - scene.near_m - 0.15
    free = {name: head.places(z, scene.near_m + 0.1) for name, z in heights.items()}
    wish = {"robot": 0.14, "low": 0.2, "hand": 0.32, "eye": 0.28, "top": 0.06}
    for _ in range(count * 3):
        if len(out) >= count:
            break
        name = kit.weighted(wish)
        if not len(free[name]):
            continue
        close = bool(focus) and name in ("low", "hand", "eye") and kit.chance(0.4)
        made = (
            _close_up(kit, free[name], heights[name], kit.choose(focus))
            if close
            else _across(kit, free[name], heights[name], name, far)
        )
        if made is not None:
            out.append(made)
    if not out:  # a room filled to the ceiling: look into it from its middle
        x, y = head.plan.low + np.array(head.plan.inside.shape[::-1]) * CELL_M / 2
        z = height - 0.35
        out.append(Station((x, y, z), (x, y, z), (x - 1, y - 1, 0), (x + 1, y + 1, 1)))
    return out


def _station(
    kit: Kit, x: float, y: float, z: float, target: FloatArray, spread: float, roll: float
) -> Station:
    r = 0.06
    tx, ty, tz = (float(v) for v in target)
    return Station(
        (float(x) - r, float(y) - r, z - r), (float(x) + r, float(y) + r, z + r),
        (tx - spread, ty - spread, tz - spread / 2), (tx + spread, ty + spread, tz + spread / 2),
        roll_deg=roll,
    )  # fmt: skip


def _close_up(kit: Kit, free: FloatArray, z: float, focus: Interest) -> Station | None:
    away = np.hypot(free[:, 0] - focus.x, free[:, 1] - focus.y)
    # Not looking up by more than about 22 degrees or down by more than 60.
    least = max(0.45, 2.5 * (focus.z + 0.25 - z), 0.6 * (z - focus.z))
    fit = np.flatnonzero((away > least) & (away < max(kit.u(0.9, 2.2), least + 0.3)))
    if not len(fit):
        return None
    x, y = free[kit.choose(fit.tolist())]
    target = np.array([focus.x, focus.y, focus.z + kit.u(-0.05, 0.25)])
    return _station(kit, x, y, z, target, min(0.12 + focus.width / 4, 0.4), 15.0 if kit.chance(0.25) else 4.0)


def _across(kit: Kit, free: FloatArray, z: float, name: str, far: FloatArray) -> Station | None:
    x, y = (float(v) for v in free[kit.n(0, len(free) - 1)])
    slope = {"robot": (-10, 18), "top": (-55, -20)}.get(name, (-36, 10))
    if len(far) and kit.chance(0.75):
        # The farthest of a few: real images of rooms are taken from one side towards the other.
        picks = [far[kit.n(0, len(far) - 1)] for _ in range(kit.n(1, 4))]
        goal = max(picks, key=lambda p: float((p[0] - x) ** 2 + (p[1] - y) ** 2))
    else:
        goal = np.array([*free[kit.n(0, len(free) - 1)], kit.u(0.2, 1.6)])
    reach = math.hypot(goal[0] - x, goal[1] - y)
    if reach < 0.9:
        return None
    rise = float(goal[2]) + kit.u(-0.3, 0.3) - z
    if name in _CARRIED and kit.chance(_LOOKS_DOWN):
        slope = (-68, -38)
    lowest, highest = (reach * math.tan(math.radians(degrees)) for degrees in slope)
    target = np.array([goal[0], goal[1], z + min(max(rise, lowest), highest)])
    return _station(kit, x, y, z, target, min(0.1 * reach + 0.1, 0.6), 15.0 if kit.chance(0.12) else 3.0)


def obstacles(root: Piece) -> tuple[FloatArray, FloatArray]:
    """Lowest and highest corners (N, 3) of boxes around a room's things, without walls, floor and ceiling."""
    labels, low, high = root.extents()
    chosen = [k for k, label in enumerate(labels) if label not in _ENCLOSURE]
    return low[chosen], high[chosen]


def goals(root: Piece) -> FloatArray:
    """Middles (N, 3) of furniture and other things that are large enough as targets."""
    labels, low, high = root.extents()
    size = high - low
    fit = (size.max(1) > 0.35) & (size.min(1) > 0.08) & (size.max(1) < 3) & (low[:, 2] < 1.6)
    fit &= np.array([label in _WORTH_A_LOOK for label in labels])
    middle: FloatArray = (low[fit] + high[fit]) / 2
    return middle

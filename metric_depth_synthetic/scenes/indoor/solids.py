"""Solids as unit shapes under affine maps, converted to meshes all at once.

A room has some thousand boxes, rods and cushions. Building each separately costs more than casting the rays;
here a piece of furniture only records its unit shapes and their maps, and all triangles are made in one step.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray
from metric_depth_synthetic import mesh as meshes
from metric_depth_synthetic.mesh import Mesh
from metric_depth_synthetic.scene import Material, Motion, Scene, Thing

# A row: the affine map, 3 x 4 by rows, then the offset of the texture coordinates.
Row = tuple[float, ...]


@dataclass(eq=False)
class Item:
    """Future instance: its label, its solids in its own frame, and its pose in its piece."""

    label: str
    T: FloatArray
    motion: Motion | None = None
    solids: list[tuple[str, Material, Row]] = field(default_factory=list)

    def box(self, material: Material, low: Sequence[float], high: Sequence[float]) -> None:
        """An axis-aligned box between two corners."""
        x, y, z = low
        w, d, h = high[0] - x, high[1] - y, high[2] - z
        z = min(z, high[2])
        row = (abs(w), 0.0, 0.0, x + w / 2, 0.0, abs(d), 0.0, y + d / 2, 0.0, 0.0, abs(h), z, 0.0, 0.0)
        self.solids.append(("box", material, row))

    def put(
        self, unit: str, material: Material, at: Sequence[float], size: Sequence[float], yaw_deg: float = 0.0
    ) -> None:
        """A unit shape with the given extents, its base centred at a point, rotated about z."""
        (x, y, z), (w, d, h) = at, size
        if yaw_deg:
            c, s = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
            row: Row = (c * w, -s * d, 0.0, x, s * w, c * d, 0.0, y, 0.0, 0.0, h, z, 0.0, 0.0)
        else:
            row = (w, 0.0, 0.0, x, 0.0, d, 0.0, y, 0.0, 0.0, h, z, 0.0, 0.0)
        self.solids.append((unit, material, row))

    def rod(
        self,
        material: Material,
        start: Sequence[float],
        end: Sequence[float],
        radius: float,
        unit: str = "rod",
    ) -> None:
        """A round bar between two points; ``unit`` may be another shape that stands along z."""
        wx, wy, wz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
        length = math.sqrt(wx * wx + wy * wy + wz * wz) or 1e-6
        dx, dy, dz = wx / length, wy / length, wz / length
        # a is perpendicular to the bar; b = way x a.
        ax, ay, az = (1.0, 0.0, 0.0) if abs(dz) > 0.999 else (-dy, dx, 0.0)
        norm = math.sqrt(ax * ax + ay * ay)
        ax, ay = ax / norm, ay / norm
        bx, by, bz = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
        r = 2 * radius
        row = (
            r * ax, r * bx, wx, start[0],
            r * ay, r * by, wy, start[1],
            r * az, r * bz, wz, start[2],
            0.0, 0.0,
        )  # fmt: skip
        self.solids.append((unit, material, row))

    def path(self, material: Material, points: Sequence[Sequence[float]], radius: float) -> None:
        """Bars from point to point."""
        for start, end in itertools.pairwise(points):
            self.rod(material, start, end, radius, "wire" if radius < 0.012 else "rod")

    def quad(
        self,
        material: Material,
        corner: Sequence[float],
        along: Sequence[float],
        up: Sequence[float],
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """A parallelogram that faces along x up; ``offset`` is its corner's texture coordinate in metres."""
        (ax, ay, az), (ux, uy, uz) = along, up
        nx, ny, nz = uy * az - uz * ay, uz * ax - ux * az, ux * ay - uy * ax
        norm = math.sqrt(nx * nx + ny * ny + nz * nz) or 1.0
        nx, ny, nz = nx / norm, ny / norm, nz / norm
        x, y, z = corner
        row = (ax, nx, ux, x, ay, ny, uy, y, az, nz, uz, z, offset[0], offset[1])
        self.solids.append(("quad", material, row))


@dataclass(eq=False)
class Top:
    """Horizontal rectangle of a piece on which things can stand, and the free height above it."""

    low: tuple[float, float]
    high: tuple[float, float]
    z: float
    headroom: float = 2.0


@dataclass(eq=False)
class Piece:
    """Piece of furniture or other placeable thing: items around (0, 0), front towards +y.

    Attributes:
        width, depth, height: occupied space in x, y and z.
        tops: places for things on it.
        base_z: height at which the occupied space starts; above 0 for hanging things.
    """

    width: float
    depth: float
    height: float
    items: list[Item] = field(default_factory=list)
    tops: list[Top] = field(default_factory=list)
    base_z: float = 0.0

    def item(self, label: str, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw_deg: float = 0.0) -> Item:
        """A new empty item of this piece."""
        made = Item(label, meshes.placed(x, y, z, yaw_deg))
        self.items.append(made)
        return made

    def add(self, other: Piece, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw_deg: float = 0.0) -> None:
        """Adds another piece's items to this one; its tops too if it is rotated by right angles."""
        T = meshes.placed(x, y, z, yaw_deg)
        for item in other.items:
            item.T = T @ item.T
            if item.motion is not None and any(item.motion.velocity):
                vx, vy, vz = T[:3, :3] @ np.asarray(item.motion.velocity)
                item.motion = Motion((float(vx), float(vy), float(vz)), item.motion.yaw_rate_deg)
            self.items.append(item)
        if abs(yaw_deg / 90 - round(yaw_deg / 90)) < 1e-6:
            self.tops.extend(_moved_top(top, T) for top in other.tops)

    def into(self, scene: Scene) -> None:
        """Makes the triangles of all items and adds them to a scene, one instance each."""
        rows: dict[str, list[Row]] = {}
        plan = [(item, _noted(item, rows)) for item in self.items if item.solids]
        made = {name: _made(_unit_shape(name), np.array(r, np.float32)) for name, r in rows.items()}
        for item, materials in plan:
            parts = tuple((_joined(made, spans), material) for material, spans in materials)
            scene.things.append(Thing(item.label, parts, item.T, item.motion))

    def extents(self) -> tuple[list[str], FloatArray, FloatArray]:
        """Labels, lowest and highest corners (N, 3) of boxes around items or a large item's solids."""
        items = [item for item in self.items if item.solids]
        counts = np.array([len(item.solids) for item in items])
        rows = np.array([row for item in items for _, _, row in item.solids])
        T = np.repeat(np.stack([item.T for item in items]), counts, axis=0)
        maps = T[:, :3, :3] @ rows[:, :12].reshape(-1, 3, 4)
        base, half, rise = maps[:, :, 3] + T[:, :3, 3], np.abs(maps[:, :, :2]).sum(2) / 2, maps[:, :, 2]
        lows, highs = base - half + np.minimum(rise, 0), base + half + np.maximum(rise, 0)
        starts = np.cumsum(counts) - counts
        low, high = np.minimum.reduceat(lows, starts), np.maximum.reduceat(highs, starts)
        large = (high - low)[:, :2].max(1) > 1.0
        each = np.repeat(large, counts)
        owner = np.concatenate([np.flatnonzero(~large), np.repeat(np.arange(len(items)), counts)[each]])
        labels = [items[k].label for k in owner]
        return labels, np.concatenate([low[~large], lows[each]]), np.concatenate([high[~large], highs[each]])


def four_legs(
    item: Item,
    material: Material,
    x: float,
    y: float,
    z: float,
    half: float,
    *,
    round_leg: bool,
    splay: float = 0.0,
) -> None:
    """Four legs of an item under corners (+-x, +-y), up to z; ``half`` is half their thickness."""
    for i in (-1, 1):
        for j in (-1, 1):
            foot, head = (i * (x + splay), j * (y + splay), 0.0), (i * x, j * y, z)
            if round_leg or splay:
                item.rod(material, foot, head, half)
            else:
                item.box(material, (i * x - half, j * y - half, 0), (i * x + half, j * y + half, z))


def _moved_top(top: Top, T: FloatArray) -> Top:
    xs, ys = [], []
    for x, y in (top.low, top.high):
        xs.append(float(T[0, 0] * x + T[0, 1] * y + T[0, 3]))
        ys.append(float(T[1, 0] * x + T[1, 1] * y + T[1, 3]))
    return Top((min(xs), min(ys)), (max(xs), max(ys)), top.z + float(T[2, 3]), top.headroom)


def _noted(item: Item, rows: dict[str, list[Row]]) -> list[tuple[Material, list[tuple[str, int, int]]]]:
    """Appends an item's rows by unit shape; returns the positions of each material's rows."""
    groups: dict[Material, dict[str, list[Row]]] = {}
    for unit, material, row in item.solids:
        groups.setdefault(material, {}).setdefault(unit, []).append(row)
    out = []
    for material, by_unit in groups.items():
        spans = []
        for unit, more in by_unit.items():
            known = rows.setdefault(unit, [])
            spans.append((unit, len(known), len(more)))
            known.extend(more)
        out.append((material, spans))
    return out


@dataclass(frozen=True, eq=False)
class _Shape:
    corners: FloatArray  # (T * 3, 3)
    normals: FloatArray  # (T * 3, 3)
    uv: FloatArray  # (T * 3, 2): the corners along the two axes that the triangle lies along
    axes: IntArray  # (T * 3, 2): these axes


def _made(shape: _Shape, rows: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Corners (N, T, 3, 3), normals (N, T, 3, 3) and texture coordinates (N, T, 3, 2) of N copies."""
    n, count = len(rows), len(shape.corners) // 3
    maps = rows[:, :12].reshape(n, 3, 4)
    A = maps[:, :, :3]
    size = np.sqrt(np.einsum("nij,nij->nj", A, A))  # lengths of the shape's axes
    # The maps have orthogonal columns, so their inverse is the transpose over the squared lengths.
    tilt = A / (size * size)[:, None, :]
    corners = _mapped(shape.corners, A)
    corners += maps[:, None, :, 3]
    normals = _mapped(shape.normals, tilt)
    normals = meshes.unit(normals)
    uv = shape.uv * size[:, shape.axes]
    uv += rows[:, None, 12:14]
    return corners.reshape(n, count, 3, 3), normals.reshape(n, count, 3, 3), uv.reshape(n, count, 3, 2)


def _mapped(points: FloatArray, maps: FloatArray) -> FloatArray:
    """Points (P, 3) under N maps (N, 3, 3), by one matrix product: (N, P, 3)."""
    n = len(maps)
    mapped: FloatArray = (points @ maps.reshape(n * 3, 3).T).reshape(-1, n, 3).transpose(1, 0, 2)
    return np.ascontiguousarray(mapped)


def _joined(
    made: dict[str, tuple[FloatArray, FloatArray, FloatArray]], spans: list[tuple[str, int, int]]
) -> Mesh:
    if len(spans) == 1:
        unit, start, count = spans[0]
        corners, normals, uv = (array[start : start + count] for array in made[unit])
        return Mesh(corners.reshape(-1, 3, 3), normals.reshape(-1, 3, 3), uv.reshape(-1, 3, 2))
    joined = [
        np.concatenate([made[u][k][s : s + c].reshape(-1, 3, width) for u, s, c in spans])
        for k, width in enumerate((3, 3, 2))
    ]
    return Mesh(joined[0], joined[1], joined[2])


@cache
def _unit_shape(name: str) -> _Shape:
    made = UNITS[name]()
    flat = meshes.facets(made.corners)
    axes = np.array([[1, 2], [0, 2], [0, 1]])[np.abs(flat).argmax(1)].repeat(3, axis=0)
    corners = made.corners.astype(np.float32).reshape(-1, 3)
    uv = np.take_along_axis(corners, axes, axis=1)
    return _Shape(corners, made.normals.astype(np.float32).reshape(-1, 3), uv, axes)


def _turned(*profile: tuple[float, float], segments: int = 12) -> Callable[[], Mesh]:
    return lambda: meshes.lathe(profile, segments=segments)


def _torso() -> Mesh:
    made = meshes.lathe(
        [(0, 0), (0.42, 0.02), (0.4, 0.3), (0.5, 0.75), (0.42, 0.93), (0.2, 1), (0, 1)], segments=12
    )
    flat = np.array([1.25, 0.75, 1], np.float32)
    return Mesh(made.corners * flat, meshes.unit(made.normals / flat), made.uv)


def _coat() -> Mesh:
    """Cloth that hangs from a hook: narrow and round at the top, with folds towards the hem."""
    turn = np.linspace(0, 2 * np.pi, 15)
    z = np.array([0.0, 0.25, 0.55, 0.8, 0.92, 1.0])[:, None]
    r = np.array([0.5, 0.42, 0.4, 0.38, 0.22, 0.03])[:, None]
    fold = 1 + 0.18 * (1 - z) * np.sin(5 * turn + 2)
    return meshes.sheet(
        np.stack(np.broadcast_arrays(r * fold * np.cos(turn), r * fold * np.sin(turn), z), -1), smooth=True
    )


def _curtain() -> Mesh:
    """Folds that hang in the plane y = 0, one metre wide and high, deeper at the foot."""
    x = np.linspace(-0.5, 0.5, 49)
    z = np.linspace(0, 1, 4)[:, None]
    fold = np.sin(x * 50 + 1.5 * np.sin(x * 9)) * (0.5 - 0.25 * z)
    return meshes.sheet(np.stack(np.broadcast_arrays(-x, fold, z), -1), smooth=True)


def _foliage(seed: int, count: int, size: float) -> Callable[[], Mesh]:
    def make() -> Mesh:
        rng = np.random.default_rng(seed)
        way = rng.normal(size=(count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        centres = way * rng.uniform(0.35, 1, (count, 1)) ** 0.5 * 0.45 + (0, 0, 0.5)
        return meshes.leaves(centres, size, rng)

    return make


def _fronds(seed: int, count: int) -> Callable[[], Mesh]:
    """Long leaves that rise from the middle and bend outwards."""

    def make() -> Mesh:
        rng = np.random.default_rng(seed)
        out = []
        for k in range(count):
            angle = 2.4 * k + rng.normal(0, 0.2)
            lean, width = rng.uniform(0.15, 0.5), rng.uniform(0.02, 0.05)
            t = np.linspace(0, 1, 5)[:, None]
            reach, rise = lean * t**1.6, (1 - 0.35 * lean * t) * t * rng.uniform(0.6, 1)
            side = np.array([-1.0, 1.0]) * width * np.sin(np.pi * (0.08 + 0.9 * t))
            c, s = np.cos(angle), np.sin(angle)
            out.append(
                meshes.sheet(np.stack([reach * c - side * s, reach * s + side * c, rise + 0 * side], -1))
            )
        return meshes.joined(out)

    return make


def _lump(seed: int, roughness: float) -> Callable[[], Mesh]:
    def make() -> Mesh:
        made = meshes.blob(0.5, roughness, np.random.default_rng(seed), segments=12)
        sunk = made.corners - np.array([0, 0, made.corners[..., 2].min() + 0.06], np.float32)
        return Mesh(np.maximum(sunk, np.array([-9, -9, 0], np.float32)), made.normals, made.uv)

    return make


def _wheel() -> Mesh:
    """A thin ring in the plane y = 0, one metre across, its lowest point at z = 0."""
    turn = np.linspace(0, 2 * np.pi, 21)
    path = np.stack([0.485 * np.cos(turn), 0 * turn, 0.5 + 0.485 * np.sin(turn)], -1)
    return meshes.tube(path, 0.018, segments=5)


# Shapes one metre wide, deep and high that stand on z = 0, centred in x and y.
UNITS: dict[str, Callable[[], Mesh]] = {
    "box": lambda: meshes.box(1, 1, 1),
    "quad": lambda: meshes.quad((0, 0, 0), (1, 0, 0), (0, 0, 1)),
    "rod": lambda: meshes.cylinder(0.5, 1, segments=8),
    "wire": lambda: meshes.lathe([(0.5, 0), (0.5, 1)], segments=5),
    "drum": lambda: meshes.cylinder(0.5, 1, segments=18),
    "taper": lambda: meshes.cylinder(0.5, 1, top=0.34, segments=10),
    "flare": lambda: meshes.cylinder(0.36, 1, top=0.5, segments=12),
    "cone": lambda: meshes.cylinder(0.5, 1, top=0.02, segments=10),
    "nub": lambda: meshes.ellipsoid(1, 1, 1, segments=6),
    "flask": _turned((0.48, 0), (0.5, 0.6), (0.19, 0.8), (0.2, 1), (0, 1), segments=6),
    "ball": lambda: meshes.ellipsoid(1, 1, 1, segments=12),
    "soft": lambda: meshes.ellipsoid(1, 1, 1, power=0.3, segments=12),
    "sack": lambda: meshes.ellipsoid(1, 1, 1, power=0.6, segments=8),
    "pillow": lambda: meshes.ellipsoid(1, 1, 1, power=0.6, segments=12),
    # A limb's thick end is its top; a torso is flat and wide at the shoulders.
    "limb": _turned((0, -0.04), (0.3, -0.02), (0.38, 0.1), (0.5, 0.8), (0.45, 1), (0, 1.06), segments=8),
    "torso": _torso,
    "coat": _coat,
    "shade": _turned((0.5, 0), (0.3, 1)),
    "mug": _turned((0, 0), (0.42, 0), (0.5, 0.06), (0.5, 1), (0.45, 1), (0.44, 0.15), (0, 0.12)),
    "bowl": _turned((0, 0), (0.22, 0), (0.4, 0.35), (0.5, 1), (0.46, 0.98), (0.34, 0.35), (0, 0.15)),
    "bottle": _turned((0, 0), (0.48, 0), (0.5, 0.05), (0.5, 0.6), (0.2, 0.8), (0.17, 0.97), (0.2, 1), (0, 1)),
    "vase": _turned(
        (0, 0), (0.28, 0), (0.46, 0.25), (0.5, 0.45), (0.2, 0.82), (0.3, 1), (0.24, 0.98), (0, 0.5)
    ),
    "pot": _turned(
        (0, 0), (0.34, 0), (0.46, 0.85), (0.5, 0.86), (0.5, 1), (0.44, 1), (0.42, 0.88), (0, 0.88)
    ),
    "glass": _turned((0, 0), (0.4, 0), (0.06, 0.06), (0.06, 0.45), (0.45, 0.65), (0.5, 0.85), (0.42, 1)),
    "curtain": _curtain,
    "wheel": _wheel,
    **{f"bush{k}": _foliage(k, 160, 0.16) for k in range(4)},
    **{f"tree{k}": _foliage(10 + k, 420, 0.13) for k in range(4)},
    **{f"fronds{k}": _fronds(20 + k, 9 + 4 * k) for k in range(4)},
    **{f"lump{k}": _lump(30 + k, 0.06 + 0.06 * k) for k in range(4)},
}

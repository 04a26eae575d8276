"""Buildings with real relief: recessed windows, doors, balconies, cornices, shop fronts, gables.

A building stands on z = 0 with its front in the plane y = 0, facing -y, from x = -w/2 to w/2.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from metric_depth_ros.datasets.synthetic.mesh import from_faces, joined, quad
from metric_depth_ros.datasets.synthetic.palette import Palette
from metric_depth_ros.datasets.synthetic.scene import Material
from metric_depth_ros.datasets.synthetic.scenes.prefab import Builder, Parts, Prefab, posed, slabs
from metric_depth_ros.types import FloatArray

VARIANTS = 32


def town_house(rng: np.random.Generator, palette: Palette, *, far: bool = False) -> tuple[Parts, Prefab]:
    """A building of an inner city, 8 to 22 m wide, 2 to 7 storeys, and its prefab."""
    prefab = _town_house(int(rng.integers(VARIANTS)), far)
    return prefab.dressed(_dress(rng, palette)), prefab


def house(rng: np.random.Generator, palette: Palette, *, far: bool = False) -> tuple[Parts, Prefab]:
    """A detached house with a gabled roof, and its prefab."""
    prefab = _house(int(rng.integers(VARIANTS)), far)
    return prefab.dressed(_dress(rng, palette)), prefab


def block(rng: np.random.Generator, palette: Palette, *, far: bool = False) -> tuple[Parts, Prefab]:
    """An office, a tower or a shed, and its prefab."""
    prefab = _block(int(rng.integers(VARIANTS)), far)
    return prefab.dressed(_dress(rng, palette)), prefab


def _dress(rng: np.random.Generator, palette: Palette) -> dict[str, Material]:
    wall = palette.draw("brick" if rng.random() < 0.35 else "wall" if rng.random() < 0.6 else "concrete")
    tint = float(rng.uniform(0.01, 0.12))
    trim = palette.draw("paint") if rng.random() < 0.4 else palette.draw("wall")
    return {
        "wall": wall,
        "glass": palette.draw("glass", colour=(tint, tint * 1.05, tint * 1.15)),
        "trim": trim,
        "blind": palette.draw("fabric"),
        "roof": palette.draw("brick" if rng.random() < 0.6 else "asphalt"),
        "shop": palette.draw("paint"),
        "door": palette.draw("wood" if rng.random() < 0.5 else "paint"),
    }


def facade(
    made: Builder,
    T: FloatArray,
    width: float,
    low: float,
    high: float,
    grid: tuple[int, int],
    rng: np.random.Generator,
    *,
    window: tuple[float, float] = (0.5, 0.55),
    recess: float = 0.2,
    style: int = 0,
    blinds: float = 0.35,
    far: bool = False,
) -> None:
    """A wall in the plane y = 0 of ``T``'s frame with columns x rows of windows, its outside to -y.

    ``window`` is the part of a bay's width and of a storey's height that is glass. ``far`` leaves out what
    is too small to be seen from afar.
    """
    columns, rows = grid
    if columns < 1 or rows < 1:
        made.add("wall", slabs(np.array([[-width / 2, 0, low]]), np.array([[width / 2, 0.3, high]]), faces="y"), T)
        return
    bay, storey = width / columns, (high - low) / rows
    open_w, open_h = bay * window[0], storey * window[1]
    centre = -width / 2 + bay * (np.arange(columns) + 0.5)
    sill = low + storey * np.arange(rows) + storey * (1 - window[1]) * 0.55
    edges = np.concatenate([[-width / 2], np.stack([centre - open_w / 2, centre + open_w / 2], 1).ravel(), [width / 2]])
    piers = edges.reshape(-1, 2)
    wall_low = [np.column_stack([piers[:, 0], 0 * piers[:, 0], 0 * piers[:, 0] + low])]
    wall_high = [np.column_stack([piers[:, 1], 0 * piers[:, 0] + recess, 0 * piers[:, 0] + high])]
    heights = np.concatenate([[low], np.stack([sill, sill + open_h], 1).ravel(), [high]]).reshape(-1, 2)
    x, z = (a.ravel() for a in np.meshgrid(centre, np.arange(rows + 1)))
    wall_low.append(np.column_stack([x - open_w / 2, 0 * x, heights[z.astype(int), 0]]))
    wall_high.append(np.column_stack([x + open_w / 2, 0 * x + recess, heights[z.astype(int), 1]]))
    piers_mesh = slabs(np.concatenate(wall_low[:1]), np.concatenate(wall_high[:1]), faces="xXy")
    made.add("wall", joined([piers_mesh, slabs(wall_low[1], wall_high[1], faces="yzZ")]), T)
    made.add("glass", quad((-width / 2, recess * 0.9, low), (width, 0, 0), (0, 0, high - low)), T)
    x, z = (a.ravel() for a in np.meshgrid(centre, sill))
    if far:
        return
    _window_bars(made, T, x, z, open_w, open_h, recess, style)
    drawn = rng.random(len(x)) < blinds
    drop = rng.uniform(0.2, 1, len(x)) * open_h
    if drawn.any():
        a = np.column_stack([x - open_w / 2, 0 * x + recess * 0.82, z + open_h - drop])[drawn]
        b = np.column_stack([x + open_w / 2, 0 * x + recess * 0.86, z + open_h])[drawn]
        made.add("blind", slabs(a, b, faces="yz"), T)


def _window_bars(
    made: Builder, T: FloatArray, x: FloatArray, z: FloatArray, wide: float, high: float, recess: float, style: int
) -> None:
    """A mullion or a cross, sills and, by style, lintels or shutters that stand out."""

    def bar(x0: float, x1: float, z0: float, z1: float, y0: float, y1: float, faces: str) -> None:
        low = np.column_stack([x + x0, 0 * x + y0, z + z0])
        made.add("trim", slabs(low, np.column_stack([x + x1, 0 * x + y1, z + z1]), faces=faces), T)

    y = recess * 0.7
    if style % 4 != 3:
        bar(-0.035, 0.035, 0, high, y, recess, "xXy")
    if style % 2 == 0:
        bar(-wide / 2, wide / 2, high * 0.66, high * 0.66 + 0.06, y, recess, "yzZ")
    bar(-wide / 2 - 0.08, wide / 2 + 0.08, -0.08, 0, -0.12, recess, "yzZ")
    if style % 3 == 0:
        bar(-wide / 2 - 0.15, wide / 2 + 0.15, high, high + 0.18, -0.1, 0.05, "xXyzZ")
    if style % 5 == 0:  # shutters
        bar(-wide / 2 - 0.5 * min(wide, 0.9), -wide / 2 - 0.02, 0, high, -0.06, 0.02, "xXyz")
        bar(wide / 2 + 0.02, wide / 2 + 0.5 * min(wide, 0.9), 0, high, -0.06, 0.02, "xXyz")


@lru_cache(maxsize=None)
def _town_house(variant: int, far: bool = False) -> Prefab:
    rng = np.random.default_rng([61, variant])
    made = Builder()
    storeys = int(rng.integers(2, 7))
    bay = float(rng.uniform(2.0, 3.6))
    columns = int(rng.integers(3, 7))
    width, storey = bay * columns, float(rng.uniform(2.8, 3.7))
    ground = float(rng.uniform(3.2, 4.6))
    high, depth = ground + storey * (storeys - 1), float(rng.uniform(9, 14))
    style = int(rng.integers(0, 30))
    window = (float(rng.uniform(0.32, 0.62)), float(rng.uniform(0.45, 0.7)))
    if storeys > 1:
        facade(made, np.eye(4), width, ground, high, (columns, storeys - 1), rng, window=window,
               recess=float(rng.uniform(0.12, 0.35)), style=style, far=far)  # fmt: skip
    if rng.random() < 0.6:
        _shop(made, width, ground, rng)
    else:
        facade(made, np.eye(4), width, -1.5, ground, (columns, 1), rng, window=(window[0], 0.4), style=style, far=far)
        _door(made, -width / 2 + bay * (int(rng.integers(columns)) + 0.5), rng)
    # The other sides: blind walls, the roof.
    made.slab("wall", (-width / 2, 0.3, -1.5), (width / 2, depth, high))
    for z in [ground, high] if rng.random() < 0.6 else [high]:
        out = float(rng.uniform(0.08, 0.5 if z == high else 0.2))
        made.slab("trim", (-width / 2, -out, z - 0.05), (width / 2, 0.35, z + float(rng.uniform(0.15, 0.4))))
    if storeys > 1 and rng.random() < 0.45 and not far:
        _balconies(made, rng, [-width / 2 + bay * (k + 0.5) for k in range(columns)],
                   [ground + storey * k for k in range(storeys - 1)], bay)  # fmt: skip
    if rng.random() < 0.5:
        _gable_roof(made, width, depth, high, float(rng.uniform(0.4, 1.0)), along=True, overhang=0.3)
        for _ in range(int(rng.integers(0, 3))):
            x = float(rng.uniform(-0.4, 0.4)) * width
            made.slab("wall", (x - 0.4, depth * 0.4, high), (x + 0.4, depth * 0.4 + 0.6, high + 3.0))
    else:
        made.slab("wall", (-width / 2, 0, high), (width / 2, 0.25, high + 0.7))
        made.slab("roof", (-width * 0.2, depth * 0.3, high), (width * 0.15, depth * 0.6, high + 2.2))
    pipe = width / 2 - 0.15
    made.slab("trim", (pipe - 0.05, -0.12, 0), (pipe + 0.05, -0.02, high))
    return made.prefab()


def _shop(made: Builder, width: float, high: float, rng: np.random.Generator) -> None:
    """A ground floor of glass between pillars, with a sign band, an entrance and perhaps an awning."""
    n = max(2, round(width / float(rng.uniform(2.5, 4.5))))
    edges = np.linspace(-width / 2, width / 2, n + 1)
    top = high - float(rng.uniform(0.5, 1.0))
    made.add("shop", slabs(np.column_stack([edges - 0.2, 0 * edges, 0 * edges - 1.5]).clip(-width / 2, width / 2),
                           np.column_stack([(edges + 0.2).clip(-width / 2, width / 2), 0 * edges + 0.3, 0 * edges + top])))  # fmt: skip
    made.slab("shop", (-width / 2, -0.08, top), (width / 2, 0.3, high))
    made.slab("shop", (-width / 2, 0.05, -1.5), (width / 2, 0.3, float(rng.uniform(0.1, 0.6))))
    made.add("glass", quad((-width / 2, 0.25, 0), (width, 0, 0), (0, 0, top)))
    frames = np.arange(-width / 2 + 0.8, width / 2, float(rng.uniform(0.9, 1.6)))
    made.add("trim", slabs(np.column_stack([frames - 0.03, 0 * frames + 0.16, 0 * frames]),
                           np.column_stack([frames + 0.03, 0 * frames + 0.25, 0 * frames + top])))  # fmt: skip
    door = float(edges[int(rng.integers(n))] + (edges[1] - edges[0]) / 2)
    made.slab("door", (door - 0.55, 0.12, 0), (door + 0.55, 0.24, 2.2))
    if rng.random() < 0.4:
        out, drop = float(rng.uniform(0.8, 1.6)), float(rng.uniform(0.3, 0.7))
        k = int(rng.integers(n))
        a, b = edges[k] + 0.1, edges[min(k + int(rng.integers(1, 4)), n)] - 0.1
        made.add("blind", quad((a, -out, top - drop), (b - a, 0, 0), (0, out, drop)))
        made.slab("blind", (a, -out, top - drop - 0.2), (b, -out + 0.02, top - drop))
    if rng.random() < 0.4:
        x = float(rng.uniform(-0.4, 0.4)) * width
        made.slab("shop", (x - 0.05, -0.9, high - 0.4), (x + 0.05, -0.1, high + 0.5))


def _door(made: Builder, x: float, rng: np.random.Generator) -> None:
    wide, high = float(rng.uniform(0.9, 1.8)), float(rng.uniform(2.1, 2.6))
    made.slab("trim", (x - wide / 2 - 0.15, -0.1, -1), (x + wide / 2 + 0.15, 0.02, high + 0.18))
    made.slab("door", (x - wide / 2, -0.13, 0.0), (x + wide / 2, 0.02, high))
    made.slab("trim", (x - wide / 2 - 0.3, -0.9, -1), (x + wide / 2 + 0.3, 0, 0.16))
    if rng.random() < 0.4:
        made.slab("trim", (x - wide / 2 - 0.3, -1.0, high + 0.3), (x + wide / 2 + 0.3, 0, high + 0.42))


def _balconies(made: Builder, rng: np.random.Generator, xs: list[float], zs: list[float], bay: float) -> None:
    out, solid = float(rng.uniform(0.5, 1.5)), rng.random() < 0.4
    chosen = [x for x in xs if rng.random() < 0.6]
    half = bay * 0.42
    for x in chosen:
        for z in zs:
            made.slab("trim", (x - half, -out, z - 0.12), (x + half, 0, z + 0.04))
            if solid:
                made.slab("wall", (x - half, -out, z), (x + half, -out + 0.1, z + 1.0))
                continue
            made.slab("door", (x - half, -out, z + 0.97), (x + half, -out + 0.05, z + 1.02))
            bars = np.linspace(x - half, x + half, 9)
            a = np.column_stack([bars - 0.012, 0 * bars - out, 0 * bars + z])
            made.add("door", slabs(a, a + (0.024, 0.024, 1.0)))
            for side in (-half, half - 0.03):
                made.slab("door", (x + side, -out, z + 0.9), (x + side + 0.03, 0, z + 1.0))


def _gable_roof(
    made: Builder, width: float, depth: float, base: float, pitch: float, *, along: bool, overhang: float
) -> None:
    """Two slopes and their gables; ``along``: the ridge runs along x."""
    w, d = width / 2 + (0.0 if along else overhang), depth / 2 + (overhang if along else 0.3)
    run = d if along else w
    rise = run * pitch
    if along:
        ridge = [(-w - overhang * 0.5, 0, rise), (w + overhang * 0.5, 0, rise)]
        eaves = [[(-w - overhang * 0.5, s * d, 0), (w + overhang * 0.5, s * d, 0)] for s in (-1, 1)]
        gables = [[(s * w, -d, 0), (s * w, d, 0), (s * w, 0, rise)] for s in (-1, 1)]
    else:
        ridge = [(0, -d, rise), (0, d, rise)]
        eaves = [[(s * w, -d, 0), (s * w, d, 0)] for s in (-1, 1)]
        gables = [[(-w, s * d * 0.97, 0), (w, s * d * 0.97, 0), (0, s * d * 0.97, rise)] for s in (-1, 1)]
    shift = np.array([0, depth / 2, base - overhang * pitch * 0.8])
    thick = np.array([0, 0, -0.16])
    for eave in eaves:
        top = np.array([*eave, *ridge[::-1]]) + shift
        vertices = np.concatenate([top, top + thick])
        faces = np.array([(0, 1, 2), (0, 2, 3), (4, 6, 5), (4, 7, 6), (0, 5, 1), (0, 4, 5), (0, 3, 7), (0, 7, 4),
                          (1, 5, 6), (1, 6, 2)])  # fmt: skip
        made.add("roof", from_faces(vertices, faces))
    for gable in gables:
        made.add("wall", from_faces(np.array(gable) + shift, np.array([(0, 1, 2)])))


@lru_cache(maxsize=None)
def _house(variant: int, far: bool = False) -> Prefab:
    rng = np.random.default_rng([62, variant])
    made = Builder()
    width, depth = float(rng.uniform(7, 14)), float(rng.uniform(7, 11))
    storeys = int(rng.integers(1, 3))
    high = 2.7 * storeys + float(rng.uniform(0, 0.5))
    columns = max(2, int(width / rng.uniform(2.3, 3.5)))
    style = int(rng.integers(0, 30))
    window = (float(rng.uniform(0.35, 0.55)), 0.45)
    for yaw, span, deep in ((0, width, depth), (90, depth, width), (180, width, depth), (270, depth, width)):
        T = posed((0, depth / 2, 0), yaw_deg=yaw) @ posed((0, -deep / 2, 0))
        bays = columns if yaw % 180 == 0 else max(1, int(span / 4))
        facade(made, T, span, -1.0 if storeys == 1 else 0.0, high, (bays, storeys), rng, window=window, recess=0.15,
               style=style, far=far)  # fmt: skip
        if storeys > 1:
            made.add("wall", slabs(np.array([[-span / 2, 0, -1.0]]), np.array([[span / 2, 0.2, 0.0]])), T)
    made.slab("wall", (-width / 2 + 0.2, 0.2, 0), (width / 2 - 0.2, depth - 0.2, high - 0.05))
    _door(made, -width / 2 + width / columns * (int(rng.integers(columns)) + 0.5), rng)
    along, pitch = bool(rng.random() < 0.6), float(rng.uniform(0.45, 1.1))
    _gable_roof(made, width, depth, high, pitch, along=along, overhang=float(rng.uniform(0.3, 0.7)))
    if rng.random() < 0.7:
        x = float(rng.uniform(-0.3, 0.3)) * width if along else float(rng.choice([-0.6, 0.3]))
        ridge = high + (depth if along else width) / 2 * pitch
        made.slab("wall", (x - 0.35, depth * 0.53, high), (x + 0.35, depth * 0.53 + 0.5, ridge + 0.5))
    if rng.random() < 0.55:  # a garage beside it
        side, wide = (1 if rng.random() < 0.5 else -1), float(rng.uniform(3, 5.5))
        a, b = sorted((side * width / 2, side * (width / 2 + wide)))
        made.slab("wall", (a, 1, -1), (b, depth * 0.8, 2.7))
        made.slab("roof", (a - 0.15, 0.8, 2.7), (b + 0.15, depth * 0.8, 2.9))
        made.slab("door", (a + 0.35, 0.9, 0), (b - 0.35, 1.1, 2.25))
        lines = np.arange(0.25, 2.2, 0.5)
        made.add("trim", slabs(np.column_stack([0 * lines + a + 0.4, 0 * lines + 0.885, lines]),
                               np.column_stack([0 * lines + b - 0.4, 0 * lines + 1, lines + 0.03])))  # fmt: skip
    return made.prefab()


@lru_cache(maxsize=None)
def _block(variant: int, far: bool = False) -> Prefab:
    rng = np.random.default_rng([63, variant])
    made = Builder()
    kind = variant % 4
    if kind == 3:  # a shed: ribbed walls, gates
        width, depth, high = float(rng.uniform(15, 40)), float(rng.uniform(12, 30)), float(rng.uniform(4.5, 9))
        made.slab("wall", (-width / 2, 0, -1.5), (width / 2, depth, high))
        ribs = np.arange(-width / 2, width / 2, float(rng.uniform(0.6, 3)))
        made.add("wall", slabs(np.column_stack([ribs, 0 * ribs - 0.06, 0 * ribs]), np.column_stack([ribs + 0.12, 0 * ribs, 0 * ribs + high])))
        for k in range(int(rng.integers(1, 5))):
            x = -width / 2 + width * (k + 0.7) / 5
            made.slab("door", (x - 1.7, -0.1, 0), (x + 1.7, 0, 3.6))
        made.slab("glass", (-width * 0.4, -0.05, high * 0.7), (width * 0.4, 0.1, high * 0.82))
        _gable_roof(made, width, depth, high, 0.15, along=True, overhang=0.3)
        return made.prefab()
    storeys = int(rng.integers(3, 7) if kind == 0 else rng.integers(6, 14) if kind == 1 else rng.integers(2, 5))
    width, depth, storey = float(rng.uniform(16, 34)), float(rng.uniform(12, 18)), float(rng.uniform(2.8, 3.6))
    columns = int(width / rng.uniform(2.5, 4.5))
    window = (0.92, 0.55) if kind == 0 else (float(rng.uniform(0.4, 0.7)), 0.5) if kind == 1 else (0.9, 0.85)
    high = storey * storeys
    for yaw, span, deep in ((0, width, depth), (90, depth, width), (270, depth, width)):
        T = posed((0, depth / 2, 0), yaw_deg=yaw) @ posed((0, -deep / 2, 0))
        bays = max(1, round(columns * span / width))
        facade(made, T, span, 0, high, (bays, storeys), rng, window=window, recess=float(rng.uniform(0.1, 0.4)),
               style=3 + 4 * int(rng.integers(0, 4)), blinds=0.25, far=far)  # fmt: skip
    made.slab("wall", (-width / 2, 0.3, -2), (width / 2, depth, 0.05))
    made.slab("trim", (-width / 2 - 0.1, -0.1, high), (width / 2 + 0.1, depth, high + 0.6))
    made.slab("wall", (-width * 0.2, depth * 0.3, high), (width * 0.1, depth * 0.6, high + 3))
    if kind == 1 and not far:
        xs = [-width / 2 + width / columns * (k + 0.5) for k in range(0, columns, 2)]
        zs = [storey * k for k in range(1, storeys)]
        low = np.array([(x - 1.2, -1.2, z - 0.1) for x in xs for z in zs])
        made.add("trim", slabs(low, low + (2.4, 1.2, 0.15)))
        made.add("wall", slabs(low + (0, 0, 0.1), low + (2.4, 0.08, 1.1)))
    door = float(rng.uniform(-0.3, 0.3)) * width
    made.slab("trim", (door - 2, -2.2, 2.7), (door + 2, 0, 2.95))
    made.slab("glass", (door - 1.2, -0.06, 0), (door + 1.2, 0.1, 2.4))
    for side in (-1.8, 1.8):
        made.slab("trim", (door + side - 0.08, -2.1, -1), (door + side + 0.08, -1.94, 2.75))
    return made.prefab()


__all__ = ["block", "facade", "house", "town_house"]

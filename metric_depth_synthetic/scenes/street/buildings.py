"""Buildings with 3D details: recessed windows, doors, balconies, cornices, shop fronts, gables.

A building stands on z = 0 with its front in the plane y = 0, facing -y, from x = -w/2 to w/2.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.prefab import Builder, Parts, Prefab, posed, slabs
from metric_depth_synthetic.scenes.street.facade import balconies, door, facade, gable_roof, shop

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
    """An office block, a tower or an industrial shed, and its prefab."""
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


@cache
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
        facade(
            made,
            np.eye(4),
            width,
            ground,
            high,
            (columns, storeys - 1),
            rng,
            window=window,
            recess=float(rng.uniform(0.12, 0.35)),
            style=style,
            far=far,
        )
    if rng.random() < 0.6:
        shop(made, width, ground, rng)
    else:
        facade(
            made,
            np.eye(4),
            width,
            -1.5,
            ground,
            (columns, 1),
            rng,
            window=(window[0], 0.4),
            style=style,
            far=far,
        )
        door(made, -width / 2 + bay * (int(rng.integers(columns)) + 0.5), rng)
    # The other sides: walls without windows, the roof.
    made.slab("wall", (-width / 2, 0.3, -1.5), (width / 2, depth, high))
    for z in [ground, high] if rng.random() < 0.6 else [high]:
        out = float(rng.uniform(0.08, 0.5 if z == high else 0.2))
        made.slab("trim", (-width / 2, -out, z - 0.05), (width / 2, 0.35, z + float(rng.uniform(0.15, 0.4))))
    if storeys > 1 and rng.random() < 0.45 and not far:
        balconies(
            made,
            rng,
            [-width / 2 + bay * (k + 0.5) for k in range(columns)],
            [ground + storey * k for k in range(storeys - 1)],
            bay,
        )
    if rng.random() < 0.5:
        gable_roof(made, width, depth, high, float(rng.uniform(0.4, 1.0)), along=True, overhang=0.3)
        for _ in range(int(rng.integers(0, 3))):
            x = float(rng.uniform(-0.4, 0.4)) * width
            made.slab("wall", (x - 0.4, depth * 0.4, high), (x + 0.4, depth * 0.4 + 0.6, high + 3.0))
    else:
        made.slab("wall", (-width / 2, 0, high), (width / 2, 0.25, high + 0.7))
        made.slab("roof", (-width * 0.2, depth * 0.3, high), (width * 0.15, depth * 0.6, high + 2.2))
    pipe = width / 2 - 0.15
    made.slab("trim", (pipe - 0.05, -0.12, 0), (pipe + 0.05, -0.02, high))
    return made.prefab()


@cache
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
        facade(
            made,
            T,
            span,
            -1.0 if storeys == 1 else 0.0,
            high,
            (bays, storeys),
            rng,
            window=window,
            recess=0.15,
            style=style,
            far=far,
        )
        if storeys > 1:
            made.add("wall", slabs(np.array([[-span / 2, 0, -1.0]]), np.array([[span / 2, 0.2, 0.0]])), T)
    made.slab("wall", (-width / 2 + 0.2, 0.2, 0), (width / 2 - 0.2, depth - 0.2, high - 0.05))
    door(made, -width / 2 + width / columns * (int(rng.integers(columns)) + 0.5), rng)
    along, pitch = bool(rng.random() < 0.6), float(rng.uniform(0.45, 1.1))
    gable_roof(made, width, depth, high, pitch, along=along, overhang=float(rng.uniform(0.3, 0.7)))
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
        made.add(
            "trim",
            slabs(
                np.column_stack([0 * lines + a + 0.4, 0 * lines + 0.885, lines]),
                np.column_stack([0 * lines + b - 0.4, 0 * lines + 1, lines + 0.03]),
            ),
        )
    return made.prefab()


@cache
def _block(variant: int, far: bool = False) -> Prefab:
    rng = np.random.default_rng([63, variant])
    made = Builder()
    kind = variant % 4
    if kind == 3:  # a shed: ribbed walls, gates
        width, depth, high = (
            float(rng.uniform(15, 40)),
            float(rng.uniform(12, 30)),
            float(rng.uniform(4.5, 9)),
        )
        made.slab("wall", (-width / 2, 0, -1.5), (width / 2, depth, high))
        ribs = np.arange(-width / 2, width / 2, float(rng.uniform(0.6, 3)))
        made.add(
            "wall",
            slabs(
                np.column_stack([ribs, 0 * ribs - 0.06, 0 * ribs]),
                np.column_stack([ribs + 0.12, 0 * ribs, 0 * ribs + high]),
            ),
        )
        for k in range(int(rng.integers(1, 5))):
            x = -width / 2 + width * (k + 0.7) / 5
            made.slab("door", (x - 1.7, -0.1, 0), (x + 1.7, 0, 3.6))
        made.slab("glass", (-width * 0.4, -0.05, high * 0.7), (width * 0.4, 0.1, high * 0.82))
        gable_roof(made, width, depth, high, 0.15, along=True, overhang=0.3)
        return made.prefab()
    storeys = int(
        rng.integers(3, 7) if kind == 0 else rng.integers(6, 14) if kind == 1 else rng.integers(2, 5)
    )
    width, depth, storey = (
        float(rng.uniform(16, 34)),
        float(rng.uniform(12, 18)),
        float(rng.uniform(2.8, 3.6)),
    )
    columns = int(width / rng.uniform(2.5, 4.5))
    window = (0.92, 0.55) if kind == 0 else (float(rng.uniform(0.4, 0.7)), 0.5) if kind == 1 else (0.9, 0.85)
    high = storey * storeys
    for yaw, span, deep in ((0, width, depth), (90, depth, width), (270, depth, width)):
        T = posed((0, depth / 2, 0), yaw_deg=yaw) @ posed((0, -deep / 2, 0))
        bays = max(1, round(columns * span / width))
        facade(
            made,
            T,
            span,
            0,
            high,
            (bays, storeys),
            rng,
            window=window,
            recess=float(rng.uniform(0.1, 0.4)),
            style=3 + 4 * int(rng.integers(0, 4)),
            blinds=0.25,
            far=far,
        )
    made.slab("wall", (-width / 2, 0.3, -2), (width / 2, depth, 0.05))
    made.slab("trim", (-width / 2 - 0.1, -0.1, high), (width / 2 + 0.1, depth, high + 0.6))
    made.slab("wall", (-width * 0.2, depth * 0.3, high), (width * 0.1, depth * 0.6, high + 3))
    if kind == 1 and not far:
        xs = [-width / 2 + width / columns * (k + 0.5) for k in range(0, columns, 2)]
        zs = [storey * k for k in range(1, storeys)]
        low = np.array([(x - 1.2, -1.2, z - 0.1) for x in xs for z in zs])
        made.add("trim", slabs(low, low + np.array((2.4, 1.2, 0.15))))
        made.add("wall", slabs(low + np.array((0, 0, 0.1)), low + np.array((2.4, 0.08, 1.1))))
    door = float(rng.uniform(-0.3, 0.3)) * width
    made.slab("trim", (door - 2, -2.2, 2.7), (door + 2, 0, 2.95))
    made.slab("glass", (door - 1.2, -0.06, 0), (door + 1.2, 0.1, 2.4))
    for side in (-1.8, 1.8):
        made.slab("trim", (door + side - 0.08, -2.1, -1), (door + side + 0.08, -1.94, 2.75))
    return made.prefab()


__all__ = ["block", "facade", "house", "town_house"]

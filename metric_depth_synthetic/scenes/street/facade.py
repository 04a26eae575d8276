"""Parts of buildings: walls with recessed windows, shop fronts, doors, balconies, roofs."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import from_faces, joined, quad
from metric_depth_synthetic.scenes.prefab import Builder, slabs


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
    """Wall with columns x rows of windows in the plane y = 0 of ``T``'s frame, outside towards -y.

    ``window``: glass fraction of a bay's width and of a storey's height. ``far`` leaves out details that are
    not visible from afar.
    """
    columns, rows = grid
    if columns < 1 or rows < 1:
        made.add(
            "wall", slabs(np.array([[-width / 2, 0, low]]), np.array([[width / 2, 0.3, high]]), faces="y"), T
        )
        return
    bay, storey = width / columns, (high - low) / rows
    open_w, open_h = bay * window[0], storey * window[1]
    centre = -width / 2 + bay * (np.arange(columns) + 0.5)
    sill = low + storey * np.arange(rows) + storey * (1 - window[1]) * 0.55
    edges = np.concatenate(
        [[-width / 2], np.stack([centre - open_w / 2, centre + open_w / 2], 1).ravel(), [width / 2]]
    )
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
    made: Builder,
    T: FloatArray,
    x: FloatArray,
    z: FloatArray,
    wide: float,
    high: float,
    recess: float,
    style: int,
) -> None:
    """Window details: a mullion or a cross, sills and, by style, projecting lintels or shutters."""

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


def shop(made: Builder, width: float, high: float, rng: np.random.Generator) -> None:
    """A ground floor of glass between pillars, with a sign band, an entrance and sometimes an awning."""
    n = max(2, round(width / float(rng.uniform(2.5, 4.5))))
    edges = np.linspace(-width / 2, width / 2, n + 1)
    top = high - float(rng.uniform(0.5, 1.0))
    made.add(
        "shop",
        slabs(
            np.column_stack([edges - 0.2, 0 * edges, 0 * edges - 1.5]).clip(-width / 2, width / 2),
            np.column_stack([(edges + 0.2).clip(-width / 2, width / 2), 0 * edges + 0.3, 0 * edges + top]),
        ),
    )
    made.slab("shop", (-width / 2, -0.08, top), (width / 2, 0.3, high))
    made.slab("shop", (-width / 2, 0.05, -1.5), (width / 2, 0.3, float(rng.uniform(0.1, 0.6))))
    made.add("glass", quad((-width / 2, 0.25, 0), (width, 0, 0), (0, 0, top)))
    frames = np.arange(-width / 2 + 0.8, width / 2, float(rng.uniform(0.9, 1.6)))
    made.add(
        "trim",
        slabs(
            np.column_stack([frames - 0.03, 0 * frames + 0.16, 0 * frames]),
            np.column_stack([frames + 0.03, 0 * frames + 0.25, 0 * frames + top]),
        ),
    )
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


def door(made: Builder, x: float, rng: np.random.Generator) -> None:
    wide, high = float(rng.uniform(0.9, 1.8)), float(rng.uniform(2.1, 2.6))
    made.slab("trim", (x - wide / 2 - 0.15, -0.1, -1), (x + wide / 2 + 0.15, 0.02, high + 0.18))
    made.slab("door", (x - wide / 2, -0.13, 0.0), (x + wide / 2, 0.02, high))
    made.slab("trim", (x - wide / 2 - 0.3, -0.9, -1), (x + wide / 2 + 0.3, 0, 0.16))
    if rng.random() < 0.4:
        made.slab("trim", (x - wide / 2 - 0.3, -1.0, high + 0.3), (x + wide / 2 + 0.3, 0, high + 0.42))


def balconies(made: Builder, rng: np.random.Generator, xs: list[float], zs: list[float], bay: float) -> None:
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
            made.add("door", slabs(a, a + np.array((0.024, 0.024, 1.0))))
            for side in (-half, half - 0.03):
                made.slab("door", (x + side, -out, z + 0.9), (x + side + 0.03, 0, z + 1.0))


def gable_roof(
    made: Builder, width: float, depth: float, base: float, pitch: float, *, along: bool, overhang: float
) -> None:
    """Gable roof: two slopes and their gables; ``along``: the ridge is parallel to x."""
    w, d = width / 2 + (0.0 if along else overhang), depth / 2 + (overhang if along else 0.3)
    run = d if along else w
    rise = run * pitch
    if along:
        ridge = [(-w - overhang * 0.5, 0.0, rise), (w + overhang * 0.5, 0.0, rise)]
        eaves = [[(-w - overhang * 0.5, s * d, 0), (w + overhang * 0.5, s * d, 0)] for s in (-1, 1)]
        gables = [[(s * w, -d, 0), (s * w, d, 0), (s * w, 0, rise)] for s in (-1, 1)]
    else:
        ridge = [(0.0, -d, rise), (0.0, d, rise)]
        eaves = [[(s * w, -d, 0), (s * w, d, 0)] for s in (-1, 1)]
        gables = [[(-w, s * d * 0.97, 0), (w, s * d * 0.97, 0), (0, s * d * 0.97, rise)] for s in (-1, 1)]
    shift = np.array([0, depth / 2, base - overhang * pitch * 0.8])
    thick = np.array([0, 0, -0.16])
    for eave in eaves:
        top = np.array([*eave, *ridge[::-1]]) + shift
        vertices = np.concatenate([top, top + thick])
        faces = np.array(
            [
                (0, 1, 2),
                (0, 2, 3),
                (4, 6, 5),
                (4, 7, 6),
                (0, 5, 1),
                (0, 4, 5),
                (0, 3, 7),
                (0, 7, 4),
                (1, 5, 6),
                (1, 6, 2),
            ]
        )
        made.add("roof", from_faces(vertices, faces))
    for gable in gables:
        made.add("wall", from_faces(np.array(gable) + shift, np.array([(0, 1, 2)])))

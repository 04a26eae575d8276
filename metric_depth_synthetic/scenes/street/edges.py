"""Long structures beside and above a street: hedges, fences, walls, rails, wires, gantries, bridges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import Mesh, joined, tube
from metric_depth_synthetic.scenes.prefab import posed, slabs
from metric_depth_synthetic.scenes.street.place import Place


def boundary(place: Place, sign: int, what: str) -> None:
    """A hedge, fence or wall between the road and the plots, with gaps for drives."""
    t = sign * (place.outer(sign) + place.u(0.2, 1.5))
    style = str(
        place.rng.choice(
            ["hedge", "pickets", "rails", "mesh", "wall", "none"], p=[0.25, 0.2, 0.15, 0.1, 0.15, 0.15]
        )
    )
    if what == "wall":
        style = "wall"
    if style == "none":
        return
    s = np.arange(-40.0, 100.0, 4.0)
    keep = [bool(place.free(float(a) + 2, t, 0.8)) and not (what == "house" and place.chance(0.2)) for a in s]
    s = s[keep]
    if not len(s):
        return
    if style == "hedge":
        high = place.u(0.8, 2.0)
        made = place.flora.hedge()
        for a in s:
            place.put(
                "vegetation", made, float(a) + 2, t, scale=(1, place.u(0.9, 1.3), high * place.u(0.95, 1.05))
            )
        return
    draw = place.palette.draw
    if style == "wall":
        material, high = draw("brick" if place.chance(0.5) else "concrete"), place.u(0.6, 2.4)
        pieces = _run(
            place, s, t, [(0.0, 4.0, -0.12, 0.12, -0.5, high), (0.0, 4.0, -0.16, 0.16, high, high + 0.08)]
        )
        place.add("wall", pieces, material)
        return
    material = draw("wood") if style in ("pickets", "rails") and place.chance(0.6) else draw("metal")
    high = place.u(0.9, 1.7)
    boxes = [(0.0, 0.09, -0.045, 0.045, -0.3, high)]
    if style == "rails":
        boxes += [(0.0, 4.0, -0.02, 0.02, z * high, z * high + 0.1) for z in (0.35, 0.65, 0.92)]
    else:
        boxes += [(0.0, 4.0, -0.02, 0.02, z * high, z * high + 0.05) for z in (0.15, 0.85)]
        step, wide = (0.16, 0.08) if style == "pickets" else (0.11, 0.02)
        boxes += [
            (x, x + wide, -0.035 if style == "pickets" else -0.01, 0.01, 0.06, high * 0.98)
            for x in np.arange(0.12, 4, step)
        ]
    near = s[(s > -20) & (s < 45)]
    place.add("fence", _run(place, near if len(near) else s[:4], t, boxes), material)


def _run(
    place: Place,
    starts: FloatArray,
    t: float,
    boxes: Sequence[tuple[float, float, float, float, float, float]],
) -> Mesh:
    """Boxes (s0, s1, t0, t1, z0, z1) repeated at places along the road and rotated with it."""
    array = np.array(boxes, np.float64)
    base = slabs(array[:, [0, 2, 4]], array[:, [1, 3, 5]])
    out = []
    for s in starts:
        x, y = (float(v) for v in place.land.xy(s, t))
        x2, y2 = (float(v) for v in place.land.xy(s + 4, t))
        z, z2 = float(place.land.z(x, y)), float(place.land.z(x2, y2))
        yaw = np.degrees(np.arctan2(y2 - y, x2 - x))
        T = posed((x, y, z + place.kerb), yaw_deg=float(yaw))
        T[2, 0] = (z2 - z) / 4  # sheared to the slope, its posts upright
        out.append(base.moved(T))
    return joined(out)


def guard_rail(place: Place, t: float) -> None:
    boxes = [
        (0.0, 4.0, -0.04, 0.04, 0.5, 0.6),
        (0.0, 4.0, -0.07, 0.07, 0.6, 0.72),
        (0.0, 4.0, -0.04, 0.04, 0.72, 0.82),
        (0.0, 0.12, -0.05, 0.05, -0.3, 0.8),
        (2.0, 2.12, -0.05, 0.05, -0.3, 0.8),
    ]
    grey = place.u(0.2, 0.5)
    mesh = _run(place, np.arange(-40.0, 120.0, 4.0), t, boxes)
    place.add("fence", mesh, place.palette.draw("metal", colour=(grey, grey, grey)))


def wires(place: Place) -> None:
    """Utility poles along one side with wires that sag between them."""
    sign = 1 if place.chance(0.5) else -1
    t = sign * (place.edge[place.side(sign)] + 0.6)
    step = place.u(25, 40)
    poles = np.arange(-step, 110, step)
    for s in poles:
        place.put_thing("utility", float(s), t)
    high = float(place.furniture.make("utility")[1].high[2]) - 0.3
    tubes = []
    for across in (-0.85, 0.0, 0.85):
        for a in poles[:-1]:
            s = np.linspace(a, a + step, 7)
            sag = 4 * 0.025 * step * ((s - a) / step) * (1 - (s - a) / step)
            ends = place.land.points(np.array([a, a + step]), np.full(2, t + across), high)
            line = place.land.points(s, np.full(7, t + across))
            line[:, 2] = np.interp(s, [a, a + step], ends[:, 2]) - sag
            tubes.append(tube(line, 0.02, segments=3))
    place.add("pole", joined(tubes), place.furniture.materials()["dark"])


def overhead(place: Place) -> None:
    """A gantry, a bridge or a tunnel over the road."""
    pick = float(place.rng.random())
    s = place.u(6, 70)
    half = place.driven + 2.1
    x, y = (float(v) for v in place.land.xy(s, 0))
    T = posed((x, y, float(place.land.z(x, y))), yaw_deg=float(np.degrees(place.land.heading(s))))
    if pick < 0.5:
        low = [(-0.2, -half - 1.2, -1), (-0.2, half + 0.8, -1), (-0.25, -half - 1.2, 6.0)]
        high = [(0.2, -half - 0.8, 6.6), (0.2, half + 1.2, 6.6), (0.25, half + 1.2, 6.6)]
        place.add(
            "structure", slabs(np.array(low), np.array(high)).moved(T), place.furniture.materials()["steel"]
        )
        for _ in range(int(place.u(1, 4))):
            t = place.u(-half + 2, half - 2)
            face = slabs(np.array([(-0.4, t - 1.8, 5.4)]), np.array([(-0.28, t + 1.8, 7.6)])).moved(T)
            place.add("sign", face, place.palette.draw("print", colour=(0.03, 0.12, 0.4)))
        return
    width = place.u(6, 14) if pick < 0.85 else place.u(40, 90)
    clear = place.u(4.6, 6)
    pier = half + (2.5 if place.kind.walk_m[1] else 1)
    low = [
        (0, -60, clear),
        (0, -pier - 1.0, -1),
        (0, pier, -1),
        (0, -60, clear + 1.2),
        (width - 0.3, -60, clear + 1.2),
    ]
    high = [
        (width, 60, clear + 1.2),
        (width, -pier, clear),
        (width, pier + 1.0, clear),
        (0.3, 60, clear + 2.2),
        (width, 60, clear + 2.2),
    ]
    place.add("structure", slabs(np.array(low), np.array(high)).moved(T), place.palette.draw("concrete"))

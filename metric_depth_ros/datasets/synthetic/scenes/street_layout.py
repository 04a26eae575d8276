"""What stands where along a street of each kind."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.datasets.synthetic.mesh import joined, tube
from metric_depth_ros.datasets.synthetic.scenes import street_buildings as buildings
from metric_depth_ros.datasets.synthetic.scenes.prefab import slabs
from metric_depth_ros.datasets.synthetic.scenes.street_people import person
from metric_depth_ros.datasets.synthetic.scenes.street_place import Kind, Place

KINDS: dict[str, Kind] = {
    "city": Kind(5, lanes=(1, 2), sides=(("town", 0.8), ("block", 0.2)), people=8, trees=2, traffic=5, overhead=0.25),
    "old town": Kind(2, lanes=(0, 1), walk_m=(0.8, 2), parking=(0.4, 0.6), marked=0.3, bend=0.008, people=8, traffic=2,
                     trees=0.5),
    "avenue": Kind(3, sides=(("town", 0.5), ("house", 0.5)), setback_m=(0, 5), verge_m=(0.5, 2.5), trees=9,
                   parking=(0.8, 0.7)),
    "suburb": Kind(5, sides=(("house", 1.0),), setback_m=(4, 10), verge_m=(0, 2), trees=5, people=2, traffic=3,
                   parking=(0.5, 0.4), marked=0.5, bend=0.006, slope=0.03),
    "highway": Kind(2, lanes=(2, 3), lane_m=(3.4, 3.8), walk_m=(0, 0), setback_m=(15, 40), parking=(0, 0),
                    sides=(("field", 0.5), ("wood", 0.35), ("block", 0.15)), traffic=7, people=0, trees=4, marked=1.0,
                    bend=0.002, speed=(14, 30), overhead=0.5),
    "country": Kind(3, lanes=(1, 1), walk_m=(0, 0), setback_m=(8, 30), parking=(0, 0),
                    sides=(("field", 0.45), ("wood", 0.35), ("house", 0.2)), traffic=2.5, people=0.3, trees=6,
                    marked=0.8, bend=0.008, slope=0.05, speed=(8, 20)),
    "works": Kind(1.5, lane_m=(3.2, 4.5), sides=(("block", 0.8), ("wall", 0.2)), setback_m=(4, 12), trees=1,
                  traffic=4, parking=(0.5, 0.6), marked=0.4, surface="concrete"),
    "campus": Kind(1.5, lanes=(0, 1), sides=(("block", 0.8), ("field", 0.2)), setback_m=(4, 14), verge_m=(0, 4), trees=7,
                   people=9, traffic=1, parking=(0.3, 0.7), marked=0.2),
    "park": Kind(1.5, lanes=(0, 0), lane_m=(1.6, 3.4), walk_m=(0, 0), setback_m=(15, 40), parking=(0, 0), trees=10,
                 sides=(("wood", 0.5), ("field", 0.5)), traffic=0, people=5, marked=0.0, bend=0.012, slope=0.04,
                 surface="ground"),
    "forest": Kind(1, lanes=(0, 0), lane_m=(1.8, 3.2), walk_m=(0, 0), setback_m=(40, 50), parking=(0, 0), trees=26,
                   sides=(("wood", 1.0),), traffic=0.3, people=1, marked=0.0, bend=0.012, slope=0.06, surface="ground"),
    "car park": Kind(2, lanes=(1, 1), lane_m=(2.8, 3.4), walk_m=(0.5, 2), setback_m=(14, 22), parking=(0, 0),
                     sides=(("block", 0.7), ("wood", 0.3)), trees=1.5, traffic=1, people=3, marked=0.6),
}  # fmt: skip


def fill(place: Place) -> None:
    """Stations, buildings, traffic and all the rest of a street."""
    _stations(place)
    for sign in (1, -1):
        _side(place, sign)
    _lane_marks(place)
    _traffic(place)
    for sign in (1, -1):
        if place.parked[place.side(sign)]:
            _parked(place, sign)
    if place.kind.setback_m[0] >= 14 and place.kind.walk_m[1] > 0:
        _car_park(place)
    _along(place)
    _trees(place)
    _walkers(place)
    if place.chance(place.kind.overhead):
        _overhead(place)


def _direction(place: Place, t: float) -> float:
    """Yaw of the traffic at t."""
    return 0.0 if (t < 0) == place.right_hand else 180.0


def _lane_centres(place: Place) -> list[float]:
    if place.lanes == 0:
        return [0.0]
    first = place.median / 2 + place.lane / 2
    return [sign * (first + k * place.lane) for sign in (-1, 1) for k in range(place.lanes)]


def _stations(place: Place) -> None:
    u = place.u
    lanes = _lane_centres(place)
    own = [t for t in lanes if _direction(place, t) == 0.0] or lanes
    for _ in range(5):
        t = own[int(place.rng.integers(len(own)))] + u(-0.4, 0.4)
        place.look(u(-25, 15), t, u(1.2, 2.0), 0.0, yaw=8, pitch=(-4, 3), weight=3.0, roll=1.0)
    for _ in range(2):
        t = lanes[int(place.rng.integers(len(lanes)))]
        place.look(u(-10, 30), t, u(1.3, 1.9), u(-180, 180), yaw=6, pitch=(-4, 3), weight=1.2, roll=1.0)
    for height, pitch, weight in ((u(0.3, 1.0), (-10, 6), 1.0), (u(1.5, 1.8), (-20, 10), 1.0), (u(1.5, 1.8), (-12, 8), 1.0)):
        sign = 1 if place.chance(0.5) else -1
        walk = place.walk[place.side(sign)]
        t = sign * (place.edge[place.side(sign)] + 0.2 + (u(0.3, 0.7) * walk if walk > 0.8 else 1.0))
        yaw = u(-180, 180) if place.chance(0.5) else float(place.rng.choice([0, 180])) + u(-20, 20)
        place.look(u(-15, 30), t, height, yaw, yaw=10, pitch=pitch, weight=weight, roll=4.0)
    place.look(u(-20, 10), u(-3, 3), u(5, 22), u(-180, 180), yaw=15, pitch=(-55, -18), weight=0.5)


def _gap(place: Place, s: float, width: float) -> float:
    """How far to jump so that s to s + width is clear of the side road; 0 if it is."""
    if place.crossing is None:
        return 0.0
    at, half = place.crossing
    if s + width > at - half and s < at + half:
        return at + half - s
    return 0.0


def _side(place: Place, sign: int) -> None:
    """The row of what lines the road on one side."""
    names, chances = zip(*place.kind.sides, strict=True)
    what = str(place.rng.choice(names, p=np.array(chances) / sum(chances)))
    setback = place.outer(sign) + place.u(*place.kind.setback_m)
    if what in ("town", "house", "block"):
        _building_row(place, sign, what, setback)
    if what in ("house", "field", "wall"):
        _boundary(place, sign, what)
    if what == "wood":
        _wood(place, sign, place.outer(sign) + place.u(2, 12))


def _building_row(place: Place, sign: int, what: str, setback: float) -> None:
    maker = {"town": buildings.town_house, "house": buildings.house, "block": buildings.block}[what]
    s = place.u(-75, -60)
    end = 170.0 if what == "block" else 125.0
    while s < end:
        made = maker(place.rng, place.palette, far=place.far(s, sign * setback))
        wide = float(made[1].high[0] - made[1].low[0])
        jump = _gap(place, s, wide)
        if jump:
            s += jump + 0.2
            continue
        middle = s + wide / 2 - float(made[1].high[0] + made[1].low[0]) / 2 * (1 if sign > 0 else -1)
        out = place.u(0, 0.5) if what == "town" else place.u(0, 3)
        t = sign * (setback + out)
        place.put("building", made, middle, t, yaw_deg=0.0 if sign > 0 else 180.0)
        for k in np.arange(s + 1, s + wide, 4.0):
            place._taken.append((float(k), t + sign * 3.2, 3.0))
        if what == "town":
            s += wide + (place.u(2, 8) if place.chance(0.12) else 0.0)
        else:
            s += wide + place.u(3, 12)


def _boundary(place: Place, sign: int, what: str) -> None:
    """A hedge, fence or wall between the road and the plots, with gaps for drives."""
    t = sign * (place.outer(sign) + place.u(0.2, 1.5))
    style = str(place.rng.choice(["hedge", "pickets", "rails", "mesh", "wall", "none"], p=[0.25, 0.2, 0.15, 0.1, 0.15, 0.15]))
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
            place.put("vegetation", made, float(a) + 2, t, scale=(1, place.u(0.9, 1.3), high * place.u(0.95, 1.05)))
        return
    draw = place.palette.draw
    if style == "wall":
        material, high = draw("brick" if place.chance(0.5) else "concrete"), place.u(0.6, 2.4)
        pieces = _run(place, s, t, [(0.0, 4.0, -0.12, 0.12, -0.5, high), (0.0, 4.0, -0.16, 0.16, high, high + 0.08)])
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
        boxes += [(x, x + wide, -0.035 if style == "pickets" else -0.01, 0.01, 0.06, high * 0.98) for x in np.arange(0.12, 4, step)]
    near = s[(s > -20) & (s < 45)]
    place.add("fence", _run(place, near if len(near) else s[:4], t, boxes), material)


def _run(place: Place, starts, t: float, boxes):  # type: ignore[no-untyped-def]
    """Boxes (s0, s1, t0, t1, z0, z1) repeated at places along the road, turned with it."""
    array = np.array(boxes, np.float64)
    base = slabs(array[:, [0, 2, 4]], array[:, [1, 3, 5]])
    out = []
    for s in starts:
        x, y = (float(v) for v in place.land.xy(s, t))
        x2, y2 = (float(v) for v in place.land.xy(s + 4, t))
        z, z2 = float(place.land.z(x, y)), float(place.land.z(x2, y2))
        from metric_depth_ros.datasets.synthetic.scenes.prefab import posed

        yaw = np.degrees(np.arctan2(y2 - y, x2 - x))
        T = posed((x, y, z + place.kerb), yaw_deg=float(yaw))
        T[2, 0] = (z2 - z) / 4  # sheared to the slope, its posts upright
        out.append(base.moved(T))
    return joined(out)


def _wood(place: Place, sign: int, start: float) -> None:
    """The edge of a wood: trees in depth, thinning out of sight."""
    for _ in range(int(place.u(14, 26))):
        s, t = place.u(-50, 130), sign * (start + abs(place.rng.normal(0, 9)))
        if place.claim(s, t, 1.2):
            place.put("vegetation", place.flora.tree(far=place.far(s, t)), s, t, yaw_deg=place.u(0, 360), scale=place.u(0.7, 1.5))
    for _ in range(int(place.u(4, 14))):
        s, t = place.u(-20, 60), sign * (start + place.u(-2, 4))
        if place.claim(s, t, 0.6):
            place.put("vegetation", place.flora.bush(), s, t, yaw_deg=place.u(0, 360), scale=place.u(0.6, 2.2))


def _lane_marks(place: Place) -> None:
    if place.lanes == 0 or not place.chance(place.kind.marked):
        return
    dash = place.u(1.5, 6)
    near = np.arange(-40, 120, dash * place.u(1.6, 3))
    width = place.u(0.1, 0.18)
    lines = [0.0] if not place.median else []
    lines += [sign * (place.median / 2 + k * place.lane) for sign in (-1, 1) for k in range(1, place.lanes)]
    s = [np.repeat(near, len(lines))] if lines else []
    t = [np.tile(lines, len(near))] if lines else []
    length = [np.full(len(near) * len(lines), dash)] if lines else []
    solid = np.arange(-45.0, 125.0, 3.0)
    edges = [sign * (place.driven - 0.12) for sign in (-1, 1)] if place.chance(0.6) else []
    edges += [sign * place.median / 2 for sign in (-1, 1)] if place.median else []
    for e in edges:
        s.append(solid)
        t.append(np.full_like(solid, e))
        length.append(np.full_like(solid, 3.02))
    if place.crossing:
        at, half = place.crossing
        bars = np.arange(-place.driven + 0.3, place.driven - 0.2, 1.0)
        for end in (at - half - 2.2, at + half + 2.2):
            s.append(np.full_like(bars, end))
            t.append(bars)
            length.append(np.full_like(bars, 3.0))
        s_all, t_all, l_all = (np.concatenate(v) for v in (s, t, length))
        keep = (np.abs(s_all - at) > half + 4) | (np.isin(s_all, [at - half - 2.2, at + half + 2.2]))
        wide = np.where(np.isin(s_all, [at - half - 2.2, at + half + 2.2]), 0.5, width)
        place.paint(s_all[keep], t_all[keep], l_all[keep], wide[keep])
        return
    if s:
        place.paint(np.concatenate(s), np.concatenate(t), np.concatenate(length), width)


def _traffic(place: Place) -> None:
    """Vehicles in the lanes, most of them moving."""
    for t in _lane_centres(place):
        s = place.u(-60, -30)
        while s < 130:
            s += 6 + float(place.rng.exponential(100 * max(len(_lane_centres(place)), 1) / max(place.kind.traffic, 0.05)))
            if s > 130:
                break
            _vehicle(place, s, t + place.u(-0.3, 0.3), _direction(place, t))


def _vehicle(place: Place, s: float, t: float, yaw: float) -> None:
    pick = float(place.rng.random())
    ridden = pick > 0.9 and place.kind.speed[1] < 16
    heavy = 0.78 < pick <= 0.9 and place.lanes > 0
    made = (
        place.fleet.two_wheeler(ridden=True) if ridden
        else place.fleet.lorry() if heavy else place.fleet.car(far=place.far(s, t))
    )  # fmt: skip
    half = float(made[1].high[0])
    if not place.free(s, t, half + 2.5):
        return
    for offset in (-0.6, 0.0, 0.6):
        place._taken.append((s + offset * half, t, half * 0.45 + 0.3))
    speed = place.u(*place.kind.speed) if place.chance(0.8) else 0.0
    place.put("vehicle", made, s, t, yaw_deg=yaw + place.u(-2, 2), tilted=True, speed=speed)


def _parked(place: Place, sign: int) -> None:
    t = sign * (place.edge[place.side(sign)] - 1.05)
    s = place.u(-45, -38)
    while s < 85:
        if place.chance(place.kind.parking[1]):
            made = place.fleet.car(far=place.far(float(s), t))
            half = float(made[1].high[0])
            if place.free(s + half, t, 1.3) and not _gap(place, s - 3, 2 * half + 6):
                for offset in (-0.6, 0.0, 0.6):
                    place._taken.append((s + half + offset * half, t, 0.9))
                yaw = _direction(place, t) if place.chance(0.85) else 180 - _direction(place, t)
                place.put("vehicle", made, s + half, t + place.u(-0.12, 0.12), yaw_deg=yaw + place.u(-2, 2), tilted=True)
            s += 2 * half + place.u(0.6, 1.6)
        else:
            s += place.u(3, 7)


def _car_park(place: Place) -> None:
    """Rows of cars at right angles to the lane."""
    for sign in (1, -1):
        t = sign * (place.outer(sign) + 2.8)
        bay = place.u(2.5, 2.9)
        for s in np.arange(-30, 60, bay):
            if place.chance(0.65) and place.free(float(s), t, 1.2):
                made = place.fleet.car(far=place.far(float(s), t))
                for offset in (-1.4, 0.0, 1.4):
                    place._taken.append((float(s), t + offset, 0.9))
                yaw = 90.0 if place.chance(0.5) else -90.0
                place.put("vehicle", made, float(s), t + place.u(-0.3, 0.3), yaw_deg=yaw + place.u(-3, 3), tilted=True)


def _along(place: Place) -> None:
    """Lamps, signs, bins and the like on the sidewalks; rails where there are none."""
    spacing = place.u(18, 40)
    for sign in (1, -1):
        i = place.side(sign)
        kerbside = sign * (place.edge[i] + 0.5)
        turn = 0.0 if sign < 0 else 180.0
        if place.kind.people > 0.5 and place.chance(0.7):
            for s in np.arange(place.u(-45, -25), 130, spacing):
                if place.claim(float(s), kerbside, 0.3):
                    place.put_thing("lamp", float(s), kerbside, yaw_deg=turn)
        names = ["sign", "sign", "bin", "bench", "bollard", "cabinet", "board", "planter", "shelter", "cone", "sign", "lamp"]
        if not place.walk[i]:
            names = ["sign", "board", "bollard", "bollard"]
        for _ in range(int(place.u(2, 9))):
            name = names[int(place.rng.integers(len(names)))]
            s = place.u(-25, 60)
            inside = place.edge[i] + 0.16 + max(place.walk[i], 1.2) - 0.5
            t = kerbside if name in ("sign", "bollard", "cone") else sign * inside
            if not place.claim(s, t, 0.5):
                continue
            yaw = (0.0 if _direction(place, t) == 0 else 180.0) if name in ("sign", "board") else 90.0 * sign
            place.put_thing(name, s, t, yaw_deg=yaw + place.u(-8, 8))
            if name == "planter":
                place.put("vegetation", place.flora.bush(), s, t, scale=0.6, lift=place.kerb + 0.35)
            if name == "bollard":
                for k in range(1, int(place.u(2, 8))):
                    if place.claim(s + 1.5 * k, t, 0.2):
                        place.put_thing("bollard", s + 1.5 * k, t)
        if not place.walk[i] and place.kind.speed[1] > 16 and place.chance(0.6):
            _guard_rail(place, sign * (place.edge[i] + 0.6))
    if place.median and place.chance(0.7):
        _guard_rail(place, 0.0)
    if place.crossing:
        at, half = place.crossing
        if place.chance(0.7):
            for sign in (1, -1):
                t = sign * (place.edge[place.side(sign)] + 0.6)
                s = at - half - 0.6 if sign < 0 else at + half + 0.6
                place.put_thing("lights", s, t, yaw_deg=0.0 if sign < 0 else 180.0)
    if place.chance(0.3):
        _wires(place)


def _guard_rail(place: Place, t: float) -> None:
    boxes = [(0.0, 4.0, -0.04, 0.04, 0.5, 0.6), (0.0, 4.0, -0.07, 0.07, 0.6, 0.72), (0.0, 4.0, -0.04, 0.04, 0.72, 0.82),
             (0.0, 0.12, -0.05, 0.05, -0.3, 0.8), (2.0, 2.12, -0.05, 0.05, -0.3, 0.8)]  # fmt: skip
    grey = place.u(0.2, 0.5)
    mesh = _run(place, np.arange(-40.0, 120.0, 4.0), t, boxes)
    place.add("fence", mesh, place.palette.draw("metal", colour=(grey, grey, grey)))


def _wires(place: Place) -> None:
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


def _trees(place: Place) -> None:
    """Trees along the kerb or on the plots, with bushes and weeds at their feet."""
    kind = place.kind
    for sign in (1, -1):
        i = place.side(sign)
        if kind.trees > 4 and place.chance(0.6):
            step = 100 / kind.trees * place.u(0.8, 1.6)
            t0 = place.edge[i] + 0.16 + (place.walk[i] + 0.6 if place.verge[i] or not place.walk[i] else 0.7)
            for s in np.arange(place.u(-40, -25), 110, step):
                if place.claim(float(s), sign * t0, 0.5):
                    place.put("vegetation", place.flora.tree(far=place.far(float(s), t0)), float(s), sign * t0, yaw_deg=place.u(0, 360), scale=place.u(0.75, 1.15))
        for _ in range(int(place.rng.poisson(kind.trees * 1.2))):
            s, t = place.u(-40, 110), sign * (place.outer(sign) + abs(float(place.rng.normal(0, 8))) + 1.0)
            if place.claim(s, t, 0.8):
                place.put("vegetation", place.flora.tree(far=place.far(s, t)), s, t, yaw_deg=place.u(0, 360), scale=place.u(0.5, 1.3))
        if place.green[i]:
            for _ in range(int(place.u(2, 12))):
                s, t = place.u(-15, 50), sign * (place.outer(sign) + place.u(0.3, 6))
                if place.claim(s, t, 0.5):
                    made = place.flora.bush() if place.chance(0.6) else place.flora.tuft()
                    place.put("vegetation", made, s, t, yaw_deg=place.u(0, 360), scale=place.u(0.5, 1.6))


def _walkers(place: Place) -> None:
    for _ in range(int(place.rng.poisson(place.kind.people * 1.1))):
        sign = 1 if place.chance(0.5) else -1
        i = place.side(sign)
        walk = place.walk[i]
        t = sign * (place.edge[i] + 0.4 + place.u(0, max(walk - 0.5, 0.6)))
        if place.chance(0.12) or place.lanes == 0:
            t = place.u(-place.driven, place.driven)
        s = place.u(-15, 55)
        if not place.claim(s, t, 0.5):
            continue
        walking = place.chance(0.8)
        yaw = float(place.rng.choice([0.0, 180.0])) + place.u(-15, 15) if place.chance(0.8) else place.u(-180, 180)
        place.put("person", person(place.rng, place.palette, walking=walking), s, t, yaw_deg=yaw,
                  speed=place.u(0.8, 1.9) if walking else 0.0)  # fmt: skip
    if place.walk[0] > 1.5 and place.chance(0.4):
        s0 = place.u(0, 30)
        for k in range(int(place.u(1, 6))):
            s, t = s0 + 0.7 * k, -(place.edge[0] + 0.9)
            if place.claim(s, t, 0.3):
                place.put("clutter", place.fleet.two_wheeler(ridden=False), s, t, yaw_deg=90 + place.u(-8, 8))


def _overhead(place: Place) -> None:
    """A gantry, a bridge or a tunnel over the road."""
    pick = float(place.rng.random())
    s = place.u(20, 70)
    half = place.driven + 2.1
    x, y = (float(v) for v in place.land.xy(s, 0))
    from metric_depth_ros.datasets.synthetic.scenes.prefab import posed

    T = posed((x, y, float(place.land.z(x, y))), yaw_deg=float(np.degrees(place.land.heading(s))))
    if pick < 0.5:
        low = [(-0.2, -half - 1.2, -1), (-0.2, half + 0.8, -1), (-0.25, -half - 1.2, 6.0)]
        high = [(0.2, -half - 0.8, 6.6), (0.2, half + 1.2, 6.6), (0.25, half + 1.2, 6.6)]
        place.add("structure", slabs(np.array(low), np.array(high)).moved(T), place.furniture.materials()["steel"])
        for _ in range(int(place.u(1, 4))):
            t = place.u(-half + 2, half - 2)
            face = slabs(np.array([(-0.4, t - 1.8, 5.4)]), np.array([(-0.28, t + 1.8, 7.6)])).moved(T)
            place.add("sign", face, place.palette.draw("print", colour=(0.03, 0.12, 0.4)))
        return
    width = place.u(6, 14) if pick < 0.85 else place.u(40, 90)
    clear = place.u(4.6, 6)
    pier = half + (2.5 if place.kind.walk_m[1] else 1)
    low = [(0, -60, clear), (0, -pier - 1.0, -1), (0, pier, -1), (0, -60, clear + 1.2), (width - 0.3, -60, clear + 1.2)]
    high = [(width, 60, clear + 1.2), (width, -pier, clear), (width, pier + 1.0, clear), (0.3, 60, clear + 2.2), (width, 60, clear + 2.2)]
    place.add("structure", slabs(np.array(low), np.array(high)).moved(T), place.palette.draw("concrete"))

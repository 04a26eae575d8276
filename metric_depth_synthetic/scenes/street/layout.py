"""Layout of streets: places buildings, trees, traffic and furniture for each kind of street."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.scenes.street import buildings
from metric_depth_synthetic.scenes.street.edges import boundary, guard_rail, overhead, wires
from metric_depth_synthetic.scenes.street.place import Kind, Place
from metric_depth_synthetic.scenes.street.traffic import (
    car_park,
    direction,
    lane_centres,
    lane_marks,
    parked,
    traffic,
    walkers,
)

KINDS: dict[str, Kind] = {
    "city": Kind(
        5,
        lanes=(1, 3),
        sides=(("town", 0.8), ("block", 0.2)),
        people=8,
        trees=2,
        traffic=5,
        queues=0.5,
        overhead=0.25,
    ),
    "old town": Kind(
        2,
        lanes=(0, 1),
        walk_m=(0.8, 2),
        parking=(0.4, 0.6),
        marked=0.3,
        bend=0.008,
        people=8,
        traffic=2,
        trees=0.5,
    ),
    "avenue": Kind(
        3,
        sides=(("town", 0.5), ("house", 0.5)),
        setback_m=(0, 5),
        verge_m=(0.5, 2.5),
        trees=9,
        queues=0.4,
        parking=(0.8, 0.7),
    ),
    "suburb": Kind(
        5,
        sides=(("house", 1.0),),
        setback_m=(4, 10),
        verge_m=(0, 2),
        trees=5,
        people=2,
        traffic=3,
        parking=(0.5, 0.4),
        marked=0.5,
        bend=0.006,
        slope=0.03,
    ),
    "highway": Kind(
        2,
        lanes=(2, 3),
        lane_m=(3.4, 3.8),
        walk_m=(0, 0),
        setback_m=(15, 40),
        parking=(0, 0),
        sides=(("field", 0.5), ("wood", 0.35), ("block", 0.15)),
        traffic=7,
        queues=0.6,
        people=0,
        trees=4,
        marked=1.0,
        bend=0.002,
        speed=(14, 30),
        overhead=0.5,
    ),
    "country": Kind(
        3,
        lanes=(1, 1),
        walk_m=(0, 0),
        setback_m=(8, 30),
        parking=(0, 0),
        sides=(("field", 0.45), ("wood", 0.35), ("house", 0.2)),
        traffic=2.5,
        people=0.3,
        trees=6,
        marked=0.8,
        bend=0.008,
        slope=0.05,
        speed=(8, 20),
    ),
    "works": Kind(
        1.5,
        lane_m=(3.2, 4.5),
        sides=(("block", 0.8), ("wall", 0.2)),
        setback_m=(4, 12),
        trees=1,
        traffic=4,
        parking=(0.5, 0.6),
        marked=0.4,
        surface="concrete",
    ),
    "campus": Kind(
        1.5,
        lanes=(0, 1),
        sides=(("block", 0.8), ("field", 0.2)),
        setback_m=(4, 14),
        verge_m=(0, 4),
        trees=7,
        people=9,
        traffic=1,
        parking=(0.3, 0.7),
        marked=0.2,
    ),
    "park": Kind(
        1.5,
        lanes=(0, 0),
        lane_m=(1.6, 3.4),
        walk_m=(0, 0),
        setback_m=(15, 40),
        parking=(0, 0),
        trees=10,
        sides=(("wood", 0.5), ("field", 0.5)),
        traffic=0,
        people=5,
        marked=0.0,
        bend=0.012,
        slope=0.04,
        surface="ground",
    ),
    "forest": Kind(
        1,
        lanes=(0, 0),
        lane_m=(1.8, 3.2),
        walk_m=(0, 0),
        setback_m=(40, 50),
        parking=(0, 0),
        trees=26,
        sides=(("wood", 1.0),),
        traffic=0.3,
        people=1,
        marked=0.0,
        bend=0.012,
        slope=0.06,
        surface="ground",
    ),
    "car park": Kind(
        2,
        lanes=(1, 1),
        lane_m=(2.8, 3.4),
        walk_m=(0.5, 2),
        setback_m=(14, 22),
        parking=(0, 0),
        sides=(("block", 0.7), ("wood", 0.3)),
        trees=1.5,
        traffic=1,
        people=3,
        marked=0.6,
    ),
}


def fill(place: Place) -> None:
    """Adds camera stations, buildings, traffic and everything else of a street."""
    _stations(place)
    for sign in (1, -1):
        _side(place, sign)
    lane_marks(place)
    traffic(place)
    for sign in (1, -1):
        if place.parked[place.side(sign)]:
            parked(place, sign)
    if place.kind.setback_m[0] >= 14 and place.kind.walk_m[1] > 0:
        car_park(place)
    _along(place)
    _trees(place)
    walkers(place)
    if place.chance(place.kind.overhead):
        overhead(place)


def _stations(place: Place) -> None:
    u = place.u
    lanes = lane_centres(place)
    own = [t for t in lanes if direction(place, t) == 0.0] or lanes
    for _ in range(5):
        t = own[int(place.rng.integers(len(own)))] + u(-0.4, 0.4)
        place.look(u(-12, 10), t, u(1.2, 2.0), 0.0, yaw=8, pitch=(-4, 3), weight=3.0, roll=1.0)
    for _ in range(2):
        t = lanes[int(place.rng.integers(len(lanes)))]
        place.look(u(-12, 12), t, u(1.3, 1.9), u(-180, 180), yaw=6, pitch=(-4, 3), weight=1.2, roll=1.0)
    for height, pitch, weight in (
        (u(0.3, 1.0), (-10, 6), 1.0),
        (u(1.5, 1.8), (-20, 10), 1.0),
        (u(1.5, 1.8), (-12, 8), 1.0),
    ):
        sign = 1 if place.chance(0.5) else -1
        walk = place.walk[place.side(sign)]
        beside = 0.2 + u(0.35, 0.65) * walk if walk > 1.2 else -0.8
        t = sign * (place.edge[place.side(sign)] + beside)
        yaw = u(-180, 180) if place.chance(0.5) else float(place.rng.choice([0, 180])) + u(-20, 20)
        place.look(u(-12, 12), t, height, yaw, yaw=10, pitch=pitch, weight=weight, roll=4.0)
    place.look(u(-12, 10), u(-3, 3), u(5, 22), u(-180, 180), yaw=15, pitch=(-55, -18), weight=0.5)


def _side(place: Place, sign: int) -> None:
    """Adds the row of buildings or other borders on one side of the road."""
    names, chances = zip(*place.kind.sides, strict=True)
    what = str(place.rng.choice(names, p=np.array(chances) / sum(chances)))
    setback = place.outer(sign) + place.u(*place.kind.setback_m)
    if what in ("town", "house", "block"):
        _building_row(place, sign, what, setback)
    if what in ("house", "field", "wall"):
        boundary(place, sign, what)
    if what == "wood":
        _wood(place, sign, place.outer(sign) + place.u(2, 12))


def _building_row(place: Place, sign: int, what: str, setback: float) -> None:
    maker = {"town": buildings.town_house, "house": buildings.house, "block": buildings.block}[what]
    s = place.u(-75, -60)
    end = 170.0 if what == "block" else 125.0
    while s < end:
        made = maker(place.rng, place.palette, far=place.far(s, sign * setback))
        wide = float(made[1].high[0] - made[1].low[0])
        jump = place.gap(s, wide)
        if jump:
            s += jump + 0.2
            continue
        middle = s + wide / 2 - float(made[1].high[0] + made[1].low[0]) / 2 * (1 if sign > 0 else -1)
        out = place.u(0, 0.5) if what == "town" else place.u(0, 3)
        t = sign * (setback + out)
        place.put("building", made, middle, t, yaw_deg=0.0 if sign > 0 else 180.0)
        for k in np.arange(s + 1, s + wide, 4.0):
            place.take(float(k), t + sign * 3.2, 3.0)
        if what == "town":
            s += wide + (place.u(2, 8) if place.chance(0.12) else 0.0)
        else:
            s += wide + place.u(3, 12)


def _wood(place: Place, sign: int, start: float) -> None:
    """Adds the edge of a wood: trees become fewer with distance from the road."""
    for _ in range(int(place.u(10, 20))):
        s, t = place.u(-50, 130), sign * (start + abs(place.rng.normal(0, 9)))
        place.plant(place.flora.tree(place.detail(s, t)), s, t, place.u(0.7, 1.5))
    for _ in range(int(place.u(4, 14))):
        s, t = place.u(-20, 60), sign * (start + place.u(-2, 4))
        place.plant(place.flora.bush(), s, t, place.u(0.6, 2.2))


def _along(place: Place) -> None:
    """Adds lamps, signs, bins and similar things on the sidewalks; guard rails without sidewalks."""
    spacing = place.u(18, 40)
    for sign in (1, -1):
        i = place.side(sign)
        kerbside = sign * (place.edge[i] + 0.5)
        turn = 0.0 if sign < 0 else 180.0
        if place.kind.people > 0.5 and place.chance(0.7):
            for s in np.arange(place.u(-45, -25), 130, spacing):
                if place.claim(float(s), kerbside, 0.3):
                    place.put_thing("lamp", float(s), kerbside, yaw_deg=turn)
        names = [
            "sign",
            "sign",
            "bin",
            "bench",
            "bollard",
            "cabinet",
            "board",
            "planter",
            "shelter",
            "cone",
            "sign",
            "lamp",
        ]
        if not place.walk[i]:
            names = ["sign", "board", "bollard", "bollard"]
        for _ in range(int(place.u(2, 9))):
            name = names[int(place.rng.integers(len(names)))]
            s = place.u(-25, 60)
            inside = place.edge[i] + 0.16 + max(place.walk[i], 1.2) - 0.5
            t = kerbside if name in ("sign", "bollard", "cone") else sign * inside
            if not place.claim(s, t, 0.5):
                continue
            yaw = (0.0 if direction(place, t) == 0 else 180.0) if name in ("sign", "board") else 90.0 * sign
            place.put_thing(name, s, t, yaw_deg=yaw + place.u(-8, 8))
            if name == "planter":
                place.put("vegetation", place.flora.bush(), s, t, scale=0.6, lift=place.kerb + 0.35)
            if name == "bollard":
                for k in range(1, int(place.u(2, 8))):
                    if place.claim(s + 1.5 * k, t, 0.2):
                        place.put_thing("bollard", s + 1.5 * k, t)
        if place.kind.sides[0][0] == "block" and place.chance(0.3):
            for s in place.u(-10, 25) + np.arange(int(place.u(1, 4))) * 14.0:
                t = sign * (place.outer(sign) + 2.2)
                if all(place.free(float(s) + along, t, 1.7) for along in (-4.5, 0, 4.5)):
                    for along in (-4.5, 0, 4.5):
                        place.take(float(s) + along, t, 1.7)
                    place.put_thing("container", float(s), t, yaw_deg=90 + place.u(-2, 2))
        if not place.walk[i] and place.kind.speed[1] > 16 and place.chance(0.6):
            guard_rail(place, sign * (place.edge[i] + 0.6))
    if place.median and place.chance(0.7):
        guard_rail(place, 0.0)
    if place.crossing:
        at, half = place.crossing
        if place.chance(0.7):
            for sign in (1, -1):
                t = sign * (place.edge[place.side(sign)] + 0.6)
                s = at - half - 0.6 if sign < 0 else at + half + 0.6
                place.put_thing("lights", s, t, yaw_deg=0.0 if sign < 0 else 180.0)
    if place.chance(0.3):
        wires(place)


def _trees(place: Place) -> None:
    """Adds trees along the kerb or on the plots, with bushes and weeds below them."""
    kind, flora, u = place.kind, place.flora, place.u
    for sign in (1, -1):
        i = place.side(sign)
        if kind.trees > 4 and place.chance(0.6):
            step = 100 / kind.trees * u(0.8, 1.6)
            between = place.verge[i] > 0 or not place.walk[i]
            row = sign * (place.edge[i] + 0.16 + (place.walk[i] + 0.6 if between else 0.7))
            for s in np.arange(u(-40, -25), 110, step):
                place.plant(flora.tree(place.detail(float(s), row)), float(s), row, u(0.75, 1.15))
        for _ in range(int(place.rng.poisson(kind.trees * 0.9))):
            s, t = u(-40, 110), sign * (place.outer(sign) + abs(float(place.rng.normal(0, 8))) + 1.0)
            place.plant(flora.tree(place.detail(s, t)), s, t, u(0.5, 1.3))
        if place.green[i]:
            for _ in range(int(u(2, 14))):
                s, t = u(-15, 50), sign * (place.outer(sign) + u(0.3, 6))
                place.plant(flora.bush() if place.chance(0.55) else flora.tuft(), s, t, u(0.5, 1.6))

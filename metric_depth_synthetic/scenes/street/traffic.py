"""Lane marks, moving and parked vehicles, and people on foot."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.scenes.street.people import person
from metric_depth_synthetic.scenes.street.place import Place


def direction(place: Place, t: float) -> float:
    """Yaw of the traffic at t."""
    return 0.0 if (t < 0) == place.right_hand else 180.0


def lane_centres(place: Place) -> list[float]:
    if place.lanes == 0:
        return [0.0]
    first = place.median / 2 + place.lane / 2
    return [sign * (first + k * place.lane) for sign in (-1, 1) for k in range(place.lanes)]


def lane_marks(place: Place) -> None:
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


def traffic(place: Place) -> None:
    """Adds vehicles in the lanes: mostly moving, or in queues."""
    queue = place.lanes > 0 and place.chance(place.kind.queues)
    for t in lane_centres(place):
        if queue and place.chance(0.8):
            _queue(place, t)
        else:
            _flow(place, t)


def _flow(place: Place, t: float) -> None:
    """Adds vehicles far apart."""
    s = place.u(-60, -30)
    mean_gap = 100 * max(len(lane_centres(place)), 1) / max(place.kind.traffic, 0.05)
    while True:
        s += 6 + float(place.rng.exponential(mean_gap))
        if s > 130:
            break
        speed = place.u(*place.kind.speed) if place.chance(0.8) else 0.0
        _vehicle(place, s, t + place.u(-0.3, 0.3), heavy=0.12, speed=speed)


def _queue(place: Place, t: float) -> None:
    """Adds a queue of vehicles, standing or at walking speed, with a random fraction of lorries per lane."""
    heavy = place.u(0.05, 0.7)
    speed = place.u(0.3, 3) if place.chance(0.4) else 0.0
    s, end = place.u(-40, -25), place.u(40, 110)
    while s < end:
        half = _vehicle(place, s, t + place.u(-0.25, 0.25), heavy=heavy, speed=speed)
        s += 2 * half + place.u(0.8, 4.5) + (place.u(0, 15) if place.chance(0.15) else 0.0)


def _vehicle(place: Place, s: float, t: float, *, heavy: float, speed: float) -> float:
    """Adds one vehicle with its rear at s, if there is space; returns half its length."""
    pick = float(place.rng.random())
    ridden = pick > 0.9 and place.kind.speed[1] < 16
    made = (
        place.fleet.two_wheeler(ridden=True)
        if ridden
        else place.fleet.lorry()
        if pick < heavy and place.lanes > 0
        else place.fleet.car(far=place.far(s, t))
    )
    half, half_width = float(made[1].high[0]), float(made[1].high[1])
    s += half
    body = np.linspace(-1, 1, 2 + int(half / half_width)) * max(half - half_width, 0.0)
    around = np.concatenate([body, [body[0] - 1.6, body[-1] + 1.6]])
    if all(place.free(s + float(d), t, half_width + 0.1) for d in around):
        for d in body:
            place.take(s + float(d), t, half_width + 0.1)
        yaw = direction(place, t) + place.u(-2, 2)
        place.put("vehicle", made, s, t, yaw_deg=yaw, tilted=True, speed=speed)
    return half


def parked(place: Place, sign: int) -> None:
    t = sign * (place.edge[place.side(sign)] - 1.05)
    s = place.u(-45, -38)
    while s < 85:
        if place.chance(place.kind.parking[1]):
            made = place.fleet.car(far=place.far(float(s), t))
            half = float(made[1].high[0])
            if place.free(s + half, t, 1.3) and not place.gap(s - 3, 2 * half + 6):
                for offset in (-0.6, 0.0, 0.6):
                    place.take(s + half + offset * half, t, 0.9)
                yaw = direction(place, t) if place.chance(0.85) else 180 - direction(place, t)
                place.put(
                    "vehicle",
                    made,
                    s + half,
                    t + place.u(-0.12, 0.12),
                    yaw_deg=yaw + place.u(-2, 2),
                    tilted=True,
                )
            s += 2 * half + place.u(0.6, 1.6)
        else:
            s += place.u(3, 7)


def car_park(place: Place) -> None:
    """Rows of cars at right angles to the lane."""
    for sign in (1, -1):
        t = sign * (place.outer(sign) + 2.8)
        bay = place.u(2.5, 2.9)
        for s in np.arange(-30, 60, bay):
            if place.chance(0.65) and place.free(float(s), t, 1.2):
                made = place.fleet.car(far=place.far(float(s), t))
                for offset in (-1.4, 0.0, 1.4):
                    place.take(float(s), t + offset, 0.9)
                yaw = 90.0 if place.chance(0.5) else -90.0
                place.put(
                    "vehicle",
                    made,
                    float(s),
                    t + place.u(-0.3, 0.3),
                    yaw_deg=yaw + place.u(-3, 3),
                    tilted=True,
                )


def walkers(place: Place) -> None:
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
        yaw = (
            float(place.rng.choice([0.0, 180.0])) + place.u(-15, 15)
            if place.chance(0.8)
            else place.u(-180, 180)
        )
        place.put(
            "person",
            person(place.rng, place.palette, walking=walking),
            s,
            t,
            yaw_deg=yaw,
            speed=place.u(0.8, 1.9) if walking else 0.0,
        )
    if place.walk[0] > 1.5 and place.chance(0.4):
        s0 = place.u(0, 30)
        for k in range(int(place.u(1, 6))):
            s, t = s0 + 0.7 * k, -(place.edge[0] + 0.9)
            if place.claim(s, t, 0.3):
                place.put("clutter", place.fleet.two_wheeler(ridden=False), s, t, yaw_deg=90 + place.u(-8, 8))

"""Lorries, buses, bicycles and mopeds with their riders; each faces +x."""

from __future__ import annotations

from functools import cache

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import (
    ellipsoid,
    lathe,
    sheet,
    tube,
)
from metric_depth_synthetic.scenes.prefab import Builder, Prefab, posed, slabs
from metric_depth_synthetic.scenes.street.wheels import wheel


@cache
def heavy(variant: int) -> Prefab:
    rng = np.random.default_rng([72, variant])
    made = Builder()
    if variant % 3 == 0:
        _bus(made, rng)
    else:
        _truck(made, rng, long=variant % 3 == 1)
    return made.prefab()


def _truck(made: Builder, rng: np.random.Generator, *, long: bool) -> None:
    """A cab, a chassis and a box, tank or flat bed."""
    length = float(rng.uniform(10, 16) if long else rng.uniform(5.5, 8))
    half, cab_height = (1.25, float(rng.uniform(2.8, 3.7))) if long else (1.1, float(rng.uniform(2.2, 2.7)))
    front, cab = length / 2, float(rng.uniform(1.8, 2.3))
    x = front - np.array([0, 0.03, 0.12, 0.5, cab * 0.9, cab])
    top = cab_height * np.array([0.55, 0.58, 0.97, 1, 1, 0.98])
    wide = half * np.array([0.93, 0.96, 0.98, 1, 1, 1]) * 0.97
    ring = [(wide, 0.5 + 0 * x), (wide, 0.45 * top + 0.3), (wide * 0.97, top * 0.94), (wide * 0.85, top)]
    points = np.stack(
        [np.stack([x, y, z], -1) for y, z in [*ring, *((-y, z) for y, z in ring[::-1])]], axis=1
    )
    made.add("body", sheet(points[:, ::-1], smooth=False))
    for face in (0, -1):
        half_ring = np.stack([points[face, :4], points[face, :3:-1]], 0)
        made.add("body", sheet(half_ring if face == 0 else half_ring[:, ::-1]))
    z = cab_height * 0.55
    made.slab("glass", (front - 0.2, -half * 0.82, z), (front - 0.035, half * 0.82, z + cab_height * 0.3))
    made.slab("glass", (front - 1.2, -half * 0.985, z), (front - 0.3, half * 0.985, z + cab_height * 0.26))
    made.slab("dark", (front - 0.1, -half * 0.8, 0.75), (front + 0.02, half * 0.8, z - 0.15))
    made.slab("dark", (front - 0.3, -half * 0.97, 0.35), (front + 0.05, half * 0.97, 0.65))
    for side in (1, -1):
        a, b = sorted((side * half * 0.62, side * half * 0.9))
        made.slab("bright", (front - 0.1, a, 0.68), (front + 0.055, b, 0.86))
        made.slab("tail", (-front - 0.02, a, 0.75), (-front + 0.05, b, 0.95))
        a, b = sorted((side * half, side * (half + 0.25)))
        made.slab("dark", (front - 0.25, a, z + 0.05), (front - 0.1, b, z + 0.75))
    made.slab("dark", (-front, -half * 0.6, 0.6), (front - 1, half * 0.6, 0.95))
    made.slab("bright", (-front - 0.03, -0.28, 0.6), (-front, 0.28, 0.73))
    deck, end = (1.15, front - cab - 0.25) if long else (0.9, front - cab - 0.1)
    high = float(rng.uniform(2.3, 3.9) if long else rng.uniform(2.6, 3.3))
    kind = float(rng.random())
    if kind < 0.7:
        made.slab("cargo", (-front, -half, deck), (end, half, high))
        made.slab("bright", (-front - 0.015, -0.02, deck), (-front, 0.02, high))
        for edge in (deck, high - 0.08):
            made.slab("dark", (-front - 0.01, -half - 0.01, edge), (end, half + 0.01, edge + 0.08))
    elif kind < 0.85:
        tank = lathe(
            [
                (0, 0),
                (0.9, 0.05),
                (1.1, 0.4),
                (1.1, end + front - 0.4),
                (0.9, end + front - 0.05),
                (0, end + front),
            ]
        )
        made.add("cargo", tank, posed((-front, 0, deck + 1.0), pitch_deg=90))
    else:
        made.slab("cargo", (-front, -half, deck), (end, half, deck + 0.2))
        for y in (-half, half - 0.05):
            made.slab("cargo", (-front, y, deck), (end, y + 0.05, deck + 0.7))
    wheels = [front - 0.9, -front + 1.4, -front + 2.6] if long else [front - 0.8, -front + 1.3]
    if long:
        wheels += [-front + 3.8, front - 3.6]
    for x_wheel in wheels:
        for left in (1.0, -1.0):
            wheel(made, x_wheel, left * (half - 0.2), 0.5 if long else 0.4, 0.32, int(left))


def _bus(made: Builder, rng: np.random.Generator) -> None:
    length, high, half = float(rng.uniform(9, 13)), float(rng.uniform(2.9, 3.3)), 1.25
    if rng.random() < 0.15:
        high = 4.2
    front = length / 2
    made.slab("body", (-front, -half, 0.35), (front, half, high))
    made.slab("body", (-front + 1, -half * 0.7, high), (front - 2, half * 0.7, high + 0.18))
    lines = [1.1] if high < 4 else [1.1, 2.7]
    for z in lines:
        tall = 1.15
        edges = np.arange(-front + 0.5, front - 0.6, 1.45)
        low = np.stack([edges, np.full_like(edges, -half - 0.012), np.full_like(edges, z)], -1)
        step = np.array([1.36, 2 * half + 0.024, tall])
        made.add("glass", slabs(low, low + step))
        made.slab("glass", (front - 0.1, -half * 0.93, z - 0.1), (front + 0.015, half * 0.93, z + tall + 0.1))
        made.slab("glass", (-front - 0.012, -half * 0.8, z + 0.2), (-front + 0.1, half * 0.8, z + tall))
    for x in (front - 1.3, 0.2):
        made.slab("glass", (x - 0.6, -half - 0.015, 0.45), (x + 0.6, -half + 0.1, 2.25))
    made.slab("dark", (front - 0.2, -half, 0.35), (front + 0.04, half, 0.6))
    made.slab("bright", (front, -half * 0.5, high - 0.38), (front + 0.02, half * 0.5, high - 0.12))
    for side in (1, -1):
        a, b = sorted((side * half * 0.6, side * half * 0.93))
        made.slab("bright", (front - 0.1, a, 0.62), (front + 0.02, b, 0.85))
        made.slab("tail", (-front - 0.015, a, 0.8), (-front + 0.1, b, 1.25))
        a, b = sorted((side * half, side * (half + 0.2)))
        made.slab("dark", (front + 0.02, a, 1.9), (front + 0.14, b, 2.4))
        for x in (front - 2.6, -front + 2.9):
            wheel(made, x, side * (half - 0.12), 0.48, 0.3, side)
    made.slab("bright", (-front - 0.012, -0.27, 0.62), (-front, 0.27, 0.74))


@cache
def two_wheeler(variant: int, ridden: bool) -> Prefab:
    rng = np.random.default_rng([73, variant])
    made = Builder()
    moped = variant % 5 == 4
    radius, base = (0.28, 1.25) if moped else (float(rng.uniform(0.31, 0.35)), float(rng.uniform(0.98, 1.1)))
    thick = 0.05 if moped else 0.02
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = np.stack([(radius - thick) * np.cos(turn), 0 * turn, (radius - thick) * np.sin(turn)], -1)
    seat, bar = (-0.25 * base, 0.0, 0.78 if moped else 0.95), (0.36 * base, 0.0, 1.02)
    for x in (base / 2, -base / 2):
        made.add("dark", tube(ring + np.array((x, 0, radius)), thick, segments=5))
        for angle in np.arange(6) * np.pi / 6:
            way = (radius - thick) * np.array([np.cos(angle), 0, np.sin(angle)])
            made.add("bright", tube(np.stack([-way, way]) + np.array((x, 0, radius)), 0.004, segments=3))
    crank = (-0.05, 0.0, radius * 0.9)
    frame = [
        (crank, (seat[0] + 0.03, 0, seat[2] - 0.1)),
        ((seat[0] + 0.04, 0, seat[2] - 0.18), (bar[0] - 0.03, 0, bar[2] - 0.2)),
        (crank, (bar[0] - 0.02, 0, bar[2] - 0.25)),
        (crank, (-base / 2, 0, radius)),
        ((-base / 2, 0, radius), (seat[0] + 0.03, 0, seat[2] - 0.2)),
        ((base / 2, 0, radius), (bar[0], 0, bar[2] - 0.02)),
        ((bar[0] - 0.05, -0.28, bar[2]), (bar[0] - 0.05, 0.28, bar[2])),
    ]
    for a, b in frame:
        made.add("body", tube(np.array([a, b]), 0.06 if moped else 0.019, segments=6))
    made.slab(
        "dark",
        (seat[0] - 0.14, -0.08, seat[2] - 0.04),
        (seat[0] + (0.4 if moped else 0.12), 0.08, seat[2] + 0.04),
    )
    if moped:
        made.slab("body", (-0.75, -0.14, 0.4), (-0.1, 0.14, 0.72))
        made.slab("body", (0.35, -0.2, 0.35), (0.42, 0.2, 0.95))
        made.slab("body", (-0.2, -0.18, 0.24), (0.4, 0.18, 0.34))
        made.slab("tail", (-0.78, -0.08, 0.6), (-0.74, 0.08, 0.68))
    if ridden:
        _rider(made, np.array(seat), np.array(bar), rng)
    return made.prefab()


def _rider(made: Builder, seat: FloatArray, bar: FloatArray, rng: np.random.Generator) -> None:
    hip = seat + np.array((0, 0, 0.1))
    lean = float(rng.uniform(0.1, 0.35))
    neck = hip + np.array((0.52 * np.sin(lean) + 0.02, 0, 0.52 * np.cos(lean)))
    trunk = ellipsoid(0.24, 0.38, 0.62, power=0.7, segments=12)
    made.add("cloth", trunk, posed(hip - (0, 0, 0.06), pitch_deg=np.degrees(lean)))
    made.add("skin", ellipsoid(0.19, 0.16, 0.24, segments=10), posed(neck + np.array((0.03, 0, 0.02))))
    made.add("dark", ellipsoid(0.23, 0.19, 0.16, segments=10), posed(neck + np.array((0.02, 0, 0.13))))
    for side in (1, -1):
        y = side * 0.17
        elbow = (neck + bar) / 2 + (0.0, side * 0.22, -0.1)
        made.add(
            "cloth",
            tube(
                np.stack([neck + np.array((0, y, -0.08)), elbow, bar + np.array((-0.05, side * 0.24, 0.02))]),
                0.045,
            ),
        )
        foot = np.array([0.02 + side * 0.12, side * 0.12, 0.3 + side * 0.12])
        knee = (hip + foot) / 2 + (0.22, 0, 0.05)
        leg = np.stack([hip + np.array((0, side * 0.1, 0)), knee + np.array((0, side * 0.03, 0)), foot])
        made.add("legs", tube(leg, 0.065))
        made.add("dark", ellipsoid(0.26, 0.1, 0.09, segments=8), posed(foot + np.array((0.04, 0, -0.07))))

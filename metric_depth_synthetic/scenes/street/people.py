"""People who stand, walk and sit, as seen in streets."""

from __future__ import annotations

from functools import cache

import numpy as np

from metric_depth_synthetic.mesh import ellipsoid, lathe, tube
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scenes.prefab import Builder, Parts, Prefab, posed


def person(rng: np.random.Generator, palette: Palette, *, walking: bool) -> tuple[Parts, Prefab]:
    """An adult or a child facing +x, feet on z = 0, and the prefab."""
    prefab = _person(int(rng.integers(14)), walking)
    trousers = palette.draw("fabric")
    return prefab.dressed(
        {
            "cloth": palette.draw("fabric"),
            "legs": trousers,
            "skin": palette.draw("skin"),
            "dark": palette.draw("fabric", colour=(0.02, 0.015, 0.012)),
        }
    ), prefab


@cache
def _person(variant: int, walking: bool) -> Prefab:
    rng = np.random.default_rng([74, variant])
    made = Builder()
    tall = float(rng.uniform(1.55, 1.92)) if variant % 7 else float(rng.uniform(1.0, 1.4))
    wide = float(rng.uniform(0.9, 1.2)) * tall / 1.75
    hip, neck = 0.5 * tall, 0.83 * tall
    stride = 0.26 * tall if walking else 0.04
    for side in (1, -1):
        y, x = side * 0.085 * wide, side * stride / 2
        knee = (x * 0.45 + 0.03 * tall * (side > 0), y, 0.28 * tall)
        leg = np.array([(0, y, hip + 0.03), knee, (x, y, 0.05)])
        made.add("legs", tube(leg[:2], 0.078 * wide, segments=8))
        made.add("legs", tube(leg[1:], 0.058 * wide, segments=8))
        made.add("dark", ellipsoid(0.27, 0.1, 0.11, segments=8), posed((x + 0.06, y, 0.0)))
        shoulder = np.array([0, side * 0.2 * wide, neck - 0.05])
        swing = -side * stride * 0.55
        hand = shoulder + np.array((swing + 0.04, side * 0.06, -0.36 * tall))
        elbow = (shoulder + hand) / 2 + (-0.05, side * 0.03, 0)
        made.add("cloth", tube(np.stack([shoulder, elbow]), 0.05 * wide, segments=7))
        made.add("cloth", tube(np.stack([elbow, hand]), 0.042 * wide, segments=7))
        made.add("skin", ellipsoid(0.08, 0.07, 0.14, segments=6), posed(hand - (0, 0, 0.13)))
    _trunk(made, tall, wide, hip, neck, long=variant % 3 == 0)
    made.add("skin", tube(np.array([(0, 0, neck - 0.04), (0.01, 0, neck + 0.08)]), 0.055, segments=7))
    made.add("skin", ellipsoid(0.19, 0.155, 0.24, segments=10), posed((0.02, 0, tall - 0.24)))
    made.add("dark", ellipsoid(0.205, 0.175, 0.17, segments=10), posed((-0.005, 0, tall - 0.155)))
    if variant % 4 == 1:
        made.add("dark", ellipsoid(0.18, 0.32, 0.44, power=0.5, segments=8), posed((-0.19, 0, neck - 0.5)))
    if variant % 5 == 2:
        made.add(
            "dark", ellipsoid(0.34, 0.13, 0.3, power=0.3, segments=8), posed((0.05, 0.33 * wide, hip - 0.24))
        )
    return made.prefab()


def _trunk(made: Builder, tall: float, wide: float, hip: float, neck: float, *, long: bool) -> None:
    """Hips, waist, chest and shoulders; with ``long`` a coat or skirt below."""
    high = neck - hip
    rings = [(0.15, hip - 0.04), (0.165, hip + 0.05), (0.15, hip + 0.35 * high), (0.18, hip + 0.65 * high),
             (0.205, hip + 0.87 * high), (0.17, neck - 0.02), (0.065, neck + 0.03)]  # fmt: skip
    if long:
        rings[:1] = [(0.23, hip - 0.2 * tall), (0.2, hip - 0.1 * tall)]
    made.add(
        "cloth",
        lathe([(0.0, rings[0][1]), *rings], segments=12),
        posed(scale=(0.68 * wide, 1.12 * wide, 1.0)),
    )

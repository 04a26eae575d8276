"""Tools, pens, cables and cutlery. Each function adds an object's solids to slots."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.mesh import (
    box,
    cylinder,
    ellipsoid,
    lathe,
    sheet,
    tube,
)
from metric_depth_synthetic.scenes.prefab import Builder, between, posed


def screwdriver(made: Builder, rng: np.random.Generator) -> None:
    long, r = between(rng, 0.15, 0.28), between(rng, 0.011, 0.018)
    T = posed((-long / 2, 0, r), pitch_deg=90)
    grip = 0.42 * long
    made.add(
        "shell",
        lathe(
            [
                (0, 0),
                (r * 0.8, 0.003),
                (r, 0.02),
                (r * 0.75, grip * 0.75),
                (r * 0.95, grip * 0.9),
                (r * 0.4, grip),
            ],
            segments=10,
        ),
        T,
    )
    made.add("metal", lathe([(r * 0.25, grip), (r * 0.25, long - 0.01), (r * 0.1, long)], segments=8), T)


def hammer(made: Builder, rng: np.random.Generator) -> None:
    long = between(rng, 0.22, 0.33)
    made.add(
        "wood" if rng.random() < 0.6 else "shell",
        tube(np.array([(-long / 2, 0, 0.016), (0, 0, 0.014), (long / 2, 0, 0.016)]), 0.014, segments=8),
    )
    made.add("metal", cylinder(0.014, 0.05, segments=10), posed((long / 2, -0.005, 0.016), roll_deg=90))
    made.slab("metal", (long / 2 - 0.013, -0.02, 0.003), (long / 2 + 0.013, 0.06, 0.029))


def wrench(made: Builder, rng: np.random.Generator) -> None:
    long, thick = between(rng, 0.12, 0.25), between(rng, 0.005, 0.009)
    made.slab("metal", (-long / 2, -0.009, 0), (long / 2, 0.009, thick))
    for x, turn in ((-long / 2, 0.0), (long / 2, 180.0)):
        angle = np.radians(np.linspace(50, 310, 9))
        ring = np.stack([[(0.022 * np.cos(a), 0.022 * np.sin(a), z) for a in angle] for z in (0, thick)])
        inner = np.stack([[(0.011 * np.cos(a), 0.011 * np.sin(a), z) for a in angle] for z in (thick, 0)])
        made.add("metal", sheet(np.concatenate([ring, inner, ring[:1]])), posed((x, 0, 0), yaw_deg=turn))


def scissors(made: Builder, rng: np.random.Generator) -> None:
    spread = between(rng, 4, 25)
    for side in (1, -1):
        T = posed((0, 0, 0.001 + 0.002 * (side > 0)), yaw_deg=side * spread)
        made.add("metal", box(0.1, 0.012, 0.0025), T @ posed((0.05, 0, 0)))
        turn = np.linspace(0, 2 * np.pi, 11)
        loop = np.stack(
            [-0.05 + 0.026 * np.cos(turn), side * -0.012 + 0.016 * np.sin(turn), 0 * turn + 0.005], -1
        )
        made.add("shell", tube(loop, 0.0045, segments=6), T)
        made.add("shell", tube(np.array([(-0.024, side * -0.008, 0.004), (0.01, 0, 0.003)]), 0.005), T)


def pliers(made: Builder, rng: np.random.Generator) -> None:
    spread = between(rng, 5, 18)
    for side in (1, -1):
        path = np.array(
            [
                (-0.1, side * 0.022, 0.01),
                (-0.05, side * 0.024, 0.01),
                (-0.01, side * 0.008, 0.01),
                (0.0, 0, 0.01),
            ]
        )
        made.add("shell", tube(path, 0.0085, segments=7), posed(yaw_deg=side * spread * 0.4))
        made.add(
            "metal",
            cylinder(0.01, 0.055, top=0.004, segments=6),
            posed((0, 0, 0.01), pitch_deg=90, yaw_deg=-side * spread * 0.4),
        )
    made.add("metal", cylinder(0.014, 0.014, segments=12), posed((0, 0, 0.003)))


def drill(made: Builder, rng: np.random.Generator) -> None:
    made.add(
        "shell",
        lathe(
            [(0, 0), (0.022, 0.002), (0.028, 0.03), (0.028, 0.12), (0.02, 0.15), (0.02, 0.17)], segments=14
        ),
        posed((-0.09, 0, 0.18), pitch_deg=90),
    )
    made.add(
        "dark",
        lathe([(0.02, 0), (0.018, 0.03), (0.008, 0.05), (0, 0.05)], segments=12),
        posed((0.08, 0, 0.18), pitch_deg=90),
    )
    made.add(
        "dark", ellipsoid(0.045, 0.036, 0.15, power=0.6, segments=10), posed((-0.055, 0, 0.035), pitch_deg=-8)
    )
    made.add("shell", ellipsoid(0.12, 0.07, 0.055, power=0.35, segments=12), posed((-0.05, 0, 0)))
    made.add("metal", tube(np.array([(0.12, 0, 0.18), (0.19, 0, 0.18)]), 0.003))


def marker(made: Builder, rng: np.random.Generator) -> None:
    long, r = between(rng, 0.11, 0.16), between(rng, 0.0035, 0.009)
    T = posed((-long / 2, 0, r), pitch_deg=90)
    made.add("shell", lathe([(0, 0), (r, 0), (r, long * 0.6)], segments=9), T)
    made.add("second", lathe([(r, long * 0.6), (r * 0.95, long * 0.9), (0, long)], segments=9), T)


def cable(made: Builder, rng: np.random.Generator) -> None:
    n = 40
    r = between(rng, 0.0018, 0.005)
    turn = np.cumsum(rng.normal(0, 0.16, n)) + np.cumsum(np.full(n, between(rng, 0, 0.35)))
    path = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], 1) * 0.018, 0)
    path -= path.mean(0)
    bump = r + 0.004 * np.clip(np.sin(np.arange(n) * 0.7 + between(rng, 0, 6)), 0, 1)
    made.add("dark" if rng.random() < 0.5 else "second", tube(np.column_stack([path, bump]), r, segments=6))
    made.add("second", box(0.02, 0.014, 0.012), posed((*path[-1], 0), yaw_deg=float(np.degrees(turn[-1]))))


def tape(made: Builder, rng: np.random.Generator) -> None:
    r, w, h = between(rng, 0.025, 0.06), between(rng, 0.006, 0.02), between(rng, 0.012, 0.05)
    inner = r - w
    made.add("second", lathe([(inner, 0), (r, 0)], segments=22, smooth=False))
    made.add("shell", lathe([(r, 0), (r, h)], segments=22))
    made.add("second", lathe([(r, h), (inner, h)], segments=22, smooth=False))
    made.add("paper", lathe([(inner, h), (inner, 0)], segments=22))


def bent(made: Builder, rng: np.random.Generator) -> None:
    """A pipe or wire bent a few times."""
    r = between(rng, 0.004, 0.015)
    way = rng.normal(0, 1, (5, 3)) * (0.05, 0.05, 0.025)
    path = np.cumsum(way, 0)
    path -= path.mean(0)
    path[:, 2] += r - path[:, 2].min()
    made.add("metal" if rng.random() < 0.5 else "shell", tube(path, r, segments=9))


def spoon(made: Builder, rng: np.random.Generator) -> None:
    long = between(rng, 0.12, 0.3)
    made.add(
        "metal" if rng.random() < 0.6 else "wood",
        tube(np.array([(-long / 2, 0, 0.004), (0, 0, 0.008), (long * 0.35, 0, 0.005)]), 0.0035, segments=6),
    )
    made.add("metal", ellipsoid(0.05, 0.03, 0.01, segments=12), posed((long * 0.42, 0, 0)))


def clamp(made: Builder, rng: np.random.Generator) -> None:
    w, d = between(rng, 0.06, 0.14), between(rng, 0.05, 0.1)
    for low, high in (((0, 0), (w, 0.014)), ((0, 0), (0.014, d)), ((w - 0.014, 0), (w, d * 0.8))):
        made.slab("metal", (low[0] - w / 2, low[1] - d / 2, 0), (high[0] - w / 2, high[1] - d / 2, 0.016))
    made.add(
        "dark", tube(np.array([(-w * 0.2, d * 0.25, 0.008), (w * 0.8, d * 0.25, 0.008)]), 0.006, segments=8)
    )
    made.add(
        "dark",
        tube(np.array([(w * 0.78, d * 0.25 - 0.03, 0.008), (w * 0.78, d * 0.25 + 0.03, 0.008)]), 0.004),
    )

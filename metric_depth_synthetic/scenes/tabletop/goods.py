"""Boxes, fruit, books, cloths, devices and toys. Each function adds an object's solids to slots."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.mesh import (
    blob,
    box,
    cylinder,
    ellipsoid,
    sheet,
    tube,
)
from metric_depth_synthetic.scenes.prefab import Builder, between, posed, slabs


def package(made: Builder, rng: np.random.Generator) -> None:
    a, b, c = np.sort(rng.uniform((0.02, 0.05, 0.08), (0.09, 0.2, 0.3)))
    size = (b, a, c) if rng.random() < 0.5 else (c, b, a)
    made.add("pack", box(*size))
    if rng.random() < 0.4:  # tape, or the slit of a lid
        made.slab("second", (-size[0] / 2 - 4e-4, -0.012, 0.0), (size[0] / 2 + 4e-4, 0.012, size[2] + 4e-4))


def fruit(made: Builder, rng: np.random.Generator) -> None:
    d = between(rng, 0.05, 0.1)
    kind = int(rng.integers(4))
    if kind == 3:  # banana
        turn = np.linspace(0.3, 2.2, 9)
        r = 0.1
        path = np.stack([r * np.cos(turn), r * np.sin(turn) - r * 0.8, 0 * turn + 0.018], -1)
        for k in range(8):
            made.add(
                "fruit", tube(path[k : k + 2], 0.018 * (0.6 + 0.4 * np.sin(np.pi * (k + 1) / 9)), segments=7)
            )
        made.add("dark", tube(path[:2] + (path[0] - path[1]) * 0.6, 0.006))
        return
    squash = (1.0, between(rng, 0.85, 1.25), 1.35)[kind]
    made.add("fruit", blob(d / 2, 0.03, rng, segments=14), posed(scale=(1, 1, squash)))
    made.add(
        "wood", tube(np.array([(0, 0, d * squash * 0.9), (0.004, 0, d * squash + 0.015)]), 0.0025, segments=5)
    )


def ball(made: Builder, rng: np.random.Generator) -> None:
    d = between(rng, 0.03, 0.14)
    made.add("shell", ellipsoid(d, d, d, segments=18))


def book(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = between(rng, 0.11, 0.22), between(rng, 0.15, 0.3), between(rng, 0.008, 0.05)
    made.slab("pack", (-w / 2, -d / 2, 0), (w / 2, d / 2, 0.003))
    made.slab("pack", (-w / 2, -d / 2, h - 0.003), (w / 2, d / 2, h))
    made.slab("pack", (-w / 2, -d / 2, 0), (-w / 2 + 0.003, d / 2, h))
    made.slab("paper", (-w / 2 + 0.003, -d / 2 + 0.004, 0.003), (w / 2 - 0.004, d / 2 - 0.004, h - 0.003))


def open_book(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = between(rng, 0.12, 0.2), between(rng, 0.17, 0.28), between(rng, 0.008, 0.03)
    x = np.linspace(0, 1, 9)
    for side in (1, -1):
        top = h * (0.35 + 0.65 * np.sin(np.pi * np.clip(x * 1.1 + 0.02, 0, 1)) ** 0.6) * (1 - 0.35 * x)
        rows = [np.column_stack([side * w * x, 0 * x + y, top]) for y in (-d / 2, d / 2)]
        made.add("label", sheet(np.stack(rows[::-side])))
        low = [np.column_stack([side * w * x, 0 * x + y, 0 * x]) for y in (-d / 2, d / 2)]
        for k in range(2):
            made.add("paper", sheet(np.stack([low[k], rows[k]])))
        made.slab("pack", (0, -d / 2 - 0.004, 0), (side * (w + 0.004), d / 2 + 0.004, 0.002))
        made.slab("paper", (side * w * 0.985, -d / 2, 0), (side * w, d / 2, float(top[-1])))


def cloth(made: Builder, rng: np.random.Generator) -> None:
    n, size = 22, between(rng, 0.12, 0.35)
    g = np.linspace(-1, 1, n)
    x, y = np.meshgrid(g, g)
    z = np.zeros_like(x)
    for _ in range(6):
        k = rng.normal(0, 3.0, 2)
        z += np.sin(x * k[0] + y * k[1] + rng.uniform(0, 6)) / 6
    z = np.maximum(z, -0.15) + 0.15
    fade = np.clip(1.25 - np.maximum(np.abs(x), np.abs(y)), 0.1, 1)
    shrink = 1 - 0.25 * np.abs(np.sin(2 * y + rng.uniform(0, 6)))
    points = np.stack(
        [
            x * size / 2 * shrink,
            y * size / 2 * between(rng, 0.6, 1),
            z * fade * between(rng, 0.03, 0.09) + 0.002,
        ],
        -1,
    )
    made.add("cloth", sheet(points[::-1], smooth=True))


def bag(made: Builder, rng: np.random.Generator) -> None:
    lump = blob(0.5, 0.09, rng, segments=14)
    w, d, h = between(rng, 0.08, 0.18), between(rng, 0.04, 0.09), between(rng, 0.1, 0.22)
    made.add("pack", lump, posed(scale=(w, d, h)) if rng.random() < 0.5 else posed(scale=(w, h, d)))


def phone(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = between(rng, 0.06, 0.19), between(rng, 0.13, 0.26), between(rng, 0.007, 0.012)
    made.add("dark", ellipsoid(w, d, h, power=0.2, segments=16))
    made.slab("screen", (-w * 0.46, -d * 0.46, h - 0.001), (w * 0.46, d * 0.46, h + 0.0004))


def keyboard(made: Builder, rng: np.random.Generator) -> None:
    w, d = between(rng, 0.28, 0.45), between(rng, 0.11, 0.15)
    made.slab("dark" if rng.random() < 0.5 else "shell", (-w / 2, -d / 2, 0), (w / 2, d / 2, 0.014))
    x, y = (
        a.ravel()
        for a in np.meshgrid(
            np.arange(-w / 2 + 0.008, w / 2 - 0.02, 0.0192), np.arange(-d / 2 + 0.008, d / 2 - 0.02, 0.0195)
        )
    )
    low = np.column_stack([x, y, 0 * x + 0.014])
    made.add("second", slabs(low, low + np.array((0.016, 0.0162, 0.006))))


def mouse(made: Builder, rng: np.random.Generator) -> None:
    made.add(
        "dark" if rng.random() < 0.6 else "shell",
        ellipsoid(0.062, 0.11, 0.038, power=0.75, segments=14),
    )


def remote(made: Builder, rng: np.random.Generator) -> None:
    w, d = between(rng, 0.035, 0.05), between(rng, 0.12, 0.2)
    made.add("dark", ellipsoid(w, d, 0.02, power=0.3, segments=12))
    for k in range(8):
        for x in (-0.3, 0, 0.3):
            made.add("second", box(0.007, 0.006, 0.003), posed((x * w, (k / 9 - 0.4) * d, 0.0185)))


def super(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = rng.uniform(0.03, 0.14, 3)
    made.add("shell", ellipsoid(w, d, h, power=between(rng, 0.15, 1.6), segments=18))


def bricks(made: Builder, rng: np.random.Generator) -> None:
    """Toy bricks stuck together."""
    u = between(rng, 0.008, 0.016)
    z = 0.0
    x = 0.0
    for k in range(int(rng.integers(1, 5))):
        n, m = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        slot = "shell" if k % 2 else "second"
        made.slab(slot, (x - n * u / 2, -m * u / 2, z), (x + n * u / 2, m * u / 2, z + 1.2 * u))
        for i in range(n):
            for j in range(m):
                made.add(
                    slot,
                    cylinder(0.3 * u, 0.2 * u, segments=8),
                    posed((x + (i - n / 2 + 0.5) * u, (j - m / 2 + 0.5) * u, z + 1.2 * u)),
                )
        z += 1.2 * u
        x += u * int(rng.integers(-1, 2))


def animal(made: Builder, rng: np.random.Generator) -> None:
    s = between(rng, 0.05, 0.14)
    made.add("shell", ellipsoid(1.2 * s, 0.6 * s, 0.6 * s, segments=14), posed((0, 0, 0.4 * s)))
    made.add("shell", ellipsoid(0.55 * s, 0.45 * s, 0.5 * s, segments=12), posed((0.6 * s, 0, 0.75 * s)))
    for x in (-0.4, 0.35):
        for y in (-0.18, 0.18):
            made.add("shell", cylinder(0.11 * s, 0.55 * s, segments=8), posed((x * s, y * s, 0)))
    for y in (-0.16, 0.16):
        made.add(
            "second", ellipsoid(0.12 * s, 0.1 * s, 0.26 * s, segments=8), posed((0.55 * s, y * s, 1.15 * s))
        )
    made.add(
        "shell",
        tube(np.array([(-0.55 * s, 0, 0.75 * s), (-0.75 * s, 0, 0.9 * s), (-0.8 * s, 0, 1.1 * s)]), 0.05 * s),
    )


def toy_car(made: Builder, rng: np.random.Generator) -> None:
    s = between(rng, 0.05, 0.16)
    made.add("shell", ellipsoid(s, 0.45 * s, 0.26 * s, power=0.4, segments=14), posed((0, 0, 0.08 * s)))
    made.add(
        "second",
        ellipsoid(0.55 * s, 0.38 * s, 0.26 * s, power=0.5, segments=12),
        posed((-0.05 * s, 0, 0.24 * s)),
    )
    for x in (-0.3, 0.3):
        for y in (-0.24, 0.18):
            made.add(
                "dark",
                cylinder(0.11 * s, 0.06 * s, segments=12),
                posed((x * s, y * s + 0.06 * s, 0.11 * s), roll_deg=90),
            )

"""Vessels: packages, bottles, mugs, bowls, pots. Each function adds an object's solids to slots."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.mesh import (
    box,
    cylinder,
    lathe,
    sheet,
    tube,
)
from metric_depth_synthetic.scenes.prefab import Builder, between, posed


def carton(made: Builder, rng: np.random.Generator) -> None:
    w, h = between(rng, 0.055, 0.095), between(rng, 0.15, 0.24)
    made.add("pack", box(w, w, h))
    ridge = np.array(
        [
            [(-w / 2, -w / 2, h), (w / 2, -w / 2, h)],
            [(-w / 2, 0, h + w * 0.45), (w / 2, 0, h + w * 0.45)],
            [(-w / 2, w / 2, h), (w / 2, w / 2, h)],
        ]
    )
    made.add("pack", sheet(ridge[::-1]))
    made.slab("pack", (-w / 2, -0.002, h + w * 0.4), (w / 2, 0.002, h + w * 0.45 + 0.02))
    made.add("second", cylinder(0.014, 0.018, segments=12), posed((0, -w * 0.25, h + w * 0.2), roll_deg=42))


def can(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.026, 0.05), between(rng, 0.04, 0.16)
    made.add("label", lathe([(r, h * 0.04), (r, h * 0.96)], segments=20))
    made.add("metal", lathe([(0, 0.002), (r * 0.86, 0.002), (r * 0.9, 0), (r, h * 0.04)], segments=20))
    made.add(
        "metal",
        lathe(
            [(r, h * 0.96), (r * 0.93, h), (r * 0.88, h), (r * 0.86, h - 0.004), (0, h - 0.004)], segments=20
        ),
    )


def bottle(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.028, 0.05), between(rng, 0.15, 0.32)
    neck, shoulder = between(rng, 0.25, 0.5) * r, between(rng, 0.5, 0.75) * h
    waist = between(rng, 0.82, 1.0)
    body = [
        (0, 0.004),
        (r * 0.8, 0),
        (r, h * 0.04),
        (r, h * 0.25),
        (r * waist, h * 0.35),
        (r, h * 0.45),
        (r, shoulder),
        (r * 0.9, shoulder + 0.04 * h),
        (neck * 1.2, h * 0.86),
        (neck, h * 0.9),
        (neck, h * 0.95),
    ]
    made.add("glass" if rng.random() < 0.5 else "shell", lathe(body, segments=18))
    made.add("second", lathe([(neck * 1.25, h * 0.92), (neck * 1.25, h), (0, h)], segments=14))
    if rng.random() < 0.7:
        made.add("label", lathe([(r * 1.005, h * 0.46), (r * 1.005, shoulder * 0.98)], segments=18))


def squeeze(made: Builder, rng: np.random.Generator) -> None:
    """A flat bottle of shampoo, mustard or glue with its cap."""
    r, h, flat = between(rng, 0.025, 0.042), between(rng, 0.1, 0.22), between(rng, 0.5, 0.9)
    T = posed(scale=(1, flat, 1))
    made.add(
        "pack",
        lathe(
            [
                (0, 0),
                (r * 0.9, 0),
                (r, 0.02 * h),
                (r * 0.95, 0.6 * h),
                (r * 0.6, 0.8 * h),
                (0.4 * r, 0.84 * h),
                (0, 0.84 * h),
            ],
            segments=18,
        ),
        T,
    )
    made.add("second", cylinder(0.42 * r, 0.08 * h, segments=12), posed((0, 0, 0.83 * h)))
    made.add("second", cylinder(0.3 * r, 0.1 * h, top=0.1 * r, segments=10), posed((0, 0, 0.9 * h)))


def mug(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.035, 0.05), between(rng, 0.07, 0.12)
    flare = between(rng, 0.85, 1.1)
    made.add(
        "china",
        lathe(
            [
                (0, 0.003),
                (r * 0.85, 0),
                (r * flare, h * 0.1),
                (r, h),
                (r * 0.93, h),
                (r * 0.92, h * 0.1),
                (0, h * 0.08),
            ],
            segments=20,
        ),
    )
    turn = np.linspace(-1.25, 1.25, 8)
    way = np.stack(
        [r * 0.96 + 0.045 * np.cos(turn) - 0.015, 0 * turn, h * 0.52 + h * 0.34 * np.sin(turn)], -1
    )
    made.add("china", tube(way, 0.0055, segments=7))
    if rng.random() < 0.5:
        made.add("dark", lathe([(r * 0.92, h * 0.8), (0, h * 0.8)], segments=16))


def bowl(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.05, 0.14), between(rng, 0.03, 0.09)
    t = np.linspace(0, 1, 6)
    out = [(r * (0.4 + 0.6 * a**0.6), h * a) for a in t]
    into = [(r * (0.37 + 0.6 * a**0.6), h * a) for a in t[::-1]]
    made.add("china", lathe([(0, 0.002), *out, *into, (0, 0.006)], segments=24))


def plate(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.07, 0.14), between(rng, 0.012, 0.028)
    made.add(
        "china",
        lathe(
            [(0, 0), (r * 0.6, 0), (r, h), (r * 0.985, h + 0.003), (r * 0.6, 0.005), (0, 0.005)], segments=28
        ),
    )


def cup(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.025, 0.045), between(rng, 0.06, 0.14)
    made.add(
        "shell",
        lathe([(0, 0.002), (r * 0.7, 0), (r, h), (r * 0.95, h), (r * 0.66, 0.006), (0, 0.006)], segments=18),
    )


def vase(made: Builder, rng: np.random.Generator) -> None:
    """A vase: a random solid of revolution."""
    h, n = between(rng, 0.05, 0.25), int(rng.integers(4, 9))
    r = np.clip(between(rng, 0.02, 0.06) * (1 + 0.35 * np.cumsum(rng.normal(0, 0.6, n))), 0.008, 0.08)
    z = np.linspace(0, h, n)
    fine = np.linspace(0, h, 2 * n)
    profile = (
        list(zip(np.interp(fine, z, r), fine, strict=True))
        if rng.random() < 0.5
        else list(zip(r, z, strict=True))
    )
    made.add(
        "china",
        lathe(
            [(0, 0), *((float(a), float(b)) for a, b in profile), (0, h)],
            segments=20,
            smooth=bool(rng.random() < 0.7),
        ),
    )


def plant(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.03, 0.07), between(rng, 0.05, 0.11)
    made.add(
        "china",
        lathe([(0, 0), (r * 0.7, 0), (r, h), (r * 0.9, h), (r * 0.88, h * 0.9), (0, h * 0.88)], segments=16),
    )
    for _ in range(int(rng.integers(6, 14))):
        angle, lean, long = between(rng, 0, 6.3), between(rng, 0.1, 0.9), between(rng, 0.06, 0.18)
        t = np.linspace(0, 1, 5)
        out, up = lean * long * t**1.4, long * t * (1 - 0.4 * lean * t)
        wide = 0.016 * np.sin(np.pi * (0.1 + 0.85 * t))
        rows = [
            np.column_stack(
                [
                    out * np.cos(angle) - e * wide * np.sin(angle),
                    out * np.sin(angle) + e * wide * np.cos(angle),
                    h * 0.88 + up,
                ]
            )
            for e in (-1, 1)
        ]
        made.add("leaf", sheet(np.stack(rows)))


def spray(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.028, 0.042), between(rng, 0.15, 0.2)
    made.add(
        "pack",
        lathe([(0, 0), (r, 0), (r, h * 0.6), (r * 0.35, h * 0.85), (r * 0.35, h)], segments=16),
        posed(scale=(1, 0.75, 1)),
    )
    made.slab("second", (-0.035, -0.012, h), (0.05, 0.012, h + 0.03))
    made.add("second", tube(np.array([(0.03, 0, h), (0.022, 0, h - 0.03), (0.03, 0, h - 0.045)]), 0.005))


def pan(made: Builder, rng: np.random.Generator) -> None:
    r, h = between(rng, 0.08, 0.14), between(rng, 0.03, 0.1)
    made.add(
        "metal" if rng.random() < 0.5 else "dark",
        lathe([(0, 0), (r * 0.9, 0), (r, h), (r * 0.97, h), (r * 0.87, 0.005), (0, 0.005)], segments=24),
    )
    made.add("dark", tube(np.array([(r * 0.95, 0, h * 0.8), (r + 0.16, 0, h * 1.0)]), 0.01, segments=8))

"""Things one finds on tables: packages, vessels, fruit, tools, cables, books, cloths, toys.

An object stands or lies on z = 0 around (0, 0) in its most natural pose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from metric_depth_ros.datasets.synthetic.mesh import (
    Mesh,
    blob,
    box,
    cylinder,
    ellipsoid,
    lathe,
    sheet,
    tube,
)
from metric_depth_ros.datasets.synthetic.palette import Palette
from metric_depth_ros.datasets.synthetic.scene import Material, Role
from metric_depth_ros.datasets.synthetic.scenes.prefab import Builder, Parts, Prefab, posed
from metric_depth_ros.types import FloatArray

VARIANTS = 10

Maker = Callable[[Builder, np.random.Generator], None]


def draw_object(rng: np.random.Generator, palette: Palette, name: str | None = None) -> tuple[Parts, Prefab, str]:
    """An object, its prefab and its name in ``KINDS``."""
    if name is None:
        name = NAMES[int(np.searchsorted(_CUMULATIVE, rng.random()))]
    prefab = _object(name, int(rng.integers(VARIANTS)))
    return prefab.dressed({slot: _material(rng, palette, slot) for slot in prefab.meshes}), prefab, name


def _material(rng: np.random.Generator, palette: Palette, slot: str) -> Material:
    roles: tuple[Role, ...] = _SLOTS[slot]
    role = roles[int(rng.integers(len(roles)))]
    repeat = {"print": float(rng.uniform(0.1, 0.3)), "fabric": float(rng.uniform(0.1, 0.6))}.get(role)
    if slot == "dark":
        return palette.draw(role, colour=(0.02, 0.02, 0.022))
    return palette.draw(role, repeat_m=repeat if repeat is not None else float(rng.uniform(0.08, 0.6)))


# What the slots of objects are made of.
_SLOTS: dict[str, tuple[Role, ...]] = {
    "pack": ("print", "print", "paint", "paper", "any"), "shell": ("plastic", "paint", "any"),
    "china": ("plastic", "paint", "wall", "any"), "metal": ("metal",), "dark": ("plastic",), "wood": ("wood",),
    "glass": ("glass", "plastic"), "fruit": ("any", "foliage", "skin"), "cloth": ("fabric",), "paper": ("paper",),
    "screen": ("screen",), "label": ("print",), "leaf": ("foliage",), "second": ("plastic", "any"),
}  # fmt: skip


@lru_cache(maxsize=None)
def _object(name: str, variant: int) -> Prefab:
    rng = np.random.default_rng([91, variant, *name.encode()])
    made = Builder()
    KINDS[name][1](made, rng)
    return made.prefab()


def _u(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _box(made: Builder, rng: np.random.Generator) -> None:
    a, b, c = np.sort(rng.uniform((0.02, 0.05, 0.08), (0.09, 0.2, 0.3)))
    size = (b, a, c) if rng.random() < 0.5 else (c, b, a)
    made.add("pack", box(*size))
    if rng.random() < 0.4:  # tape, or the slit of a lid
        made.slab("second", (-size[0] / 2 - 4e-4, -0.012, 0.0), (size[0] / 2 + 4e-4, 0.012, size[2] + 4e-4))


def _carton(made: Builder, rng: np.random.Generator) -> None:
    w, h = _u(rng, 0.055, 0.095), _u(rng, 0.15, 0.24)
    made.add("pack", box(w, w, h))
    ridge = np.array([[(-w / 2, -w / 2, h), (w / 2, -w / 2, h)], [(-w / 2, 0, h + w * 0.45), (w / 2, 0, h + w * 0.45)],
                      [(-w / 2, w / 2, h), (w / 2, w / 2, h)]])  # fmt: skip
    made.add("pack", sheet(ridge[::-1]))
    made.slab("pack", (-w / 2, -0.002, h + w * 0.4), (w / 2, 0.002, h + w * 0.45 + 0.02))
    made.add("second", cylinder(0.014, 0.018, segments=12), posed((0, -w * 0.25, h + w * 0.2), roll_deg=42))


def _can(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.026, 0.05), _u(rng, 0.04, 0.16)
    made.add("label", lathe([(r, h * 0.04), (r, h * 0.96)], segments=20))
    made.add("metal", lathe([(0, 0.002), (r * 0.86, 0.002), (r * 0.9, 0), (r, h * 0.04)], segments=20))
    made.add("metal", lathe([(r, h * 0.96), (r * 0.93, h), (r * 0.88, h), (r * 0.86, h - 0.004), (0, h - 0.004)], segments=20))


def _bottle(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.028, 0.05), _u(rng, 0.15, 0.32)
    neck, shoulder = _u(rng, 0.25, 0.5) * r, _u(rng, 0.5, 0.75) * h
    waist = _u(rng, 0.82, 1.0)
    body = [(0, 0.004), (r * 0.8, 0), (r, h * 0.04), (r, h * 0.25), (r * waist, h * 0.35), (r, h * 0.45), (r, shoulder),
            (r * 0.9, shoulder + 0.04 * h), (neck * 1.2, h * 0.86), (neck, h * 0.9), (neck, h * 0.95)]  # fmt: skip
    made.add("glass" if rng.random() < 0.5 else "shell", lathe(body, segments=18))
    made.add("second", lathe([(neck * 1.25, h * 0.92), (neck * 1.25, h), (0, h)], segments=14))
    if rng.random() < 0.7:
        made.add("label", lathe([(r * 1.005, h * 0.46), (r * 1.005, shoulder * 0.98)], segments=18))


def _squeeze(made: Builder, rng: np.random.Generator) -> None:
    """A flat bottle of shampoo, mustard or glue with its cap."""
    r, h, flat = _u(rng, 0.025, 0.042), _u(rng, 0.1, 0.22), _u(rng, 0.5, 0.9)
    T = posed(scale=(1, flat, 1))
    made.add("pack", lathe([(0, 0), (r * 0.9, 0), (r, 0.02 * h), (r * 0.95, 0.6 * h), (r * 0.6, 0.8 * h), (0.4 * r, 0.84 * h), (0, 0.84 * h)], segments=18), T)
    made.add("second", cylinder(0.42 * r, 0.08 * h, segments=12), posed((0, 0, 0.83 * h)))
    made.add("second", cylinder(0.3 * r, 0.1 * h, top=0.1 * r, segments=10), posed((0, 0, 0.9 * h)))


def _mug(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.035, 0.05), _u(rng, 0.07, 0.12)
    flare = _u(rng, 0.85, 1.1)
    made.add("china", lathe([(0, 0.003), (r * 0.85, 0), (r * flare, h * 0.1), (r, h), (r * 0.93, h), (r * 0.92, h * 0.1), (0, h * 0.08)], segments=20))
    turn = np.linspace(-1.25, 1.25, 8)
    way = np.stack([r * 0.96 + 0.03 * np.cos(turn) - 0.012, 0 * turn, h * 0.52 + h * 0.34 * np.sin(turn)], -1)
    made.add("china", tube(way, 0.0055, segments=7))
    if rng.random() < 0.5:
        made.add("dark", lathe([(r * 0.92, h * 0.8), (0, h * 0.8)], segments=16))


def _bowl(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.05, 0.14), _u(rng, 0.03, 0.09)
    t = np.linspace(0, 1, 6)
    out = [(r * (0.4 + 0.6 * a**0.6), h * a) for a in t]
    into = [(r * (0.37 + 0.6 * a**0.6), h * a) for a in t[::-1]]
    made.add("china", lathe([(0, 0.002), *out, *into, (0, 0.006)], segments=24))


def _plate(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.07, 0.14), _u(rng, 0.012, 0.028)
    made.add("china", lathe([(0, 0), (r * 0.6, 0), (r, h), (r * 0.985, h + 0.003), (r * 0.6, 0.005), (0, 0.005)], segments=28))


def _cup(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.025, 0.045), _u(rng, 0.06, 0.14)
    made.add("shell", lathe([(0, 0.002), (r * 0.7, 0), (r, h), (r * 0.95, h), (r * 0.66, 0.006), (0, 0.006)], segments=18))


def _fruit(made: Builder, rng: np.random.Generator) -> None:
    d = _u(rng, 0.05, 0.1)
    kind = int(rng.integers(4))
    if kind == 3:  # banana
        turn = np.linspace(0.3, 2.2, 9)
        r = 0.1
        path = np.stack([r * np.cos(turn), r * np.sin(turn) - r * 0.8, 0 * turn + 0.018], -1)
        for k in range(8):
            made.add("fruit", tube(path[k : k + 2], 0.018 * (0.6 + 0.4 * np.sin(np.pi * (k + 1) / 9)), segments=7))
        made.add("dark", tube(path[:2] + (path[0] - path[1]) * 0.6, 0.006))
        return
    squash = (1.0, _u(rng, 0.85, 1.25), 1.35)[kind]
    made.add("fruit", blob(d / 2, 0.03, rng, segments=14), posed(scale=(1, 1, squash)))
    made.add("wood", tube(np.array([(0, 0, d * squash * 0.9), (0.004, 0, d * squash + 0.015)]), 0.0025, segments=5))


def _ball(made: Builder, rng: np.random.Generator) -> None:
    d = _u(rng, 0.03, 0.14)
    made.add("shell", ellipsoid(d, d, d, segments=18))


def _screwdriver(made: Builder, rng: np.random.Generator) -> None:
    long, r = _u(rng, 0.15, 0.28), _u(rng, 0.011, 0.018)
    T = posed((-long / 2, 0, r), pitch_deg=90)
    grip = 0.42 * long
    made.add("shell", lathe([(0, 0), (r * 0.8, 0.003), (r, 0.02), (r * 0.75, grip * 0.75), (r * 0.95, grip * 0.9), (r * 0.4, grip)], segments=10), T)
    made.add("metal", lathe([(r * 0.25, grip), (r * 0.25, long - 0.01), (r * 0.1, long)], segments=8), T)


def _hammer(made: Builder, rng: np.random.Generator) -> None:
    long = _u(rng, 0.22, 0.33)
    made.add("wood" if rng.random() < 0.6 else "shell", tube(np.array([(-long / 2, 0, 0.016), (0, 0, 0.014), (long / 2, 0, 0.016)]), 0.014, segments=8))
    made.add("metal", cylinder(0.014, 0.05, segments=10), posed((long / 2, -0.005, 0.016), roll_deg=90))
    made.slab("metal", (long / 2 - 0.013, -0.02, 0.003), (long / 2 + 0.013, 0.06, 0.029))


def _wrench(made: Builder, rng: np.random.Generator) -> None:
    long, thick = _u(rng, 0.12, 0.25), _u(rng, 0.005, 0.009)
    made.slab("metal", (-long / 2, -0.009, 0), (long / 2, 0.009, thick))
    for x, turn in ((-long / 2, 0.0), (long / 2, 180.0)):
        angle = np.radians(np.linspace(50, 310, 9))
        ring = np.stack([[(0.022 * np.cos(a), 0.022 * np.sin(a), z) for a in angle] for z in (0, thick)])
        inner = np.stack([[(0.011 * np.cos(a), 0.011 * np.sin(a), z) for a in angle] for z in (thick, 0)])
        made.add("metal", sheet(np.concatenate([ring, inner, ring[:1]])), posed((x, 0, 0), yaw_deg=turn))


def _scissors(made: Builder, rng: np.random.Generator) -> None:
    spread = _u(rng, 4, 25)
    for side in (1, -1):
        T = posed((0, 0, 0.001 + 0.002 * (side > 0)), yaw_deg=side * spread)
        made.add("metal", box(0.1, 0.012, 0.0025), T @ posed((0.05, 0, 0)))
        turn = np.linspace(0, 2 * np.pi, 11)
        loop = np.stack([-0.05 + 0.026 * np.cos(turn), side * -0.012 + 0.016 * np.sin(turn), 0 * turn + 0.005], -1)
        made.add("shell", tube(loop, 0.0045, segments=6), T)
        made.add("shell", tube(np.array([(-0.024, side * -0.008, 0.004), (0.01, 0, 0.003)]), 0.005), T)


def _pliers(made: Builder, rng: np.random.Generator) -> None:
    spread = _u(rng, 5, 18)
    for side in (1, -1):
        path = np.array([(-0.1, side * 0.022, 0.01), (-0.05, side * 0.024, 0.01), (-0.01, side * 0.008, 0.01), (0.0, 0, 0.01)])
        made.add("shell", tube(path, 0.0085, segments=7), posed(yaw_deg=side * spread * 0.4))
        made.add("metal", cylinder(0.01, 0.055, top=0.004, segments=6), posed((0, 0, 0.01), pitch_deg=90, yaw_deg=-side * spread * 0.4))
    made.add("metal", cylinder(0.014, 0.014, segments=12), posed((0, 0, 0.003)))


def _drill(made: Builder, rng: np.random.Generator) -> None:
    made.add("shell", lathe([(0, 0), (0.022, 0.002), (0.028, 0.03), (0.028, 0.12), (0.02, 0.15), (0.02, 0.17)], segments=14), posed((-0.09, 0, 0.18), pitch_deg=90))
    made.add("dark", lathe([(0.02, 0), (0.018, 0.03), (0.008, 0.05), (0, 0.05)], segments=12), posed((0.08, 0, 0.18), pitch_deg=90))
    made.add("dark", ellipsoid(0.045, 0.036, 0.15, power=0.6, segments=10), posed((-0.055, 0, 0.035), pitch_deg=-8))
    made.add("shell", ellipsoid(0.12, 0.07, 0.055, power=0.35, segments=12), posed((-0.05, 0, 0)))
    made.add("metal", tube(np.array([(0.12, 0, 0.18), (0.19, 0, 0.18)]), 0.003))


def _marker(made: Builder, rng: np.random.Generator) -> None:
    long, r = _u(rng, 0.11, 0.16), _u(rng, 0.0035, 0.009)
    T = posed((-long / 2, 0, r), pitch_deg=90)
    made.add("shell", lathe([(0, 0), (r, 0), (r, long * 0.6)], segments=9), T)
    made.add("second", lathe([(r, long * 0.6), (r * 0.95, long * 0.9), (0, long)], segments=9), T)


def _cable(made: Builder, rng: np.random.Generator) -> None:
    n = 40
    r = _u(rng, 0.0018, 0.005)
    turn = np.cumsum(rng.normal(0, 0.16, n)) + np.cumsum(np.full(n, _u(rng, 0, 0.35)))
    path = np.cumsum(np.stack([np.cos(turn), np.sin(turn)], 1) * 0.018, 0)
    path -= path.mean(0)
    bump = r + 0.004 * np.clip(np.sin(np.arange(n) * 0.7 + _u(rng, 0, 6)), 0, 1)
    made.add("dark" if rng.random() < 0.5 else "second", tube(np.column_stack([path, bump]), r, segments=6))
    made.add("second", box(0.02, 0.014, 0.012), posed((*path[-1], 0), yaw_deg=float(np.degrees(turn[-1]))))


def _book(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = _u(rng, 0.11, 0.22), _u(rng, 0.15, 0.3), _u(rng, 0.008, 0.05)
    made.slab("pack", (-w / 2, -d / 2, 0), (w / 2, d / 2, 0.003))
    made.slab("pack", (-w / 2, -d / 2, h - 0.003), (w / 2, d / 2, h))
    made.slab("pack", (-w / 2, -d / 2, 0), (-w / 2 + 0.003, d / 2, h))
    made.slab("paper", (-w / 2 + 0.003, -d / 2 + 0.004, 0.003), (w / 2 - 0.004, d / 2 - 0.004, h - 0.003))


def _open_book(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = _u(rng, 0.12, 0.2), _u(rng, 0.17, 0.28), _u(rng, 0.008, 0.03)
    x = np.linspace(0, 1, 9)
    for side in (1, -1):
        top = h * (0.35 + 0.65 * np.sin(np.pi * np.clip(x * 1.1 + 0.02, 0, 1)) ** 0.6) * (1 - 0.35 * x)
        rows = [np.column_stack([side * w * x, 0 * x + y, top]) for y in (-d / 2, d / 2)]
        made.add("label", sheet(np.stack(rows[:: -side])))
        low = [np.column_stack([side * w * x, 0 * x + y, 0 * x]) for y in (-d / 2, d / 2)]
        for k in range(2):
            made.add("paper", sheet(np.stack([low[k], rows[k]])))
        made.slab("pack", (0, -d / 2 - 0.004, 0), (side * (w + 0.004), d / 2 + 0.004, 0.002))
        made.slab("paper", (side * w * 0.985, -d / 2, 0), (side * w, d / 2, float(top[-1])))


def _cloth(made: Builder, rng: np.random.Generator) -> None:
    n, size = 22, _u(rng, 0.12, 0.35)
    g = np.linspace(-1, 1, n)
    x, y = np.meshgrid(g, g)
    z = np.zeros_like(x)
    for _ in range(6):
        k = rng.normal(0, 3.0, 2)
        z += np.sin(x * k[0] + y * k[1] + rng.uniform(0, 6)) / 6
    z = np.maximum(z, -0.15) + 0.15
    fade = np.clip(1.25 - np.maximum(np.abs(x), np.abs(y)), 0.1, 1)
    shrink = 1 - 0.25 * np.abs(np.sin(2 * y + rng.uniform(0, 6)))
    points = np.stack([x * size / 2 * shrink, y * size / 2 * _u(rng, 0.6, 1), z * fade * _u(rng, 0.03, 0.09) + 0.002], -1)
    made.add("cloth", sheet(points[::-1], smooth=True))


def _bag(made: Builder, rng: np.random.Generator) -> None:
    lump = blob(0.5, 0.09, rng, segments=14)
    w, d, h = _u(rng, 0.08, 0.18), _u(rng, 0.04, 0.09), _u(rng, 0.1, 0.22)
    made.add("pack", lump, posed(scale=(w, d, h)) if rng.random() < 0.5 else posed(scale=(w, h, d)))


def _tape(made: Builder, rng: np.random.Generator) -> None:
    r, w, h = _u(rng, 0.025, 0.06), _u(rng, 0.006, 0.02), _u(rng, 0.012, 0.05)
    inner = r - w
    made.add("second", lathe([(inner, 0), (r, 0)], segments=22, smooth=False))
    made.add("shell", lathe([(r, 0), (r, h)], segments=22))
    made.add("second", lathe([(r, h), (inner, h)], segments=22, smooth=False))
    made.add("paper", lathe([(inner, h), (inner, 0)], segments=22))


def _phone(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = _u(rng, 0.06, 0.19), _u(rng, 0.13, 0.26), _u(rng, 0.007, 0.012)
    made.add("dark", ellipsoid(w, d, h, power=0.2, segments=16))
    made.slab("screen", (-w * 0.46, -d * 0.46, h - 0.001), (w * 0.46, d * 0.46, h + 0.0004))


def _keyboard(made: Builder, rng: np.random.Generator) -> None:
    w, d = _u(rng, 0.28, 0.45), _u(rng, 0.11, 0.15)
    made.slab("dark" if rng.random() < 0.5 else "shell", (-w / 2, -d / 2, 0), (w / 2, d / 2, 0.014))
    from metric_depth_ros.datasets.synthetic.scenes.prefab import slabs

    x, y = (a.ravel() for a in np.meshgrid(np.arange(-w / 2 + 0.008, w / 2 - 0.02, 0.0192), np.arange(-d / 2 + 0.008, d / 2 - 0.02, 0.0195)))
    low = np.column_stack([x, y, 0 * x + 0.014])
    made.add("second", slabs(low, low + (0.016, 0.0162, 0.006)))


def _mouse(made: Builder, rng: np.random.Generator) -> None:
    made.add("dark" if rng.random() < 0.6 else "shell", ellipsoid(0.062, 0.11, 0.06, segments=14), posed((0, 0, -0.02)))


def _remote(made: Builder, rng: np.random.Generator) -> None:
    w, d = _u(rng, 0.035, 0.05), _u(rng, 0.12, 0.2)
    made.add("dark", ellipsoid(w, d, 0.02, power=0.3, segments=12))
    for k in range(8):
        for x in (-0.3, 0, 0.3):
            made.add("second", box(0.007, 0.006, 0.003), posed((x * w, (k / 9 - 0.4) * d, 0.0185)))


def _vase(made: Builder, rng: np.random.Generator) -> None:
    """A turned shape that nobody has seen before."""
    h, n = _u(rng, 0.05, 0.25), int(rng.integers(4, 9))
    r = np.clip(_u(rng, 0.02, 0.06) * (1 + 0.35 * np.cumsum(rng.normal(0, 0.6, n))), 0.008, 0.08)
    z = np.linspace(0, h, n)
    fine = np.linspace(0, h, 2 * n)
    profile = list(zip(np.interp(fine, z, r), fine, strict=True)) if rng.random() < 0.5 else list(zip(r, z, strict=True))
    made.add("china", lathe([(0, 0), *((float(a), float(b)) for a, b in profile), (0, h)], segments=20, smooth=bool(rng.random() < 0.7)))


def _super(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = rng.uniform(0.03, 0.14, 3)
    made.add("shell", ellipsoid(w, d, h, power=_u(rng, 0.15, 1.6), segments=18))


def _bent(made: Builder, rng: np.random.Generator) -> None:
    """A pipe or wire bent a few times."""
    r = _u(rng, 0.004, 0.015)
    way = rng.normal(0, 1, (5, 3)) * (0.05, 0.05, 0.025)
    path = np.cumsum(way, 0)
    path -= path.mean(0)
    path[:, 2] += r - path[:, 2].min()
    made.add("metal" if rng.random() < 0.5 else "shell", tube(path, r, segments=9))


def _bricks(made: Builder, rng: np.random.Generator) -> None:
    """Toy bricks stuck together."""
    u = _u(rng, 0.008, 0.016)
    z = 0.0
    x = 0.0
    for k in range(int(rng.integers(1, 5))):
        n, m = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        slot = "shell" if k % 2 else "second"
        made.slab(slot, (x - n * u / 2, -m * u / 2, z), (x + n * u / 2, m * u / 2, z + 1.2 * u))
        for i in range(n):
            for j in range(m):
                made.add(slot, cylinder(0.3 * u, 0.2 * u, segments=8), posed((x + (i - n / 2 + 0.5) * u, (j - m / 2 + 0.5) * u, z + 1.2 * u)))
        z += 1.2 * u
        x += u * int(rng.integers(-1, 2))


def _animal(made: Builder, rng: np.random.Generator) -> None:
    s = _u(rng, 0.05, 0.14)
    made.add("shell", ellipsoid(1.2 * s, 0.6 * s, 0.6 * s, segments=14), posed((0, 0, 0.4 * s)))
    made.add("shell", ellipsoid(0.55 * s, 0.45 * s, 0.5 * s, segments=12), posed((0.6 * s, 0, 0.75 * s)))
    for x in (-0.4, 0.35):
        for y in (-0.18, 0.18):
            made.add("shell", cylinder(0.11 * s, 0.55 * s, segments=8), posed((x * s, y * s, 0)))
    for y in (-0.16, 0.16):
        made.add("second", ellipsoid(0.12 * s, 0.1 * s, 0.26 * s, segments=8), posed((0.55 * s, y * s, 1.15 * s)))
    made.add("shell", tube(np.array([(-0.55 * s, 0, 0.75 * s), (-0.75 * s, 0, 0.9 * s), (-0.8 * s, 0, 1.1 * s)]), 0.05 * s))


def _toy_car(made: Builder, rng: np.random.Generator) -> None:
    s = _u(rng, 0.05, 0.16)
    made.add("shell", ellipsoid(s, 0.45 * s, 0.26 * s, power=0.4, segments=14), posed((0, 0, 0.08 * s)))
    made.add("second", ellipsoid(0.55 * s, 0.38 * s, 0.26 * s, power=0.5, segments=12), posed((-0.05 * s, 0, 0.24 * s)))
    for x in (-0.3, 0.3):
        for y in (-0.24, 0.18):
            made.add("dark", cylinder(0.11 * s, 0.06 * s, segments=12), posed((x * s, y * s + 0.06 * s, 0.11 * s), roll_deg=90))


def _plant(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.03, 0.07), _u(rng, 0.05, 0.11)
    made.add("china", lathe([(0, 0), (r * 0.7, 0), (r, h), (r * 0.9, h), (r * 0.88, h * 0.9), (0, h * 0.88)], segments=16))
    for _ in range(int(rng.integers(6, 14))):
        angle, lean, long = _u(rng, 0, 6.3), _u(rng, 0.1, 0.9), _u(rng, 0.06, 0.18)
        t = np.linspace(0, 1, 5)
        out, up = lean * long * t**1.4, long * t * (1 - 0.4 * lean * t)
        wide = 0.016 * np.sin(np.pi * (0.1 + 0.85 * t))
        rows = [np.column_stack([out * np.cos(angle) - e * wide * np.sin(angle), out * np.sin(angle) + e * wide * np.cos(angle), h * 0.88 + up]) for e in (-1, 1)]
        made.add("leaf", sheet(np.stack(rows)))


def _spray(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.028, 0.042), _u(rng, 0.15, 0.2)
    made.add("pack", lathe([(0, 0), (r, 0), (r, h * 0.6), (r * 0.35, h * 0.85), (r * 0.35, h)], segments=16), posed(scale=(1, 0.75, 1)))
    made.slab("second", (-0.035, -0.012, h), (0.05, 0.012, h + 0.03))
    made.add("second", tube(np.array([(0.03, 0, h), (0.022, 0, h - 0.03), (0.03, 0, h - 0.045)]), 0.005))


def _pan(made: Builder, rng: np.random.Generator) -> None:
    r, h = _u(rng, 0.08, 0.14), _u(rng, 0.03, 0.1)
    made.add("metal" if rng.random() < 0.5 else "dark", lathe([(0, 0), (r * 0.9, 0), (r, h), (r * 0.97, h), (r * 0.87, 0.005), (0, 0.005)], segments=24))
    made.add("dark", tube(np.array([(r * 0.95, 0, h * 0.8), (r + 0.16, 0, h * 1.0)]), 0.01, segments=8))


def _spoon(made: Builder, rng: np.random.Generator) -> None:
    long = _u(rng, 0.12, 0.3)
    made.add("metal" if rng.random() < 0.6 else "wood", tube(np.array([(-long / 2, 0, 0.004), (0, 0, 0.008), (long * 0.35, 0, 0.005)]), 0.0035, segments=6))
    made.add("metal", ellipsoid(0.05, 0.03, 0.01, segments=12), posed((long * 0.42, 0, 0)))


def _clamp(made: Builder, rng: np.random.Generator) -> None:
    w, d = _u(rng, 0.06, 0.14), _u(rng, 0.05, 0.1)
    for low, high in (((0, 0), (w, 0.014)), ((0, 0), (0.014, d)), ((w - 0.014, 0), (w, d * 0.8))):
        made.slab("metal", (low[0] - w / 2, low[1] - d / 2, 0), (high[0] - w / 2, high[1] - d / 2, 0.016))
    made.add("dark", tube(np.array([(-w * 0.2, d * 0.25, 0.008), (w * 0.8, d * 0.25, 0.008)]), 0.006, segments=8))
    made.add("dark", tube(np.array([(w * 0.78, d * 0.25 - 0.03, 0.008), (w * 0.78, d * 0.25 + 0.03, 0.008)]), 0.004))


# The share of a kind of object and its maker.
KINDS: dict[str, tuple[float, Maker]] = {
    "box": (12, _box), "carton": (2, _carton), "can": (6, _can), "bottle": (6, _bottle), "squeeze": (4, _squeeze),
    "mug": (6, _mug), "bowl": (4, _bowl), "plate": (2, _plate), "cup": (3, _cup), "fruit": (6, _fruit),
    "ball": (3, _ball), "screwdriver": (3, _screwdriver), "hammer": (1.5, _hammer), "wrench": (2, _wrench),
    "scissors": (1.5, _scissors), "pliers": (1.5, _pliers), "drill": (2, _drill), "marker": (3, _marker),
    "cable": (4, _cable), "book": (5, _book), "open book": (1, _open_book), "cloth": (3, _cloth), "bag": (3, _bag),
    "tape": (2, _tape), "phone": (2, _phone), "keyboard": (1, _keyboard), "mouse": (1, _mouse), "remote": (1, _remote),
    "vase": (5, _vase), "super": (4, _super), "bent": (2, _bent), "bricks": (3, _bricks), "animal": (3, _animal),
    "toy car": (2, _toy_car), "plant": (1, _plant), "spray": (2, _spray), "pan": (1, _pan), "spoon": (2, _spoon),
    "clamp": (1.5, _clamp),
}  # fmt: skip
NAMES = tuple(KINDS)
_CUMULATIVE = np.cumsum([share for share, _ in KINDS.values()]) / sum(share for share, _ in KINDS.values())


def samples(prefab: Prefab, count: int = 500) -> FloatArray:
    """(N, 3) points spread over the surface, the same for the same prefab."""
    key = id(prefab)
    if key not in _SAMPLES:
        corners = np.concatenate([m.corners for m in prefab.meshes.values()])
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        rng = np.random.default_rng(5)
        pick = rng.choice(len(corners), count, p=area / area.sum())
        w = rng.dirichlet((1, 1, 1), count)
        # The corners themselves bound the thing.
        points = np.concatenate([(corners[pick] * w[..., None]).sum(1), corners.reshape(-1, 3)[::3]])
        _SAMPLES[key] = (prefab, points)
    return _SAMPLES[key][1]


_SAMPLES: dict[int, tuple[Prefab, FloatArray]] = {}

__all__ = ["KINDS", "NAMES", "Mesh", "draw_object", "samples"]

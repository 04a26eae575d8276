"""Objects on tables: packages, vessels, fruit, tools, cables, books, cloths, toys.

An object stands or lies on z = 0 around (0, 0) in its most natural pose.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import (
    Mesh,
    facets,
)
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material, Role
from metric_depth_synthetic.scenes.prefab import Builder, Parts, Prefab
from metric_depth_synthetic.scenes.tabletop import goods, tools, vessels

VARIANTS = 10

Maker = Callable[[Builder, np.random.Generator], None]


def draw_object(
    rng: np.random.Generator, palette: Palette, name: str | None = None
) -> tuple[Parts, Prefab, str]:
    """Random object, its prefab and its name in ``KINDS``."""
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


# Materials of the slots of objects.
_SLOTS: dict[str, tuple[Role, ...]] = {
    "pack": ("print", "print", "paint", "paper", "any"),
    "shell": ("plastic", "paint", "any"),
    "china": ("plastic", "paint", "wall", "any"),
    "metal": ("metal",),
    "dark": ("plastic",),
    "wood": ("wood",),
    "glass": ("glass", "plastic"),
    "fruit": ("any", "foliage", "skin"),
    "cloth": ("fabric",),
    "paper": ("paper",),
    "screen": ("screen",),
    "label": ("print",),
    "leaf": ("foliage",),
    "second": ("plastic", "any"),
}


@cache
def _object(name: str, variant: int) -> Prefab:
    rng = np.random.default_rng([91, variant, *name.encode()])
    made = Builder()
    KINDS[name][1](made, rng)
    return made.prefab()


# Relative frequency of a kind of object, and its maker.
KINDS: dict[str, tuple[float, Maker]] = {
    "box": (12, goods.package),
    "carton": (2, vessels.carton),
    "can": (6, vessels.can),
    "bottle": (6, vessels.bottle),
    "squeeze": (4, vessels.squeeze),
    "mug": (6, vessels.mug),
    "bowl": (4, vessels.bowl),
    "plate": (2, vessels.plate),
    "cup": (3, vessels.cup),
    "fruit": (6, goods.fruit),
    "ball": (3, goods.ball),
    "screwdriver": (3, tools.screwdriver),
    "hammer": (1.5, tools.hammer),
    "wrench": (2, tools.wrench),
    "scissors": (1.5, tools.scissors),
    "pliers": (1.5, tools.pliers),
    "drill": (2, tools.drill),
    "marker": (3, tools.marker),
    "cable": (4, tools.cable),
    "book": (5, goods.book),
    "open book": (1, goods.open_book),
    "cloth": (3, goods.cloth),
    "bag": (3, goods.bag),
    "tape": (2, tools.tape),
    "phone": (2, goods.phone),
    "keyboard": (1, goods.keyboard),
    "mouse": (1, goods.mouse),
    "remote": (1, goods.remote),
    "vase": (5, vessels.vase),
    "super": (4, goods.super),
    "bent": (2, tools.bent),
    "bricks": (3, goods.bricks),
    "animal": (3, goods.animal),
    "toy car": (2, goods.toy_car),
    "plant": (1, vessels.plant),
    "spray": (2, vessels.spray),
    "pan": (1, vessels.pan),
    "spoon": (2, tools.spoon),
    "clamp": (1.5, tools.clamp),
}
NAMES = tuple(KINDS)
_CUMULATIVE = np.cumsum([share for share, _ in KINDS.values()]) / sum(share for share, _ in KINDS.values())


def samples(prefab: Prefab, count: int = 500) -> FloatArray:
    """Points (N, 3) distributed over the surface, the same for the same prefab."""
    key = id(prefab)
    if key not in _SAMPLES:
        corners = np.concatenate([m.corners for m in prefab.meshes.values()])
        area = np.linalg.norm(facets(corners), axis=1)
        rng = np.random.default_rng(5)
        pick = rng.choice(len(corners), count, p=area / area.sum())
        w = rng.dirichlet((1, 1, 1), count)
        # The corners themselves bound the thing.
        points = np.concatenate([(corners[pick] * w[..., None]).sum(1), corners.reshape(-1, 3)[::3]])
        _SAMPLES[key] = (prefab, points)
    return _SAMPLES[key][1]


_SAMPLES: dict[int, tuple[Prefab, FloatArray]] = {}

__all__ = ["KINDS", "NAMES", "Mesh", "draw_object", "samples"]

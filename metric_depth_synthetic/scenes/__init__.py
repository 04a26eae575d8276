"""Families of scenes: each is one module and one line here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Scene
from metric_depth_synthetic.scenes.indoor import corridor, room
from metric_depth_synthetic.scenes.street.build import build as build_street
from metric_depth_synthetic.scenes.tabletop.build import build as build_tabletop
from metric_depth_synthetic.textures import TextureBank

FAMILIES: dict[str, Callable[[np.random.Generator, Palette], Scene]] = {
    "room": room.build,
    "corridor": corridor.build,
    "street": build_street,
    "tabletop": build_tabletop,
}


def build_scene(family: str, rng: np.random.Generator, bank: TextureBank) -> Scene:
    """Builds a random scene of a family. Raises InputError for an unknown family."""
    if family not in FAMILIES:
        raise InputError(f"synthetic: family {family!r}; known are {', '.join(FAMILIES)}.")
    scene = FAMILIES[family](rng, Palette(rng, bank))
    scene.seed = int(rng.integers(1 << 31))
    return scene

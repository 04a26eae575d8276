"""The families of scenes: one module and one line here each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metric_depth_ros.datasets.synthetic.palette import Palette
from metric_depth_ros.datasets.synthetic.scene import Scene
from metric_depth_ros.datasets.synthetic.scenes import corridor, room, street, tabletop
from metric_depth_ros.datasets.synthetic.textures import TextureBank
from metric_depth_ros.errors import InputError

FAMILIES: dict[str, Callable[[np.random.Generator, Palette], Scene]] = {
    "room": room.build,
    "corridor": corridor.build,
    "street": street.build,
    "tabletop": tabletop.build,
}


def build_scene(family: str, rng: np.random.Generator, bank: TextureBank) -> Scene:
    """A scene of a family. Raises InputError for an unknown family."""
    if family not in FAMILIES:
        raise InputError(f"synthetic: family {family!r}; known are {', '.join(FAMILIES)}.")
    scene = FAMILIES[family](rng, Palette(rng, bank))
    scene.seed = int(rng.integers(1 << 31))
    return scene

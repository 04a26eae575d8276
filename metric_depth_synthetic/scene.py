"""Data of a synthetic scene: things with materials, lights, a sky, and places for cameras.

The world is in metres with z up. This module only defines data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import Mesh

# Semantic labels; the index is the value in a label image.
LABELS = (
    "sky", "floor", "wall", "ceiling", "window", "door", "furniture", "clutter", "person", "ground",
    "road", "building", "pole", "vehicle", "vegetation", "table", "object", "screen", "stairs", "fence",
    "sign", "structure",
)  # fmt: skip

# Roles of surfaces, for Palette.draw.
Role = Literal[
    "wall", "floor", "ceiling", "wood", "fabric", "metal", "plastic", "paper", "glass", "foliage", "bark",
    "asphalt", "facade", "paint", "brick", "concrete", "ground", "grass", "skin", "print", "screen", "any",
]  # fmt: skip

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """Optical properties of a surface.

    Attributes:
        texture: index into the texture bank.
        colour, colour_2: linear RGB in [0, 1]. A grey texture blends from colour_2 (0) to colour (1);
            a coloured texture is multiplied by colour.
        repeat_m: metres of surface that one copy of the texture covers.
        angle_deg: rotation of the texture.
        specular, gloss: strength and exponent of the highlight.
        mirror: fraction of the light that is a mirror image of the scene, 0 to 1.
        emission: emitted light, as a multiple of the colour.
    """

    texture: int
    colour: Vector
    colour_2: Vector
    repeat_m: float
    angle_deg: float = 0.0
    specular: float = 0.0
    gloss: float = 20.0
    mirror: float = 0.0
    emission: float = 0.0


@dataclass(frozen=True)
class Motion:
    """Straight motion with a rotation about z through the thing's own origin.

    Attributes:
        velocity: m/s in the world.
        yaw_rate_deg: degrees per second.
    """

    velocity: Vector = (0.0, 0.0, 0.0)
    yaw_rate_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Thing:
    """One instance: meshes with one material each, in one frame, with one semantic label."""

    label: str
    parts: tuple[tuple[Mesh, Material], ...]
    T_world_thing: FloatArray = field(default_factory=lambda: np.eye(4))
    motion: Motion | None = None


@dataclass(frozen=True)
class Light:
    """The sun (``direction`` from the scene towards it) or a lamp at ``position``.

    Attributes:
        colour: linear RGB radiance; for a lamp, the irradiance it gives at 1 m facing it.
        size: softness of the shadow: the sun's angle in degrees, or the lamp's radius in metres.
    """

    colour: Vector
    direction: Vector | None = None
    position: Vector | None = None
    size: float = 0.5


@dataclass(frozen=True)
class Sky:
    """Linear RGB of the sky at the horizon and overhead, and how much of it is cloud (0 to 1)."""

    horizon: Vector
    zenith: Vector
    clouds: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Station:
    """Region of camera positions and region of their targets: two boxes in the world, metres.

    Attributes:
        low, high: corners of the box of positions.
        target_low, target_high: corners of the box of points looked at.
        roll_deg: standard deviation of the roll.
        weight: relative frequency among the stations.
    """

    low: Vector
    high: Vector
    target_low: Vector
    target_high: Vector
    roll_deg: float = 3.0
    weight: float = 1.0


@dataclass(eq=False)
class Scene:
    """Scene to render.

    Attributes:
        family: "room", "corridor", "street" or "tabletop".
        kind: what it is, one of ``describe.PLACES``; empty: nothing that a word could say.
        ambient: linear RGB light from everywhere.
        near_m, far_m: range of depths of a good image; views with much nearer surfaces are drawn again.
        stations: at least one.
        seed: random seed for what is drawn at shading time: haze, texture offsets.
    """

    family: str
    things: list[Thing] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    ambient: Vector = (0.3, 0.3, 0.3)
    sky: Sky | None = None
    near_m: float = 0.3
    far_m: float = 80.0
    stations: list[Station] = field(default_factory=list)
    seed: int = 0
    kind: str = ""

    def add(
        self,
        label: str,
        parts: Sequence[tuple[Mesh, Material]],
        T_world_thing: FloatArray | None = None,
        motion: Motion | None = None,
    ) -> None:
        """Adds one instance. Raises KeyError for an unknown label."""
        if label not in LABELS:
            raise KeyError(label)
        T = np.eye(4) if T_world_thing is None else T_world_thing
        self.things.append(Thing(label, tuple(parts), T, motion))

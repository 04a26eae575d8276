"""Streets as seen by a car, a delivery robot or a pedestrian, from inner cities to forest tracks."""

from __future__ import annotations

import numpy as np

from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Light, Scene, Sky
from metric_depth_synthetic.scenes.street import layout
from metric_depth_synthetic.scenes.street.place import Place


def build(rng: np.random.Generator, palette: Palette) -> Scene:
    """Builds a street scene of a random kind from ``layout.KINDS``."""
    scene = Scene("street", near_m=1.0, far_m=80.0)
    _weather(scene, rng)
    names = list(layout.KINDS)
    shares = np.array([layout.KINDS[n].share for n in names])
    scene.kind = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    place = Place(scene, rng, palette, layout.KINDS[scene.kind])
    layout.fill(place)
    return scene


def _weather(scene: Scene, rng: np.random.Generator) -> None:
    """Sets random sky, sun and ambient light: clear, hazy, overcast or dusk."""
    mood = float(rng.random())
    elevation = np.radians(rng.uniform(15, 70))
    azimuth = rng.uniform(0, 2 * np.pi)
    direction = (
        float(np.cos(azimuth) * np.cos(elevation)),
        float(np.sin(azimuth) * np.cos(elevation)),
        float(np.sin(elevation)),
    )
    seed = int(rng.integers(1 << 30))
    if mood < 0.5:  # sun
        warm = float(rng.uniform(0.7, 1.0))
        strength = float(rng.uniform(1.2, 2.4))
        blue = float(rng.uniform(0.25, 0.7))
        scene.sky = Sky(
            (0.75, 0.85, 1.0), (blue * 0.35, blue * 0.6, blue * 1.2), float(rng.uniform(0, 0.6)), seed
        )
        scene.lights.append(
            Light(
                (strength, strength * (0.85 + 0.15 * warm), strength * warm),
                direction,
                size=float(rng.uniform(0.3, 2)),
            )
        )
        a = float(rng.uniform(0.18, 0.45))
        scene.ambient = (a * 0.9, a, a * 1.12)
    elif mood < 0.9:  # overcast
        grey = float(rng.uniform(0.6, 1.1))
        scene.sky = Sky(
            (grey, grey, grey * 1.02), (grey * 0.8, grey * 0.82, grey * 0.88), float(rng.uniform(0, 1)), seed
        )
        part = float(rng.uniform(0.1, 0.6))
        scene.lights.append(Light((part, part, part), direction, size=float(rng.uniform(8, 25))))
        a = float(rng.uniform(0.5, 0.9))
        scene.ambient = (a, a, a * 1.03)
    else:  # dusk
        scene.sky = Sky((0.8, 0.5, 0.35), (0.1, 0.13, 0.25), float(rng.uniform(0, 0.8)), seed)
        low = (direction[0], direction[1], 0.12)
        scene.lights.append(Light((0.7, 0.42, 0.22), low, size=1.5))
        a = float(rng.uniform(0.12, 0.3))
        scene.ambient = (a, a * 0.95, a * 1.1)

"""Street furniture: lamps, signs, lights, bins, benches, fences, rails, gantries, bridges."""

from __future__ import annotations

from functools import cache

import numpy as np

from metric_depth_synthetic.mesh import cylinder, ellipsoid, lathe, tube
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material, Role
from metric_depth_synthetic.scenes.prefab import Builder, Prefab, posed, slabs


class Furniture:
    """Street furniture of one scene: one model of each thing, as in a town."""

    def __init__(self, rng: np.random.Generator, palette: Palette) -> None:
        """Draws the models and their materials."""
        self._rng, self._palette = rng, palette
        grey = float(rng.uniform(0.05, 0.5))
        self._steel = palette.draw("metal", colour=(grey, grey, grey))
        self._dark = palette.draw("plastic", colour=(0.03, 0.035, 0.035))
        self._makes = rng.integers(0, 6, 16)
        self._made: dict[str, tuple[str, Prefab, dict[str, Material]]] = {}

    def materials(self, **more: Material) -> dict[str, Material]:
        """Steel and dark plastic, with others added."""
        return {"steel": self._steel, "dark": self._dark, **more}

    def make(self, name: str) -> tuple[str, Prefab, dict[str, Material]]:
        """Label, prefab and materials of a thing named in ``THINGS``; it faces -x, arms towards +y."""
        if name not in self._made:
            prefab = _thing(name, int(self._makes[list(THINGS).index(name)]))
            materials = {slot: self._material(slot) for slot in prefab.meshes}
            self._made[name] = (THINGS[name][0], prefab, materials)
        label, prefab, materials = self._made[name]
        if "face" in materials:
            materials = {**materials, "face": self._palette.draw("print")}
        return label, prefab, materials

    def _material(self, slot: str) -> Material:
        draw = self._palette.draw
        if slot in ("steel", "dark"):
            return self._steel if slot == "steel" else self._dark
        if slot == "light":
            return draw("plastic", colour=(0.8, 0.78, 0.7))
        return draw("plastic", colour=(0.5, 0.02, 0.02)) if slot == "red" else draw(_ROLES[slot])


_ROLES: dict[str, Role] = {"face": "print", "paint": "paint", "wood": "wood", "stone": "concrete"}


@cache
def _thing(name: str, make: int) -> Prefab:
    rng = np.random.default_rng([64, make, *name.encode()])
    made = Builder()
    THINGS[name][1](made, rng)
    return made.prefab()


def _pole(made: Builder, radius: float, height: float, slot: str = "steel", top: float | None = None) -> None:
    made.add(
        slot,
        cylinder(radius, height + 0.3, top=radius * 0.6 if top is None else top, segments=8),
        posed((0, 0, -0.3)),
    )


def _lamp(made: Builder, rng: np.random.Generator) -> None:
    height = float(rng.uniform(3.5, 10))
    _pole(made, 0.05 + 0.006 * height, height)
    made.add("steel", cylinder(0.12, 0.9, segments=8))
    if height < 5:
        made.add("light", ellipsoid(0.35, 0.35, 0.45, segments=10), posed((0, 0, height - 0.05)))
        return
    reach = float(rng.uniform(0.8, 2.5))
    made.add(
        "steel", tube(np.array([(0, 0, height - 0.8), (0, 0.15, height), (0, reach, height + 0.3)]), 0.045)
    )
    made.slab("dark", (-0.14, reach - 0.1, height + 0.2), (0.14, reach + 0.6, height + 0.34))


def _sign(made: Builder, rng: np.random.Generator) -> None:
    height, size = float(rng.uniform(2.0, 2.7)), float(rng.uniform(0.45, 0.8))
    _pole(made, 0.035, height + size, top=0.035)
    sides = int(rng.choice([3, 4, 8, 24]))
    angle = 90.0 if sides == 3 else 45.0 if sides == 4 else 22.5
    plate = lathe([(0, 0), (size / 2, 0), (size / 2, 0.03), (0, 0.03)], segments=sides, smooth=False)
    T = posed((-0.04, 0, height + size / 2), pitch_deg=-90) @ posed(yaw_deg=angle)
    made.add("face", plate, T)
    rim = lathe([(size / 2 * 0.85, 0.032), (size / 2 + 0.005, 0.032)], segments=sides, smooth=False)
    made.add("red", rim, T)


def _board(made: Builder, rng: np.random.Generator) -> None:
    wide, high, low = float(rng.uniform(1, 3)), float(rng.uniform(0.6, 1.8)), float(rng.uniform(0.6, 2.4))
    made.slab("face", (-0.04, -wide / 2, low), (0.02, wide / 2, low + high))
    for y in (-wide * 0.4, wide * 0.4):
        made.add("steel", cylinder(0.04, low + high + 0.3, segments=7), posed((0.07, y, -0.3)))


def _lights(made: Builder, rng: np.random.Generator) -> None:
    height = float(rng.uniform(2.6, 3.4))
    _pole(made, 0.07, height + 0.9)
    heads = [(0.0, height)]
    if rng.random() < 0.6:
        reach = float(rng.uniform(2.5, 5))
        made.add("steel", tube(np.array([(0, 0, 2.5), (0, 0, 5.6), (0, reach, 5.9)]), 0.06))
        heads.append((reach, 5.4))
    for y, z in heads:
        made.slab("dark", (-0.24, y - 0.16, z), (-0.04, y + 0.16, z + 0.95))
        made.slab("dark", (-0.05, y - 0.3, z - 0.12), (-0.03, y + 0.3, z + 1.07))
        for k, slot in enumerate(("light", "light", "red")):
            lens = cylinder(0.105, 0.03, segments=10)
            made.add(slot, lens, posed((-0.24, y, z + 0.17 + 0.3 * k), pitch_deg=-90))


def _bollard(made: Builder, rng: np.random.Generator) -> None:
    high, radius = float(rng.uniform(0.7, 1.1)), float(rng.uniform(0.05, 0.12))
    made.add(
        "steel", lathe([(radius, -0.2), (radius, high * 0.9), (radius * 0.7, high), (0, high)], segments=10)
    )
    made.add("light", lathe([(radius * 1.03, high * 0.72), (radius * 1.03, high * 0.84)], segments=10))


def _bin(made: Builder, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        for y in np.arange(int(rng.integers(1, 4))) * 0.72:
            made.slab("paint", (-0.3, y - 0.28, 0.1), (0.3, y + 0.28, 0.95))
            made.slab("dark", (-0.38, y - 0.31, 0.95), (0.33, y + 0.31, 1.05))
            for side in (-0.24, 0.24):
                made.add("dark", cylinder(0.1, 0.06, segments=8), posed((0.27, y + side, 0.1), roll_deg=90))
        return
    made.add("paint", cylinder(0.22, 0.75, top=0.27, segments=12), posed((0, 0, 0.1)))
    made.add("dark", cylinder(0.28, 0.1, segments=12), posed((0, 0, 0.85)))
    made.add("steel", cylinder(0.05, 0.3, segments=6))


def _bench(made: Builder, rng: np.random.Generator) -> None:
    wide = float(rng.uniform(1.4, 2.2))
    for k in range(4):
        made.slab("wood", (-0.22 + 0.115 * k, -wide / 2, 0.42), (-0.13 + 0.115 * k, wide / 2, 0.46))
    for k in range(3):
        made.slab(
            "wood",
            (0.26 + 0.02 * k, -wide / 2, 0.56 + 0.13 * k),
            (0.29 + 0.02 * k, wide / 2, 0.66 + 0.13 * k),
        )
    for y in (-wide * 0.4, wide * 0.4 - 0.05):
        made.slab("steel", (-0.22, y, 0), (-0.17, y + 0.05, 0.42))
        made.slab("steel", (0.22, y, 0), (0.27, y + 0.05, 0.95))
        made.slab("steel", (-0.22, y, 0.38), (0.27, y + 0.05, 0.42))


def _cabinet(made: Builder, rng: np.random.Generator) -> None:
    w, d, h = float(rng.uniform(0.5, 1.4)), float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.9, 1.7))
    made.slab("stone", (-d / 2 - 0.03, -w / 2 - 0.03, -0.3), (d / 2 + 0.03, w / 2 + 0.03, 0.1))
    made.slab("paint", (-d / 2, -w / 2, 0.1), (d / 2, w / 2, h))
    made.slab("paint", (-d / 2 - 0.03, -w / 2 - 0.03, h), (d / 2 + 0.03, w / 2 + 0.03, h + 0.04))
    made.slab("dark", (-d / 2 - 0.01, -0.01, 0.15), (-d / 2, 0.01, h - 0.05))


def _cone(made: Builder, rng: np.random.Generator) -> None:
    made.slab("dark", (-0.2, -0.2, 0), (0.2, 0.2, 0.04))
    made.add("red", cylinder(0.15, 0.66, top=0.03, segments=12), posed((0, 0, 0.04)))
    made.add("light", lathe([(0.122, 0.2), (0.088, 0.38)], segments=12))


def _shelter(made: Builder, rng: np.random.Generator) -> None:
    wide = float(rng.uniform(3, 5))
    made.slab("dark", (-0.9, -wide / 2, 2.4), (0.6, wide / 2, 2.52))
    for y in (-wide / 2, -0.03, wide / 2 - 0.06):
        made.slab("steel", (0.5, y, -0.2), (0.56, y + 0.06, 2.4))
    for k in range(3):
        made.slab("steel", (0.51, -wide / 2, 0.3 + 0.9 * k), (0.55, wide / 2, 0.35 + 0.9 * k))
    made.slab("face", (-0.7, wide / 2 - 0.1, 0.4), (0.5, wide / 2, 2.2))
    made.slab("wood", (0.1, -wide * 0.4, 0.42), (0.45, wide * 0.3, 0.47))
    for y in (-wide * 0.35, wide * 0.25):
        made.slab("steel", (0.25, y, 0), (0.3, y + 0.05, 0.42))


def _planter(made: Builder, rng: np.random.Generator) -> None:
    w, h = float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.4, 0.8))
    made.slab("stone", (-0.4, -w / 2, 0), (0.4, w / 2, h))
    made.slab("dark", (-0.33, -w / 2 + 0.07, h - 0.02), (0.33, w / 2 - 0.07, h + 0.015))


def _container(made: Builder, rng: np.random.Generator) -> None:
    long = float(rng.choice([6.06, 12.2]))
    made.slab("paint", (-1.2, -long / 2, 0.1), (1.2, long / 2, 2.55))
    ribs = np.arange(-long / 2, long / 2, 0.28)
    for x in (-1.22, 1.17):
        low = np.column_stack([0 * ribs + x, ribs, 0 * ribs + 0.2])
        made.add("paint", slabs(low, low + np.array((0.05, 0.13, 2.25))))
    for y in (-long / 2 - 0.04, long / 2):
        for x in (-0.8, -0.3, 0.3, 0.8):
            made.slab("steel", (x - 0.02, y, 0.15), (x + 0.02, y + 0.04, 2.5))


def _utility_pole(made: Builder, rng: np.random.Generator) -> None:
    height = float(rng.uniform(7.5, 10))
    _pole(made, 0.14, height, "wood")
    for z in (height - 0.4, height - 1.2)[: int(rng.integers(1, 3))]:
        made.slab("wood", (-0.06, -1.0, z), (0.06, 1.0, z + 0.11))
        for y in (-0.85, 0.85):
            made.add("stone", cylinder(0.04, 0.16, segments=6), posed((0, y, z + 0.11)))
    if rng.random() < 0.4:
        made.add("steel", cylinder(0.22, 0.7, segments=10), posed((0.3, 0, height - 2.3)))


# Label and maker; a maker adds solids to slots around (0, 0), base at z = 0.
THINGS = {
    "lamp": ("pole", _lamp),
    "sign": ("sign", _sign),
    "board": ("sign", _board),
    "lights": ("pole", _lights),
    "bollard": ("pole", _bollard),
    "bin": ("clutter", _bin),
    "bench": ("furniture", _bench),
    "cabinet": ("clutter", _cabinet),
    "cone": ("clutter", _cone),
    "shelter": ("structure", _shelter),
    "planter": ("clutter", _planter),
    "container": ("clutter", _container),
    "utility": ("pole", _utility_pole),
}

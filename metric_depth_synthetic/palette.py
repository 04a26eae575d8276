"""Materials of a scene: realistic colours, textures and finishes for each role of a surface."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import IntArray
from metric_depth_synthetic.scene import Material, Role, Vector
from metric_depth_synthetic.textures import PATTERNS, PHOTO, Pattern, TextureBank


@dataclass(frozen=True)
class _Paint:
    """One possible colour of a surface, as HSV on a screen (0 to 1), with its spread.

    ``hue`` None is any hue, with a preference for the scene's own hues.
    """

    hue: float | None
    hue_spread: float
    saturation: tuple[float, float]
    value: tuple[float, float]


@dataclass(frozen=True)
class _Finish:
    """Gloss of a surface: probability, strength, exponent, and the largest mirror fraction."""

    chance: float
    specular: tuple[float, float]
    gloss: tuple[float, float]
    mirror: float


_ANY = _Paint(None, 1.0, (0.0, 0.9), (0.15, 0.95))
_STRONG = _Paint(None, 1.0, (0.5, 0.95), (0.3, 0.9))
_PASTEL = _Paint(None, 1.0, (0.08, 0.35), (0.7, 0.95))
_WHITE = _Paint(0.12, 0.08, (0.0, 0.1), (0.82, 0.97))
_BEIGE = _Paint(0.10, 0.04, (0.1, 0.35), (0.65, 0.92))
_GREY = _Paint(0.6, 0.4, (0.0, 0.1), (0.35, 0.8))
_DARK = _Paint(0.6, 0.5, (0.0, 0.25), (0.08, 0.35))
_BROWN = _Paint(0.075, 0.03, (0.35, 0.7), (0.25, 0.65))
_PINE = _Paint(0.095, 0.025, (0.25, 0.5), (0.65, 0.9))
_GREEN = _Paint(0.26, 0.1, (0.3, 0.7), (0.25, 0.6))
_STRAW = _Paint(0.14, 0.04, (0.25, 0.55), (0.4, 0.75))
_RED = _Paint(0.0, 0.04, (0.65, 0.92), (0.3, 0.8))
_BLUE = _Paint(0.6, 0.06, (0.4, 0.9), (0.2, 0.7))
_BRICK = _Paint(0.03, 0.03, (0.35, 0.65), (0.4, 0.7))
_TAR = _Paint(0.6, 0.4, (0.0, 0.08), (0.22, 0.5))
_SKIN = _Paint(0.055, 0.02, (0.25, 0.55), (0.3, 0.9))

# The colours of each role with their probabilities.
_PAINTS: dict[str, tuple[tuple[_Paint, float], ...]] = {
    "wall": ((_WHITE, 5), (_BEIGE, 3), (_GREY, 2), (_PASTEL, 2), (_ANY, 0.8), (_STRONG, 0.4), (_DARK, 0.3)),
    "floor": ((_BROWN, 4), (_PINE, 2), (_GREY, 3), (_BEIGE, 3), (_DARK, 1.5), (_WHITE, 1), (_ANY, 1)),
    "ceiling": ((_WHITE, 8), (_BEIGE, 1.5), (_GREY, 1.5), (_PINE, 0.5), (_DARK, 0.4)),
    "wood": ((_BROWN, 5), (_PINE, 4), (_BEIGE, 1), (_WHITE, 1.5), (_DARK, 0.7)),
    "fabric": ((_ANY, 4), (_STRONG, 1), (_GREY, 2), (_DARK, 2.5), (_BEIGE, 2), (_BLUE, 2), (_WHITE, 1)),
    "metal": ((_GREY, 5), (_DARK, 2.5), (_WHITE, 1.5), (_ANY, 0.7)),
    "plastic": ((_WHITE, 3), (_GREY, 2.5), (_DARK, 4), (_STRONG, 2), (_ANY, 1), (_BEIGE, 1)),
    "paper": ((_WHITE, 6), (_BEIGE, 2), (_PASTEL, 1), (_STRAW, 1)),
    "glass": ((_DARK, 3), (_GREY, 1)),
    "foliage": ((_GREEN, 8), (_STRAW, 1), (_BRICK, 0.3)),
    "bark": ((_BROWN, 3), (_GREY, 3), (_DARK, 1)),
    "asphalt": ((_TAR, 6), (_GREY, 1), (_BEIGE, 0.3)),
    "facade": ((_BEIGE, 4), (_WHITE, 3), (_GREY, 3), (_BRICK, 2.5), (_PASTEL, 1.5), (_BROWN, 1), (_ANY, 0.7)),
    "paint": ((_WHITE, 3), (_GREY, 4), (_DARK, 4), (_RED, 1.2), (_BLUE, 1.5), (_STRONG, 1), (_ANY, 0.5)),
    "brick": ((_BRICK, 5), (_BEIGE, 1.5), (_GREY, 1), (_WHITE, 0.7), (_BROWN, 1)),
    "concrete": ((_GREY, 6), (_BEIGE, 2), (_TAR, 1)),
    "ground": ((_BROWN, 3), (_STRAW, 2), (_GREY, 2), (_BEIGE, 2), (_TAR, 0.7)),
    "grass": ((_GREEN, 6), (_STRAW, 1.5)),
    "skin": ((_SKIN, 1),),
    "print": ((_WHITE, 4), (_ANY, 2), (_PASTEL, 1)),
    "screen": ((_DARK, 3), (_WHITE, 1), (_BLUE, 1)),
    "any": ((_ANY, 1),),
}
_FINISHES: dict[str, _Finish] = {
    "floor": _Finish(0.45, (0.03, 0.3), (20, 120), 0.3),
    "wood": _Finish(0.4, (0.03, 0.25), (10, 60), 0.1),
    "metal": _Finish(0.8, (0.15, 0.7), (20, 150), 0.5),
    "plastic": _Finish(0.6, (0.05, 0.4), (15, 100), 0.1),
    "glass": _Finish(1.0, (0.2, 0.7), (60, 200), 0.6),
    "paint": _Finish(0.7, (0.05, 0.5), (20, 150), 0.25),
    "screen": _Finish(0.8, (0.05, 0.4), (60, 200), 0.3),
    "print": _Finish(0.25, (0.03, 0.25), (20, 80), 0.08),
    "wall": _Finish(0.1, (0.02, 0.12), (8, 30), 0.03),
    "facade": _Finish(0.15, (0.02, 0.15), (10, 60), 0.1),
    "skin": _Finish(0.5, (0.02, 0.08), (8, 20), 0.0),
    "foliage": _Finish(0.3, (0.01, 0.06), (5, 20), 0.0),
    "asphalt": _Finish(0.15, (0.02, 0.12), (5, 40), 0.15),  # wet, or low sun
    "any": _Finish(0.3, (0.02, 0.5), (8, 150), 0.3),
}
_DULL = _Finish(0.06, (0.02, 0.15), (8, 60), 0.05)
# Probabilities of an almost plain texture, and of a colour that the scene has already used for the role.
_EVEN = {
    "wall": 0.5, "ceiling": 0.75, "paint": 0.85, "plastic": 0.7, "metal": 0.4, "fabric": 0.25,
    "glass": 0.9, "skin": 0.9, "paper": 0.5, "concrete": 0.1, "floor": 0.06,
}  # fmt: skip
_AGAIN = {
    "wood": 0.7, "metal": 0.6, "wall": 0.6, "ceiling": 0.7, "floor": 0.4, "foliage": 0.5, "concrete": 0.7,
    "asphalt": 0.8, "grass": 0.7, "bark": 0.6, "ground": 0.5, "fabric": 0.2, "plastic": 0.2,
}  # fmt: skip
_EVEN_KINDS = ("plain", "cloud", "fine", "brushed", "gradient")
_PHOTO_PATTERN = Pattern(lambda rng: np.zeros((1, 1)), frozenset(), (0.3, 3.0), turn_deg=90)
_WILD_SCENES = 0.15


class Palette:
    """Random materials for one scene, with matching colours.

    In one of seven scenes any surface may have any texture and colour, so neither indicates its distance.

    Attributes:
        bank: textures to which the materials' indices refer.
        wild: whether any surface may have any texture and colour.
    """

    def __init__(self, rng: np.random.Generator, bank: TextureBank) -> None:
        self.bank = bank
        self._rng = rng
        self.wild = bool(rng.random() < _WILD_SCENES)
        # One or two hues are repeated; some scenes are greyer or darker than others.
        self._hues = rng.random(int(rng.integers(1, 4)))
        self._strength = float(rng.uniform(0.35, 1.15))
        self._darkness = float(np.exp(rng.normal(0, 0.25)))
        self._used: dict[str, list[Vector]] = {}

    def draw(self, role: Role, *, colour: Vector | None = None, repeat_m: float | None = None) -> Material:
        """Random material for a ``role``, with ``colour`` (linear RGB) and ``repeat_m`` if given."""
        rng = self._rng
        texture = self._pick(role, colour)
        kind = self.bank.kinds[texture]
        pattern = _PHOTO_PATTERN if kind == PHOTO else PATTERNS[kind]
        if colour is not None:
            first = colour
        elif self.bank.grey[texture]:
            first = self._colour(role)
        else:
            first = self._filter(role)
        if repeat_m is None:
            spread = 0.7 if self.wild else 0.2
            repeat_m = float(self.bank.repeat_m[texture] * np.exp(rng.normal(0, spread)))
        turn = pattern.turn_deg * float(rng.integers(0, 360)) % 360
        specular, gloss, mirror = self._finish("any" if self.wild else role)
        return Material(
            texture=texture,
            colour=first,
            colour_2=self._second(role, first, pattern),
            repeat_m=repeat_m,
            angle_deg=turn,
            specular=specular,
            gloss=gloss,
            mirror=mirror,
        )

    def _pick(self, role: str, colour: Vector | None) -> int:
        rng = self._rng
        if self.wild and rng.random() < (0.7 if colour is None else 0.25):
            return int(rng.integers(len(self.bank)))
        fit = self.bank.roles[role]
        if rng.random() < _EVEN.get(role, 0.0):
            fit = self._even(fit)
        elif colour is not None and min(colour) < 0.5:
            # A requested colour is only correct on grey patterns.
            grey = fit[self.bank.grey[fit]]
            fit = grey if len(grey) else fit
        return int(fit[rng.integers(len(fit))])

    def _even(self, fit: IntArray) -> IntArray:
        kinds = self.bank.kinds
        even = [i for i in fit.tolist() if kinds[i] in _EVEN_KINDS]
        plain = [i for i in even if kinds[i] == "plain"]
        chosen = plain if plain and self._rng.random() < 0.7 else even
        return np.array(chosen) if chosen else fit

    def _colour(self, role: str) -> Vector:
        rng = self._rng
        used = self._used.setdefault(role, [])
        if used and not self.wild and rng.random() < _AGAIN.get(role, 0.1):
            base, shade = used[int(rng.integers(len(used)))], float(np.exp(rng.normal(0, 0.08)))
            return _within(base[0] * shade, base[1] * shade, base[2] * shade)
        paints = ((_ANY, 1.0),) if self.wild else _PAINTS[role]
        shares = np.cumsum([share for _, share in paints])
        paint = paints[int(np.searchsorted(shares, rng.uniform(0, shares[-1])))][0]
        fresh = self._mixed(paint)
        if len(used) < 3:
            used.append(fresh)
        return fresh

    def _mixed(self, paint: _Paint) -> Vector:
        rng = self._rng
        if paint.hue is not None:
            hue = paint.hue + paint.hue_spread * rng.uniform(-0.5, 0.5)
        elif rng.random() < 0.6:
            hue = self._hues[rng.integers(len(self._hues))] + rng.normal(0, 0.02)
        else:
            hue = rng.random()
        saturation = min(rng.uniform(*paint.saturation) * self._strength, 1.0)
        value = rng.uniform(*paint.value) ** self._darkness
        red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
        return _within(red**2.2, green**2.2, blue**2.2)

    def _filter(self, role: str) -> Vector:
        """Factor of a coloured texture: a brightness with a slight tint."""
        rng = self._rng
        low = 0.3 if role in ("foliage", "grass", "ground", "bark") else 0.6
        level = rng.uniform(low, 1.0) ** self._darkness
        red, green, blue = level * np.exp(rng.normal(0, 0.25 if self.wild else 0.07, 3))
        return _within(red, green, blue)

    def _second(self, role: str, first: Vector, pattern: Pattern) -> Vector:
        """Second colour of a grey texture, from its meaning in the pattern."""
        rng = self._rng
        if pattern.second == "other" or (self.wild and rng.random() < 0.5):
            return self._colour(role) if rng.random() < 0.6 else self._mixed(_ANY)
        if pattern.second == "glass":
            return self._mixed(_DARK)
        if pattern.second == "joint" and rng.random() < 0.7:
            return self._mixed(_GREY)
        if pattern.second == "ink":
            return self._mixed(_DARK if max(first) > 0.15 else _WHITE)
        # A shade, from strong to weak; the hue shifts slightly, as from dirt and light.
        red, green, blue = float(rng.beta(1.0, 1.8)) * np.exp(rng.normal(0, 0.06, 3))
        return _within(first[0] * red, first[1] * green, first[2] * blue)

    def _finish(self, role: str) -> tuple[float, float, float]:
        rng = self._rng
        finish = _FINISHES.get(role, _DULL)
        if rng.random() >= finish.chance:
            return 0.0, 20.0, 0.0
        mirror = float(rng.uniform(0.15, 1.0) * finish.mirror) if rng.random() < 0.5 else 0.0
        return float(rng.uniform(*finish.specular)), float(rng.uniform(*finish.gloss)), mirror


def _within(red: float, green: float, blue: float) -> Vector:
    """Colour limited to what a surface can reflect."""
    return (min(float(red), 0.95), min(float(green), 0.95), min(float(blue), 0.95))

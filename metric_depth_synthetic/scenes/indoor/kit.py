"""Random numbers and a small stock of shared materials for building a room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material, Role, Vector

T = TypeVar("T")

# Number of different materials per role in one room.
_VARIETY: dict[str, int] = {
    "wood": 3, "metal": 3, "fabric": 7, "plastic": 7, "paper": 6, "print": 8, "paint": 4, "foliage": 3,
    "screen": 3, "skin": 2,
}  # fmt: skip


class Kit:
    """Draws random numbers and materials for one scene."""

    def __init__(
        self, rng: np.random.Generator, palette: Palette, stock: dict[tuple[str, int], Material] | None = None
    ) -> None:
        """Materials are from ``stock`` if it has them, else from ``palette``; random numbers from ``rng``."""
        self.rng = rng
        self._palette = palette
        self._stock = {} if stock is None else stock
        # Numbers are drawn a thousand at a time, since a single draw costs as much as twenty numbers.
        self._numbers: Iterator[float] = iter(())

    def twin(self, seed: int) -> Kit:
        """Kit with the same materials and a fixed seed, so chairs of one set are equal."""
        return Kit(np.random.default_rng(seed), self._palette, self._stock)

    def new(self, role: Role, *, colour: Vector | None = None, repeat_m: float | None = None) -> Material:
        """A new material."""
        return self._palette.draw(role, colour=colour, repeat_m=repeat_m)

    def some(self, role: Role) -> Material:
        """One of the room's few materials of a role."""
        key = (role, self.n(0, _VARIETY.get(role, 3) - 1))
        if key not in self._stock:
            self._stock[key] = self._palette.draw(role)
        return self._stock[key]

    def dark(self) -> Material:
        """A dark plastic: cases of screens, wheels, cables."""
        return self._named("dark", "plastic", 0.01, 0.06)

    def light(self) -> Material:
        """A white or light grey plastic or paint."""
        return self._named("light", "plastic", 0.5, 0.85)

    def steel(self) -> Material:
        """A grey metal: legs, handles, frames."""
        return self._named("steel", "metal", 0.15, 0.6)

    def _named(self, name: str, role: Role, low: float, high: float) -> Material:
        key = (name, int(self.chance(0.3)) + int(self.chance(0.1)))
        if key not in self._stock:
            value = self.u(low, high)
            self._stock[key] = self._palette.draw(role, colour=(value, value, value * self.u(0.9, 1.1)))
        return self._stock[key]

    def _number(self) -> float:
        for number in self._numbers:
            return number
        self._numbers = iter(self.rng.random(1024).tolist())
        return next(self._numbers)

    def u(self, low: float, high: float) -> float:
        """Uniform random number between two."""
        return low + (high - low) * self._number()

    def n(self, low: int, high: int) -> int:
        """Random integer from ``low`` to ``high``, both included."""
        return low + int((high - low + 1) * self._number())

    def chance(self, part: float) -> bool:
        """True with this probability."""
        return self._number() < part

    def sign(self) -> int:
        """Random sign: 1 or -1."""
        return 1 if self._number() < 0.5 else -1

    def choose(self, options: Sequence[T]) -> T:
        """Random choice of one option."""
        return options[int(len(options) * self._number())]

    def weighted(self, options: dict[str, float]) -> str:
        """Random key, with its value as weight."""
        total = sum(options.values())
        mark = self.u(0, total)
        for name, weight in options.items():
            mark -= weight
            if mark <= 0:
                return name
        return name

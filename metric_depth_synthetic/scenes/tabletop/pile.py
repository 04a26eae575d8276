"""Places things one after the other, each resting on what is below it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray
from metric_depth_synthetic.mesh import Mesh
from metric_depth_synthetic.scene import Material, Scene
from metric_depth_synthetic.scenes.prefab import Parts, Prefab
from metric_depth_synthetic.scenes.tabletop.objects import samples

_CELL_M = 0.01
_TRIES = 8


class Pile:
    """Support at ``height`` with a height map of the things on it, in cells of a centimetre."""

    def __init__(self, scene: Scene, rng: np.random.Generator, height: float, reach: float) -> None:
        """``reach``: largest distance of things from the middle, metres."""
        self._scene, self._rng, self.height, self.reach = scene, rng, height, reach
        side = int(2 * (reach + 0.5) / _CELL_M)
        self._top = np.zeros((side, side), np.float32)
        self._inside: tuple[float, float, float] | None = None

    def inside(self, size: tuple[float, float], yaw_deg: float) -> None:
        """Limits further things to the plan of a container."""
        self._inside = (*size, yaw_deg)

    def place(
        self, label: str, parts: Sequence[tuple[Mesh, Material]], pose: FloatArray, solid: Mesh
    ) -> None:
        """Adds a thing on the support at a given pose, and records its heights."""
        T = pose.copy()
        T[2, 3] += self.height
        self._scene.add(label, parts, T)
        corners = solid.moved(pose).corners
        w = np.array(
            [
                (a, b, 1 - a - b)
                for a in np.linspace(0, 1, 24)
                for b in np.linspace(0, 1, 24)
                if a + b <= 1.001
            ]
        )
        self._note(np.einsum("kc,tcd->tkd", w, corners).reshape(-1, 3))

    def drop(self, parts: Parts, prefab: Prefab, pose: FloatArray, *, stacked: bool, messy: bool) -> bool:
        """Lowers a thing at a random place; returns whether a place was found.

        Args:
            pose: its rotation and scale.
            stacked: whether it may lie on other things.
            messy: whether it may lie without good support.
        """
        points = samples(prefab) @ pose[:3, :3].T
        points[:, 2] -= points[:, 2].min()
        found = self._place_for(points, stacked, messy)
        if found is None:
            return False
        x, y, rest = found
        T = pose.copy()
        lowest = min(float((m.corners @ pose[2, :3]).min()) for m in prefab.meshes.values())
        T[:3, 3] = (x, y, self.height + rest - lowest)
        self._scene.add("object", parts, T)
        self._note(points + np.array((x, y, rest)))
        return True

    def _place_for(self, points: FloatArray, stacked: bool, messy: bool) -> tuple[float, float, float] | None:
        """Place and height for a thing: the first suitable place, in heaps the lowest of a few."""
        best = None
        for _ in range(_TRIES):
            x, y = self._spot()
            moved = points + np.array((x, y, 0))
            cells = self._cells(moved)
            if cells is None:
                continue
            gap = self._top[cells[0], cells[1]] - moved[:, 2]
            rest = max(float(gap.max()), 0.0)
            if rest > 1e-3 and not self._well(stacked, messy, rest, gap, moved):
                continue
            if best is None or rest < best[2]:
                best = (x, y, rest)
            if not messy or rest <= 1e-3:
                break
        return best

    def clearance(self) -> float:
        """Height above the support of the highest thing, metres."""
        return float(self._top.max())

    def _well(self, stacked: bool, messy: bool, rest: float, gap: FloatArray, moved: FloatArray) -> bool:
        """Whether a thing on top of others looks stable."""
        if not stacked or rest > (0.12 if messy else 0.3):
            return False
        if messy:
            return True
        low = moved[:, 2] < 0.012
        touching = low & (gap > rest - 0.012)
        return bool(touching.sum() > 0.6 * low.sum())

    def _spot(self) -> tuple[float, float]:
        if self._inside is not None and self._rng.random() < 0.85:
            w, d, yaw = self._inside
            x, y = self._rng.uniform(-0.4, 0.4, 2) * (w, d)
            c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
            return float(c * x - s * y), float(s * x + c * y)
        x, y = self._rng.uniform(-self.reach, self.reach, 2)
        return float(x), float(y)

    def _cells(self, points: FloatArray) -> IntArray | None:
        index = np.floor(points[:, :2] / _CELL_M).astype(int) + len(self._top) // 2
        if (
            index.min() < 0
            or index.max() >= len(self._top)
            or np.abs(points[:, :2]).max() > self.reach + 0.12
        ):
            return None
        out: IntArray = index.T
        return out

    def _note(self, points: FloatArray) -> None:
        cells = self._cells(np.clip(points, -self.reach - 0.1, self.reach + 0.1))
        if cells is not None:
            np.maximum.at(self._top, (cells[0], cells[1]), points[:, 2].astype(np.float32))

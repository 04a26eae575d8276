"""Things that are built once and reused in many scenes, with a scene's materials for their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from metric_depth_ros.types import BoolArray, FloatArray
from metric_depth_synthetic.mesh import Mesh, box, joined
from metric_depth_synthetic.scene import Material

Parts = tuple[tuple[Mesh, Material], ...]


@dataclass(frozen=True, eq=False)
class Prefab:
    """Reusable thing without materials.

    Attributes:
        meshes: one mesh for each slot; a slot is a part with one material.
        low, high: (3,) corners of its bounding box, metres.
    """

    meshes: Mapping[str, Mesh]
    low: FloatArray = field(init=False)
    high: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        points = np.concatenate([m.corners.reshape(-1, 3) for m in self.meshes.values()])
        object.__setattr__(self, "low", points.min(0))
        object.__setattr__(self, "high", points.max(0))

    def dressed(self, materials: Mapping[str, Material]) -> Parts:
        """Meshes with the materials of their slots. Raises KeyError for a slot without a material."""
        return tuple((mesh, materials[slot]) for slot, mesh in self.meshes.items())

    @property
    def radius(self) -> float:
        """Radius in metres of the circle about the origin that contains its plan."""
        reach = np.maximum(np.abs(self.low[:2]), np.abs(self.high[:2]))
        return float(np.hypot(*reach))


class Builder:
    """Collects solids by slot."""

    def __init__(self) -> None:
        """Starts empty."""
        self._meshes: dict[str, list[Mesh]] = {}

    def add(self, slot: str, mesh: Mesh, T: FloatArray | None = None) -> None:
        """Adds a solid to a slot, transformed by ``T`` (4, 4)."""
        self._meshes.setdefault(slot, []).append(mesh if T is None else mesh.moved(T))

    def slab(self, slot: str, low: Sequence[float], high: Sequence[float]) -> None:
        """An axis-aligned box between two corners."""
        self.add(slot, slabs(np.array([low], np.float32), np.array([high], np.float32)))

    def prefab(self) -> Prefab:
        """Prefab of the collected solids."""
        return Prefab({slot: without_slivers(joined(meshes)) for slot, meshes in self._meshes.items()})


def without_slivers(mesh: Mesh) -> Mesh:
    """Mesh without triangles of zero area, such as at the poles of a sphere made from a grid."""
    keep = np.linalg.norm(mesh.normals, axis=-1).min(1) > 0.5
    return mesh if keep.all() else Mesh(mesh.corners[keep], mesh.normals[keep], mesh.uv[keep])


def slabs(low: FloatArray, high: FloatArray, *, faces: str = "xXyYzZ") -> Mesh:
    """Axis-aligned boxes between corners (N, 3) and opposite corners (N, 3), with one continuous texture.

    ``faces``: the sides to make: small letters face the negative direction of their axis, capitals the
    positive.
    """
    unit = _box_faces(faces)
    low, high = np.minimum(low, high).astype(np.float32), np.maximum(low, high).astype(np.float32)
    base = unit.corners + np.array([0.5, 0.5, 0], np.float32)
    corners = base[None] * (high - low)[:, None, None] + low[:, None, None]
    normals = np.broadcast_to(unit.normals, corners.shape)
    axis = np.abs(unit.normals[:, 0]).argmax(1)
    pick = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    index = np.broadcast_to(pick[None, :, None, :], (*corners.shape[:3], 2))
    uv = np.take_along_axis(corners, index, axis=3)
    return Mesh(corners.reshape(-1, 3, 3), normals.reshape(-1, 3, 3), uv.reshape(-1, 3, 2))


@cache
def _box_faces(faces: str) -> Mesh:
    unit = box(1, 1, 1)
    way = unit.normals[:, 0]
    axis = np.abs(way).argmax(1)
    name = np.array(["xX", "yY", "zZ"])[axis]
    letters = np.array([pair[int(way[k, axis[k]] > 0)] for k, pair in enumerate(name)])
    keep = np.isin(letters, list(faces))
    return Mesh(unit.corners[keep], unit.normals[keep], unit.uv[keep])


def chosen_cells(mesh: Mesh, cells: BoolArray) -> Mesh:
    """Triangles of the chosen cells (M-1, N-1) of a ``sheet``."""
    keep = np.repeat(np.asarray(cells).ravel(), 2)
    return Mesh(mesh.corners[keep], mesh.normals[keep], mesh.uv[keep])


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Uniform random number between two."""
    return low + (high - low) * float(rng.random())


def posed(
    at: Sequence[float] | FloatArray = (0.0, 0.0, 0.0),
    *,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    roll_deg: float = 0.0,
    scale: float | Sequence[float] = 1.0,
) -> FloatArray:
    """Transform (4, 4): scale, roll about x, pitch about y, yaw about z, translation."""
    (cr, sr), (cp, sp), (cy, sy) = (
        (np.cos(a), np.sin(a)) for a in np.radians((roll_deg, pitch_deg, yaw_deg))
    )
    T = np.eye(4)
    T[:3, :3] = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    T[:3, :3] *= np.broadcast_to(scale, 3)
    T[:3, 3] = at
    return T

"""Triangle meshes, and the solids from which synthetic scenes are built.

A solid is in its own frame, in metres with z up, its base at z = 0 unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from metric_depth_ros.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Mesh:
    """Mesh of T separate triangles, float32.

    Attributes:
        corners: (T, 3, 3) metres; counter-clockwise seen from outside.
        normals: (T, 3, 3) unit shading normals at the corners.
        uv: (T, 3, 2) texture coordinates in metres along the surface.
    """

    corners: FloatArray
    normals: FloatArray
    uv: FloatArray

    def __len__(self) -> int:
        return len(self.corners)

    def moved(self, T_target_source: FloatArray) -> Mesh:
        """Mesh after a rigid or scaling transform (4, 4); texture coordinates are not changed."""
        A = np.asarray(T_target_source[:3, :3], np.float32)
        corners = self.corners @ A.T + np.asarray(T_target_source[:3, 3], np.float32)
        normals = self.normals @ np.linalg.inv(A).astype(np.float32)
        return Mesh(corners, unit(normals), self.uv)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh from several."""
    return Mesh(
        np.concatenate([m.corners for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
    )


def placed(x: float, y: float, z: float = 0.0, yaw_deg: float = 0.0, scale: float = 1.0) -> FloatArray:
    """Transform (4, 4): scale, rotation about z, translation."""
    c, s = np.cos(np.radians(yaw_deg)) * scale, np.sin(np.radians(yaw_deg)) * scale
    return np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, scale, z], [0, 0, 0, 1]], np.float64)


def facets(corners: FloatArray) -> FloatArray:
    """Normals (T, 3) of triangles (T, 3, 3); their length is twice the area."""
    normals: FloatArray = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals


def unit(vectors: FloatArray) -> FloatArray:
    """Unit vectors (..., 3), float32; vectors of length 0 stay 0."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    out: FloatArray = vectors / np.maximum(length, 1e-12)[..., None]
    return out.astype(np.float32)


def from_faces(vertices: FloatArray, faces: IntArray, *, smooth: bool = False) -> Mesh:
    """Mesh from vertices (V, 3) and indices (T, 3), with texture coordinates by box projection.

    ``smooth`` averages the shading normals at shared vertices.
    """
    vertices = np.asarray(vertices, np.float32)
    corners = vertices[faces]
    flat = facets(corners)
    if smooth:
        summed = np.zeros_like(vertices)
        for corner in range(3):
            np.add.at(summed, faces[:, corner], flat)
        normals = unit(summed)[faces]
    else:
        normals = np.repeat(unit(flat)[:, None], 3, axis=1)
    return Mesh(corners, normals, _box_uv(corners, flat))


def box(x: float, y: float, z: float) -> Mesh:
    """A box of the given lengths, centred in x and y, standing on z = 0."""
    mesh = _unit_box()
    size = np.array([x, y, z], np.float32)
    corners = mesh.corners * size
    flat = facets(corners)
    return Mesh(corners, mesh.normals, _box_uv(corners, flat))


def slab(low: Sequence[float], high: Sequence[float]) -> Mesh:
    """An axis-aligned box between two corners."""
    a, b = np.minimum(low, high), np.maximum(low, high)
    mesh = box(*(b - a))
    shift = np.array([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2, a[2]], np.float32)
    return Mesh(mesh.corners + shift, mesh.normals, mesh.uv)


def quad(corner: Sequence[float], along: Sequence[float], up: Sequence[float]) -> Mesh:
    """Rectangle or parallelogram with the normal (along x up); rays hit it from both sides."""
    c, a, b = (np.asarray(v, np.float32) for v in (corner, along, up))
    corners = np.stack([np.stack([c, c + a, c + a + b]), np.stack([c, c + a + b, c + b])])
    normals = np.broadcast_to(unit(np.cross(a, b)), (2, 3, 3)).astype(np.float32)
    p, q = np.float32(np.linalg.norm(a)), np.float32(np.linalg.norm(b))
    uv = np.array([[[0, 0], [p, 0], [p, q]], [[0, 0], [p, q], [0, q]]], np.float32)
    return Mesh(corners, normals, uv)


def lathe(profile: Sequence[tuple[float, float]], *, segments: int = 20, smooth: bool = True) -> Mesh:
    """Solid of revolution about z from points (radius, height), listed from the bottom up.

    Rings of radius 0 close the ends.
    """
    r, z = np.asarray(profile, np.float32).T
    angle = np.linspace(0, 2 * np.pi, segments + 1, dtype=np.float32)
    rings = np.stack(
        [
            r[:, None] * np.cos(angle),
            r[:, None] * np.sin(angle),
            np.broadcast_to(z[:, None], (len(r), segments + 1)),
        ],
        axis=-1,
    )
    mesh = sheet(rings, smooth=smooth)
    around = angle * max(float(r.max()), 1e-6)
    along = np.concatenate([[0], np.cumsum(np.hypot(np.diff(r), np.diff(z)))]).astype(np.float32)
    uv = np.stack(np.broadcast_arrays(around, along[:, None]), axis=-1)
    kept = _area(mesh.corners) > 1e-12
    return Mesh(mesh.corners[kept], mesh.normals[kept], _cells(uv)[kept])


def cylinder(radius: float, height: float, *, top: float | None = None, segments: int = 16) -> Mesh:
    """A closed cylinder, or a cone or frustum with ``top`` radius."""
    end = radius if top is None else top
    # Double rings keep the rims sharp.
    return joined(
        [
            lathe([(radius, 0), (end, height)], segments=segments),
            lathe([(0, 0), (radius, 0)], segments=segments, smooth=False),
            *([lathe([(end, height), (0, height)], segments=segments, smooth=False)] if end > 0 else []),
        ]
    )


def ellipsoid(x: float, y: float, z: float, *, power: float = 1.0, segments: int = 16) -> Mesh:
    """A closed (super)ellipsoid of the given diameters, standing on z = 0.

    ``power`` 1 is an ellipsoid; towards 0 it becomes a box with rounded edges.
    """

    def bent(value: FloatArray) -> FloatArray:
        out: FloatArray = np.sign(value) * np.abs(value) ** power
        return out

    around = np.linspace(0, 2 * np.pi, segments + 1)
    over = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)[:, None]
    points = np.stack(
        [
            bent(np.cos(over)) * bent(np.cos(around)) * x / 2,
            bent(np.cos(over)) * bent(np.sin(around)) * y / 2,
            np.broadcast_to((bent(np.sin(over)) + 1) * z / 2, (len(over), segments + 1)),
        ],
        axis=-1,
    )
    return sheet(points.astype(np.float32), smooth=True)


def blob(radius: float, roughness: float, rng: np.random.Generator, *, segments: int = 14) -> Mesh:
    """Irregular sphere on z = 0 whose radius varies smoothly by about ``roughness``."""
    mesh = ellipsoid(2 * radius, 2 * radius, 2 * radius, segments=segments)
    centre = np.array([0, 0, radius], np.float32)
    way = unit(mesh.corners - centre)
    waves = rng.normal(0, 2.5, (6, 3)).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, 6).astype(np.float32)
    swell = 1 + np.float32(roughness) * np.sin(way @ waves.T + phases).sum(-1) / np.float32(6**0.5)
    corners = centre + way * (np.float32(radius) * np.maximum(swell, 0.2))[..., None]
    return Mesh(corners, mesh.normals, mesh.uv)


def extruded(outline: Sequence[tuple[float, float]], height: float) -> Mesh:
    """Prism over a convex outline in x, y, listed counter-clockwise."""
    ring = np.asarray(outline, np.float32)
    n = len(ring)
    low = np.column_stack([ring, np.zeros(n, np.float32)])
    high = np.column_stack([ring, np.full(n, height, np.float32)])
    i = np.arange(n)
    j = (i + 1) % n
    fan = np.arange(1, n - 1)
    faces = np.concatenate(
        [
            np.stack([i, j, j + n], 1),
            np.stack([i, j + n, i + n], 1),
            np.stack([np.zeros_like(fan), fan + 1, fan], 1),
            np.stack([np.full_like(fan, n), fan + n, fan + 1 + n], 1),
        ]
    )
    return from_faces(np.concatenate([low, high]), faces)


def tube(path: FloatArray, radius: float, *, segments: int = 6) -> Mesh:
    """Round tube along points (N, 3): pipes, cables, branches, chair legs."""
    path = np.asarray(path, np.float32)
    way = unit(np.gradient(path, axis=0))
    side = np.where(np.abs(way[:, 2:]) < 0.9, np.array([[0, 0, 1]]), np.array([[1, 0, 0]])).astype(np.float32)
    a = unit(np.cross(side, way))
    b = np.cross(way, a)
    angle = np.linspace(0, 2 * np.pi, segments + 1, dtype=np.float32)[:, None]
    rings = path[:, None] + radius * (np.cos(angle) * a[:, None] + np.sin(angle) * b[:, None])
    return sheet(rings.astype(np.float32), smooth=True)


def sheet(points: FloatArray, *, smooth: bool = False) -> Mesh:
    """Surface through a grid of points (M, N, 3): terrain, curtains, arches.

    The normal is (along the second axis) x (along the first).
    """
    points = np.asarray(points, np.float32)
    corners = _cells(points)
    flat = facets(corners)
    if smooth:
        m, n = points.shape[0] - 1, points.shape[1] - 1
        summed = np.zeros_like(points)
        per_cell = flat.reshape(m, n, 2, 3).sum(2)
        for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
            summed[di : m + di, dj : n + dj] += per_cell
        if np.allclose(points[:, 0], points[:, -1], atol=1e-5):  # closed: the seam is not an edge
            summed[:, 0] = summed[:, -1] = summed[:, 0] + summed[:, -1]
        normals = _cells(unit(summed))
    else:
        normals = np.repeat(unit(flat)[:, None], 3, axis=1)
    across = np.linalg.norm(np.diff(points, axis=1), axis=-1).mean(0).cumsum()
    along = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1).cumsum()
    uv = np.stack(np.broadcast_arrays(np.r_[0, across], np.r_[0, along][:, None]), -1).astype(np.float32)
    return Mesh(corners, normals, _cells(uv))


def leaves(centres: FloatArray, size: float, rng: np.random.Generator, *, upright: bool = False) -> Mesh:
    """Randomly rotated squares of about ``size`` metres at centres (N, 3): foliage, paper.

    ``upright`` keeps them vertical, like blades of grass.
    """
    n = len(centres)
    a, b = (unit(rng.normal(size=(n, 3)).astype(np.float32)) for _ in range(2))
    if upright:
        a[:, 2] = 0
        b[:] = (0, 0, 1)
    b = unit(b - (a * b).sum(1, keepdims=True) * a)
    half = (size * rng.uniform(0.3, 0.7, (n, 1))).astype(np.float32)
    centres = np.asarray(centres, np.float32)
    p = [centres + half * (i * unit(a) + j * b) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    corners = np.concatenate([np.stack([p[0], p[1], p[2]], 1), np.stack([p[0], p[2], p[3]], 1)])
    flat = facets(corners)
    normals = np.repeat(unit(flat)[:, None], 3, axis=1)
    return Mesh(corners, normals, _box_uv(corners, flat))


@lru_cache(maxsize=1)
def _unit_box() -> Mesh:
    x = np.array([-0.5, 0.5], np.float32)
    vertices = np.array([(a, b, c) for c in (0, 1) for b in x for a in x], np.float32)
    faces = np.array(
        [(0, 2, 3), (0, 3, 1), (4, 5, 7), (4, 7, 6), (0, 1, 5), (0, 5, 4),
         (2, 6, 7), (2, 7, 3), (0, 4, 6), (0, 6, 2), (1, 3, 7), (1, 7, 5)]
    )  # fmt: skip
    return from_faces(vertices, faces)


def _cells(grid: FloatArray) -> FloatArray:
    """Values of a grid (M, N, C) at its triangles' corners: (2 * (M-1) * (N-1), 3, C)."""
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    pairs = np.stack([np.stack([a, b, c], 2), np.stack([a, c, d], 2)], 2)
    return pairs.reshape(-1, 3, grid.shape[-1])


def _box_uv(corners: FloatArray, flat: FloatArray) -> FloatArray:
    """Texture coordinates along the two axes most perpendicular to the face's normal."""
    axis = np.abs(flat).argmax(1)
    pick = np.array([[1, 2], [0, 2], [0, 1]])[axis]
    return np.take_along_axis(corners, pick[:, None, :].repeat(3, axis=1), axis=2)


def _area(corners: FloatArray) -> FloatArray:
    area: FloatArray = np.linalg.norm(facets(corners), axis=1)
    return area

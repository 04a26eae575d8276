"""Geometry of a scene at one time, for ray casting."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, FloatArray, IntArray
from metric_depth_synthetic.mesh import Mesh, facets, unit
from metric_depth_synthetic.scene import LABELS, Scene, Thing

# Distance from the surface at which rays from it start, in metres and as a fraction of the depth.
_OFFSET_M, _OFFSET = 2e-3, 1e-3


@dataclass(frozen=True, eq=False)
class Hits:
    """First hits of N rays.

    Attributes:
        range_m: (N,) distance in units of the direction's length (metres for unit directions); inf without a
            hit.
        triangle: (N,) index of the triangle, -1 for none.
        bary: (N, 2) barycentric weights of the triangle's second and third corner.
        thing: (N,) instance: 0 for none, else 1 + index in ``scene.things``.
        label: (N,) index in LABELS; 0, the sky, for none.
        normals: (N, 3) unit normals of the triangles in the world, facing the ray; 0 for none.
        cosine: (N,) cosine of the angle of incidence, 0 to 1.
        backface: (N,) whether the triangle was hit from behind.
    """

    range_m: FloatArray
    triangle: IntArray
    bary: FloatArray
    thing: IntArray
    label: IntArray
    normals: FloatArray
    cosine: FloatArray
    backface: BoolArray

    def at(self, chosen: IntArray | BoolArray | slice) -> Hits:
        """Hits of the chosen rays."""
        return Hits(*(getattr(self, item.name)[chosen] for item in dataclasses.fields(self)))


def joined(first: Hits, second: Hits) -> Hits:
    """Hits of two sets of rays, concatenated."""
    names = [item.name for item in dataclasses.fields(Hits)]
    return Hits(*(np.concatenate([getattr(first, n), getattr(second, n)]) for n in names))


class World:
    """A scene's triangles in one ray tracing structure, for casting rays."""

    def __init__(self, scene: Scene, time_s: float = 0.0) -> None:
        """Places every thing at its pose at ``time_s``.

        Raises:
            InputError: embreex, the ray tracer, is not installed, or the scene is empty.
        """
        rtcore, construction = _embree()
        self.scene = scene
        parts = [
            (mesh, material, number)
            for number, thing in enumerate(scene.things, start=1)
            for mesh, material in thing.parts
        ]
        if not parts:
            raise InputError("synthetic: the scene holds nothing; needed at least one thing.")
        meshes, materials, numbers = zip(*parts, strict=True)
        self.materials = list(dict.fromkeys(materials))
        place = {material: i for i, material in enumerate(self.materials)}
        counts = [len(mesh) for mesh in meshes]
        poses = np.stack([pose_at(thing, time_s) for thing in scene.things])[np.array(numbers) - 1]
        self.corners, self.shading_normals = _placed(meshes, poses, np.repeat(np.arange(len(meshes)), counts))
        # Most triangles are flat: their own normal, from the tracer, is used.
        self.smooth = np.abs(np.diff(self.shading_normals, axis=1)).max((1, 2)) > 1e-3
        self.uv = np.concatenate([mesh.uv for mesh in meshes]).astype(np.float32)
        self.material_of = np.repeat(np.array([place[m] for m in materials], np.int32), counts)
        # One more row, at index -1, for rays without a hit.
        self._thing_met = np.append(np.repeat(np.array(numbers, np.int32), counts), np.int32(0))
        self._facets = np.concatenate([unit(facets(self.corners)), np.zeros((1, 3), np.float32)])
        self.label_of_thing = np.array([0, *(LABELS.index(t.label) for t in scene.things)], np.uint8)
        self._tracer = rtcore.EmbreeScene()
        self._mesh = construction.TriangleMesh(self._tracer, self.corners)

    def cast(self, origins: FloatArray, directions: FloatArray) -> Hits:
        """First hits of rays.

        Args:
            origins: (N, 3) or (3,) world, metres.
            directions: (N, 3) world; ``range_m`` is in units of their length: unit directions give metres,
                directions with z = 1 in a camera's frame give depth.
        """
        directions = np.ascontiguousarray(directions, np.float32)
        origins = np.ascontiguousarray(np.broadcast_to(origins, directions.shape), np.float32)
        out = self._tracer.run(origins, directions, output=1)
        triangle = out["primID"]
        met = triangle >= 0
        normals = self._facets[triangle]
        along = np.einsum("ij,ij->i", normals, directions)
        backface = along > 0
        normals *= np.where(backface, np.float32(-1), np.float32(1))[:, None]
        speed = np.sqrt(np.einsum("ij,ij->i", directions, directions))
        thing = self._thing_met[triangle]
        return Hits(
            np.where(met, out["tfar"], np.float32(np.inf)),
            triangle,
            np.stack([out["u"], out["v"]], axis=1),
            thing,
            self.label_of_thing[thing],
            normals,
            np.minimum(np.abs(along) / np.maximum(speed, np.float32(1e-20)), 1),
            backface,
        )

    def blocked(self, origins: FloatArray, directions: FloatArray, reach: FloatArray) -> BoolArray:
        """Mask (N,) of rays blocked within ``reach`` (N,), in units of the direction's length."""
        out = self._tracer.run(
            np.ascontiguousarray(origins, np.float32),
            np.ascontiguousarray(directions, np.float32),
            np.ascontiguousarray(reach, np.float32),
            query="OCCLUDED",
        )
        blocked: BoolArray = out != -1
        return blocked


def _placed(meshes: Sequence[Mesh], poses: FloatArray, part: IntArray) -> tuple[FloatArray, FloatArray]:
    """Corners and shading normals (T, 3, 3) in the world, from meshes with one pose (4, 4) each.

    All at once, as a scene has hundreds of parts. ``part``: (T,) index of each triangle's mesh.
    """
    turn = poses[:, :3, :3].transpose(0, 2, 1)
    corners = np.concatenate([mesh.corners for mesh in meshes]).astype(np.float32)
    corners = corners @ turn.astype(np.float32)[part] + poses[:, None, :3, 3].astype(np.float32)[part]
    normals = np.concatenate([mesh.normals for mesh in meshes]).astype(np.float32)
    # Normals are transformed by the inverse transpose and normalised again.
    normals = normals @ np.linalg.inv(turn).transpose(0, 2, 1).astype(np.float32)[part]
    return corners, unit(normals)


def pose_at(thing: Thing, time_s: float) -> FloatArray:
    """T_world_thing (4, 4) after ``time_s`` of its motion."""
    if thing.motion is None or time_s == 0:
        return np.asarray(thing.T_world_thing, np.float64)
    T = np.array(thing.T_world_thing, np.float64)
    angle = np.radians(thing.motion.yaw_rate_deg * time_s)
    c, s = np.cos(angle), np.sin(angle)
    T[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ T[:3, :3]
    T[:3, 3] += np.asarray(thing.motion.velocity) * time_s
    return T


def lifted(points: FloatArray, normals: FloatArray, range_m: FloatArray) -> FloatArray:
    """Points (N, 3) moved slightly off their surface, so rays from there do not hit it again."""
    off = np.float32(_OFFSET_M) + np.float32(_OFFSET) * range_m
    lifted: FloatArray = points + normals * off[:, None]
    return lifted


def _embree() -> tuple[Any, Any]:
    try:
        from embreex import mesh_construction, rtcore_scene
    except ImportError as error:
        raise InputError(
            "synthetic: the ray tracer embreex is not installed; needed to render scenes. "
            "pip install 'metric_depth_ros[synthetic]'."
        ) from error
    return rtcore_scene, mesh_construction

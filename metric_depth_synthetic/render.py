"""Renders images of a world with exact ground truth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.types import BoolArray, Camera, FloatArray, ImageArray, IntArray
from metric_depth_synthetic.mesh import unit
from metric_depth_synthetic.photography import Photography, draw_photography, photograph
from metric_depth_synthetic.scene import LABELS, Scene, Station
from metric_depth_synthetic.shading import Shader
from metric_depth_synthetic.textures import TextureBank
from metric_depth_synthetic.world import Hits, World, joined

__all__ = ["View", "World", "draw_camera", "draw_size", "draw_view", "look_at", "render"]

# Edge pixels are averaged over this many additional rays; at most this fraction of the pixels gets them.
_EDGE_RAYS = 4
_MOST_EDGES = 0.15
_EDGE_STEP = 0.04
# Labels of open sheets, whose backs may be visible; the backs of closed solids are only visible from inside.
_SHELLS = np.isin(LABELS, ("floor", "wall", "ceiling", "window", "door", "ground", "road", "vegetation"))


@dataclass(frozen=True, eq=False)
class View:
    """One image with its exact ground truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) metres along the optical axis; inf is sky.
        instances: (H, W) uint16, 0 for sky, else 1 + index in the scene's things.
        labels: (H, W) uint8, index in LABELS.
        normals: (H, W, 3) unit, in the camera's frame, towards the camera; 0 for sky.
        T_world_camera: (4, 4) pose of the camera's optical frame.
        jpeg_quality: JPEG quality of the camera's files, 1 to 100.
    """

    image: ImageArray
    depth: FloatArray
    instances: IntArray
    labels: IntArray
    normals: FloatArray
    camera: Camera
    T_world_camera: FloatArray
    stamp_ns: int = 0
    jpeg_quality: int = 95


def draw_size(rng: np.random.Generator, pixels: int = 320 * 240) -> tuple[int, int]:
    """Random width and height of about ``pixels``, mostly 4:3, up to 3:1, in multiples of 16."""
    ratio = 4 / 3 if rng.random() < 0.5 else rng.choice([1.5, 16 / 9, 2.0, 2.4, 3.0])
    height = np.sqrt(pixels / ratio)
    return 16 * round(float(height * ratio) / 16), 16 * round(float(height) / 16)


def draw_camera(rng: np.random.Generator, width: int = 320, height: int = 240) -> Camera:
    """Random pinhole camera with a horizontal field of view from 40 to 110 degrees, mostly about 60."""
    fov = np.radians(np.clip(rng.triangular(40, 62, 110), 40, 110))
    wide = max(1.0, width / height / (4 / 3))
    # Wide images come from cropped sensors, whose field of view is larger.
    focal = width / (2 * np.tan(min(fov * wide**0.5, np.radians(110)) / 2))
    shift = rng.normal(0, 0.01, 2)
    K = [[focal, 0, (0.5 + shift[0]) * width - 0.5], [0, focal, (0.5 + shift[1]) * height - 0.5], [0, 0, 1]]
    return Camera(width, height, np.array(K))


def look_at(position: FloatArray, target: FloatArray, roll: float = 0.0) -> FloatArray:
    """T_world_camera (4, 4) of a camera at one point that looks at another, ``roll`` in radians."""
    forward = np.asarray(target, np.float64) - position
    forward /= max(float(np.linalg.norm(forward)), 1e-9)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-3:
        right = np.array([1.0, 0.0, 0.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    T = np.eye(4)
    T[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
    T[:3, 3] = position
    return T


def draw_view(scene: Scene, world: World, rng: np.random.Generator, camera: Camera) -> FloatArray:
    """Random T_world_camera (4, 4) at one of the scene's stations, with a good view.

    The first of up to 12 draws that is not inside a thing, not close to a wall and not filled by one
    surface; if all fail, the best of them.
    """
    weights = np.array([s.weight for s in scene.stations], np.float64)
    best: FloatArray = np.eye(4)
    best_score = -np.inf
    for _ in range(12):
        station = scene.stations[rng.choice(len(weights), p=weights / weights.sum())]
        T = _drawn(station, rng)
        score = _view_score(scene, world, camera, T)
        if score > best_score:
            best, best_score = T, score
        if score >= 0:
            break
    return best


def _drawn(station: Station, rng: np.random.Generator) -> FloatArray:
    position = rng.uniform(station.low, station.high)
    target = rng.uniform(station.target_low, station.target_high)
    return look_at(position, target, np.radians(rng.normal(0, station.roll_deg)))


def _view_score(scene: Scene, world: World, camera: Camera, T_world_camera: FloatArray) -> float:
    """Score of a view: 0 or more is good, lower is worse."""
    coarse = _rays(camera, step=max(camera.width // 24, 1))
    hits = world.cast(T_world_camera[:3, 3], coarse @ T_world_camera[:3, :3].T.astype(np.float32))
    near = np.mean(hits.range_m < scene.near_m)
    inside = np.mean(hits.backface & ~_SHELLS[hits.label])
    one = np.bincount(np.maximum(hits.thing, 0)).max() / len(hits.thing)
    sky = np.mean(hits.thing == 0)
    far = float(np.median(hits.range_m) > 3 * scene.far_m) if sky < 0.5 else float(sky > 0.75)
    return float(-(max(near - 0.05, 0) + max(inside - 0.3, 0) + max(one - 0.85, 0) + far))


def render(
    world: World,
    bank: TextureBank,
    camera: Camera,
    T_world_camera: FloatArray,
    rng: np.random.Generator,
    *,
    photography: Photography | None = None,
    stamp_ns: int = 0,
) -> View:
    """Renders the image of a world and its ground truth.

    Args:
        camera: a pinhole.
        photography: simulation of the camera; random if None.
    """
    origin = np.asarray(T_world_camera[:3, 3], np.float32)
    R = np.asarray(T_world_camera[:3, :3], np.float32)
    shape = (camera.height, camera.width)
    hits = world.cast(origin, _rays(camera) @ R.T)
    shader = Shader(world, bank, rng, 1 / float(camera.K[0, 0]))
    radiance = _radiance(shader, world, camera, origin, R, hits, rng)
    taken = photography or draw_photography(rng)
    return View(
        photograph(radiance.reshape(*shape, 3), taken, rng),
        hits.range_m.reshape(shape),
        hits.thing.reshape(shape).astype(np.uint16),
        hits.label.reshape(shape),
        (hits.normals @ R).reshape(*shape, 3),
        camera,
        np.asarray(T_world_camera, np.float64),
        stamp_ns,
        taken.jpeg_quality,
    )


def _rays(camera: Camera, *, step: int = 1) -> FloatArray:
    """Directions (N, 3) with z = 1 through every ``step``-th pixel in both directions, camera frame."""
    v, u = np.mgrid[0 : camera.height : step, 0 : camera.width : step].astype(np.float32).reshape(2, -1)
    return _directions(camera, u, v)


def _directions(camera: Camera, u: FloatArray, v: FloatArray) -> FloatArray:
    K = camera.K.astype(np.float32)
    return np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=1)


def _radiance(
    shader: Shader,
    world: World,
    camera: Camera,
    origin: FloatArray,
    R: FloatArray,
    hits: Hits,
    rng: np.random.Generator,
) -> FloatArray:
    """Linear radiance (H * W, 3); edges are averaged over several rays."""
    shape = (camera.height, camera.width)
    centres = _rays(camera)
    at_edge = _edges(hits, shape)
    edges = np.flatnonzero(at_edge)
    if len(edges) > _MOST_EDGES * len(centres):
        edges = np.sort(rng.permutation(edges)[: int(_MOST_EDGES * len(centres))])
    plain = np.ones(len(centres), bool)
    plain[edges] = False
    extra = _edge_rays(camera, edges)
    rays = np.concatenate([centres[plain], extra])
    all_hits = _metric(joined(hits.at(plain), world.cast(origin, extra @ R.T)), rays)
    source = np.concatenate(
        [
            np.flatnonzero(plain),
            _same_thing_near(edges, hits.thing, all_hits.thing[len(rays) - len(extra) :], shape),
        ]
    )
    shadow, open_sky = _spread_visibility(shader, origin, centres, R, hits, at_edge)
    surface = shader.surface(origin, unit(rays @ R.T), all_hits)
    shaded = shader.light(surface, shadow[source], open_sky[source])
    shaded = shader.mirrored(surface, shaded)
    shaded = shader.through_air(shaded, surface.directions, surface.hits.range_m)
    radiance = np.empty((len(centres), 3), np.float32)
    count = len(rays) - len(extra)
    radiance[plain] = shaded[:count]
    radiance[edges] = shaded[count:].reshape(-1, _EDGE_RAYS, 3).mean(1)
    return radiance


def _edge_rays(camera: Camera, edges: IntArray) -> FloatArray:
    """Directions (_EDGE_RAYS * N, 3) with z = 1 through N pixels, on a rotated grid within each pixel."""
    places = np.array([[-0.125, -0.375], [0.375, -0.125], [0.125, 0.375], [-0.375, 0.125]], np.float32)
    v, u = np.divmod(edges, camera.width)
    return _directions(
        camera,
        (u[:, None] + places[:, 0]).ravel().astype(np.float32),
        (v[:, None] + places[:, 1]).ravel().astype(np.float32),
    )


def _metric(hits: Hits, rays: FloatArray) -> Hits:
    """Hits of rays with z = 1, with range in metres instead of depth."""
    length = np.sqrt(np.einsum("ij,ij->i", rays, rays))
    return dataclasses.replace(hits, range_m=hits.range_m * length)


def _edges(hits: Hits, shape: tuple[int, int]) -> BoolArray:
    """Mask (H, W) of pixels at the border of a thing, at a change of surface normal or at a jump in depth."""
    depth = np.minimum(hits.range_m, np.float32(1e4)).reshape(shape)
    inverse = 1 / np.maximum(depth, np.float32(1e-3))
    thing = hits.thing.reshape(shape)
    normals = hits.normals.reshape(*shape, 3)
    edge = np.zeros(shape, bool)
    for axis in (0, 1):
        a = [slice(None)] * 2
        b = [slice(None)] * 2
        a[axis], b[axis] = slice(0, -1), slice(1, None)
        one, two = tuple(a), tuple(b)
        jump = np.abs(inverse[one] - inverse[two]) > _EDGE_STEP * np.maximum(inverse[one], inverse[two])
        turn = np.einsum("ijk,ijk->ij", normals[one], normals[two]) < 0.9
        change = (thing[one] != thing[two]) | jump | turn
        edge[one] |= change
        edge[two] |= change
    return edge


def _spread_visibility(
    shader: Shader, origin: FloatArray, rays: FloatArray, R: FloatArray, hits: Hits, edges: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Visibility (N, lights) and (N,), traced at every second pixel, smoothed and interpolated to all.

    Bilinear, but at edges only from pixels of the same thing and normal.
    """
    height, width = edges.shape
    grid = np.arange(height * width).reshape(edges.shape)[::2, ::2]
    sparse = grid.ravel()
    part = _metric(hits.at(sparse), rays[sparse])
    shadow, open_sky = shader.visibility(
        shader.surface(origin, unit(rays[sparse] @ R.T), part), grid.shape[1]
    )
    lights = shadow.shape[1]
    stack = np.concatenate([shadow, open_sky[:, None]], axis=1).reshape(*grid.shape, lights + 1)
    soft = _softened(stack, hits.thing[grid])
    # Sample (r, c) of the grid is at pixel (2r, 2c); its 4 x 4 mean is half a sample further.
    at = np.array([[0.5, 0, -0.5], [0, 0.5, -0.5]])
    size = (width, height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    channels = [
        cv2.warpAffine(soft[..., i], at, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).ravel()
        for i in range(lights + 1)
    ]
    spread = np.stack(channels, axis=1)
    chosen = np.flatnonzero(cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)))
    spread[chosen] = _joint(hits, soft, grid, chosen, width)
    return spread[:, :lights], spread[:, lights]


def _joint(hits: Hits, soft: FloatArray, grid: IntArray, chosen: IntArray, width: int) -> FloatArray:
    """Bilinear interpolation at ``chosen`` pixels, weighted by similarity of thing and normal."""
    v, u = np.divmod(chosen, width)
    thing, normals = hits.thing[chosen], hits.normals[chosen]
    total = np.zeros((len(chosen), soft.shape[-1]), np.float32)
    weights = np.zeros(len(chosen), np.float32)
    for dv in (0, 1):
        for du in (0, 1):
            r, c = np.minimum(v // 2 + dv, grid.shape[0] - 1), np.minimum(u // 2 + du, grid.shape[1] - 1)
            near = np.where(v % 2 == dv, 1, 0.5) * np.where(u % 2 == du, 1, 0.5)
            at = grid[r, c]
            same = hits.thing[at] == thing
            like = np.einsum("ij,ij->i", hits.normals[at], normals) > 0.8
            weight = (near * (same * 0.1 + (same & like) + 1e-3)).astype(np.float32)
            total += soft[r, c] * weight[:, None]
            weights += weight
    out: FloatArray = total / weights[:, None]
    return out


def _softened(stack: FloatArray, thing: IntArray) -> FloatArray:
    """Visibility (h, w, C) averaged over 4 x 4 neighbours of the same thing."""
    total = np.zeros_like(stack)
    count = np.zeros(stack.shape[:2], np.float32)
    padded = np.pad(stack, ((1, 2), (1, 2), (0, 0)), mode="edge")
    things = np.pad(thing, (1, 2), mode="edge")
    h, w = thing.shape
    for dv in range(4):
        for du in range(4):
            same = (things[dv : dv + h, du : du + w] == thing).astype(np.float32)
            total += padded[dv : dv + h, du : du + w] * same[..., None]
            count += same
    out: FloatArray = total / count[..., None]
    return out


def _same_thing_near(edges: IntArray, thing: IntArray, wanted: IntArray, shape: tuple[int, int]) -> IntArray:
    """For each ray, a pixel at or beside its own that shows the thing it hit; without one, its own pixel."""
    height, width = shape
    owner = np.repeat(edges, _EDGE_RAYS)
    v, u = np.divmod(owner, width)
    source: IntArray = owner.copy()
    missing = thing[owner] != wanted
    for dv, du in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        at = np.clip(v + dv, 0, height - 1) * width + np.clip(u + du, 0, width - 1)
        take = missing & (thing[at] == wanted)
        source[take] = at[take]
        missing &= ~take
    return source

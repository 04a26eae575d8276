"""Light from surfaces to the camera: textures, lamps with shadows, ambient light, mirrors, haze."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, IntArray
from metric_depth_synthetic.mesh import unit
from metric_depth_synthetic.scene import Light, Sky
from metric_depth_synthetic.textures import TextureBank, lookup
from metric_depth_synthetic.world import Hits, World, lifted

# Ambient light is blocked by surfaces within this fraction of the view's median depth.
_AMBIENT_REACH = 0.25
_MIRRORS_FROM = 0.02
# Neighbours in a 4 x 4 block sample places far from each other.
_TILE = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


@dataclass(frozen=True, eq=False)
class Surface:
    """Points hit by N rays: (N, 3) position, shading normal, unit direction, albedo; (N,) material."""

    hits: Hits
    points: FloatArray
    normals: FloatArray
    directions: FloatArray
    albedo: FloatArray
    material: IntArray


class Shader:
    """Shades the rays of one view of a world.

    Shadows and ambient occlusion are traced for every second pixel in both directions and interpolated to
    the others by similarity of the surface, at a quarter of the cost.
    """

    def __init__(self, world: World, bank: TextureBank, rng: np.random.Generator, pixel_angle: float) -> None:
        """``pixel_angle``: angle of a pixel in radians, for the prefiltering of textures."""
        self._world, self._bank, self._rng = world, bank, rng
        self._pixel_angle = np.float32(pixel_angle)
        table = world.materials
        self._colour = np.array([m.colour for m in table], np.float32)
        self._texture = np.array([m.texture for m in table], np.int32)
        # A coloured texture multiplies the colour, which is the same as blending from black.
        grey = bank.grey[self._texture]
        self._colour_2 = np.array([m.colour_2 for m in table], np.float32) * grey[:, None]
        turn = np.radians([m.angle_deg for m in table])
        self._frequency = np.array([1 / m.repeat_m for m in table], np.float32)
        self._turn = np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32) * self._frequency[:, None]
        look = np.random.default_rng(world.scene.seed)
        self._phase = look.uniform(0, 1, (len(table), 2)).astype(np.float32)
        self._specular = np.array([m.specular for m in table], np.float32)
        self._gloss = np.array([m.gloss for m in table], np.float32)
        self._mirror = np.array([m.mirror for m in table], np.float32)
        self._emission = np.array([m.emission for m in table], np.float32)
        sky = world.scene.sky
        # Visibility through the air, in metres.
        self._sight_m = np.float32(10 ** look.uniform(2.4, 3.8)) if sky else np.float32(np.inf)
        self._clouds = _noise_image(sky.seed) if sky and sky.clouds > 0 else None

    def surface(self, origin: FloatArray, directions: FloatArray, hits: Hits) -> Surface:
        """Positions, interpolated normals and colours where rays hit."""
        met = hits.triangle >= 0
        triangle = np.where(met, hits.triangle, 0)
        second, third = hits.bary[:, :1], hits.bary[:, 1:]
        first = 1 - second - third
        normals = hits.normals.copy()
        smooth = np.flatnonzero(self._world.smooth[triangle] & met)
        normals[smooth] = self._interpolated(hits.at(smooth), first[smooth])
        corners = self._world.uv[triangle]
        uv = corners[:, 0] * first + corners[:, 1] * second + corners[:, 2] * third
        material = self._world.material_of[triangle]
        range_m = np.where(met, hits.range_m, np.float32(1))
        points = origin + directions * range_m[:, None]
        albedo = self._albedo(material, uv, range_m, hits.cosine)
        return Surface(hits, points, normals, directions, albedo, material)

    def _interpolated(self, hits: Hits, first: FloatArray) -> FloatArray:
        """Shading normals of hits on curved surfaces, facing the ray."""
        corners = self._world.shading_normals[hits.triangle]
        blend = corners[:, 0] * first + corners[:, 1] * hits.bary[:, :1] + corners[:, 2] * hits.bary[:, 1:]
        normals = unit(blend)
        facing = np.einsum("ij,ij->i", normals, hits.normals)
        # If the interpolated normal is almost perpendicular to the triangle's, the triangle's is used.
        turned: FloatArray = np.where(
            (np.abs(facing) < 0.2)[:, None], hits.normals, normals * np.sign(facing)[:, None]
        )
        return turned

    def _albedo(
        self, material: IntArray, uv: FloatArray, range_m: FloatArray, cosine: FloatArray
    ) -> FloatArray:
        turn = self._turn[material]
        u = uv[:, 0] * turn[:, 0] - uv[:, 1] * turn[:, 1]
        v = uv[:, 0] * turn[:, 1] + uv[:, 1] * turn[:, 0]
        copies = np.stack([u, v], 1) + self._phase[material]
        footprint = (
            range_m * self._pixel_angle * self._frequency[material] / np.sqrt(np.maximum(cosine, 0.02))
        )
        texel = lookup(self._bank, self._texture[material], copies, footprint)
        texel *= (self._colour - self._colour_2)[material]
        texel += self._colour_2[material]
        return texel

    def light(self, surface: Surface, shadow: FloatArray, open_sky: FloatArray) -> FloatArray:
        """Linear radiance (N, 3) of surfaces, without mirrors.

        Args:
            shadow: (N, lights) fraction of each light that arrives.
            open_sky: (N,) fraction of the ambient light that arrives.
        """
        scene = self._world.scene
        up = np.float32(0.75) + np.float32(0.25) * surface.normals[:, 2]
        amounts = np.empty((len(surface.points), 1 + len(scene.lights)), np.float32)
        amounts[:, 0] = open_sky * up
        glossy = np.flatnonzero(self._specular[surface.material] > 0)
        shine = np.zeros((len(glossy), len(scene.lights)), np.float32)
        for number, lamp in enumerate(scene.lights):
            ways, strength = _towards(lamp, surface.points)
            facing = np.einsum("ij,ij->i", surface.normals, ways)
            strength *= shadow[:, number]
            np.multiply(np.maximum(facing, 0), strength, out=amounts[:, 1 + number])
            shine[:, number] = (
                self._highlight(surface, glossy, ways[glossy]) * strength[glossy] * (facing[glossy] > 0)
            )
        colours = np.array([scene.ambient, *(lamp.colour for lamp in scene.lights)], np.float32)
        radiance: FloatArray = amounts @ colours
        radiance += self._emission[surface.material][:, None]
        radiance *= surface.albedo
        radiance[glossy] += shine @ colours[1:]
        return radiance

    def _highlight(self, surface: Surface, glossy: IntArray, ways: FloatArray) -> FloatArray:
        """Blinn-Phong highlights of the glossy surfaces."""
        half = unit(ways - surface.directions[glossy])
        along = np.maximum(np.einsum("ij,ij->i", half, surface.normals[glossy]), 0)
        material = surface.material[glossy]
        peak: FloatArray = along ** self._gloss[material] * self._specular[material]
        return peak

    def mirrored(self, surface: Surface, radiance: FloatArray) -> FloatArray:
        """Radiance with the mirror images on the surfaces."""
        share = self._mirror[surface.material] * (surface.hits.triangle >= 0)
        chosen = np.flatnonzero(share > _MIRRORS_FROM)
        if not len(chosen):
            return radiance
        normals, ways = surface.normals[chosen], surface.directions[chosen]
        along = np.einsum("ij,ij->i", normals, ways)
        ways = ways - 2 * along[:, None] * normals
        start = lifted(surface.points[chosen], surface.hits.normals[chosen], surface.hits.range_m[chosen])
        hits = self._world.cast(start, ways)
        seen = self.surface(start, ways, hits)
        everywhere = np.ones((len(chosen), len(self._world.scene.lights)), np.float32)
        image = self.light(seen, everywhere * np.float32(0.7), np.full(len(chosen), 0.7, np.float32))
        image = self.through_air(image, ways, hits.range_m)
        # Schlick: reflection is stronger at grazing angles.
        base = share[chosen]
        weight = base + (1 - base) * np.minimum(4 * base, 1) * (1 - np.abs(along)) ** 5
        out: FloatArray = radiance.copy()
        out[chosen] += weight[:, None] * (image - radiance[chosen] * np.float32(0.5))
        return out

    def through_air(self, radiance: FloatArray, directions: FloatArray, range_m: FloatArray) -> FloatArray:
        """Radiance after haze; the sky's radiance for rays without a hit."""
        sky = self._world.scene.sky
        missed = ~np.isfinite(range_m)
        if sky is None:
            return np.where(missed[:, None], np.float32(0.02), radiance)
        clear = np.exp(-np.where(missed, 0, range_m) / self._sight_m)[:, None]
        out: FloatArray = (radiance * clear + np.asarray(sky.horizon, np.float32) * (1 - clear)).astype(
            np.float32
        )
        if missed.any():
            out[missed] = self._sky(sky, directions[missed])
        return out

    def _sky(self, sky: Sky, directions: FloatArray) -> FloatArray:
        horizontal = np.hypot(directions[:, 0], directions[:, 1])
        height = np.clip(np.arctan2(directions[:, 2], horizontal) / np.float32(np.pi / 2), 0, 1)
        share = np.sqrt(height).astype(np.float32)[:, None]
        horizon, zenith = np.asarray(sky.horizon, np.float32), np.asarray(sky.zenith, np.float32)
        colour: FloatArray = horizon * (1 - share) + zenith * share
        if self._clouds is not None:
            flat = directions[:, :2] / (np.maximum(directions[:, 2:], 0) + np.float32(0.12))
            at = (flat * 40).astype(np.int32) % len(self._clouds)
            cover = np.clip((self._clouds[at[:, 1], at[:, 0]] - (1 - sky.clouds)) * 3, 0, 1)[:, None]
            white = np.float32(np.mean(sky.horizon) * 1.15)
            colour += (white - colour) * cover
        return colour

    def visibility(self, surface: Surface, width: int) -> tuple[FloatArray, FloatArray]:
        """Visibility, 0 or 1, of each light (N, lights) and of the ambient light (N,) from N points.

        The points are rows of ``width``. One ray each; a 4 x 4 block of points samples 16 places distributed
        over the lamp and over the sky, so the mean of a block is smooth.
        """
        met = np.isfinite(surface.hits.range_m)
        range_m = np.where(met, surface.hits.range_m, np.float32(0))
        points = lifted(surface.points, surface.hits.normals, range_m)
        row, column = np.divmod(np.arange(len(points)), width)
        spread = _ball(self._rng)[_TILE[row % 4, column % 4]]
        lights = self._world.scene.lights
        shadow = np.ones((len(points), len(lights)), np.float32)
        for number, lamp in enumerate(lights):
            ways, reach = _ways_to(lamp, points, spread)
            chosen = np.flatnonzero(met & (np.einsum("ij,ij->i", ways, surface.normals) > 0))
            shadow[chosen, number] = ~self._world.blocked(points[chosen], ways[chosen], reach[chosen])
        distance = _AMBIENT_REACH * np.median(range_m[met]) if met.any() else 1.0
        open_sky = np.ones(len(points), np.float32)
        chosen = np.flatnonzero(met)
        reach = np.full(len(chosen), np.clip(distance, 0.05, 3.0), np.float32)
        open_sky[chosen] = ~self._world.blocked(points[chosen], (surface.normals + spread)[chosen], reach)
        return shadow, open_sky


def _ways_to(lamp: Light, points: FloatArray, spread: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Directions from points to places on a lamp, and the ray lengths."""
    if lamp.direction is not None:
        way = unit(np.asarray(lamp.direction, np.float32))
        return way + spread * np.float32(np.radians(lamp.size)), np.full(len(points), 1e4, np.float32)
    ways = np.asarray(lamp.position, np.float32) + spread * np.float32(lamp.size) - points
    # The ray ends before the lamp, so the lamp's own body does not shade it.
    length = np.sqrt(np.einsum("ij,ij->i", ways, ways))
    reach = np.maximum(1 - np.float32(lamp.size + 0.1) / np.maximum(length, 1e-3), 0.1)
    return ways, reach.astype(np.float32)


def _ball(rng: np.random.Generator) -> FloatArray:
    """Unit vectors (16, 3), evenly distributed over the sphere, with a random rotation."""
    i = np.arange(16) + 0.5
    z, angle = 1 - 2 * i / 16, i * np.pi * (1 + 5**0.5)
    even = np.stack([np.cos(angle) * np.sqrt(1 - z * z), np.sin(angle) * np.sqrt(1 - z * z), z], 1)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turned: FloatArray = (even @ turn).astype(np.float32)
    return turned


def _towards(lamp: Light, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit directions (N, 3) to a lamp and its strength (N,) there."""
    if lamp.direction is not None:
        way = unit(np.asarray(lamp.direction, np.float32))
        return np.broadcast_to(way, points.shape), np.ones(len(points), np.float32)
    ways = np.asarray(lamp.position, np.float32) - points
    squared = np.maximum(np.einsum("ij,ij->i", ways, ways), np.float32(0.04))
    return ways / np.sqrt(squared)[:, None], 1 / squared


def _noise_image(seed: int) -> FloatArray:
    """Fractal noise (256, 256) from 0 to 1 that repeats seamlessly."""
    rng = np.random.default_rng(seed)
    image = np.zeros((256, 256), np.float32)
    for size in (4, 8, 16, 32, 64):
        coarse = np.pad(rng.random((size, size), dtype=np.float32), 1, mode="wrap")
        fine = cv2.resize(coarse, (256 * (size + 2) // size,) * 2, interpolation=cv2.INTER_CUBIC)
        edge = 256 // size
        image += fine[edge : edge + 256, edge : edge + 256] / size**0.8
    image -= image.min()
    image /= image.max()
    return image

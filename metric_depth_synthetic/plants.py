"""Seamless patterns of leaves, grass and bark.

Importing this module registers them in ``patterns.PATTERNS``.
"""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray
from metric_depth_synthetic.patterns import SIZE, noise, pattern, ramp, scattered, single, warped


def _green(rng: np.random.Generator, *, autumn: bool = False) -> FloatArray:
    """Colour (3,) of a leaf relative to its brightness; palettes multiply it by theirs."""
    red, blue = ((0.9, 1.9), (0.1, 0.4)) if autumn else ((0.35, 0.85), (0.12, 0.4))
    bright = rng.uniform(0.45, 0.6) if autumn else rng.uniform(0.7, 1.0)
    return np.array([bright * rng.uniform(*red), bright, bright * rng.uniform(*blue)], np.float32)


def _leaf(x: float, y: float, length: float, width: float, angle: float) -> FloatArray:
    """Outline (8, 2) int32 of a pointed leaf with its stem at x, y."""
    along = np.array([0, 0.3, 0.6, 0.85, 1, 0.85, 0.6, 0.3])
    across = np.array([0, 0.42, 0.5, 0.25, 0, -0.25, -0.5, -0.42])
    c, s = np.cos(angle) * length, np.sin(angle) * length
    w = width / length
    points = np.stack([x + c * along - s * w * across, y + s * along + c * w * across], 1)
    return points.astype(np.int32)


def _heap(rng: np.random.Generator, size: float, *, autumn: bool, narrow: float) -> FloatArray:
    """Overlapping leaves, the upper ones brighter."""
    canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
    canvas[:] = (20 * _green(rng)).astype(np.uint8)
    tones = [_green(rng, autumn=autumn) for _ in range(4)]
    each = int(np.clip(3.4 * SIZE**2 / (size**2 * narrow) / 16, 4, 200))

    def paint(onto: ImageArray, done: float) -> None:
        where = rng.uniform(size + 2, SIZE - size - 3, (each, 2))
        length, angle = size * rng.uniform(0.5, 1, each), rng.uniform(0, 2 * np.pi, each)
        light = 170 * (0.08 + 0.92 * done**2) * np.exp(rng.normal(0, 0.25, each))
        for (x, y), n, turn, bright in zip(where, length, angle, light, strict=True):
            tone = tones[int(bright * 7) % 4] * bright
            outline = _leaf(x, y, n, n * narrow, turn)
            cv2.fillPoly(onto, [outline], tone.tolist(), cv2.LINE_AA)
            if size > 14:
                cv2.line(
                    onto, outline[0].tolist(), outline[4].tolist(), (tone * 1.25).tolist(), 1, cv2.LINE_AA
                )

    out = scattered(canvas, rng, 16, paint).astype(np.float32) / 255
    return single(out * np.clip(1 + rng.uniform(0, 0.4) * noise(rng, 1.3, low=2), 0.1, 1.5)[..., None])


@pattern("foliage", (0.4, 2.0), weight=5)
def leaves(rng: np.random.Generator) -> FloatArray:
    """Hedge or tree crown from near."""
    return _heap(
        rng, float(rng.uniform(8, 40)), autumn=bool(rng.random() < 0.12), narrow=rng.uniform(0.25, 0.8)
    )


@pattern("ground grass", (0.6, 2.5), weight=2)
def litter(rng: np.random.Generator) -> FloatArray:
    """Fallen leaves."""
    return _heap(rng, float(rng.uniform(7, 22)), autumn=True, narrow=rng.uniform(0.4, 0.8))


@pattern("foliage", (1.0, 5.0), weight=4)
def crown(rng: np.random.Generator) -> FloatArray:
    """Tree crown from afar: bright clumps and dark gaps."""
    clumps = noise(rng, 1.0, low=3) + 0.5 * noise(rng, 0.3, low=20)
    light = np.clip(0.45 + 0.25 * clumps, 0.03, 1)
    if rng.random() < 0.5:
        return light
    bright = _green(rng)
    dark = bright * rng.uniform(0.05, 0.3, 3).astype(np.float32)
    return single(dark + light[..., None] * (bright - dark))


@pattern("foliage", (0.5, 2.0), turn_deg=0, weight=2)
def needles(rng: np.random.Generator) -> FloatArray:
    """Conifer twigs: short strokes fanned about hanging lines."""
    canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
    tone = _green(rng)

    canvas[:] = (rng.uniform(8, 40) * tone).astype(np.uint8)
    step = np.linspace(0, 18, 7)

    def paint(onto: ImageArray, done: float) -> None:
        for _ in range(40):
            way = rng.uniform(0.2, 2.9)
            foot = rng.uniform(30, SIZE - 30, 2) + step[:, None] * np.array([np.cos(way), np.sin(way)])
            strokes = [
                np.stack([foot, foot + 7 * np.array([np.cos(way + side), np.sin(way + side)])], axis=1)
                for side in (-0.7, 0.7)
            ]
            shade = (tone * 200 * (0.1 + 0.9 * done**2) * rng.uniform(0.5, 1)).tolist()
            cv2.polylines(onto, list(np.concatenate(strokes).astype(np.int32)), False, shade, 1, cv2.LINE_AA)

    return scattered(canvas, rng, 10, paint).astype(np.float32) / 255


@pattern("grass ground", (0.4, 1.6), weight=5)
def blades(rng: np.random.Generator) -> FloatArray:
    """A lawn or meadow: many thin strokes, the upper ones brighter."""
    canvas = np.zeros((SIZE, SIZE, 3), np.uint8)
    size, tones = (
        float(rng.uniform(10, 36)),
        [_green(rng, autumn=bool(rng.random() < 0.15)) for _ in range(4)],
    )
    canvas[:] = (rng.uniform(10, 50) * tones[0]).astype(np.uint8)
    lean, thick = rng.uniform(0.2, 3), 1 + int(size > 26)

    def paint(onto: ImageArray, done: float) -> None:
        n = int(5500 / size)
        foot = rng.uniform(size + 2, SIZE - size - 3, (n, 2))
        tip = foot + size * np.stack([lean * 0.3 * rng.normal(size=n), -rng.uniform(0.4, 0.95, n)], 1)
        tip = np.clip(tip, 2, SIZE - 3)
        light = 170 * (0.2 + 0.8 * done) * rng.uniform(0.5, 1, n)
        for a, b, bright in zip(foot.astype(int).tolist(), tip.astype(int).tolist(), light, strict=True):
            cv2.line(onto, a, b, (tones[int(bright * 7) % 4] * bright).tolist(), thick, cv2.LINE_AA)

    out = scattered(canvas, rng, 14, paint).astype(np.float32) / 255
    return out * (1 + rng.uniform(0, 0.25) * noise(rng, 1.5))[..., None]


@pattern("grass", (2.0, 8.0), weight=3)
def meadow(rng: np.random.Generator) -> FloatArray:
    """Grass from afar: patches of green and straw under fine grain."""
    patch = np.clip(0.5 + 0.25 * noise(rng, 1.3), 0, 1)
    grain = 0.75 + 0.2 * noise(rng, 0.2, low=20)
    bright = _green(rng, autumn=bool(rng.random() < 0.2))
    dark = bright * rng.uniform(0.35, 0.9, 3).astype(np.float32)
    return single(((dark + patch[..., None] * (bright - dark)) * grain[..., None]).clip(0, 1))


@pattern("bark wood", (0.3, 1.2), turn_deg=0, weight=4)
def bark(rng: np.random.Generator) -> FloatArray:
    """Bark: furrows along the trunk; or, as on birches, dark marks across."""
    if rng.random() < 0.2:
        marks = noise(rng, 0.8, low=6, stretch=12) > 1.7
        return single(0.9 + 0.04 * noise(rng, 1.0) - 0.7 * marks)
    furrow = np.abs(noise(rng, 0.9, low=6, high=60, stretch=rng.uniform(0.05, 0.25)))
    return 0.2 + 0.35 * np.clip(warped(furrow, rng, 3), 0, 2) + 0.06 * noise(rng, 0.5)


@pattern("foliage fabric", (0.4, 1.5), turn_deg=0)
def fronds(rng: np.random.Generator) -> FloatArray:
    """Long hanging or upright leaves: palms, reeds, corn."""
    _, t = ramp(int(rng.integers(7, 26)))
    fold = np.abs(warped(np.repeat(t[None], SIZE, 0), rng, rng.uniform(3, 9), high=4) - 0.5) * 2
    light = 0.2 + rng.uniform(0.2, 0.6) * fold * np.clip(0.7 + 0.3 * noise(rng, 1.0, stretch=0.1), 0, 1)
    return single((light[..., None] * _green(rng)).clip(0, 1))

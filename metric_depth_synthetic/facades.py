"""Seamless patterns of house fronts, shop fronts and shop shelves.

Importing this module registers them in ``patterns.PATTERNS``.
"""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray
from metric_depth_synthetic.patterns import PATTERNS, SIZE, colour, noise, pattern, ramp, single


def _wall(rng: np.random.Generator) -> FloatArray:
    """Wall between the windows (SIZE, SIZE): plaster, bricks, concrete, boards."""
    kind = str(rng.choice(["plain", "cloud", "bricks", "concrete", "stripes"]))
    wall = PATTERNS[kind].draw(rng) if kind in PATTERNS else np.full((SIZE, SIZE), 0.9, np.float32)
    return single(np.clip(0.55 + 0.4 * wall, 0, 1))


def _glass(rng: np.random.Generator, h: int, w: int) -> FloatArray:
    """Window pane (h, w): dark room or reflected sky, curtains, blinds."""
    y, x = np.linspace(0, 1, h, dtype=np.float32)[:, None], np.linspace(0, 1, w, dtype=np.float32)
    dice = rng.random()
    base = rng.uniform(0.02, 0.25) if dice < 0.7 else rng.uniform(0.25, 0.8)
    pane = base * (1 + rng.uniform(-0.6, 0.6) * y + rng.uniform(-0.4, 0.4) * x)
    if rng.random() < 0.3:  # reflection of the sky or of an opposite house
        pane = np.where(
            y * rng.uniform(0.5, 2) + 0.3 * x < rng.uniform(0.2, 1.0), pane + rng.uniform(0.05, 0.4), pane
        )
    if rng.random() < 0.35:  # curtains at the sides
        part = rng.uniform(0.1, 0.5)
        folds = rng.uniform(0.3, 0.8) * (0.8 + 0.2 * np.sin(x * w))
        pane = np.where(np.abs(x - 0.5) > 0.5 - part / 2, folds, pane)
    if rng.random() < 0.2:  # a blind, partly down
        slats = rng.uniform(0.4, 0.9) * (0.85 + 0.15 * np.sin(y * h * rng.uniform(0.8, 1.6)))
        pane = np.where(y < rng.uniform(0.1, 1.0), slats, pane)
    return single(np.broadcast_to(pane, (h, w)))


def _window(
    onto: FloatArray,
    rng: np.random.Generator,
    box: tuple[int, int, int, int],
    style: tuple[int, int, float, int],
) -> None:
    """One window at (x0, y0, x1, y1), bars and frame in the style, shadow above and sill below."""
    x0, y0, x1, y1 = box
    across, over, frame_shade, frame = style
    onto[y0:y1, x0:x1] = frame_shade
    for i in range(across):
        for j in range(over):
            a = x0 + frame + (x1 - x0 - frame) * i // across
            b = x0 + (x1 - x0 - frame) * (i + 1) // across
            c = y0 + frame + (y1 - y0 - frame) * j // over
            d = y0 + (y1 - y0 - frame) * (j + 1) // over
            if b - a > 1 and d - c > 1:
                onto[c:d, a:b] = _glass(rng, d - c, b - a)
    onto[y0 : y0 + max(frame, 1), x0:x1] *= 0.45
    onto[y1 : y1 + 2 + frame, max(x0 - 3, 0) : x1 + 3] = min(frame_shade * 1.1, 1)
    onto[y1 + 2 + frame : y1 + 4 + frame, max(x0 - 3, 0) : x1 + 3] *= 0.6


def _front(rng: np.random.Generator, storeys: int, bays: int) -> FloatArray:
    """House front (SIZE, SIZE), grey: windows in a wall."""
    out = _wall(rng)
    high, wide = SIZE // storeys, SIZE // bays
    w, h = rng.uniform(0.3, 0.8) * wide, rng.uniform(0.4, 0.75) * high
    top = int(rng.uniform(0.1, 0.9) * (high - h - 10) + 3)
    style = (
        int(rng.choice([1, 2, 2, 3])),
        int(rng.choice([1, 1, 2])),
        float(rng.choice([1.0, 0.9, 0.3, 0.15])),
        max(int(w / 16), 1),
    )
    band = rng.random() < 0.3
    balcony = rng.random() < 0.25
    for j in range(storeys):
        if band:
            out[j * high : j * high + max(high // 16, 2)] = rng.uniform(0.6, 1)
        for i in range(bays):
            x0, y0 = int(i * wide + (wide - w) / 2), j * high + top
            _window(out, rng, (x0, y0, int(x0 + w), int(y0 + h)), style)
            if balcony:
                rail = slice(int(y0 + 0.6 * h), min(int(y0 + h + 6), (j + 1) * high - 1))
                side = slice(max(x0 - 6, i * wide + 1), min(int(x0 + w + 6), (i + 1) * wide - 1))
                bars = np.where(np.arange(side.stop - side.start) % 5 < 2, 0.2, 1.0)
                out[rail, side] *= bars if rng.random() < 0.7 else 0.9
                out[rail.start : rail.start + 2, side] = 0.25
    return out


def _painted(rng: np.random.Generator, grey: FloatArray) -> FloatArray:
    """Pattern, sometimes in colour: dark values blueish or warm, like glass and lit rooms."""
    if rng.random() < 0.55:
        return grey
    wall = 0.55 + 0.45 * colour(rng, 0.3, 1.0)
    glass = np.array([0.7, 0.9, 1.1]) if rng.random() < 0.7 else np.array([1.3, 1.0, 0.6])
    mix = np.clip(grey * 1.6, 0, 1)[..., None]
    return single((grey[..., None] * (glass + mix * (wall - glass))).clip(0, 1))


@pattern("facade", (2.6, 3.6), turn_deg=0, second="glass", weight=6)
def storey(rng: np.random.Generator) -> FloatArray:
    """House front: one storey of one to three windows."""
    return _painted(rng, _front(rng, 1, int(rng.choice([1, 1, 2, 2, 3]))))


@pattern("facade", (5.4, 7.2), turn_deg=0, second="glass", weight=6)
def storeys(rng: np.random.Generator) -> FloatArray:
    """House front: two storeys of two to five windows."""
    return _painted(rng, _front(rng, 2, int(rng.choice([2, 2, 3, 4]))))


@pattern("facade", (10.0, 14.5), turn_deg=0, second="glass", weight=4)
def block(rng: np.random.Generator) -> FloatArray:
    """House front: four storeys of a large block."""
    return _painted(rng, _front(rng, 4, int(rng.choice([3, 4, 6]))))


@pattern("facade", (3.0, 14.0), turn_deg=0, weight=3)
def curtain_wall(rng: np.random.Generator) -> FloatArray:
    """Office front: full glass between thin mullions, with bands."""
    n, m = int(rng.choice([1, 2, 4])), int(rng.choice([2, 4, 6, 8]))
    (j, y), (i, x) = ramp(n), ramp(m)
    pane = rng.uniform(0.08, rng.uniform(0.1, 0.6), (n, m)).astype(np.float32)[j[:, None], i]
    sky = np.clip(rng.uniform(0.03, 0.25) * noise(rng, 2.4, high=20), -0.1, 0.35)
    tint = np.array([0.75, 0.95, 1.1]) * (1 - rng.uniform(0, 0.3, 3))
    out = (pane + sky)[..., None] * tint
    band = y[:, None] < rng.uniform(0.0, 0.35)
    out = np.where(band[..., None], colour(rng, 0.1), out)
    mullion = (np.minimum(x, 1 - x) < 0.02 * m / 2) | (np.minimum(y, 1 - y)[:, None] < 0.012 * n)
    return single(np.where(mullion[..., None], rng.uniform(0.05, 0.8), out).clip(0, 1))


@pattern("facade", (3.0, 6.0), turn_deg=0, weight=2)
def shop(rng: np.random.Generator) -> FloatArray:
    """Shop front: a large pane with things behind it, a door, a name above."""
    canvas = np.empty((SIZE, SIZE, 3), np.uint8)
    canvas[:] = 255 * colour(rng, 0.1)
    cv2.rectangle(canvas, (10, 70), (SIZE - 11, SIZE - 24), (255 * colour(rng, 0.01, 0.15)).tolist(), -1)
    for _ in range(int(rng.integers(5, 30))):
        x, y = int(rng.integers(14, SIZE - 50)), int(rng.integers(90, SIZE - 50))
        w, h = int(rng.integers(4, 36)), int(rng.integers(4, 60))
        cv2.rectangle(canvas, (x, y), (x + w, min(y + h, SIZE - 26)), (200 * colour(rng)).tolist(), -1)
    for x in np.linspace(10, SIZE - 11, int(rng.integers(3, 6))).astype(int).tolist():
        cv2.line(canvas, (x, 70), (x, SIZE - 24), (255 * colour(rng)).tolist(), int(rng.integers(2, 6)))
    cv2.rectangle(canvas, (4, 14), (SIZE - 5, 54), (255 * colour(rng, 0.02, 0.8)).tolist(), -1)
    name = "".join(rng.choice(list("AEILMNORSTU"), int(rng.integers(4, 9))))
    cv2.putText(
        canvas,
        name,
        (20, 46),
        int(rng.choice([0, 2, 3, 4])),
        1.1,
        (255 * colour(rng, 0.3, 1)).tolist(),
        2,
        cv2.LINE_AA,
    )
    return canvas.astype(np.float32) / 255 * (0.95 + 0.04 * noise(rng, 1.2))[..., None]


@pattern("print", (0.8, 2.0), turn_deg=0, weight=3)
def shelf(rng: np.random.Generator) -> FloatArray:
    """Shelves of goods: rows of the same box, can or bottle side by side."""
    rows = int(rng.integers(2, 5))
    canvas, tall = np.full((SIZE, SIZE, 3), 8, np.uint8), SIZE // rows
    edge = (255 * colour(rng, 0.1)).tolist()
    for row in range(rows):
        x = 1
        while x < SIZE - 6:
            w, h = int(rng.integers(8, 34)), int(tall * rng.uniform(0.4, 0.85))
            good = _good(rng, w, h)
            for _ in range(int(rng.integers(1, 6))):
                if x + w >= SIZE:
                    break
                canvas[(row + 1) * tall - 5 - h : (row + 1) * tall - 5, x : x + w] = good
                x += w + 1
            if x + w >= SIZE:
                break
        cv2.rectangle(canvas, (0, (row + 1) * tall - 5), (SIZE, (row + 1) * tall - 1), edge, -1)
    return canvas.astype(np.float32) / 255


def _good(rng: np.random.Generator, w: int, h: int) -> ImageArray:
    out = np.empty((h, w, 3), np.uint8)
    out[:] = 255 * colour(rng, 0.05)
    for _ in range(3):
        a, b = np.sort(rng.integers(0, h, 2))
        out[a:b, w // 8 : w - w // 8] = 255 * colour(rng, 0.03)
    round_ = 0.4 + 0.6 * np.sin(np.pi * (np.arange(w) + 0.5) / w) if rng.random() < 0.5 else np.ones(w)
    return (out * round_[None, :, None]).astype(np.uint8)

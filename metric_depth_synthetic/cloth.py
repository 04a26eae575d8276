"""Seamless patterns of cloth, carpets, wallpaper and leather.

Importing this module registers them in ``patterns.PATTERNS``.
"""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.patterns import (
    SIZE,
    cells,
    colour,
    noise,
    pattern,
    ramp,
    single,
    soft,
)


@pattern("fabric", (0.05, 0.5), turn_deg=45, weight=3)
def weave(rng: np.random.Generator) -> FloatArray:
    """Woven threads, from sackcloth to basketwork."""
    n = 2 * int(rng.integers(8, 33))
    (i, x) = ramp(n)
    over = (i[:, None] + i) % 2 == 0
    round_ = np.sin(np.pi * x) ** 0.7
    out = np.where(over, round_[:, None] * (0.6 + 0.4 * round_), round_ * (0.6 + 0.4 * round_[:, None]))
    shade = rng.uniform(0.75, 1, (2, n)).astype(np.float32)
    out = out * np.where(over, shade[0][i][:, None], shade[1][i])
    return single(0.25 + 0.75 * out + 0.04 * noise(rng, 0.4))


@pattern("fabric", (0.1, 0.6), turn_deg=90, weight=2)
def knit(rng: np.random.Generator) -> FloatArray:
    """Knitting in stocking stitch: rows of small V."""
    n = int(rng.integers(10, 40))
    (_, y), (_, x) = ramp(n), ramp(n)
    slope = np.abs(x - 0.5)
    stitch = np.abs((y[:, None] + slope) % 1 - 0.5) * 2
    return single(0.4 + 0.6 * stitch * np.sin(np.pi * ((2 * x) % 1)) ** 0.4 + 0.05 * noise(rng, 0.6))


@pattern("floor fabric", (0.4, 2.0), weight=4)
def carpet(rng: np.random.Generator) -> FloatArray:
    """Carpet pile: fine grain, large worn patches, sometimes loops in rows or flecks."""
    out = 0.65 + rng.uniform(0.05, 0.18) * noise(rng, 0.1, low=20) + rng.uniform(0, 0.08) * noise(rng, 1.5)
    if rng.random() < 0.4:
        _, t = ramp(int(rng.integers(20, 64)))
        out += rng.uniform(0.05, 0.2) * np.sin(2 * np.pi * t)[None]
    if rng.random() < 0.3:
        out -= 0.3 * (noise(rng, 0.2, low=15, high=60) > 1.5)
    return single(out)


@pattern("fabric floor print", (0.8, 3.0), turn_deg=90, weight=3)
def rug(rng: np.random.Generator) -> FloatArray:
    """Rug: bands and motifs, mirrored in both directions, in four colours."""
    half = noise(rng, rng.uniform(0.8, 1.6), low=rng.uniform(2, 5))[: SIZE // 2, : SIZE // 2]
    half = half + half.T if rng.random() < 0.5 else half
    four = np.concatenate(
        [np.concatenate([half, half[:, ::-1]], 1), np.concatenate([half[::-1], half[::-1, ::-1]], 1)]
    )
    shades = np.stack([colour(rng, 0.03, 0.7) for _ in range(4)])
    level = np.searchsorted(np.quantile(four, [0.3, 0.55, 0.8]), four)
    edge = np.minimum.outer(*[np.minimum(np.arange(SIZE), np.arange(SIZE)[::-1])] * 2)
    border = int(rng.integers(8, 30))
    level = np.where(edge < border, (edge // max(border // 3, 1)) % 4, level)
    return shades[level].astype(np.float32) * (1 + 0.1 * noise(rng, 0.2))[..., None]


@pattern("wall fabric", (0.3, 1.2), turn_deg=0, second="other", weight=3)
def wallpaper(rng: np.random.Generator) -> FloatArray:
    """Wallpaper: a motif repeated with a half drop."""
    n = int(rng.choice([2, 4, 8]))
    side = SIZE // n
    motif = noise(rng, rng.uniform(1.2, 2.0), low=2 * n / 2)[:side, : side // 2]
    window = np.sin(np.pi * (np.arange(side) + 0.5) / side)[:, None]
    motif = motif * window * np.sin(np.pi * (np.arange(side // 2) + 0.5) / side)
    motif = np.concatenate([motif, motif[:, ::-1]], axis=1)
    column = np.tile(motif, (n, 1))
    out = np.concatenate([np.roll(column, side // 2 * (k % 2), axis=0) for k in range(n)], axis=1)
    sharp = np.clip((out - rng.uniform(0.2, 0.6)) * 6, 0, 1)
    return single(0.1 + rng.uniform(0.15, 0.8) * soft(sharp.astype(np.float32), 0.6))


@pattern("fabric plastic bark skin", (0.1, 0.8), weight=2)
def leather(rng: np.random.Generator) -> FloatArray:
    """Leather: fine cells with dark creases."""
    n = int(rng.integers(16, 50))
    first, second, _ = cells(rng, n, n)
    return 0.5 + 0.4 * np.clip((second - first) * 3, 0, 1) + 0.08 * noise(rng, 1.2)

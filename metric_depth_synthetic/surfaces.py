"""Seamless patterns of real surfaces: wood, masonry, tiles, metal, ground.

Importing this module registers them in ``patterns.PATTERNS``.
"""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray
from metric_depth_synthetic.patterns import (
    SIZE,
    cells,
    colour,
    noise,
    pattern,
    ramp,
    scattered,
    single,
    tinted,
    warped,
)

# --- wood


def _grain(rng: np.random.Generator) -> FloatArray:
    """Wood fibres along rows with a few dark growth rings, about [0.3, 1]."""
    fibres = noise(rng, rng.uniform(0.6, 1.2), stretch=rng.uniform(20, 80))
    height = np.arange(SIZE, dtype=np.float32)[:, None] / SIZE
    bend = rng.uniform(0.2, 1.2) * noise(rng, 1.8, high=8, stretch=6)
    years = np.sin(2 * np.pi * (int(rng.integers(2, 14)) * height + bend))
    out: FloatArray = 0.7 + rng.uniform(0.04, 0.12) * fibres + rng.uniform(0.03, 0.15) * years
    return single(out)


@pattern("wood", (0.4, 1.6), turn_deg=90, weight=4)
def grain(rng: np.random.Generator) -> FloatArray:
    """Veneer or one board, sometimes with knots."""
    out = _grain(rng)
    for _ in range(int(rng.integers(0, 4))):
        y, x = rng.integers(0, SIZE, 2)
        _, t = ramp()
        r = np.hypot((t[:, None] - 0.5) * 14, (t - 0.5) * 7)
        knot = np.exp(-(r**2) * 4) * (0.4 + 0.2 * np.cos(r * 30))
        out -= np.roll(knot, (int(y), int(x)), axis=(0, 1)).astype(np.float32)
    return out


@pattern("floor wood", (0.8, 2.4), turn_deg=90, weight=5)
def planks(rng: np.random.Generator) -> FloatArray:
    """Floorboards with staggered joints, each with its own shade and grain."""
    n = int(rng.choice([4, 8, 8, 16]))
    row, y = ramp(n)
    per_row = int(rng.integers(1, 4))
    start = rng.uniform(0, 1, n)[row][:, None]
    along = (ramp()[1][None] * per_row + start * per_row) % per_row
    board = row[:, None] * per_row + along.astype(np.int64) % per_row
    shade = rng.uniform(1 - rng.uniform(0.05, 0.5), 1, n * per_row).astype(np.float32)[board]
    shift = rng.integers(0, SIZE, n * per_row)[board]
    fibres = _grain(rng)[np.arange(SIZE)[:, None], (np.arange(SIZE) + shift) % SIZE]
    width = rng.uniform(0.6, 2.0) * n / SIZE
    joint = (np.minimum(y, 1 - y)[:, None] < width / 2) | (along % 1 < width * per_row / n)
    return single(np.where(joint, rng.uniform(0.05, 0.4), shade * fibres))


@pattern("floor", (0.4, 1.6), turn_deg=45, weight=2)
def parquet(rng: np.random.Generator) -> FloatArray:
    """Parquet in basket weave: squares of parallel strips in alternating directions."""
    n, staves = 2 * int(rng.integers(1, 4)), int(rng.integers(3, 7))
    (i, x), fibres = ramp(n), _grain(rng)
    turned = (i[:, None] + i) % 2 == 1
    t = np.where(turned, x[None], x[:, None])
    stave = (t * staves).astype(np.int64)
    shade = rng.uniform(0.6, 1.0, (n, n, staves)).astype(np.float32)[i[:, None], i[None], stave]
    joint = (t * staves % 1 < 0.06) | (np.where(turned, x[:, None], x[None]) < 0.02)
    return single(np.where(joint, 0.3, shade * np.where(turned, fibres.T, fibres)))


# --- masonry and tiles


@pattern("brick facade wall", (0.6, 1.4), turn_deg=0, second="joint", weight=5)
def bricks(rng: np.random.Generator) -> FloatArray:
    """Rows of bricks with mortar, in running bond."""
    n, m = 2 * int(rng.integers(3, 9)), int(rng.integers(2, 6))
    (row, y), (_, x) = ramp(n), ramp()
    along = (x[None] * m + float(rng.choice([0.5, 0.5, 1 / 3])) * (row[:, None] % 2)) % m
    brick = np.minimum(along.astype(np.int64), m - 1)
    shade = rng.uniform(1 - rng.uniform(0.1, 0.6), 1, (n, m)).astype(np.float32)[row[:, None], brick]
    gap = rng.uniform(0.03, 0.08)
    edge = np.minimum(np.minimum(y, 1 - y)[:, None], np.minimum(along % 1, 1 - along % 1) * n / m)
    edge = edge + 0.02 * noise(rng, 0.8, low=4)
    face = np.clip((edge - gap) * 25, 0, 1)
    return single(face * shade * (0.9 + 0.07 * noise(rng, 0.6)) + 0.04 * noise(rng, 0.6))


@pattern("concrete wall brick", (0.8, 2.4), turn_deg=0, second="joint")
def block_wall(rng: np.random.Generator) -> FloatArray:
    """Painted or bare concrete blocks: thin joints, pitted faces."""
    n, m = 2 * int(rng.integers(1, 4)), int(rng.integers(1, 4))
    (row, y), (_, x) = ramp(n), ramp()
    along = (x[None] * m + 0.5 * (row[:, None] % 2)) % 1
    edge = np.minimum(np.minimum(y, 1 - y)[:, None], np.minimum(along, 1 - along) * n / m)
    pits = (noise(rng, 0.2, low=20) > 1.8) * rng.uniform(0, 0.4)
    face = np.clip((edge - 0.015 * n / 2) * 40, 0, 1)
    return single(face * (0.9 + 0.05 * noise(rng, 0.8) - pits))


@pattern("brick ground facade floor wall", (0.8, 3.0), second="joint", weight=3)
def stones(rng: np.random.Generator) -> FloatArray:
    """Rubble, crazy paving, cobbles: irregular stones with joints, each with its own shade."""
    n = int(rng.integers(4, 14))
    first, second, number = cells(rng, n, int(rng.integers(max(n - 3, 3), n + 1)), jitter=rng.uniform(0.4, 1))
    shade = rng.uniform(rng.uniform(0.4, 0.8), 1, number.max() + 1).astype(np.float32)[number]
    face = np.clip((second - first + 0.03 * noise(rng, 1) - rng.uniform(0.03, 0.12)) * 12, 0, 1)
    bulge = 1 - rng.uniform(0, 0.5) * first**2
    return single(face * shade * bulge * (0.85 + 0.1 * noise(rng, 0.7)))


@pattern("floor wall", (0.6, 2.4), turn_deg=45, second="joint", weight=4)
def tiles(rng: np.random.Generator) -> FloatArray:
    """Square or oblong tiles with grout, plain, mottled or of several shades."""
    n = int(rng.integers(1, 9))
    m = n if rng.random() < 0.7 else max(n // 2, 1)
    (j, y), (i, x) = ramp(n), ramp(m)
    if rng.random() < 0.15 and n % 2 == 0:
        x = (x[None] + 0.5 * (j[:, None] % 2)) % 1
    x = np.broadcast_to(x, (SIZE, SIZE))
    gap = rng.uniform(0.6, 2.0) * n / SIZE
    edge = np.minimum(np.minimum(y, 1 - y)[:, None], np.minimum(x, 1 - x) * n / m)
    shade = rng.uniform(1 - rng.uniform(0, 0.35), 1, (n, m)).astype(np.float32)[j[:, None], i]
    if rng.random() < 0.2:
        shade = np.where((i + j[:, None]) % 2 == 1, 0.5 * shade, shade)
    face = shade * (0.95 + rng.uniform(0.005, 0.07) * noise(rng, rng.uniform(0.8, 1.8)))
    return single(np.where(edge < gap, rng.uniform(0, 0.3), face))


@pattern("wall floor print", (0.3, 1.2), turn_deg=45)
def mosaic(rng: np.random.Generator) -> FloatArray:
    """Small tiles of a few colours."""
    n = int(rng.choice([8, 16, 32]))
    (j, y), (i, x) = ramp(n), ramp(n)
    shades = np.stack([colour(rng, 0.05) for _ in range(int(rng.integers(2, 6)))])
    pick = shades[rng.integers(0, len(shades), (n, n))] * rng.uniform(0.8, 1.1, (n, n, 1))
    grout = (np.minimum(y, 1 - y)[:, None] < 0.06) | (np.minimum(x, 1 - x) < 0.06)
    out = pick[j[:, None], i].astype(np.float32)
    out[grout] = rng.uniform(0.05, 0.7)
    return out


@pattern("floor ground", (0.6, 2.0), turn_deg=90, second="joint", weight=2)
def paving(rng: np.random.Generator) -> FloatArray:
    """Flagstones or paving bricks, weathered."""
    n = 2 * int(rng.integers(1, 5))
    (j, y), (_, t) = ramp(n), ramp()
    m = int(rng.choice([n, max(n // 2, 1)]))
    x = (t[None] * m + 0.5 * (j[:, None] % 2)) % m
    stone = np.minimum(x.astype(np.int64), m - 1)
    shade = rng.uniform(0.65, 1, (n, m)).astype(np.float32)[j[:, None], stone]
    edge = np.minimum(np.minimum(y, 1 - y)[:, None], np.minimum(x % 1, 1 - x % 1) * n / m)
    stain = 0.85 + 0.1 * noise(rng, 1.2) + 0.04 * noise(rng, 0.1)
    return single(np.clip((edge - 0.01 * n) * 30, 0.1, 1) * shade * stain)


@pattern("facade", (1.0, 3.0), turn_deg=0, weight=2)
def shingles(rng: np.random.Generator) -> FloatArray:
    """Roof tiles: rows that shade the row below."""
    n, m = 2 * int(rng.integers(3, 8)), int(rng.integers(5, 14))
    (j, y), (_, t) = ramp(n), ramp()
    x = t[None] * m + 0.5 * (j[:, None] % 2)
    shade = rng.uniform(0.6, 1, (n, m)).astype(np.float32)[j[:, None], x.astype(np.int64) % m]
    round_ = 0.7 + 0.3 * np.sin(np.pi * (x % 1)) if rng.random() < 0.6 else 1 - 0.5 * (x % 1 < 0.06)
    return single(shade * round_ * (0.5 + 0.5 * np.minimum(y * 4, 1)[:, None]) + 0.03 * noise(rng, 0.6))


@pattern("floor wall metal", (0.8, 3.0), weight=2)
def marble(rng: np.random.Generator) -> FloatArray:
    """Marble: veins through soft clouds."""
    rough = noise(rng, 1.6, low=1)
    fine = noise(rng, 1.1, low=3)
    vein = np.exp(-np.abs(rough + 0.25 * fine) * rng.uniform(6, 20))
    return 0.85 + 0.06 * noise(rng, 1.5) - rng.uniform(0.2, 0.7) * vein


@pattern("floor concrete wall plastic", (0.4, 1.5), weight=2)
def terrazzo(rng: np.random.Generator) -> FloatArray:
    """Granite or terrazzo: flecks of several colours in a ground."""
    n = int(rng.integers(14, 56))
    first, _, number = cells(rng, n, n)
    shades = np.stack([colour(rng, 0.08) * 0.5 + 0.4 for _ in range(4)])
    own = shades[rng.integers(0, 4, n * n)]
    chip = first < rng.uniform(0.15, 0.45, n * n).astype(np.float32)[number]
    ground = np.full(3, rng.uniform(0.3, 0.85), np.float32)
    return single(np.where(chip[..., None], own[number], ground))


# --- metal


@pattern("metal", (0.3, 1.5), turn_deg=90, weight=3)
def brushed(rng: np.random.Generator) -> FloatArray:
    """Brushed metal: fine parallel scratches, with a few across."""
    out = 0.75 + rng.uniform(0.03, 0.12) * noise(rng, 0.4, stretch=100) + 0.04 * noise(rng, 1.6)
    canvas = np.zeros((SIZE, SIZE), np.uint8)

    def paint(onto: ImageArray, _done: float) -> None:
        a, b = rng.integers(4, SIZE - 4, (2, 2))
        cv2.line(onto, tuple(a.tolist()), tuple(b.tolist()), int(rng.integers(30, 200)), 1, cv2.LINE_AA)

    lines = scattered(canvas, rng, int(rng.integers(0, 14)), paint)
    return out + lines.astype(np.float32) / 255 * rng.uniform(-0.4, 0.3)


@pattern("metal", (0.5, 3.0), weight=2)
def rust(rng: np.random.Generator) -> FloatArray:
    """Paint partly replaced by rust."""
    where = noise(rng, 1.3, low=1.5) + 0.3 * noise(rng, 0.6)
    part = np.clip((where - rng.uniform(-0.5, 1.2)) * 4, 0, 1)
    bare = tinted(
        np.clip(0.5 + 0.2 * noise(rng, 0.8), 0, 1), np.array([0.06, 0.02, 0.01]), np.array([0.4, 0.17, 0.06])
    )
    paint = tinted(np.clip(0.8 + 0.06 * noise(rng, 1.0), 0, 1), np.zeros(3), colour(rng, 0.1))
    return single(paint + part[..., None] * (bare - paint))


@pattern("metal floor", (0.2, 0.8), turn_deg=90)
def tread_plate(rng: np.random.Generator) -> FloatArray:
    """Tread plate: raised lozenges in alternating directions."""
    n = 2 * int(rng.integers(3, 8))
    (j, y), (i, x) = ramp(n), ramp(n)
    odd = (i + j[:, None]) % 2 == 1
    a, b = x[None] - 0.5, y[:, None] - 0.5
    p, q = np.where(odd, a + b, a - b), np.where(odd, a - b, a + b)
    bump = np.clip(1 - (p / 0.55) ** 2 - (q / 0.16) ** 2, 0, 1)
    return single(0.55 + 0.4 * np.sign(q) * bump**0.5 + 0.04 * noise(rng, 1.0))


@pattern("metal facade plastic", (0.4, 2.5), turn_deg=90, weight=2)
def corrugated(rng: np.random.Generator) -> FloatArray:
    """Corrugated sheet, with waves or trapezoids: containers, shutters, louvres."""
    _, t = ramp(int(rng.integers(4, 32)))
    wave = np.sin(2 * np.pi * t) if rng.random() < 0.5 else np.clip(np.sin(2 * np.pi * t) * 4, -1, 1)
    if rng.random() < 0.4:
        wave = 1 - 2 * t**2
    return single(0.65 + 0.25 * wave[None] + 0.04 * noise(rng, 1.2))


@pattern("metal plastic", (0.1, 0.8), turn_deg=45, second="ink")
def perforated(rng: np.random.Generator) -> FloatArray:
    """Holes in rows: grilles, pegboard, speaker covers; or slots."""
    n, m = int(rng.integers(6, 24)), int(rng.integers(6, 24))
    m = n if rng.random() < 0.6 else m
    (_, y), (_, x) = ramp(n), ramp(m)
    hole = (
        np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)[:, None])
        if m != n
        else np.hypot(x - 0.5, y[:, None] - 0.5)
    )
    return single(np.clip((hole - rng.uniform(0.15, 0.38)) * SIZE / n + 0.5, 0, 0.95))


# --- ground and road


@pattern("asphalt", (1.0, 4.0), weight=5)
def asphalt(rng: np.random.Generator) -> FloatArray:
    """Asphalt: grit with stains, cracks and patches."""
    out = 0.6 + rng.uniform(0.04, 0.15) * noise(rng, 0.1, low=20) + rng.uniform(0.02, 0.12) * noise(rng, 1.6)
    if rng.random() < 0.5:
        n = int(rng.integers(2, 5))
        first, second, _ = cells(rng, n, n)
        line = np.clip(1 - warped(second - first, rng, 6, high=20) * rng.uniform(25, 60), 0, 1)
        out -= rng.uniform(0.2, 0.6) * line * (noise(rng, 1.5, high=8) > rng.uniform(-1, 0.5))
    if rng.random() < 0.3:
        _, t = ramp()
        box = (np.abs(t - 0.5)[:, None] < rng.uniform(0.1, 0.4)) & (np.abs(t - 0.5) < rng.uniform(0.1, 0.4))
        out += rng.uniform(-0.25, 0.2) * box
    return single(out)


@pattern("concrete wall facade ground ceiling", (1.5, 5.0), turn_deg=0, weight=3)
def concrete(rng: np.random.Generator) -> FloatArray:
    """Cast concrete: vertical stains, joints and tie holes, pores."""
    out = 0.75 + 0.08 * noise(rng, 1.5) + rng.uniform(0, 0.1) * noise(rng, 1.0, stretch=0.08, high=40)
    out -= rng.uniform(0, 0.3) * (noise(rng, 0.1, low=25) > 2.2)
    if rng.random() < 0.5:
        n = int(rng.integers(1, 4))
        (_, y), (_, x) = ramp(n), ramp(n)
        out -= 0.2 * ((np.minimum(y, 1 - y)[:, None] < 0.006 * n) | (np.minimum(x, 1 - x) < 0.006 * n))
        hole = np.hypot((np.abs(x - 0.5) - 0.25), (np.abs(y - 0.5) - 0.25)[:, None]) < 0.012 * n
        out -= 0.35 * hole
    return single(out)


@pattern("ground", (0.6, 3.0), weight=3)
def gravel(rng: np.random.Generator) -> FloatArray:
    """Pebbles of several colours with dark gaps."""
    n = int(rng.integers(12, 50))
    first, second, number = cells(rng, n, n)
    own = rng.uniform(0.35, 1, (n * n, 1)) * (1 + rng.uniform(0, 0.3) * rng.normal(size=(n * n, 3)))
    face = np.clip((second - first) * 4, 0.05, 1) * (1 - 0.4 * first)
    return single((own[number] * face[..., None]).clip(0, 1))


@pattern("ground", (0.8, 4.0), weight=3)
def soil(rng: np.random.Generator) -> FloatArray:
    """Earth or sand: clods, fine grain, tracks."""
    clods = np.clip(noise(rng, 0.8, low=6), -1.5, 2)
    out: FloatArray = 0.5 + 0.12 * clods + 0.08 * noise(rng, 0.1, low=30) + 0.08 * noise(rng, 1.6)
    return out


@pattern("any wall facade paint ground", (1.0, 5.0), turn_deg=0, second="joint")
def peeling(rng: np.random.Generator) -> FloatArray:
    """Plaster that has come off in places."""
    where = noise(rng, 1.5, low=1.5) + 0.15 * noise(rng, 0.7)
    off = np.clip((where - rng.uniform(0.3, 1.6)) * 20, 0, 1)
    return 0.9 - 0.7 * off + 0.04 * noise(rng, 1.0)

"""Seamless patterns for textures: drawing tools, and abstract patterns.

A pattern is a function of a random generator; it returns (SIZE, SIZE) for a grey pattern (0 is the material's
second colour, 1 its first) or (SIZE, SIZE, 3) linear RGB, float32, about [0, 1].
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray, IntArray

SIZE = 256
Second = Literal["shade", "other", "joint", "ink", "glass"]
Draw = Callable[[np.random.Generator], FloatArray]


@dataclass(frozen=True)
class Pattern:
    """One kind of texture: how it is drawn and used.

    Attributes:
        draw: function that draws it from a random generator.
        roles: roles of the surfaces it fits.
        repeat_m: smallest and largest real size of one copy, in metres.
        turn_deg: it may be rotated by any multiple of this; 0 keeps it upright.
        second: meaning of a grey pattern's second colour: a "shade" of the first, an "other" colour, the
            "joint" between stones, "ink" on paper, or window "glass".
        weight: its share of a bank.
    """

    draw: Draw
    roles: frozenset[str]
    repeat_m: tuple[float, float]
    turn_deg: float = 1.0
    second: Second = "shade"
    weight: float = 1.0


PATTERNS: dict[str, Pattern] = {}


def pattern(
    roles: str,
    repeat_m: tuple[float, float],
    *,
    turn_deg: float = 1.0,
    second: Second = "shade",
    weight: float = 1.0,
) -> Callable[[Draw], Draw]:
    """Registers a drawing function in PATTERNS under its own name."""

    def register(draw: Draw) -> Draw:
        PATTERNS[draw.__name__] = Pattern(draw, frozenset(roles.split()), repeat_m, turn_deg, second, weight)
        return draw

    return register


# --- tools


@lru_cache(maxsize=1)
def _frequencies() -> tuple[FloatArray, FloatArray]:
    fy = np.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(SIZE, 1 / SIZE).astype(np.float32)[None]
    return fx, fy


def noise(
    rng: np.random.Generator, slope: float, *, low: float = 1.0, high: float = 128.0, stretch: float = 1.0
) -> FloatArray:
    """Periodic noise (SIZE, SIZE), mean 0 and deviation 1, with amplitude 1 / frequency^slope.

    ``low`` to ``high`` are cycles per copy; ``stretch`` above 1 stretches it along rows, below 1 along
    columns.
    """
    fx, fy = _frequencies()
    f = np.hypot(fx * np.float32(stretch**0.5), fy / np.float32(stretch**0.5))
    gain = np.where((f >= low) & (f <= high), np.maximum(f, 0.5) ** np.float32(-slope), 0)
    white = rng.standard_normal((SIZE, SIZE), np.float32)
    out = np.fft.irfft2(np.fft.rfft2(white) * gain).astype(np.float32)
    out -= out.mean()
    return out / max(float(out.std()), 1e-9)


def ramp(n: int = 1) -> tuple[IntArray, FloatArray]:
    """One side divided into n parts: number of the part (SIZE,), and position within it, 0 to 1."""
    i = (np.arange(SIZE, dtype=np.float32) + 0.5) * n / SIZE
    part = np.minimum(i.astype(np.int64), n - 1)
    return part, i - part


def cells(
    rng: np.random.Generator, rows: int, columns: int, *, jitter: float = 1.0
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Periodic Voronoi cells of a jittered grid.

    Returns (SIZE, SIZE) each: distance to the nearest centre, to the second nearest (both in units of a
    cell), and the number of the nearest.
    """
    dy, dx = (0.5 + jitter * rng.uniform(-0.5, 0.5, (rows, columns)).astype(np.float32) for _ in range(2))
    (j, y), (i, x) = ramp(rows), ramp(columns)
    squash = np.float32(columns / rows) if rows > columns else np.float32(1)
    stretch = np.float32(rows / columns) if columns > rows else np.float32(1)
    first = np.full((SIZE, SIZE), 9, np.float32)
    second, number = first.copy(), np.zeros((SIZE, SIZE), np.int64)
    for b in (-1, 0, 1):
        for a in (-1, 0, 1):
            at = np.ix_((j + b) % rows, (i + a) % columns)
            d = np.hypot((x - a - dx[at]) / stretch, (y[:, None] - b - dy[at]) / squash)
            closer = d < first
            second = np.where(closer, first, np.minimum(second, d))
            number = np.where(closer, at[0] * columns + at[1], number)
            first = np.where(closer, d, first)
    return first, second, number


def warped(image: FloatArray, rng: np.random.Generator, texels: float, *, high: float = 6.0) -> FloatArray:
    """Image warped smoothly by about ``texels``; it stays seamless."""
    x, y = (
        (texels * noise(rng, 1.0, high=high) + np.arange(SIZE, dtype=np.float32).reshape(s)) % SIZE
        for s in ((1, -1), (-1, 1))
    )
    # Padded explicitly: remap does not wrap between the last texel and the first.
    padded = np.pad(np.asarray(image, np.float32), [(0, 1), (0, 1), *[(0, 0)] * (image.ndim - 2)], "wrap")
    out: FloatArray = cv2.remap(padded, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    return out


def scattered(
    canvas: ImageArray, rng: np.random.Generator, rounds: int, paint: Callable[[ImageArray, float], None]
) -> ImageArray:
    """Canvas after many rounds of painting, rolled by a random offset before each so nothing ends at a seam.

    ``paint`` gets the canvas and the progress, 0 to 1; it must not paint at the border.
    """
    for k in range(rounds):
        canvas = np.ascontiguousarray(np.roll(canvas, tuple(rng.integers(0, SIZE, 2)), axis=(0, 1)))
        paint(canvas, (k + 1) / rounds)
    return canvas


def tinted(grey: FloatArray, dark: FloatArray, bright: FloatArray) -> FloatArray:
    """Colour pattern (SIZE, SIZE, 3) from a grey pattern and two RGB colours."""
    return dark + grey[..., None] * (np.asarray(bright) - dark).astype(np.float32)


def colour(rng: np.random.Generator, low: float = 0.02, high: float = 0.9) -> FloatArray:
    """Random linear RGB colour (3,), almost grey in a third; its largest channel is from low to high."""
    value = np.exp(rng.uniform(np.log(low), np.log(high)))
    saturation = rng.uniform(0, 0.2) if rng.random() < 0.35 else rng.uniform(0.2, 0.9)
    rgb = np.array(colorsys.hsv_to_rgb(rng.random(), saturation, 1.0)) ** 2.2
    out: FloatArray = (value * rgb).astype(np.float32)
    return out


def single(values: FloatArray) -> FloatArray:
    """Values as float32."""
    return np.asarray(values, np.float32)


def soft(image: FloatArray, texels: float) -> FloatArray:
    """Image blurred across its seams."""
    pad = int(3 * texels) + 1
    around = np.pad(image, [(pad, pad), (pad, pad), *[(0, 0)] * (image.ndim - 2)], "wrap")
    out: FloatArray = cv2.GaussianBlur(around, (0, 0), texels)[pad:-pad, pad:-pad]
    return out


# --- abstract patterns


@pattern(
    "wall ceiling paint plastic metal paper skin fabric glass concrete screen facade", (0.5, 4.0), weight=4
)
def plain(rng: np.random.Generator) -> FloatArray:
    """Almost one colour: painted walls, plastic."""
    return 0.9 + rng.uniform(0.005, 0.05) * noise(rng, rng.uniform(0.5, 2.5))


@pattern("wall ceiling concrete ground fabric asphalt grass facade floor metal skin", (0.6, 6.0), weight=3)
def cloud(rng: np.random.Generator) -> FloatArray:
    """Soft stains of every size."""
    return 0.6 + rng.uniform(0.05, 0.25) * noise(rng, rng.uniform(0.7, 1.8), low=rng.uniform(1, 6))


@pattern("concrete asphalt fabric ground grass floor plastic wall", (0.3, 2.0), weight=2)
def fine(rng: np.random.Generator) -> FloatArray:
    """Grains: sand, roughcast, coarse cloth."""
    return 0.6 + rng.uniform(0.04, 0.25) * noise(rng, rng.uniform(0, 0.6), low=rng.uniform(4, 30))


@pattern("fabric ground", (0.4, 3.0), second="other", weight=2)
def mottled(rng: np.random.Generator) -> FloatArray:
    """Patches with edges, like camouflage."""
    rough = noise(rng, rng.uniform(1.2, 2.2), low=rng.uniform(1, 5))
    steps = int(rng.integers(1, 4))
    sharp = np.clip(np.floor(rough * steps * 0.7 + 0.5) / steps / 1.5, -1, 1)
    return 0.5 + 0.4 * soft(sharp, 0.7) + 0.04 * noise(rng, 0.8)


@pattern("fabric plastic metal wall", (0.1, 1.5), weight=2)
def gabor(rng: np.random.Generator) -> FloatArray:
    """Noise of one wavelength and one direction: ripples, ribbing, moire."""
    f = float(np.exp(rng.uniform(np.log(6), np.log(60))))
    rough = noise(rng, 0.0, low=f * 0.7, high=f * 1.3, stretch=float(rng.choice([1, 8, 40, 0.05])))
    return 0.5 + rng.uniform(0.05, 0.2) * rough


@pattern("any", (0.5, 4.0), weight=2)
def ridges(rng: np.random.Generator) -> FloatArray:
    """Veins and folds."""
    rough = np.abs(noise(rng, rng.uniform(0.8, 1.8), low=2))
    return 0.2 + 0.4 * rough if rng.random() < 0.5 else 0.95 - 0.4 * rough


@pattern("any paint plastic", (1.0, 8.0), turn_deg=1.0, weight=2)
def gradient(rng: np.random.Generator) -> FloatArray:
    """A smooth change from dark to bright and back."""
    _, t = ramp()
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * t * int(rng.integers(1, 3)))
    wave = wave ** rng.uniform(0.5, 2)
    across = 0.5 - 0.5 * np.cos(2 * np.pi * t + rng.uniform(0, 6))
    mix = wave[None] * (1 - 0.6 * (rng.random() < 0.5) * across[:, None])
    return single(mix * np.ones((SIZE, 1)) + 0.01 * noise(rng, 1))


@pattern("fabric wall paint", (0.2, 1.5), turn_deg=90, second="other", weight=2)
def stripes(rng: np.random.Generator) -> FloatArray:
    """Even stripes, hard or soft."""
    _, t = ramp(int(np.exp(rng.uniform(np.log(2), np.log(40)))))
    if rng.random() < 0.3:
        line = 0.5 + 0.5 * np.cos(2 * np.pi * t)
    else:
        line = (np.abs(t - 0.5) < rng.uniform(0.1, 0.4)).astype(np.float32)
    out = np.repeat(line[None].astype(np.float32), SIZE, axis=0) * 0.9
    return out + rng.uniform(0, 0.06) * noise(rng, rng.uniform(0.3, 1.2))


@pattern("fabric print any", (0.2, 1.5), turn_deg=90, weight=1)
def bars(rng: np.random.Generator) -> FloatArray:
    """Stripes of many colours and widths."""
    cuts = np.sort(rng.integers(0, SIZE, int(rng.integers(4, 24))))
    number = np.searchsorted(cuts, np.arange(SIZE)) % len(cuts)
    shades = np.stack([colour(rng) for _ in cuts])
    out = np.repeat(shades[number][None], SIZE, axis=0)
    return out * (1 + 0.06 * noise(rng, 0.8))[..., None]


@pattern("fabric", (0.1, 0.8), turn_deg=45, weight=2)
def plaid(rng: np.random.Generator) -> FloatArray:
    """Tartan: bands of colour woven in both directions."""
    ground, out = colour(rng, 0.1), np.zeros((SIZE, SIZE, 3), np.float32)
    out += ground
    repeats = int(rng.choice([1, 2, 4]))
    for _ in range(int(rng.integers(2, 5))):
        _, t = ramp(repeats)
        band = (np.abs(t - rng.uniform(0.2, 0.8)) < rng.uniform(0.02, 0.18)).astype(np.float32)
        shade = colour(rng)
        for way in (band[:, None, None], band[None, :, None]):
            out += 0.5 * way * (shade - out)
    twill = 0.9 + 0.1 * (((np.arange(SIZE)[:, None] + np.arange(SIZE)) // 2) % 2)
    return out * twill[..., None].astype(np.float32)


@pattern("floor fabric wall", (0.3, 2.4), turn_deg=45, second="other", weight=2)
def checker(rng: np.random.Generator) -> FloatArray:
    """A chessboard."""
    (i, _), (j, _) = ramp(2 * int(rng.integers(1, 9))), ramp(2 * int(rng.integers(1, 9)))
    odd = ((i if rng.random() < 0.7 else j)[:, None] + i) % 2
    return 0.08 + 0.84 * odd.astype(np.float32) + rng.uniform(0, 0.08) * noise(rng, 1.0)


@pattern("fabric print wall plastic", (0.2, 1.2), turn_deg=45, second="other")
def dots(rng: np.random.Generator) -> FloatArray:
    """Round spots in rows, every second row shifted."""
    n = 2 * int(rng.integers(2, 12))
    (j, y), (_, x) = ramp(n), ramp(n)
    x = (x[None] + 0.5 * (j[:, None] % 2)) % 1
    r = np.hypot(x - 0.5, y[:, None] - 0.5)
    return single(0.95 * np.clip((rng.uniform(0.15, 0.42) - r) * SIZE / n + 0.5, 0, 1))


@pattern("fabric floor", (0.2, 1.2), turn_deg=45, second="other")
def zigzag(rng: np.random.Generator) -> FloatArray:
    """Chevrons, or diamonds where two are crossed."""
    n, m = int(rng.integers(2, 12)), int(rng.integers(2, 12))
    (_, y), (_, x) = ramp(n), ramp(m)
    fold = np.abs(x - 0.5)
    if rng.random() < 0.5:
        out = (np.abs(y - 0.5)[:, None] + fold < 0.5).astype(np.float32)
    else:
        out = ((y[:, None] + fold * rng.uniform(0.5, 2)) % 1 < 0.5).astype(np.float32)
    return 0.05 + 0.9 * soft(out, 0.6)


@pattern("any", (0.5, 4.0), weight=2)
def colour_noise(rng: np.random.Generator) -> FloatArray:
    """Clouds with independent channels."""
    slope, low = rng.uniform(0.5, 2), rng.uniform(1, 8)
    shared, mix = noise(rng, slope, low=low), rng.uniform(0.3, 1)
    own = np.stack([noise(rng, slope, low=low) for _ in range(3)], axis=-1)
    out = 0.4 + rng.uniform(0.08, 0.25) * (mix * own + (1 - mix) * shared[..., None])
    return np.clip(out, 0, 1).astype(np.float32) ** 1.5


@pattern("any print", (0.3, 3.0), weight=3)
def shapes(rng: np.random.Generator) -> FloatArray:
    """Discs, rectangles, triangles and lines of every colour, one over another."""
    canvas = np.empty((SIZE, SIZE, 3), np.uint8)
    canvas[:] = (255 * colour(rng)).astype(np.uint8)
    size = float(np.exp(rng.uniform(np.log(6), np.log(60))))

    def paint(onto: ImageArray, _done: float) -> None:
        for _ in range(max(int(600 / size**1.2), 1)):
            reach = size * rng.uniform(0.3, 1)
            x, y = rng.uniform(reach + 2, SIZE - reach - 3, 2)
            shade = [int(c) for c in 255 * colour(rng)]
            form = rng.integers(0, 4)
            corners = np.array([x, y]) + reach * rng.uniform(-1, 1, (int(form) + 1, 2))
            if form == 0:
                cv2.circle(onto, (int(x), int(y)), int(reach), shade, -1, cv2.LINE_AA)
            elif form == 1:
                a, b = corners.astype(int).tolist()
                cv2.line(onto, a, b, shade, int(rng.integers(1, 6)), cv2.LINE_AA)
            else:
                cv2.fillPoly(onto, [corners.astype(np.int32)], shade, cv2.LINE_AA)

    out = scattered(canvas, rng, 24, paint).astype(np.float32) / 255
    return out * (1 + 0.03 * noise(rng, 1.0))[..., None]

"""Seamless patterns with writing and pictures: pages, books, posters, labels, screens, keyboards.

Importing this module registers them in ``patterns.PATTERNS``.
"""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray
from metric_depth_synthetic.patterns import SIZE, colour, noise, pattern, scattered, single

_CONSONANTS = [
    "",
    "",
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "th",
    "v",
    "w",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "an", "en", "in", "er", "ar", "ou", "y"]
_CAPITALS = "ABCDEFGHIKLMNOPRSTUVWXYZ0123456789"


def words(rng: np.random.Generator, count: int) -> str:
    """Random invented words."""
    lengths = rng.integers(1, 4, count)
    first = rng.integers(0, len(_CONSONANTS), lengths.sum())
    second = rng.integers(0, len(_VOWELS), lengths.sum())
    syllables = [_CONSONANTS[a] + _VOWELS[b] for a, b in zip(first, second, strict=True)]
    ends = np.cumsum(lengths)
    return " ".join("".join(syllables[b - n : b]) for n, b in zip(lengths, ends, strict=True))


def _write(
    onto: ImageArray, line: str, x: int, y: int, height: float, shade: object, rng: np.random.Generator
) -> None:
    """A line of text of about ``height`` texels of capitals, its base at y."""
    font = int(rng.choice([0, 0, 0, 1, 2, 3, 4, 7]))
    scale = height / (10 if font == 1 else 22)
    thick = max(round(float(height / rng.uniform(6, 14))), 1)
    cv2.putText(onto, line, (x, y), font, scale, shade, thick, cv2.LINE_AA)


def _paragraphs(
    onto: ImageArray, rng: np.random.Generator, columns: int, height: float, shade: object
) -> None:
    """Fills an image with columns of text, headings and boxes, inside a margin."""
    h, w = onto.shape[:2]
    margin = max(int(0.05 * w), 2)
    wide = (w - margin) // columns
    for column in range(columns):
        x, end = margin + column * wide, (column + 1) * wide - 1
        strip, y = np.ascontiguousarray(onto[:, :end]), float(margin)
        while y < h - margin - height:
            dice = rng.random()
            if dice < 0.06:
                tall = min(rng.uniform(2, 8) * height, h - margin - y)
                cv2.rectangle(strip, (x, int(y)), (end - 3, int(y + tall)), shade, int(rng.choice([-1, 1])))
                y += tall + height
                continue
            size = height * (rng.uniform(1.4, 2.4) if dice < 0.14 else 1)
            y += size * 1.7
            if dice > 0.9:
                x_end = x + int((end - x) * rng.uniform(0.2, 0.9))
                _write(strip[:, :x_end], words(rng, 2), x, int(y), size, shade, rng)
                y += height * rng.uniform(0, 2)
            elif y < h - margin:
                _write(strip, words(rng, 2 + int(wide / size / 4)), x, int(y), size, shade, rng)
        onto[:, :end] = strip
    onto[:, w - margin :] = onto[0, 0]


@pattern("print paper", (0.2, 0.5), turn_deg=0, second="ink", weight=4)
def page(rng: np.random.Generator) -> FloatArray:
    """A printed page or a newspaper."""
    big = np.full((2 * SIZE, 2 * SIZE), 255, np.uint8)
    _paragraphs(big, rng, int(rng.choice([1, 1, 2, 3, 4])), rng.uniform(6, 20), int(rng.integers(0, 70)))
    return single(cv2.resize(big, (SIZE, SIZE), interpolation=cv2.INTER_AREA) / 255)


@pattern("print paper wall", (0.5, 2.0), turn_deg=0, second="ink", weight=2)
def scribble(rng: np.random.Generator) -> FloatArray:
    """Handwriting, sketches and diagrams, as on a whiteboard."""
    canvas = np.full((SIZE, SIZE), 255, np.uint8)

    def paint(onto: ImageArray, _done: float) -> None:
        x, y = rng.uniform(30, SIZE - 90, 2)
        form, shade = rng.integers(0, 4), int(rng.integers(0, 150))
        if form == 0:
            way = np.cumsum(rng.normal(0, 5, (24, 2)) * [1, 0.8] + [2, 0], axis=0)
            points = np.clip(way + np.array([x, y]), 3, SIZE - 4).astype(np.int32)
            cv2.polylines(onto, [points], False, shade, int(rng.integers(1, 3)), cv2.LINE_AA)
        elif form == 1:
            a, b = (int(x), int(y)), (int(x + rng.uniform(15, 60)), int(y + rng.uniform(10, 50)))
            cv2.rectangle(onto, a, b, shade, 1, cv2.LINE_AA)
        else:
            _write(onto[:, : SIZE - 6], words(rng, 2), int(x), int(y), rng.uniform(4, 10), shade, rng)

    return scattered(canvas, rng, int(rng.integers(4, 40)), paint).astype(np.float32) / 255


@pattern("print", (0.2, 1.0), turn_deg=0, weight=5)
def books(rng: np.random.Generator) -> FloatArray:
    """Book spines in two to four rows, of all colours, heights and widths, with dark gaps above."""
    rows = int(rng.choice([1, 2, 2, 3]))
    out = np.full((SIZE, SIZE, 3), 6, np.uint8)
    tall, board = SIZE // rows, int(rng.integers(3, 10))
    wood = 255 * colour(rng, 0.05, 0.7)
    for row in range(rows):
        foot, x = (row + 1) * tall - board, 0
        out[foot : foot + board] = wood
        while x < SIZE:
            spine = _spine(
                rng, min(int(rng.integers(6, 26)), SIZE - x), int((tall - board) * rng.uniform(0.65, 0.96))
            )
            high, wide = spine.shape[:2]
            out[foot - high : foot, x : x + wide] = spine
            x += wide
    return out.astype(np.float32) / 255


def _spine(rng: np.random.Generator, wide: int, high: int) -> ImageArray:
    """Spine of a book (high, wide, 3): bands, a vertical title, darker at the sides."""
    spine = np.empty((wide, high, 3), np.uint8)
    spine[:] = 230 * colour(rng, 0.03, 0.9)
    shade = (240 * colour(rng, 0.02, 1.0)).tolist()
    for band in rng.integers(0, high, int(rng.integers(0, 4))):
        cv2.rectangle(spine, (int(band), 0), (int(band) + int(rng.integers(1, 8)), wide), shade, -1)
    if wide > 8:
        at = int(rng.integers(2, max(high // 3, 3)))
        _write(spine, words(rng, 3), at, int(wide * 0.7), wide * 0.42, shade, rng)
    round_ = 0.6 + 0.4 * np.sin(np.pi * (np.arange(wide) + 0.5) / wide)
    return np.asarray(np.rot90(spine, -1) * round_[None, :, None], np.uint8)


def _picture(rng: np.random.Generator) -> FloatArray:
    """Image like a photograph or a painting: horizon, clouds of colour, blobs."""
    shades = np.stack([colour(rng, 0.05) for _ in range(4)])
    height = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None] + 0.12 * noise(rng, 2.2)
    level = np.clip((height - rng.uniform(0.2, 0.6)) * rng.uniform(1.5, 12), 0, 1)[..., None]
    mix = np.clip(0.5 + 0.3 * noise(rng, rng.uniform(1.5, 2.5)), 0, 1)[..., None]
    out = (1 - level) * (shades[0] + mix * (shades[1] - shades[0])) + level * (
        shades[2] + mix * (shades[3] - shades[2])
    )
    picture = (out.clip(0, 1) * 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 6))):
        where, reach = rng.integers(0, SIZE, 2).tolist(), rng.integers(8, 60, 2).tolist()
        cv2.ellipse(
            picture,
            where,
            reach,
            float(rng.uniform(0, 180)),
            0,
            360,
            (255 * colour(rng)).tolist(),
            -1,
            cv2.LINE_AA,
        )
    return single(picture / 255 * (1 + 0.05 * noise(rng, 0.8))[..., None])


@pattern("print", (0.4, 1.2), turn_deg=0, weight=4)
def poster(rng: np.random.Generator) -> FloatArray:
    """A picture or plain ground with a border and large lettering."""
    ground = colour(rng, 0.05)
    image = _picture(rng) if rng.random() < 0.6 else np.broadcast_to(ground, (SIZE, SIZE, 3))
    out = (np.clip(image, 0, 1) * 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 5))):
        size = float(np.exp(rng.uniform(np.log(7), np.log(50))))
        letters = words(rng, 3) if rng.random() < 0.5 else "".join(rng.choice(list(_CAPITALS), 7))
        at = (int(rng.integers(8, 60)), int(rng.integers(30, SIZE - 12)))
        _write(out, letters, *at, size, (255 * colour(rng, 0.01, 1.0)).tolist(), rng)
    edge = int(rng.integers(3, 20))
    border = (255 * colour(rng, 0.02, 1.0)).astype(np.uint8)
    for side in (out[:edge], out[-edge:], out[:, :edge], out[:, -edge:]):
        side[:] = border
    return out.astype(np.float32) / 255


@pattern("print plastic paper", (0.08, 0.4), turn_deg=90, weight=4)
def packaging(rng: np.random.Generator) -> FloatArray:
    """A carton's face: fields, a brand, small print, a bar code."""
    out = np.empty((SIZE, SIZE, 3), np.uint8)
    out[:] = 255 * colour(rng, 0.05)
    for _ in range(int(rng.integers(1, 5))):
        a, b = np.sort(rng.integers(4, SIZE - 4, (2, 2)), axis=0).tolist()
        if rng.random() < 0.6:
            cv2.rectangle(out, a, b, (255 * colour(rng)).tolist(), -1)
        else:
            cv2.circle(out, a, int(rng.integers(10, 60)), (255 * colour(rng)).tolist(), -1, cv2.LINE_AA)
    ink = (255 * colour(rng, 0.01, 1.0)).tolist()
    _write(
        out[:, : SIZE - 4],
        words(rng, 1).upper(),
        12,
        int(rng.integers(50, 200)),
        rng.uniform(18, 44),
        ink,
        rng,
    )
    for line in range(int(rng.integers(0, 8))):
        _write(out[:, : SIZE - 8], words(rng, 5), 14, SIZE - 12 - 11 * line, 6, ink, rng)
    if rng.random() < 0.4:
        code = np.repeat(rng.integers(0, 2, 30), 2) * 255
        out[10:44, 180:240] = code[None, :, None]
    edge = out[:3].mean((0, 1)).astype(np.uint8)
    out[:2], out[-2:], out[:, :2], out[:, -2:] = edge, edge, edge, edge
    return out.astype(np.float32) / 255


@pattern("print paint metal", (0.3, 1.0), turn_deg=0, second="ink", weight=2)
def sign(rng: np.random.Generator) -> FloatArray:
    """A few large letters or an arrow on a plain ground."""
    out = np.full((SIZE, SIZE), 245, np.uint8)
    if rng.random() < 0.3:
        a, b = (40, int(rng.integers(60, 196))), (216, int(rng.integers(60, 196)))
        cv2.arrowedLine(
            out,
            *((a, b) if rng.random() < 0.5 else (b, a)),
            10,
            int(rng.integers(8, 26)),
            cv2.LINE_AA,
            0,
            0.35,
        )
    else:
        for line in range(int(rng.integers(1, 4))):
            letters = "".join(rng.choice(list(_CAPITALS), int(rng.integers(2, 7))))
            _write(out[:, : SIZE - 10], letters, 18, 80 + 70 * line, rng.uniform(20, 50), 10, rng)
    if rng.random() < 0.6:
        cv2.rectangle(out, (6, 6), (SIZE - 7, SIZE - 7), 10, int(rng.integers(2, 8)))
    return out.astype(np.float32) / 255


@pattern("paint plastic print", (0.3, 1.5), turn_deg=0, weight=2)
def hazard(rng: np.random.Generator) -> FloatArray:
    """Slanted warning stripes, or bands of two strong colours."""
    n = int(rng.integers(2, 7))
    slant = int(rng.choice([-1, 0, 1]))
    t = (np.arange(SIZE)[None] * n + slant * n * np.arange(SIZE)[:, None]) / SIZE % 1
    pairs = [
        ((0.7, 0.5, 0.0), (0.01, 0.01, 0.01)),
        ((0.6, 0.02, 0.02), (0.85, 0.85, 0.85)),
        (colour(rng), colour(rng)),
    ]
    a, b = (np.asarray(c, np.float32) for c in pairs[int(rng.integers(0, 3))])
    out = np.where((t < 0.5)[..., None], a, b) * (0.95 + 0.05 * noise(rng, 1.0))[..., None]
    return single(out)


@pattern("screen print", (0.4, 0.7), turn_deg=0, weight=4)
def screen(rng: np.random.Generator) -> FloatArray:
    """A monitor with its dark rim: windows with title bars and text, code on dark, or a film."""
    out = (np.clip(_picture(rng) if rng.random() < 0.25 else _desktop(rng), 0, 1) * 255).astype(np.uint8)
    rim, shade = int(rng.integers(2, 6)), int(rng.choice([2, 5, 20, 120]))
    for side in (out[:rim], out[-rim:], out[:, :rim], out[:, -rim:]):
        side[:] = shade
    return single(out / 255)


def _desktop(rng: np.random.Generator) -> FloatArray:
    back = _picture(rng) if rng.random() < 0.5 else np.broadcast_to(colour(rng, 0.02, 0.6), (SIZE, SIZE, 3))
    out = (np.clip(back, 0, 1) * 255).astype(np.uint8)
    bar = (255 * colour(rng, 0.02, 0.8)).astype(np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        a = rng.integers(0, 100, 2)
        b = np.minimum(a + rng.integers(80, 256, 2), (SIZE - 1, SIZE - 14))
        dark = rng.random() < 0.45
        pane = np.empty((*(b - a)[::-1], 3), np.uint8)
        pane[:] = rng.integers(3, 30) if dark else rng.integers(190, 250)
        ink = (255 * colour(rng, 0.3, 1.0)).tolist() if dark else (60 * colour(rng)).tolist()
        if min(pane.shape[:2]) > 30:
            _paragraphs(pane, rng, int(rng.integers(1, 3)), float(rng.uniform(5, 8)), ink)
        pane[:8] = (255 * colour(rng)).astype(np.uint8)
        out[a[1] : b[1], a[0] : b[0]] = pane
    out[-16:] = bar
    return single(out / 255)


@pattern("plastic print", (0.25, 0.5), turn_deg=0, second="ink", weight=2)
def keyboard(rng: np.random.Generator) -> FloatArray:
    """Rows of keys with letters."""
    rows, out = int(rng.choice([5, 6])), np.full((SIZE, SIZE), 20, np.uint8)
    pitch, key, ink = SIZE / rows, int(rng.integers(140, 256)), int(rng.integers(0, 120))
    for row in range(rows):
        x = 2.0
        while x < SIZE - 8:
            wide = min(pitch * float(rng.choice([1, 1, 1, 1, 1.5, 2])), SIZE - 3 - x)
            y = row * pitch
            cv2.rectangle(out, (int(x) + 2, int(y) + 3), (int(x + wide) - 3, int(y + pitch) - 4), key, -1)
            if wide > pitch * 0.8:
                letter = str(rng.choice(list(_CAPITALS)))
                _write(out, letter, int(x + 0.3 * pitch), int(y + 0.6 * pitch), 0.22 * pitch, ink, rng)
            x += wide
    return out.astype(np.float32) / 255

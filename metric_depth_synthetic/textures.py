"""Bank of seamless textures, with a fast look-up for rendering.

The patterns themselves are in ``patterns``, ``surfaces`` and ``prints``; nothing is downloaded.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import BoolArray, FloatArray, ImageArray, IntArray

# Imported because they register patterns.
from metric_depth_synthetic import cloth, facades, plants, prints, surfaces  # noqa: F401
from metric_depth_synthetic.patterns import PATTERNS, SIZE, Pattern
from metric_depth_synthetic.scene import Role

PHOTO = "photo"
_PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
_SMALLEST = 4


@dataclass(frozen=True, eq=False)
class TextureBank:
    """N seamless square textures of S x S pixels.

    Attributes:
        images: (N, S, S, 3) uint8, linear albedo: 0 is 0 and 255 is 1.
        grey: (N,) whether the pattern blends a material's two colours; else it multiplies its colour.
        repeat_m: (N,) real size of one copy, in metres.
        kinds: the pattern of each texture, "photo" for an image of the user.
        roles: for each Role the textures that fit it; "any" holds all.
        levels: (N, S/2^k, S/2^k, 3) uint8, each level half the size of the one before, down to 4 pixels.
    """

    images: ImageArray
    grey: BoolArray
    repeat_m: FloatArray
    kinds: tuple[str, ...]
    roles: Mapping[str, IntArray]
    levels: tuple[ImageArray, ...] = field(init=False)
    _texels: IntArray = field(init=False, repr=False)
    _offsets: IntArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n, size = self.images.shape[:2]
        sizes = [size >> k for k in range(int(size // _SMALLEST).bit_length())]
        offsets = np.cumsum([0, *(n * s * s for s in sizes)])
        # Four bytes a texel, all levels in one block: one gather of one word fetches a colour.
        texels = np.zeros((int(offsets[-1]), 4), np.uint8)
        levels: list[ImageArray] = []
        for k, s in enumerate(sizes):
            level = texels[offsets[k] : offsets[k + 1]].reshape(n, s, s, 4)[..., :3]
            level[:] = self.images if k == 0 else _halved(levels[-1])
            levels.append(level)
        object.__setattr__(self, "images", levels[0])
        object.__setattr__(self, "levels", tuple(levels))
        object.__setattr__(self, "_texels", texels.view(np.uint32).ravel())
        object.__setattr__(self, "_offsets", offsets[:-1].astype(np.int32))

    def __len__(self) -> int:
        return len(self.images)


def lookup(bank: TextureBank, texture: IntArray, uv: FloatArray, footprint: FloatArray) -> FloatArray:
    """Texture colours (N, 3) float32 in [0, 1] at points of surfaces.

    Bilinear within the level whose texels are about the size of the footprint.

    Args:
        texture: (N,) indices into the bank.
        uv: (N, 2) copies along and up the texture; any finite value, wrapped.
        footprint: (N,) copies that one pixel covers.
    """
    size = bank.images.shape[1]
    texels_wide = np.asarray(footprint, np.float32) * np.float32(size)
    last = len(bank.levels) - 1
    # The float's own exponent is floor(log2); times sqrt(2) it rounds.
    level = np.frexp(np.clip(texels_wide, 1, 2**24) * np.float32(2**0.5))[1] - 1
    np.clip(level, 0, last, out=level)  # NaN came out as -1
    side = np.right_shift(np.int32(size), level)
    mask = side - 1
    # 256 steps within a texel; row 0 is the top of the image, v points up.
    scale = (side << 8).astype(np.float32)
    u, v = np.asarray(uv[:, 0], np.float32), np.asarray(uv[:, 1], np.float32)
    x = ((u - np.floor(u)) * scale).astype(np.int32) - 128
    y = ((np.ceil(v) - v) * scale).astype(np.int32) - 128
    fx, fy = (x & 255).astype(np.uint32), (y & 255).astype(np.uint32)
    x, y = x >> 8, y >> 8
    left, right = x & mask, (x + 1) & mask
    shift = np.int32(size).item().bit_length() - 1 - level
    start = bank._offsets[level] + (np.asarray(texture, np.int32) << (2 * shift))
    top, bottom = start + ((y & mask) << shift), start + (((y + 1) & mask) << shift)
    low = fx * fy >> np.uint32(8)
    taps = ((bottom + right, low), (bottom + left, fy - low), (top + right, fx - low))
    return _mixed(bank, (*taps, (top + left, np.uint32(256) - fx - fy + low)))


def _mixed(bank: TextureBank, taps: tuple[tuple[IntArray, IntArray], ...]) -> FloatArray:
    """Weighted mean (N, 3) in [0, 1] of texels; the weights' sum is 256.

    Red and blue are weighted with one multiplication: each has its own 16 bits of a word.
    """
    red_blue, green = (np.zeros(len(taps[0][0]), np.uint32) for _ in range(2))
    for index, weight in taps:
        word = bank._texels.take(index)
        red_blue += (word & np.uint32(0xFF00FF)) * weight
        green += ((word >> np.uint32(8)) & np.uint32(0xFF)) * weight
    out = np.empty((len(green), 3), np.float32)
    unit = np.float32(1 / (255 * 256))
    np.multiply(red_blue & np.uint32(0xFFFF), unit, out=out[:, 0], dtype=np.float32)
    np.multiply(green, unit, out=out[:, 1], dtype=np.float32)
    np.multiply(red_blue >> np.uint32(16), unit, out=out[:, 2], dtype=np.float32)
    return out


def make_bank(seed: int, *, count: int = 400, photos: Path | None = None) -> TextureBank:
    """Makes a bank of ``count`` procedural textures, and one more for each image under ``photos``.

    Raises:
        InputError: ``photos`` holds no readable .jpg or .png, or ``count`` is below the number of patterns.
    """
    if count < len(PATTERNS):
        raise InputError(f"textures: count {count}; needed at least {len(PATTERNS)}, one of each pattern.")
    pictures = [] if photos is None else _read_photos(photos)
    names = _shares(count)
    images = np.empty((count + len(pictures), SIZE, SIZE, 3), np.uint8)
    grey = np.zeros(len(images), bool)
    repeat_m = np.empty(len(images), np.float32)
    for i, name in enumerate(names):
        rng = np.random.default_rng([seed, zlib.crc32(name.encode()), i])
        pattern = PATTERNS[name]
        image = pattern.draw(rng)
        grey[i] = image.ndim == 2
        images[i] = _as_bytes(image)
        repeat_m[i] = np.exp(rng.uniform(*np.log(pattern.repeat_m)))
    rng = np.random.default_rng([seed, zlib.crc32(PHOTO.encode())])
    for i, picture in enumerate(pictures, start=count):
        images[i] = _seamless(picture, rng)
        repeat_m[i] = np.exp(rng.uniform(*np.log((0.3, 3.0))))
    kinds = (*names, *[PHOTO] * len(pictures))
    return TextureBank(images, grey, repeat_m, kinds, _by_role(kinds))


@lru_cache(maxsize=4)
def _shares(count: int) -> tuple[str, ...]:
    """``count`` pattern names, each at least once, in proportion to their weights."""
    # Sorted: the result must not depend on the order in which modules were imported.
    names = sorted(PATTERNS)
    shares = np.cumsum([PATTERNS[name].weight for name in names])
    extra = np.floor((count - len(names)) * shares / shares[-1] + 1e-9).astype(int)
    return tuple(np.repeat(names, 1 + np.diff(extra, prepend=0)).tolist())


def _by_role(kinds: tuple[str, ...]) -> dict[str, IntArray]:
    def fits(kind: str, role: str) -> bool:
        return role == "any" or kind == PHOTO or role in PATTERNS[kind].roles

    return {role: np.flatnonzero([fits(kind, role) for kind in kinds]) for role in get_args(Role)}


def _halved(images: ImageArray) -> ImageArray:
    n, size = images.shape[:2]
    cells = images.reshape(n, size // 2, 2, size // 2, 2, 3)
    total = cells[:, :, 0, :, 0].astype(np.uint16)
    for i, j in ((0, 1), (1, 0), (1, 1)):
        total += cells[:, :, i, :, j]
    return ((total + 2) >> 2).astype(np.uint8)


def _as_bytes(image: FloatArray) -> ImageArray:
    out = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    return out if out.ndim == 3 else np.repeat(out[..., None], 3, axis=2)


def _read_photos(folder: Path) -> list[ImageArray]:
    if not folder.is_dir():
        raise InputError(f"{folder}: does not exist; needed a folder of pictures. Or leave photos out.")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _PHOTO_SUFFIXES)
    pictures = [cv2.imread(str(p), cv2.IMREAD_COLOR) for p in paths]
    good = [p[..., ::-1] for p in pictures if p is not None and min(p.shape[:2]) >= 32]
    if not good:
        raise InputError(
            f"{folder}: no usable .jpg or .png of at least 32x32 pixels among {len(paths)}; "
            "needed at least one. Name a folder of pictures, or leave photos out."
        )
    return good


def _seamless(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Seamless square crop: mirrored, or blended with itself moved by half a copy."""
    side = int(min(picture.shape[:2]) * rng.uniform(0.5, 1.0))
    top, left = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
    crop = np.ascontiguousarray(picture[top : top + side, left : left + side])
    # Images are stored with the sRGB curve; albedo is linear.
    linear = (cv2.resize(crop, (SIZE, SIZE), interpolation=cv2.INTER_AREA) / np.float32(255)) ** 2.2
    if rng.random() < 0.5:
        half = cv2.resize(linear, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA)
        half = np.concatenate([half, half[::-1]])
        return _as_bytes(np.concatenate([half, half[:, ::-1]], axis=1))
    # At the border all weight is on the copy moved by half, which is smooth there.
    ramp = np.clip(np.abs(np.linspace(-1, 1, SIZE, dtype=np.float32)) * 4 - 3, 0, 1)
    weight = (1 - ramp[:, None]) * (1 - ramp)
    moved = np.roll(linear, (SIZE // 2, SIZE // 2), axis=(0, 1))
    return _as_bytes(linear * weight[..., None] + moved * (1 - weight[..., None]))


__all__ = ["PATTERNS", "PHOTO", "Pattern", "TextureBank", "lookup", "make_bank"]

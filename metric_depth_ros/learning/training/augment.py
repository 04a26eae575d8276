"""Augmentation of training images: crop, rotation and mirror; tone, colour, noise, occlusions; night.

All functions use uint8 RGB (H, W, 3) and float32 depth (H, W) in metres with inf for sky and NaN for unknown.
Depth along the optical axis is not changed by cropping, scaling, mirroring or rotation about that axis.
"""

from __future__ import annotations

import cv2
import numpy as np

from metric_depth_ros.learning.training.sparse import reduced_depth
from metric_depth_ros.types import FloatArray, ImageArray

_NOISE = np.random.default_rng(0).standard_normal(1 << 20, np.float32)
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def reframed(
    image: ImageArray,
    depth: FloatArray,
    size: tuple[int, int],
    depth_size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[ImageArray, FloatArray]:
    """Random crop of an image and its depth (``_crop``), stretched to ``size`` (width, height).

    Half of the crops are mirrored, a third rotated by a few degrees; corners from outside the image have
    unknown depth. Depth is of ``depth_size`` (``reduced_depth``).
    """
    height, width = image.shape[:2]
    if rng.random() < 0.3:
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), rng.normal(0, 5), 1.0)
        image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        depth = cv2.warpAffine(
            depth,
            matrix,
            (width, height),
            flags=cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=np.nan,
        )
    left, top, right, bottom = _crop(width, height, rng)
    return mirrored(image[top:bottom, left:right], depth[top:bottom, left:right], size, depth_size, rng)


def mirrored(
    image: ImageArray,
    depth: FloatArray,
    size: tuple[int, int],
    depth_size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[ImageArray, FloatArray]:
    """Whole image and depth, mirrored in half of the cases, stretched as in ``reframed``."""
    if rng.random() < 0.5:
        image, depth = image[:, ::-1], depth[:, ::-1]
    return stretched(image, size), reduced_depth(depth, depth_size)


def stretched(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Image stretched to ``size`` (width, height), as in the engine."""
    shrinks = image.shape[0] > size[1] or image.shape[1] > size[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def relit(image: ImageArray, partner: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Image with changed light and camera: tone, colour, shading, blur, noise, JPEG, covered parts.

    ``partner`` is any image; patches of it may cover parts.
    """
    if rng.random() < 0.15:
        image = _tinted_like(image, partner)
    image = _toned(image, rng)
    if rng.random() < 0.3:
        image = _shaded(image, rng)
    if rng.random() < 0.12:
        image = _covered(image, partner, rng)
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.3:
        image = _noisy(image, rng)
    if rng.random() < 0.15:
        quality = int(rng.integers(25, 90))
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.asarray(image, np.uint8)


def estranged(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Image as few are: with hardly any light, or in grey that has little to do with brightness.

    For networks that must do no harm at night or with a thermal camera.
    """
    return _dark(image, rng) if rng.random() < 0.5 else _in_other_greys(image, rng)


def _crop(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Random crop (left, top, right, bottom): 63 to 100 % of the largest crop of a random aspect ratio.

    For half of the crops the ratio is within a third of the image's, for the others it is from 1:1 to 3.4:1,
    since a network's input has one ratio and cameras have many.
    """
    if rng.random() < 0.5:
        aspect = width / height * np.exp(rng.uniform(-0.29, 0.29))
    else:
        aspect = np.exp(rng.uniform(0.0, np.log(3.4)))
    scale = rng.uniform(0.63, 1.0)
    w = min(max(round(scale * min(width, height * aspect)), 32), width)
    h = min(max(round(scale * min(height, width / aspect)), 32), height)
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    return left, top, left + w, top + h


def _toned(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Random gamma, contrast, brightness and white balance, by table; saturation and hue, by matrix."""
    x = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    gamma = np.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.08, 3))
    contrast, middle = np.exp(rng.normal(0, 0.28)), rng.uniform(0.3, 0.7)
    curve = ((x**gamma - middle) * contrast + middle + rng.normal(0, 0.08)) * np.exp(rng.normal(0, 0.1, 3))
    table = np.clip(curve * 255 + 0.5, 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table[None])
    chance = rng.random()
    if chance < 0.1:
        mix = np.broadcast_to(_LUMA, (3, 3))
    elif chance < 0.13:
        mix = np.eye(3, dtype=np.float32)[rng.permutation(3)]
    elif chance < 0.6:
        mix = _colour_matrix(float(np.exp(rng.normal(0, 0.35))), float(rng.normal(0, 0.2)))
    else:
        return np.asarray(image, np.uint8)
    return np.asarray(cv2.transform(image, np.ascontiguousarray(mix, np.float32)), np.uint8)


def _tinted_like(image: ImageArray, partner: ImageArray) -> ImageArray:
    """Image with the mean and deviation of each channel of another image: its light and palette."""
    (mean, deviation), (wanted, spread) = cv2.meanStdDev(image), cv2.meanStdDev(partner)
    gain = np.clip(spread / np.maximum(deviation, 1.0), 0.4, 2.5)
    curve = (np.arange(256, dtype=np.float32)[:, None] - mean.T) * gain.T + wanted.T
    return np.asarray(cv2.LUT(image, np.clip(curve + 0.5, 0, 255).astype(np.uint8)[None]), np.uint8)


def _colour_matrix(saturation: float, hue: float) -> FloatArray:
    """Colour matrix (3, 3): rotates hue by ``hue`` radians and multiplies the distance from grey."""
    c, s = np.cos(hue) * saturation, np.sin(hue) * saturation
    turn = c * np.eye(3) + s * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    grey = np.broadcast_to(_LUMA, (3, 3))
    matrix: FloatArray = (grey + turn @ (np.eye(3) - grey)).astype(np.float32)
    return matrix


def _shaded(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Image with smooth random shading, so brightness does not indicate depth."""
    grid = rng.normal(0, 0.35, (int(rng.integers(2, 5)), int(rng.integers(2, 5)))).astype(np.float32)
    gain = cv2.resize(np.exp(grid), image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.multiply(image, cv2.merge([gain] * 3), dtype=cv2.CV_8U), np.uint8)


def _covered(image: ImageArray, partner: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Image with one to three covered rectangles: one colour, noise or another image; depth is unchanged."""
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 4))):
        h, w = (int(n * rng.uniform(0.06, 0.3)) for n in (height, width))
        v, u = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        if rng.random() < 0.5 and partner.shape[0] > h and partner.shape[1] > w:
            i, j = int(rng.integers(0, partner.shape[0] - h)), int(rng.integers(0, partner.shape[1] - w))
            image[v : v + h, u : u + w] = partner[i : i + h, j : j + w]
        else:
            image[v : v + h, u : u + w] = rng.integers(0, 256, 3)
    return image


def _dark(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Image of 2 to 60 photons in the brightest pixel, with their noise and that of reading."""
    light = (image / np.float32(255)) ** 2 * np.float32(np.exp(rng.uniform(np.log(2), np.log(60))))
    seen = np.maximum(light + np.sqrt(light + 1) * rng.standard_normal(light.shape, np.float32), 0)
    exposed = seen * (rng.uniform(0.1, 1) / max(float(seen.max()), 1.0))
    return np.asarray(255 * np.sqrt(exposed), np.uint8)


def _in_other_greys(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Image in grey after a random curve, which rises and falls, blurred and noisy."""
    grey = cv2.GaussianBlur(image @ _LUMA, (0, 0), float(rng.uniform(0.3, 1.2)))
    levels = rng.uniform(0, 255, int(rng.integers(3, 8)))
    grey = np.interp(grey, np.linspace(0, 255, len(levels)), levels) + rng.normal(0, 3, grey.shape)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _noisy(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    start = int(rng.integers(0, max(len(_NOISE) - image.size, 1)))
    noise = np.resize(_NOISE[start : start + image.size], image.shape)  # repeated in a large image
    noise *= np.float32(np.exp(rng.normal(1.6, 0.6)))
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)

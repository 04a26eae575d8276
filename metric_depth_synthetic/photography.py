"""Camera simulation: lens, exposure, sensor noise, tone curve and compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray, ImageArray
from metric_depth_synthetic.scene import Vector

_LEVELS = 4096  # of the sensor; the finest step in the shadows is below one grey value
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_NOISE_SIZE = 1 << 20


@dataclass(frozen=True)
class Photography:
    """Image formation of one camera. The defaults only apply the sRGB curve.

    Attributes:
        metering: percentile of the image's luminance that sets the exposure; None exposes by
            ``exposure_ev`` alone, radiance 1 being white.
        exposure_ev: stops more (brighter) or less than metered.
        gain_limit: largest gain of metering.
        white_balance: gain of red, green and blue.
        saturation: 1 keeps, 0 is monochrome.
        shoulder: 0 clips highlights hard, 1 rolls them off softly.
        contrast: strength of the S-curve, negative for a flat image.
        gamma: exponent after the sRGB curve.
        lift: grey value of black, 0 to 1.
        vignetting: light lost in the corners, 0 to 1.
        aberration: difference in magnification between red and blue.
        glare: fraction of the bright light that spreads over the image.
        blur_px: standard deviation of the lens blur.
        motion_px: right and down, the image motion during exposure.
        shot_noise: noise variance at white; it grows with the light.
        read_noise: noise deviation in the dark; white is 1.
        chroma_noise: deviation of coarse colour blotches relative to the pixel noise.
        sharpening: strength of the halo at edges.
        jpeg_quality: quality of the camera's files.
    """

    metering: float | None = None
    exposure_ev: float = 0.0
    gain_limit: float = 30.0
    white_balance: Vector = (1.0, 1.0, 1.0)
    saturation: float = 1.0
    shoulder: float = 0.0
    contrast: float = 0.0
    gamma: float = 1.0
    lift: float = 0.0
    vignetting: float = 0.0
    aberration: float = 0.0
    glare: float = 0.0
    blur_px: float = 0.0
    motion_px: tuple[float, float] = (0.0, 0.0)
    shot_noise: float = 0.0
    read_noise: float = 0.0
    chroma_noise: float = 0.0
    sharpening: float = 0.0
    jpeg_quality: int = 95


NEUTRAL = Photography()


def draw_photography(rng: np.random.Generator, *, dark: bool = False) -> Photography:
    """Random camera; in a ``dark`` place it is noisier, more blurred and underexposed."""

    def sometimes(chance: float, low: float, high: float) -> float:
        value = float(rng.uniform(low, high))
        return value if rng.random() < chance else 0.0

    # Sensitivity from clean daylight to a phone at night, on a log scale.
    iso = float(np.exp(rng.uniform(*((-1.0, 1.0) if dark else (-3.0, 0.3)))))
    warmth, tint = rng.normal(0, 0.09), rng.normal(0, 0.03)
    angle, sweep = rng.uniform(0, 2 * np.pi), sometimes(0.3 if dark else 0.15, 1.0, 6.0 if dark else 4.0)
    return Photography(
        metering=float(rng.uniform(40, 92)),
        exposure_ev=float(np.clip(rng.normal(-0.3 if dark else 0.15, 0.65), -2, 1.3)),
        gain_limit=float(rng.uniform(3, 12) if dark else 30.0),
        white_balance=(float(np.exp(warmth)), float(np.exp(-tint)), float(np.exp(-warmth))),
        saturation=float(rng.uniform(0.6, 1.25)) if rng.random() < 0.93 else float(rng.uniform(0, 0.2)),
        shoulder=sometimes(0.55, 0.2, 1.0),
        contrast=float(rng.normal(0.15, 0.25)),
        gamma=float(np.exp(rng.normal(0, 0.08))),
        lift=sometimes(0.3, 0.0, 0.08),
        vignetting=sometimes(0.5, 0.05, 0.5),
        aberration=sometimes(0.3, -0.004, 0.004),
        glare=sometimes(0.4, 0.01, 0.12),
        blur_px=sometimes(0.7, 0.3, 1.3 if dark else 1.0),
        motion_px=(float(np.cos(angle) * sweep), float(np.sin(angle) * sweep)),
        shot_noise=1.2e-3 * iso**1.5,
        read_noise=5e-3 * iso,
        chroma_noise=sometimes(0.6, 0.3, 1.2),
        sharpening=sometimes(0.5, 0.1, 0.8),
        jpeg_quality=int(rng.integers(50, 99)),
    )


def photograph(radiance: FloatArray, photography: Photography, rng: np.random.Generator) -> ImageArray:
    """Image (H, W, 3) uint8 RGB that a camera takes of linear radiance (H, W, 3).

    Non-finite light counts as black. Only the noise is random.
    """
    p = photography
    light: FloatArray = np.ascontiguousarray(radiance, np.float32)
    if not np.isfinite(light.sum()):
        light = np.nan_to_num(light, nan=0.0, posinf=0.0, neginf=0.0)
    light = _through_lens(light * np.float32(_exposure(light, p)), p)
    if p.shot_noise > 0 or p.read_noise > 0:
        light = light + _sensor_noise(light, p, rng)
    # In place: the sensor clips at white; the soft shoulder needs the values above it.
    light = cv2.transform(light, _colour_matrix(p))
    top = _white(p.shoulder)
    index = np.clip(light * np.float32((_LEVELS - 1) / top), 0, _LEVELS - 1).astype(np.uint16)
    image: ImageArray = _tone_curve(p)[index]
    if p.sharpening > 0:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        image = cv2.addWeighted(image, 1 + p.sharpening, soft, -p.sharpening, 0)
    return image


def encode_jpeg(image: ImageArray, quality: int) -> bytes:
    """Bytes of a JPEG file of an image (H, W, 3) uint8 RGB.

    Raises:
        InputError: the image is not uint8 RGB, or the quality is outside 1 to 100.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise InputError(f"JPEG: image {image.shape} {image.dtype}; needed (H, W, 3) uint8.")
    if not 1 <= quality <= 100:
        raise InputError(f"JPEG: quality {quality}; needed 1 to 100.")
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return data.tobytes()


def _exposure(light: FloatArray, p: Photography) -> float:
    stops = float(2**p.exposure_ev)
    if p.metering is None:
        return stops
    median, metered = np.percentile(light[1::4, 1::4] @ _LUMA, (50, p.metering))
    # Mid-grey for the median, near white for the brightest tenth, but no image that is all near white.
    aim = 0.16 * (0.7 / 0.16) ** ((p.metering - 50) / 45)
    gain = min(aim / max(metered, 1e-6), 0.32 / max(median, 1e-6), p.gain_limit)
    return float(stops * gain)


def _through_lens(light: FloatArray, p: Photography) -> FloatArray:
    """Light on the sensor, after glare, aberration, blur and vignetting."""
    height, width = light.shape[:2]
    if p.glare > 0:
        small = cv2.resize(light, (max(width // 8, 1), max(height // 8, 1)), interpolation=cv2.INTER_AREA)
        halo = cv2.GaussianBlur(np.minimum(small, 8), (0, 0), max(small.shape[1] / 12, 0.5))
        halo = cv2.resize(halo, (width, height), interpolation=cv2.INTER_LINEAR)
        light = cv2.addWeighted(light, 1 - p.glare, halo, p.glare, 0)
    if p.aberration:
        channels = list(cv2.split(light))
        for channel, scale in ((0, 1 + p.aberration / 2), (2, 1 - p.aberration / 2)):
            shift = (1 - scale) * (np.array([width, height]) - 1) / 2
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            channels[channel] = cv2.warpAffine(
                channels[channel], matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
        light = cv2.merge(channels)
    if p.motion_px != (0.0, 0.0):
        light = cv2.filter2D(light, -1, _streak(p.motion_px), borderType=cv2.BORDER_REPLICATE)
    if p.blur_px > 0:
        light = cv2.GaussianBlur(light, (0, 0), p.blur_px)
    if p.vignetting > 0:
        light = light * (1 - np.float32(p.vignetting) * _corner_distance(height, width))[..., None]
    return np.asarray(light, np.float32)


def _streak(motion_px: tuple[float, float]) -> FloatArray:
    """Motion blur kernel: points along the motion, each distributed over its four pixels."""
    length = float(np.hypot(*motion_px))
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    steps = np.linspace(-0.5, 0.5, 4 * half + 1)[:, None] * motion_px + half
    base = np.floor(steps).astype(int)
    part = steps - base
    for i in (0, 1):
        for j in (0, 1):
            weight = np.abs(1 - i - part[:, 0]) * np.abs(1 - j - part[:, 1])
            np.add.at(kernel, (base[:, 1] + j, base[:, 0] + i), weight)
    return np.asarray(kernel / kernel.sum(), np.float32)


@lru_cache(maxsize=16)
def _corner_distance(height: int, width: int) -> FloatArray:
    """Squared distance (H, W) from the middle, 1 in the corners."""
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    aspect = np.float32(height / width)
    squared: FloatArray = (x**2 + (y[:, None] * aspect) ** 2) / (1 + aspect**2)
    return squared


@lru_cache(maxsize=1)
def _noise_table() -> FloatArray:
    """Table of normal random numbers, read from a random start: four times faster than drawing them."""
    return np.random.default_rng(0).standard_normal(_NOISE_SIZE, np.float32)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    n = int(np.prod(shape))
    if 2 * n > _NOISE_SIZE:
        return rng.standard_normal(shape, np.float32)
    start = int(rng.integers(0, _NOISE_SIZE - n))
    return _noise_table()[start : start + n].reshape(shape)


def _sensor_noise(light: FloatArray, p: Photography, rng: np.random.Generator) -> FloatArray:
    """Noise as after demosaicing: mostly common to the channels, with soft colour blotches."""
    height, width = light.shape[:2]
    grains: FloatArray = _normal(rng, (height, width, 3)) * np.float32(0.6)
    grains += _normal(rng, (height, width, 1)) * np.float32(0.8)
    if p.chroma_noise > 0:
        blotches = _normal(rng, ((height + 2) // 3, (width + 2) // 3, 3)) * np.float32(p.chroma_noise)
        grains += cv2.resize(blotches, (width, height), interpolation=cv2.INTER_LINEAR)
    level = np.clip(light, 0, 1)
    level *= np.float32(p.shot_noise)
    level += np.float32(p.read_noise**2)
    grains *= np.sqrt(level, out=level)
    return grains


def _colour_matrix(p: Photography) -> FloatArray:
    mix = p.saturation * np.eye(3) + (1 - p.saturation) * _LUMA
    return np.asarray(mix * np.array(p.white_balance), np.float32)


def _white(shoulder: float) -> float:
    """Radiance at which the sensor clips."""
    return 1.0 + 3.0 * shoulder


@lru_cache(maxsize=64)
def _tone_curve(p: Photography) -> ImageArray:
    """Tone curve (_LEVELS,) uint8 for radiance from 0 to where the sensor clips."""
    x = np.linspace(0, _white(p.shoulder), _LEVELS)
    knee = 1 - 0.6 * p.shoulder
    if p.shoulder > 0:
        rolled = 1 - np.exp((knee - np.maximum(x, knee)) / (1 - knee))
        x = np.where(x < knee, x, knee + (1 - knee) * rolled / rolled[-1])
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    y = np.clip(y, 0, 1) ** p.gamma
    y = y + np.clip(p.contrast, -0.9, 0.9) * (y * y * (3 - 2 * y) - y)
    y = p.lift + (1 - p.lift) * y
    return np.asarray(np.clip(y * 255 + 0.5, 0, 255), np.uint8)

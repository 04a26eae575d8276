"""The built-in segmenter, and which regions touch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.errors import InputError
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.regions.adjacency import grown, neighbours


def segment(image, **options):
    return build_segmenter(RegionsConfig(**options)).segment(image)


def blocks(height=240, width=320):
    """Three upright colour bars on a floor of a fourth colour, with a little noise."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 3] = (200, 40, 40)
    image[:, width // 3 : 2 * width // 3] = (40, 200, 40)
    image[:, 2 * width // 3 :] = (40, 40, 200)
    image[2 * height // 3 :] = (120, 120, 120)
    noise = np.random.default_rng(0).integers(-2, 3, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_colour_blocks_are_the_regions():
    image = blocks()
    labels = segment(image)
    assert labels.dtype == np.int32
    assert labels.shape == image.shape[:2]
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
    for v, u in ((20, 20), (20, 160), (20, 300), (220, 160)):
        same = np.abs(image.astype(int) - image[v, u]).max(axis=2) < 20
        assert (same == (labels == labels[v, u])).mean() > 0.97


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 7), (7, 1), (2, 2), (1, 500), (500, 1), (3, 3, 1), (33, 47), (1, 1, 3), (2, 9, 3)]
)
def test_any_size_has_labels_from_zero(shape):
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    labels = segment(image)
    assert labels.shape == shape[:2]
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == list(range(labels.max() + 1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_sobel_is_never_given_a_single_line(monkeypatch, shape):
    """Some builds of OpenCV 4.5 raise on one pixel."""
    sobel = cv2.Sobel

    def strict(src, *args, **kwargs):
        if min(src.shape[:2]) < 2:
            raise cv2.error("a line")
        return sobel(src, *args, **kwargs)

    monkeypatch.setattr(cv2, "Sobel", strict)
    image = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    assert segment(image).shape == shape


@pytest.mark.parametrize("value", [0, 90, 255])
def test_an_image_without_texture_is_one_region(value):
    assert segment(np.full((120, 160, 3), value, np.uint8)).max() == 0


def test_noise_everywhere_is_still_labelled():
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3)).astype(np.uint8)
    labels = segment(image)
    assert labels.min() == 0
    assert np.bincount(labels.ravel()).min() > 0


def test_a_huge_image_costs_little_more_than_its_reduction():
    image = cv2.resize(blocks(), (6000, 4000), interpolation=cv2.INTER_NEAREST)
    labels = segment(image)
    assert labels.shape == (4000, 6000)
    assert labels.max() == 3


def test_small_regions_join_the_most_similar_neighbour():
    image = np.zeros((160, 160, 3), np.uint8)
    image[:, :80], image[:, 80:] = (200, 60, 60), (60, 60, 200)
    image[70:82, 78:90] = (170, 60, 70)  # small, touches both, redder
    kept = segment(image, min_area=0.0)
    labels = segment(image, min_area=0.02)
    assert kept.max() == 2
    assert labels.max() == 1
    assert labels[75, 84] == labels[20, 20] != labels[20, 140]


def test_regions_are_at_least_the_smallest_area():
    cells = np.random.default_rng(2).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    image = cv2.resize(cells, (160, 120), interpolation=cv2.INTER_NEAREST)
    assert np.bincount(segment(image, min_area=0.05).ravel()).min() >= 0.05 * image[..., 0].size


def test_higher_threshold_fewer_regions():
    steps = np.repeat(np.arange(60, 220, 20, dtype=np.uint8), 20)
    image = np.tile(steps, (100, 1))
    assert segment(image, edge_threshold=2.0).max() == 7
    assert segment(image, edge_threshold=60.0).max() == 0


def test_same_twice_and_input_unmodified():
    image = blocks()
    copy = image.copy()
    image.flags.writeable = False
    np.testing.assert_array_equal(segment(image), segment(image))
    np.testing.assert_array_equal(image, copy)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 4, 3), float), ((4, 4, 2), np.uint8), ((0, 4, 3), np.uint8), ((4,), np.uint8)]
)
def test_no_image_is_an_input_error(shape, dtype):
    with pytest.raises(InputError, match="segmenter"):
        segment(np.zeros(shape, dtype))


def test_neighbours_touch_sideways_not_across_corners():
    labels = np.array([[0, 1], [2, 3]])
    expected = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0]], bool)
    np.testing.assert_array_equal(neighbours(labels, 4), expected)


def test_growth_stops_with_enough_or_with_all():
    row = neighbours(np.array([[0, 1, 2, 3, 4]]), 5)
    reach = grown(row, np.array([0, 0, 3, 0, 1]), 3)
    expected = [[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]
    np.testing.assert_array_equal(reach, np.array(expected, bool))
    assert grown(row, np.array([0, 0, 3, 0, 1]), 5).all()


def plain_ring_growth(labels, anchor_labels, needed):
    """Algorithm 1 of paper 000, one region after another."""
    n = labels.max() + 1
    pairs = {(a, b) for a, b in zip(labels[:, :-1].ravel(), labels[:, 1:].ravel(), strict=True) if a != b}
    pairs |= {(a, b) for a, b in zip(labels[:-1].ravel(), labels[1:].ravel(), strict=True) if a != b}
    reached = []
    for region in range(n):
        mine = {region}
        while sum(label in mine for label in anchor_labels) < needed:
            ring = {b for a, b in pairs if a in mine} | {a for a, b in pairs if b in mine}
            if ring <= mine:
                break
            mine |= ring
        reached.append([i in mine for i in range(n)])
    return np.array(reached)


@pytest.mark.parametrize("n", [3, 12, 60, 200])
def test_growth_equals_the_plain_loop(n):
    rng = np.random.default_rng(n)
    v, u = np.mgrid[0:48, 0:64]
    points = rng.uniform(0, [64, 48], (30, 2))
    labels = ((u[..., None] - points[:, 0]) ** 2 + (v[..., None] - points[:, 1]) ** 2).argmin(axis=2)
    labels = np.unique(labels, return_inverse=True)[1].reshape(48, 64)
    regions = labels.max() + 1
    anchor_labels = labels[rng.integers(0, 48, n), rng.integers(0, 64, n)]
    fast = grown(neighbours(labels, regions), np.bincount(anchor_labels, minlength=regions), 5)
    np.testing.assert_array_equal(fast, plain_ring_growth(labels, anchor_labels, 5))

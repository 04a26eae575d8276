"""True depth of a bag's images: hidden from the solver, in any form, or passed over by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metric_depth_ros.bags import BagReader, BagWriter
from metric_depth_ros.config import AnchorsConfig, Config
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.held_out import error_at, held_out
from metric_depth_ros.geometry import resize_camera
from metric_depth_ros.types import Camera, Sample

SECOND = 1_000_000_000
CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50, 23.5], [0, 0, 1]]))
POINTS = np.array([[0, 0, 4], [0.2, 0.1, 4]], np.float32)


def depth() -> Any:
    """A step from 4 m to 9 m, with a hole."""
    known = np.full((48, 64), 4, np.float32)
    known[:, 40:] = 9
    known[5:9, 5:9] = np.nan
    return known


def write_bag(path: Path, form: str, *, values: Any = None, frame: str = "camera", **camera: Any) -> Path:
    topic, true = (
        f"/true/{'image_rect' if form == '32FC1' else 'image'}",
        depth() if values is None else values,
    )
    with BagWriter(path) as bag:
        for index in range(3):
            stamp_ns = SECOND * (1 + index)
            bag.write_points("/points", POINTS, stamp_ns, "camera")
            bag.write_camera_info("/camera_info", Camera(64, 48, CAMERA.K, **camera), stamp_ns, "camera")
            bag.write_image("/image", np.full((48, 64, 3), 50 * index, np.uint8), stamp_ns, "camera")
            if index == 2:
                continue
            if form == "compressedDepth":
                bag.write_compressed_depth(topic, true, stamp_ns, frame)
            else:
                bag.write_depth(topic, true, stamp_ns, frame, encoding=form)
    return path


def read(path: Path) -> tuple[list[Sample], list[str]]:
    topic = "/true/image" if "rect" not in path.stem else "/true/image_rect"
    with BagReader(path, image="/image", anchors_held_out=topic) as reader:
        outcomes = [outcome for _, outcome in reader.samples(Config())]
        return [each for each in outcomes if isinstance(each, Sample)], [*reader.skipped]


@pytest.mark.parametrize(("form", "tolerance"), [("32FC1", 0), ("16UC1", 5e-4), ("compressedDepth", 2e-4)])
def test_an_image_has_the_true_depth_of_its_stamp(form: str, tolerance: float, tmp_path: Path) -> None:
    name = "rect.mcap" if form == "32FC1" else "a.mcap"
    samples, skipped = read(write_bag(tmp_path / name, form))
    assert not skipped and len(samples) == 3
    for sample in samples[:2]:
        np.testing.assert_allclose(sample.true_depth, depth(), atol=tolerance)
        assert sample.points_held_out is None
    assert samples[2].true_depth is None  # it has none


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"values": np.ones((24, 32), np.float32)}, "32x24, but the image is 64x48"),
        ({"frame": "other"}, "frame 'other', but the image's is 'camera'"),
    ],
)
@pytest.mark.parametrize("form", ["16UC1", "compressedDepth"])
def test_depth_of_other_pixels_is_passed_over(form: str, changes: Any, words: str, tmp_path: Path) -> None:
    samples, skipped = read(write_bag(tmp_path / "a.mcap", form, **changes))
    assert [sample.true_depth for sample in samples] == [None] * 3
    assert len(skipped) == 1 and skipped[0].startswith("/true/image: ") and words in skipped[0]


def test_rectified_depth_is_not_that_of_a_distorted_image(tmp_path: Path) -> None:
    bent = {"distortion_model": "plumb_bob", "D": (0.1, 0.0, 0.0, 0.0, 0.0)}
    _, skipped = read(write_bag(tmp_path / "rect.mcap", "32FC1", **bent))
    assert "is rectified, the image is not" in skipped[0]


def test_a_topic_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_bag(tmp_path / "a.mcap", "16UC1")
    with pytest.raises(InputError, match="/nowhere"), BagReader(path, anchors_held_out="/nowhere"):
        pass


def test_every_known_pixel_counts_at_edges_too() -> None:
    sample = Sample(np.zeros((48, 64, 3), np.uint8), CAMERA, POINTS, true_depth=depth())
    truth = held_out(sample, CAMERA, AnchorsConfig())
    assert truth is not None
    assert len(truth) == 48 * 64 - 16
    assert error_at(depth(), truth) == (0, 1)
    near = np.full((48, 64), 4, np.float32)
    assert error_at(near, truth)[0] == pytest.approx(5 / 9 * 24 * 48 / len(truth))


def test_true_depth_follows_an_image_that_is_resized_and_the_anchors_range() -> None:
    sample = Sample(np.zeros((48, 64, 3), np.uint8), CAMERA, POINTS, true_depth=depth())
    small = held_out(sample, resize_camera(CAMERA, 32, 24), AnchorsConfig(max_depth_m=5.0))
    assert small is not None
    assert small.uv[:, 0].max() < 20 and (small.depth == 4).all()
    assert len(small) > 0.9 * (48 * 40 - 16)


def test_without_anything_hidden_there_is_no_truth() -> None:
    assert held_out(Sample(np.zeros((48, 64, 3), np.uint8), CAMERA, POINTS), CAMERA, AnchorsConfig()) is None

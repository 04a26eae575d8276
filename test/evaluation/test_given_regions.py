"""Regions that come with frames: labels of the dataset, or of a folder."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import pytest

from metric_depth_ros.config import RegionsConfig
from metric_depth_ros.datasets import Frame
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import frames
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.given_regions import region_source
from metric_depth_ros.evaluation.known_depth import known_depth, known_pixels
from metric_depth_ros.types import RelativeDepth

DEPTH = np.full((24, 32), 2, np.float32)
LABELS = np.repeat(np.array([[3, 700]], np.uint16), 24, axis=0).repeat(16, axis=1)


def frame(**given) -> Frame:
    return Frame("a", 0, np.zeros((24, 32, 3), np.uint8), None, depth=DEPTH, **given)


def test_the_dataset_s_own_masks_and_those_of_a_folder(tmp_path):
    np.testing.assert_array_equal(region_source("dataset")("set", frame(regions=LABELS)), LABELS)
    assert region_source("dataset")("set", frame()) is None
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "a.png"), LABELS)
    found = region_source(str(tmp_path))("set", frame())
    np.testing.assert_array_equal(found, LABELS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, r"set/a\.png: cannot be read .*needed a label image"),
        (b"no picture", "is no PNG or JPEG"),
        (np.zeros((24, 16), np.uint8), r"\(24, 16\) of uint8; needed one channel of 32x24"),
        (np.zeros((24, 32, 3), np.uint8), r"\(24, 32, 3\) of uint8"),
    ],
)
def test_labels_that_cannot_be_used(labels, message, tmp_path):
    (tmp_path / "set").mkdir()
    if isinstance(labels, bytes):
        (tmp_path / "set/a.png").write_bytes(labels)
    elif labels is not None:
        cv2.imwrite(str(tmp_path / "set/a.png"), labels)
    with pytest.raises(InputError, match=message):
        region_source(str(tmp_path))("set", frame())


def test_only_a_folder_has_labels():
    with pytest.raises(InputError, match="--regions nowhere: no folder; needed dataset, or FOLDER"):
        region_source("nowhere")


def test_no_file_outside_the_folder_is_read(tmp_path):
    (tmp_path / "labels/set").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "a.png"), LABELS)
    outside = Frame("../../a", 0, np.zeros((24, 32, 3), np.uint8), None, depth=DEPTH)
    with pytest.raises(InputError, match="cannot be read"):
        region_source(str(tmp_path / "labels"))("set", outside)


def test_a_view_gives_solvers_the_given_regions_numbered_from_0():
    known = known_depth(frame(), known_pixels(frame()), limits_m=(0, 10))
    relative = RelativeDepth(DEPTH, "depth")
    view = KnownView("set", "a", "indoor", frame().image, None, relative, known, given_regions=LABELS)
    found = view.regions(RegionsConfig(source="topic"))
    np.testing.assert_array_equal(found, (LABELS == 700).astype(int))
    assert view.regions(RegionsConfig(source="topic")) is found
    without = KnownView("set", "a", "indoor", frame().image, None, relative, known)
    with pytest.raises(InputError, match=r"set/a: no regions are given; needed the dataset's own"):
        without.regions(RegionsConfig(source="topic"))


def test_a_segmenter_s_network_is_loaded_once(monkeypatch):
    loaded = []

    class Sam:
        def segment(self, image, relative):
            return np.zeros(image.shape[:2], np.int32)

    monkeypatch.setattr(frames, "_segmenter", lru_cache(lambda config: loaded.append(config) or Sam()))
    known = known_depth(frame(), known_pixels(frame()), limits_m=(0, 10))
    for name in "ab":
        view = KnownView("set", name, "indoor", frame().image, None, RelativeDepth(DEPTH, "depth"), known)
        assert not view.regions(RegionsConfig(source="sam", manifest="sam.yaml")).any()
    assert len(loaded) == 1

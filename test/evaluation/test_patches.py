"""Scale and shift of parts of an image (paper 000, section 3.1)."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from metric_depth_ros.cli.main import main
from metric_depth_ros.datasets import Frame
from metric_depth_ros.errors import AnchorError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.known_depth import known_depth, known_pixels
from metric_depth_ros.evaluation.patches import normalised, patch_table, patches
from metric_depth_ros.types import RelativeDepth

HEIGHT, WIDTH = 30, 45
X = np.random.default_rng(0).uniform(1, 3, (HEIGHT, WIDTH)).astype(np.float32)


def view_of(depth, values=X) -> KnownView:
    frame = Frame("a", 0, np.zeros((HEIGHT, WIDTH, 3), np.uint8), None, depth=depth.astype(np.float32))
    known = known_depth(frame, known_pixels(frame), limits_m=(0, 100))
    return KnownView("set", "a", "indoor", frame.image, None, RelativeDepth(values, "depth"), known)


def test_equations_2_and_3():
    found = normalised(RelativeDepth(X, "depth"))
    assert np.median(found) == pytest.approx(0, abs=1e-6) and np.abs(found).mean() == pytest.approx(1)
    np.testing.assert_allclose(
        found, (X - np.median(X)) / np.abs(X - np.median(X)).mean(), rtol=1e-4, atol=1e-6
    )
    inverse = normalised(RelativeDepth(1 / X, "inverse_depth"))
    np.testing.assert_allclose(inverse, found, atol=1e-4)
    assert not normalised(RelativeDepth(np.ones_like(X), "depth")).any()
    assert np.isnan(normalised(RelativeDepth(np.full_like(X, np.nan), "depth"))).all()


def test_every_patch_has_its_own_scale_and_shift():
    """2 x 3 patches of 15 x 15 pixels, each with a line of its own."""
    number = (np.arange(HEIGHT)[:, None] // 15) * 3 + np.arange(WIDTH) // 15
    depth = (0.5 + 0.1 * number) * normalised(RelativeDepth(X, "depth")) + 5 + number
    depth[number == 4] = np.nan
    image, *found = patches(view_of(depth), 2, 3)
    assert [each.pixels for each in found] == [225] * 4 + [0, 225] and image.pixels == 5 * 225
    for index, each in enumerate(found):
        if index == 4:
            assert np.isnan([each.scale, each.shift, each.own_error]).all()
            continue
        assert (each.scale, each.shift) == pytest.approx((0.5 + 0.1 * index, 5 + index), rel=1e-4)
        assert each.own_error < 1e-5 < 0.01 < each.global_error
    assert image.own_error == pytest.approx(np.mean([f.global_error for f in found if f.pixels]))
    lines = patch_table([image, *found]).splitlines()
    assert lines[3] == f"| Patch 1 | 0.50 | 5.00 | 225 | 0.000 | {found[0].global_error:.3f} |"
    assert lines[7] == "| Patch 5 | nan | nan | 0 | nan | nan |"


def test_a_network_that_says_nothing_has_no_patches():
    with pytest.raises(AnchorError, match="set/a: the network gives no value at 1350 known pixels"):
        patches(view_of(X, np.full_like(X, np.nan)), 2, 3)


def test_the_verb_prints_them_for_stored_outputs_too(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    (tmp_path / "outputs/set").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "set/a.png"), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    np.savez(tmp_path / "set/a.npz", depth=2 * X)
    np.savez(tmp_path / "outputs/set/a.npz", relative=X, kind="depth")
    frames = [{"id": "a", "rgb": "a.png", "depth": "a.npz"}]
    (tmp_path / "set/calib.json").write_text(json.dumps({"frames": frames}))
    argv = ["explain", str(tmp_path / "set"), "--engine", str(tmp_path / "outputs"), "--patches"]
    assert main([*argv, "2x3"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("set/a\n\n| Patch | Scale (s) | Shift (t) |") and "| Patch 6 |" in text
    for wrong, message in (
        ("2", "--patches 2: needed ROWSxCOLUMNS"),
        ("0x3", "--patches 0x3"),
        ("99x99", "at most"),
    ):
        assert main([*argv, wrong]) == 1
        assert message in capsys.readouterr().err
    assert main([*argv, "2x3", "--frame", "b"]) == 1
    assert "no such frame" in capsys.readouterr().err

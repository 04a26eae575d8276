"""The codec of near and far depth: its equations, its way back, and what must not leak."""

import numpy as np
import pytest

from metric_depth_ros.errors import ConfigError
from metric_depth_ros.near_far import (
    FOCUSES,
    PRESETS,
    TAPER,
    decode_far,
    decode_near,
    encode,
    focus_of,
    fuse,
    fuse_focuses,
    is_pool,
    mask_accuracy,
)

# Tables 3b, 5 and 6 of paper 004.
POOL = [2, 4, 6, 10, 20, 40, 80, 120]
NAN, INF = np.nan, np.inf


def back(depth, focus_m, *, soft=False, taper=TAPER):
    near, far, mask = encode(depth, focus_m, taper)
    return fuse(decode_near(near, focus_m), decode_far(far, focus_m, taper), mask, soft=soft)


def test_equations_1_to_3_by_hand():
    near, far, mask = encode(np.array([5.0, 10, 50, INF, NAN]), 10)
    np.testing.assert_allclose(near, [0.5, 1, NAN, NAN, NAN])
    np.testing.assert_allclose(far, [NAN, NAN, np.exp(-1), 0, NAN], rtol=1e-6)
    assert mask.tolist() == [True, True, False, False, False]
    assert near.dtype == far.dtype == np.float32


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("focus_m", POOL)
def test_the_way_back_is_exact(focus_m, soft):
    depth = np.concatenate([np.geomspace(1e-3, 3e3, 2001), [focus_m]]).astype(np.float32)
    # Rounding of tapered depth near 1 is 6e-8, of which 1 / k makes metres.
    np.testing.assert_allclose(back(depth, focus_m, soft=soft), depth, rtol=1e-6, atol=6e-8 / TAPER)


@pytest.mark.parametrize("soft", [False, True])
def test_infinity_nan_and_beyond_come_back(soft):
    found = back(np.array([INF, NAN, 1e5, 3.4e38], np.float32), 2.0, soft=soft)
    np.testing.assert_array_equal(found, [INF, NAN, INF, INF])


@pytest.mark.filterwarnings("error")
def test_no_value_makes_a_warning():
    depth = np.array([0, 1e-38, 1, 3.4e38, INF, NAN], np.float32)
    back(depth, 0.01)
    back(depth, 1000.0, soft=True)
    decode_far(np.array([0, 1, 1e-45, NAN], np.float32), 10)


def test_the_focus_meets_from_both_sides():
    assert decode_near(1.0, 20) == decode_far(1.0, 20) == 20
    assert decode_far(1.5, 20) == 20


def test_fusion_takes_the_likelier_or_the_mean():
    near, far, mask = np.full(4, 2.0), np.full(4, 10.0), np.array([0.75, 0.5, 0.25, NAN])
    np.testing.assert_array_equal(fuse(near, far, mask), [2, 2, 10, NAN])
    np.testing.assert_array_equal(fuse(near, far, mask, soft=True), [4, 6, 8, NAN])


@pytest.mark.parametrize("soft", [False, True])
def test_a_branch_without_weight_does_not_leak(soft):
    found = fuse(np.array([1, NAN, INF]), np.array([INF, 3, 3]), np.array([1, 0, 0]), soft=soft)
    np.testing.assert_array_equal(found, [1, 3, 3])


def test_several_focuses_by_hand():
    """At 2 and 10 m: certainly near, certainly between, beyond, and undecided between all three."""
    near = np.array([[[0.5, 0.9, 0.9, 0.5]], [[0.3, 0.4, 0.9, 0.4]]])
    far = np.full((2, 1, 4), np.exp(-1))  # 40 m beyond the focus
    mask = np.array([[[1, 0, 0, 0.25]], [[1, 1, 0, 0.75]]])
    hard = fuse_focuses(near, far, mask, (2, 10))
    soft = fuse_focuses(near[::-1], far, mask[::-1], (10, 2), soft=True)
    np.testing.assert_allclose(hard, [[1, 4, 50, 4]], rtol=1e-6)
    np.testing.assert_allclose(soft, [[1, 4, 50, 0.25 * 1 + 0.5 * 4 + 0.25 * 50]], rtol=1e-6)


@pytest.mark.parametrize("soft", [False, True])
def test_one_of_several_focuses_is_fuse(soft):
    rng = np.random.default_rng(0)
    near, far, mask = rng.random((3, 1, 4, 5))
    mask[0, 0, 0] = NAN
    far[0, 1, 1], mask[0, 1, 1] = 0, 1
    wanted = fuse(decode_near(near[0], 10), decode_far(far[0], 10), mask[0], soft=soft)
    np.testing.assert_allclose(fuse_focuses(near, far, mask, [10], soft=soft), wanted, rtol=1e-6)


@pytest.mark.parametrize("soft", [False, True])
def test_a_mask_unknown_for_one_focus_makes_depth_unknown(soft):
    near, far, mask = (np.full((2, 1, 2), x) for x in (0.5, 0.5, 1.0))
    mask[1, 0, 0] = NAN
    np.testing.assert_array_equal(fuse_focuses(near, far, mask, (2, 10), soft=soft), [[NAN, 1]])


def test_another_taper_gives_another_far():
    np.testing.assert_allclose(encode(np.array([30.0]), 10, taper=0.1).far, np.exp(-2), rtol=1e-6)
    np.testing.assert_allclose(back(np.array([30.0]), 10, taper=0.1), 30, rtol=1e-6)


def test_focus_in_words():
    told = {"manipulation": 2, "indoor": 10, "outdoor": 80, "sky": 120}
    assert {name: focus_of(name) for name in PRESETS} == told and focus_of("2.5") == 2.5


@pytest.mark.parametrize("text", ["near", "", "-1", "0", "off", "nan", "inf"])
def test_no_focus(text):
    with pytest.raises(ConfigError, match="needed positive metres, or one of manipulation"):
        focus_of(text)


def test_a_pool_rises_and_is_positive_and_finite():
    assert is_pool(POOL) and is_pool([10]) and [*FOCUSES] == POOL
    for wrong in ([], [0, 2], [2, 2], [4, 2], [2, INF], [NAN], [2, NAN, 4]):
        assert not is_pool(wrong)


def test_the_accuracy_of_a_mask_leaves_out_sky_and_what_is_unknown():
    """Of 1, 5 and 30 m two are right at a focus of 10 m; the sky is right, and unknown depth is not."""
    depth = np.array([1.0, 5.0, 30.0, INF, NAN])
    assert mask_accuracy(np.array([True, False, False, False, True]), depth, 10.0) == pytest.approx(2 / 3)
    assert mask_accuracy(np.array([True, False, False, True, False]), depth, 10.0) == pytest.approx(2 / 3)
    assert mask_accuracy(np.array([True]), np.array([10.0]), 10.0) == 1  # the focus itself is near
    assert np.isnan(mask_accuracy(np.zeros(2, bool), np.array([INF, NAN]), 10.0))

"""Scale and shift from a training set: what is linear in the embedding is found, noise is not used."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

from metric_depth_ros.config import Config
from metric_depth_ros.datasets import Frame
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.known_depth import known_depth, known_pixels
from metric_depth_ros.evaluation.train_scaling import (
    example_of,
    fit_scaling,
    no_embedding,
    scaling_candidates,
)
from metric_depth_ros.types import RelativeDepth

HEIGHT, WIDTH = 24, 32
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def view_of(index, scale, shift, kind="depth", scene=None) -> KnownView:
    """A view whose true depth, or inverse depth, is scale x + shift."""
    x = np.random.default_rng(index).uniform(1, 3, (HEIGHT, WIDTH)).astype(np.float32)
    y = scale * x + shift
    frame = Frame(str(index), 0, IMAGE, None, depth=y if kind == "depth" else 1 / y)
    known = known_depth(frame, known_pixels(frame), limits_m=(0, 1e3))
    relative = RelativeDepth(x, kind)
    return KnownView("set", str(index), "indoor", IMAGE, None, relative, known, scene=scene or f"set/{index}")


def embedding(index, noise=0.0):
    """Size of the scene, and 20 numbers that say nothing."""
    generator = np.random.default_rng(1000 + index)
    return np.concatenate([[generator.uniform(-1, 1)], noise * generator.normal(size=20)])


def linear(count, kind="depth", noise=0.0):
    """Views and embeddings; log scale and log shift are linear in the first number."""
    found = []
    for index in range(count):
        told = embedding(index, noise)
        scale, shift = np.exp([0.7 + 0.5 * told[0], -0.7 - 0.2 * told[0]])
        found.append((view_of(index, scale, shift, kind), told))
    return found


@pytest.mark.parametrize("kind", ["depth", "inverse_depth"])
def test_one_scale_and_shift_for_all_has_the_least_l1_error_of_log_depth(kind):
    views = [view_of(0, 2, 0.5, kind), view_of(1, 3, 0.1, kind), view_of(2, 2.2, 0.4, kind)]
    examples = [example_of(v, no_embedding(v, True)) for v in views]
    found = fit_scaling(examples, kind)
    assert found.images == 3 and found.ridge == 0

    def error(log_ab):
        scale, shift = np.exp(log_ab)
        return np.mean([np.abs(e.log_y - np.log(scale * e.x + shift)).mean() for e in examples])

    best = minimize(error, np.log([2, 0.5]), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-7})
    assert error(np.log(found.scale_and_shift(np.zeros(0)))) < best.fun + 0.002


@pytest.mark.parametrize("kind", ["depth", "inverse_depth"])
def test_what_is_linear_in_the_embedding_is_found_and_depth_is_exact(kind):
    found = fit_scaling([example_of(view, [told]) for view, told in linear(40, kind)], kind)
    told = embedding(99)
    scale, shift = found.scale_and_shift(told)
    assert scale == pytest.approx(np.exp(0.7 + 0.5 * told[0]), rel=0.05)
    assert shift == pytest.approx(np.exp(-0.7 - 0.2 * told[0]), rel=0.1)
    view = view_of(99, scale, shift, kind)
    depth = found.depth(view, told).depth
    u, v = np.rint(view.known.pixels.uv).astype(int).T
    np.testing.assert_allclose(depth[v, u], view.known.pixels.depth, rtol=1e-4)


def test_depth_too_far_is_as_bad_as_too_near():
    """Half of the images have four times the inverse depth of the others: the middle has errors of ln 2."""
    views = [view_of(i, 4 if i % 2 else 1, 1e-3, "inverse_depth") for i in range(10)]
    found = fit_scaling([example_of(v, no_embedding(v, True)) for v in views], "inverse_depth")
    errors = []
    for view in views:
        u, v = np.rint(view.known.pixels.uv).astype(int).T
        depth = found.depth(view, np.zeros(0)).depth[v, u]
        errors.append(np.log(depth / view.known.pixels.depth))
    assert np.abs(errors).mean() < np.log(2) * 1.02 and np.abs(np.median(errors)) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_embeddings_that_say_nothing_are_hardly_believed(seed):
    generator = np.random.default_rng(seed)
    examples = []
    for index in range(30):
        view = view_of(index, generator.uniform(1, 3), 0.5)
        examples.append(example_of(view, [generator.normal(size=40)]))
    found = fit_scaling(examples, "depth")
    told = [found.scale_and_shift(generator.normal(size=40))[0] for _ in range(20)]
    assert np.std(told) < 0.25 and found.ridge >= 10


def test_one_scene_is_never_on_both_sides_of_the_choice():
    """Of each scene many frames with the same embedding, and scales that have nothing to do with it."""
    generator = np.random.default_rng(0)
    whole, torn = [], []
    for scene in range(8):
        told, scale = generator.normal(size=30), generator.uniform(1, 3)
        for k in range(4):
            whole.append(example_of(view_of(10 * scene + k, scale, 0.5, scene=f"s{scene}"), [told]))
            torn.append(dataclasses.replace(whole[-1], scene=f"s{scene} {k}"))
    assert fit_scaling(torn, "depth").ridge < 1 < fit_scaling(whole, "depth").ridge
    one = [example_of(view_of(k, 2, 0.5, scene="s"), [generator.normal(size=3)]) for k in range(5)]
    assert fit_scaling(one, "depth").ridge == 1e5


def test_several_sentences_of_an_image_count_as_one_image():
    views = [view_of(0, 2, 0.5), view_of(1, 4, 0.5)]
    once = [example_of(view, [np.zeros(2)]) for view in views]
    often = [example_of(views[0], [np.zeros(2)] * 5), example_of(views[1], [np.zeros(2)])]
    assert fit_scaling(once, "depth").scale_and_shift(np.zeros(2)) == pytest.approx(
        fit_scaling(often, "depth").scale_and_shift(np.zeros(2))
    )


def test_the_kind_must_be_the_training_s():
    views = [view_of(index, 1, 0.5) for index in range(3)]
    found = fit_scaling([example_of(view, no_embedding(view, True)) for view in views], "depth")
    with pytest.raises(ConfigError, match="set/9: inverse_depth; the training set's is depth"):
        found.depth(view_of(9, 1, 1, "inverse_depth"), np.zeros(0))


def test_candidates_are_named_as_in_the_paper_and_need_no_anchors():
    def embed(view, training):
        if view.frame_id == "7":
            raise InputError("set/7: no description.")
        return [embedding(int(view.frame_id))] * (2 if training else 1)

    views = [view for view, _ in linear(7)]
    rows = scaling_candidates(Config(), {"Global": no_embedding, "RSA": embed}, views)
    assert [(row.label, row.control) for row in rows] == [("Global", False), ("RSA", False)]
    nothing = views[0].known.pixels.take(np.zeros(0, int))
    for row, most in zip(rows, (0.6, 0.02), strict=True):
        row.prepare(views[3])
        depth = row.solve(views[3], nothing).depth
        u, v = np.rint(views[3].known.pixels.uv).astype(int).T
        assert np.mean(np.abs(depth[v, u] / views[3].known.pixels.depth - 1)) < most
    silent = view_of(7, 2, 0.5)
    rows[1].prepare(silent)
    with pytest.raises(InputError, match="no description"):
        rows[1].solve(silent, nothing)
    with pytest.raises(InputError, match="no training image"):
        scaling_candidates(Config(), {"Global": no_embedding}, [])
    both = [view_of(0, 2, 0.5), view_of(1, 2, 0.5, "inverse_depth")]
    with pytest.raises(InputError, match="depth and inverse depth; needed outputs of one network"):
        scaling_candidates(Config(), {"Global": no_embedding}, both)


def test_an_image_without_a_value_of_the_network_is_no_example():
    view = view_of(0, 2, 0.5)
    view.relative.values[:] = np.nan
    assert example_of(view, no_embedding(view, True)) is None

"""Losses of TR2M (paper 003) against its equations, by hand; the weights are pinned."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'metric_depth_ros[train]'")

import torch

from metric_depth_ros.learning.training.tr2m import losses


def maps(*rows):
    """(1, 1, H, W) float32."""
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def test_the_weights_are_the_paper_s():
    assert losses.SI_LAMBDA == 0.15 and losses.CLASSES == 20
    one = [torch.tensor(float(k)) for k in (1, 10, 100, 1000)]
    assert float(losses.Losses(*one).total()) == pytest.approx(1 * 1 + 0.5 * 10 + 0.1 * 100 + 0.01 * 1000)


def test_the_scale_invariant_loss_is_equation_4():
    truth = maps([1.0, 2.0, 4.0], [np.nan, np.inf, 8.0])
    predicted = maps([2.0, 2.0, 3.0], [7.0, 7.0, 16.0])
    error = np.log([2, 1, 0.75, 2])
    wanted = np.mean(error**2) - 0.15 / 16 * np.sum(error) ** 2
    assert float(losses.scale_invariant_loss(predicted, truth)) == pytest.approx(wanted, rel=1e-5)
    # One factor costs 85 % of what it would without the second term.
    twice = losses.scale_invariant_loss(2 * truth, truth)
    assert float(twice) == pytest.approx(0.85 * np.log(2) ** 2, rel=1e-5)
    unknown = maps([np.nan, np.inf])
    predicted = maps([1.0, 2.0]).requires_grad_()
    loss = losses.scale_invariant_loss(predicted, unknown).sum()
    loss.backward()
    assert float(loss.detach()) == 0 and torch.equal(predicted.grad, torch.zeros_like(predicted))


@pytest.mark.parametrize("space", ["inverse_depth", "depth"])
def test_pseudo_depth_is_the_least_squares_line_in_its_space(space):
    rng = np.random.default_rng(0)
    relative = rng.uniform(0.2, 3, (2, 1, 6, 7)).astype(np.float32)
    truth = rng.uniform(1, 9, relative.shape).astype(np.float32)
    truth[0, 0, :2] = np.nan
    found, delta1 = losses.pseudo_depth(torch.from_numpy(relative), torch.from_numpy(truth), space)
    for k in range(2):
        x, y = relative[k, 0], truth[k, 0]
        known = np.isfinite(y)
        target = 1 / y if space == "inverse_depth" else y
        line = np.polyval(np.polyfit(x[known], target[known], 1), x)
        depth = 1 / line if space == "inverse_depth" else line
        np.testing.assert_allclose(found[k, 0].numpy(), depth, rtol=1e-3)
        close = np.maximum(depth / y, y / depth)[known] < 1.25
        assert float(delta1[k]) == pytest.approx(close.mean(), abs=1e-6)


def test_pseudo_depth_of_nothing_is_unknown():
    one, nan = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), torch.nan)
    for relative, truth in ((one, one), (one, nan), (nan, one)):
        depth, delta1 = losses.pseudo_depth(relative, truth)
        assert depth.isnan().all() and float(delta1) == 0


def test_pseudo_depth_has_the_limits_of_its_own_data():
    """A colon of centimetres beside a street: each image has its own limits."""
    relative = maps([1.0, 2.0, 4.0, 5.0]).repeat(2, 1, 1, 1)
    truth = torch.cat([0.05 / relative[:1], 50 / relative[1:]])
    own = torch.tensor([[0.0005, 0.2], [0.05, 20.0]])
    depth, delta1 = losses.pseudo_depth(relative, truth, limits_m=own)
    torch.testing.assert_close(depth[0], truth[0])
    assert depth[1].isfinite().flatten().tolist() == [False, False, True, True]
    assert delta1.tolist() == [1, 0.5]
    usual, _ = losses.pseudo_depth(relative, truth)
    assert usual[0].isfinite().sum() <= 1 and usual[1].isfinite().all()
    predicted = torch.full_like(relative, 0.5)
    assert losses.pseudo_loss(predicted, relative, truth, limits_m=own)[0] > 0


def test_pseudo_depth_counts_only_above_rho_and_not_in_the_sky():
    relative = maps([1.0, 2.0, 4.0, 5.0, 0.1])
    truth = 1 / relative
    truth[..., 3], truth[..., 4] = torch.nan, torch.inf
    predicted = torch.full_like(relative, 0.5)
    wanted = losses.scale_invariant_loss(predicted[..., :4], 1 / relative[..., :4])
    assert float(losses.pseudo_loss(predicted, relative, truth)) == pytest.approx(float(wanted), rel=1e-5)
    # Half of the pixels are off by far: delta1 is below rho.
    noisy = maps([1.0, 9.0, 0.3, 5.0, 2.0])
    assert float(losses.pseudo_depth(relative, noisy)[1]) < losses.PSEUDO_RHO
    assert float(losses.pseudo_loss(predicted, relative, noisy)) == 0


def test_classes_are_linear_in_depth():
    depth = maps([1.0, 2.0, 3.0], [5.0, np.nan, np.inf])
    assert losses.depth_classes(depth, (2, 3), 4).tolist() == [[[4, 3, 2], [0, -1, -1]]]
    assert losses.depth_classes(depth, (2, 3), 20).tolist() == [[[20, 15, 10], [0, -1, -1]]]


def test_contrast_is_equation_8():
    rng = np.random.default_rng(1)
    q, k1, k2 = (rng.standard_normal((1, 5, 2, 3)).astype(np.float32) for _ in range(3))
    own, c1, c2 = np.array([0, 1, 1, -1, 2, 7]), np.array([0, 1, 1, -1, 2, 9]), np.array([1, 1, 0, 0, -1, 3])

    def cosine(a, b):
        a, b = a.reshape(5, 6), b.reshape(5, 6)
        return (a.T @ b) / np.outer(np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0))

    terms = []
    for i in range(6):
        if own[i] < 0:
            continue
        positive, negative = [], 0.0
        for key, classes in ((k1, c1), (k2, c2)):
            row, known = cosine(q, key)[i], classes >= 0
            positive += list(row[(classes == own[i]) & known])
            negative += row[(classes != own[i]) & known].mean()
        if positive:
            p = np.exp(np.mean(positive))
            terms.append(-np.log(p / (p + np.exp(negative))))
    assert len(terms) == 4  # not the unknown pixel, nor the one whose class no key has
    query, *keys = map(torch.from_numpy, (q, k1, k2))
    query_class, *key_classes = (torch.from_numpy(classes).reshape(1, 2, 3) for classes in (own, c1, c2))
    found = losses.contrast_loss(query, keys, query_class, key_classes)
    assert float(found) == pytest.approx(np.mean(terms), rel=1e-5)


def test_contrast_of_unknown_depth_is_nothing():
    features, unknown = torch.randn(1, 4, 2, 2), torch.full((1, 2, 2), -1)
    assert float(losses.contrast_loss(features, [features], unknown, [unknown])) == 0


def test_smoothness_is_free_at_the_image_s_edges():
    map_ = maps([0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    flat, edge = torch.zeros(1, 3, 2, 3), torch.zeros(1, 3, 2, 3)
    edge[..., 2] = 1.0
    assert float(losses.smoothness_loss(map_, flat)) == pytest.approx(0.5)
    assert float(losses.smoothness_loss(map_, edge)) == pytest.approx(0.5 * np.exp(-1), rel=1e-5)
    assert float(losses.smoothness_loss(torch.ones(1, 1, 4, 4), torch.rand(1, 3, 4, 4))) == 0

"""Scale and shift learned on a training set: the rows "Global", "Image" and "RSA" of paper 000's tables.

All three give an image y = exp(a) x + exp(b) in the network's own space, x its output made positive. Global
has one a and b for all images; Image and RSA (Zeng et al. 2024) regress them from an embedding of the image,
or of a sentence about it. Those papers train small networks with the L1 error of depth; here a and b are
linear in the embedding, and the L1 error is that of log depth (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metric_depth_ros.config import Config
from metric_depth_ros.depth import depth_from, depth_in, published, relative_in
from metric_depth_ros.errors import ConfigError, InputError, MetricDepthError
from metric_depth_ros.evaluation.candidates import Candidate, limited
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.types import Anchors, FloatArray, IntArray, Kind, MetricDepth

# Most directions of the embeddings that are used: those in which they vary most.
_DIRECTIONS = 64
# Strengths of the ridge to choose from, in images; parts of the training set, and most rows, for that choice.
_RIDGES = (1e5, 1e3, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
_FOLDS, _CHOICE_ROWS = 5, 2000
# An error this many times the least one is as good.
_AS_GOOD = 1.01
# Pixels of an image that count, and rows that are handled at once.
_PIXELS, _TOGETHER = 100, 2000
# Most steps of a fit, and gain that ends it, as part of the error; errors of log depth below which L1
# is squared; pull of the level to its start.
_STEPS, _GAIN, _SMALL, _PULL = 30, 1e-5, 0.02, 1e-3
# Parts of y that the scale may have at the start; the shift has the rest.
_SHARES = (0.9995, 0.9, 0.5, 0.1)

# Function from a view, and whether it is for training, to its embeddings (P,): in training several, if there
# are several sentences. Raises MetricDepthError.
Embed = Callable[[KnownView, bool], Sequence[FloatArray]]


@dataclass(frozen=True, eq=False)
class Example:
    """All that is kept of a training image.

    Attributes:
        x, log_y: (100,) the network's output and the logarithm of the true y, at random known pixels.
        embeddings: (K, P), one or more.
        scene: examples of one scene are never both for fitting and for choosing.
    """

    x: FloatArray
    log_y: FloatArray
    embeddings: FloatArray
    scene: str


@dataclass(frozen=True, eq=False)
class TrainScaling:
    """Scale and shift of an image by its embedding.

    Attributes:
        kind: of the network's output: its space.
        centre: (P,) mean embedding of the training set.
        weights: (2, P) change of log scale and log shift with the embedding.
        level: (2,) log scale and log shift at the mean embedding.
        ridge: the chosen strength; 0: there was nothing to choose.
        images: number of training images.
    """

    kind: Kind
    centre: FloatArray
    weights: FloatArray
    level: FloatArray
    ridge: float
    images: int

    def scale_and_shift(self, embedding: FloatArray) -> tuple[float, float]:
        """Scale and shift for an embedding (P,), both positive."""
        scale, shift = np.exp(self.level + self.weights @ (embedding - self.centre)).tolist()
        return scale, shift

    def depth(self, view: KnownView, embedding: FloatArray) -> MetricDepth:
        """Depth (H, W) in metres.

        Raises:
            ConfigError: the network's output is of another kind than in training.
        """
        if view.relative.kind != self.kind:
            raise ConfigError(f"{view.name}: {view.relative.kind}; the training set's is {self.kind}.")
        scale, shift = self.scale_and_shift(embedding)
        y = np.float32(scale) * relative_in(self.kind, view.relative) + np.float32(shift)
        return MetricDepth(depth_from(self.kind, y), info={"scale": scale, "shift": shift})


def example_of(view: KnownView, embeddings: Sequence[FloatArray]) -> Example | None:
    """Example of a view's known pixels; None where the network gives no value at any."""
    truth, kind = view.known.pixels, view.relative.kind
    u, v = np.rint(truth.uv).astype(np.intp).T
    x = relative_in(kind, view.relative)[v, u]
    seen = np.flatnonzero(np.isfinite(x))
    if not len(seen):
        return None
    generator = np.random.default_rng([*view.name.encode()])
    drawn = generator.choice(seen, _PIXELS, replace=len(seen) < _PIXELS)
    log_y = np.log(depth_in(kind, truth.depth[drawn]))
    return Example(x[drawn].astype(np.float64), log_y, np.stack(embeddings), view.scene)


def fit_scaling(examples: Sequence[Example], kind: Kind) -> TrainScaling:
    """Scaling with the least absolute error of log depth over the examples, each with the same weight.

    The embeddings' 64 directions of most variance count, under a ridge that pulls to one scale and shift for
    all; its strength is the one with the least error on scenes that were left out (five parts).

    Raises:
        InputError: there is no example.
    """
    if not examples:
        raise InputError("fit-on: no training image with enough known pixels; needed some.")
    counts = [len(example.embeddings) for example in examples]
    image: IntArray = np.repeat(np.arange(len(examples)), counts)
    stacked = np.concatenate([example.embeddings for example in examples]).astype(np.float64)
    weight = np.repeat(1 / np.array(counts), counts)
    centre = weight @ stacked / weight.sum()
    directions = _directions(stacked - centre)
    features = np.column_stack([np.ones(len(image)), (stacked - centre) @ directions])
    x, log_y = (np.stack([getattr(example, name) for example in examples]) for name in ("x", "log_y"))
    problem = _Problem(x, log_y, image, features, weight)
    ridge = _chosen_ridge(problem, [example.scene for example in examples]) if directions.size else 0.0
    solution = problem.solved(ridge, np.arange(len(image)))
    return TrainScaling(kind, centre, solution[:, 1:] @ directions.T, solution[:, 0], ridge, len(examples))


def _directions(centred: FloatArray) -> FloatArray:
    """Directions (P, k) of most variance, scaled so that the features' mean square length is 1."""
    _, size, directions = np.linalg.svd(centred, full_matrices=False)
    kept = min(_DIRECTIONS, int(np.count_nonzero(size > 1e-6 * size.max(initial=1e-9))))
    length = np.sqrt((size[:kept] ** 2).sum() / len(centred))
    return np.asarray(directions[:kept].T / max(length, np.finfo(np.float64).tiny))


@dataclass(frozen=True, eq=False)
class _Problem:
    """Fit of (a, b) = W f to log y = log(exp(a) x + exp(b)).

    Attributes:
        x, log_y: (N, 100) of N images.
        image: (R,) the image of each row.
        features: (R, 1 + k) f of each row.
        weight: (R,) of each row.
    """

    x: FloatArray
    log_y: FloatArray
    image: IntArray
    features: FloatArray
    weight: FloatArray

    def solved(self, ridge: float, rows: IntArray, start: FloatArray | None = None) -> FloatArray:
        """W (2, 1 + k) of some rows, by damped Gauss-Newton steps with reweighting (L1)."""
        level = self._level(rows)
        found = level if start is None else start
        pull = np.full(found.shape, ridge)
        pull[:, 0] = _PULL * self.weight[rows].sum()
        objective, normal, right = self._step(found, rows)
        objective += float(np.sum(pull * (found - level) ** 2)) / 2
        damping = 1e-3
        for _ in range(_STEPS):
            gradient = right - (pull * (found - level)).ravel()
            damped = normal + np.diag(pull.ravel() + damping * np.diag(normal))
            step = np.linalg.solve(damped, gradient).reshape(found.shape)
            after, next_normal, next_right = self._step(found + step, rows)
            after += float(np.sum(pull * (found + step - level) ** 2)) / 2
            gain = objective - after
            if gain > 0:
                found, objective, normal, right = found + step, after, next_normal, next_right
                damping /= 5
            else:
                damping *= 5
            if np.abs(step).max() < 1e-5 or 0 < gain < _GAIN * objective:
                break
        return found

    def _level(self, rows: IntArray) -> FloatArray:
        """W (2, 1 + k) of a usual scale and shift, the same for all images: the best of some shares of y."""
        images = np.unique(self.image[rows])
        x, log_y = self.x[images], self.log_y[images]
        scale, shift = np.median(log_y - np.log(x)), np.median(log_y)
        starts = [(scale + np.log(share), shift + np.log(1 - share)) for share in _SHARES]
        errors = [np.abs(log_y - np.log(np.exp(a) * x + np.exp(b))).mean() for a, b in starts]
        found = np.zeros((2, self.features.shape[1]))
        found[:, 0] = starts[int(np.argmin(errors))]
        return found

    def _step(self, solution: FloatArray, rows: IntArray) -> tuple[float, FloatArray, FloatArray]:
        """L1 error of some rows, and normal matrix and right side of the weighted least squares for it."""
        size = solution.size
        error, normal, right = 0.0, np.zeros((size, size)), np.zeros(size)
        for begin in range(0, len(rows), _TOGETHER):
            some = rows[begin : begin + _TOGETHER]
            f, w = self.features[some], self.weight[some]
            residual, share = self._residual(solution, some)
            error += float(w @ np.abs(residual).mean(axis=1))
            trust = 1 / np.maximum(np.abs(residual), _SMALL)
            columns = share, 1 - share
            moments = [[w * (trust * p * q).mean(axis=1) for q in columns] for p in columns]
            targets = [w * (trust * residual * p).mean(axis=1) for p in columns]
            normal += np.block([[(f * moment[:, None]).T @ f for moment in row] for row in moments])
            right += np.concatenate([target @ f for target in targets])
        return error, normal, right

    def _residual(self, solution: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Residuals of log y (R, 100), and the share of exp(a) x in y."""
        a, b = np.clip(self.features[rows] @ solution.T, -50, 50).T[:, :, None]
        scaled = np.exp(a) * self.x[self.image[rows]]
        y = scaled + np.exp(b)
        return self.log_y[self.image[rows]] - np.log(y), scaled / y

    def error(self, solution: FloatArray, rows: IntArray) -> float:
        """Weighted sum of the mean absolute errors of log depth of some rows."""
        return self._step(solution, rows)[0]


def _chosen_ridge(problem: _Problem, scenes: Sequence[str]) -> float:
    """Strongest ridge with about the least error on left-out scenes; of a single scene the strongest."""
    _, number = np.unique(np.array(scenes), return_inverse=True)
    part = (number.reshape(-1) % _FOLDS)[problem.image]
    some = np.unique(np.linspace(0, len(part) - 1, min(len(part), _CHOICE_ROWS)).astype(np.intp))
    parts = [(some[part[some] != k], some[part[some] == k]) for k in np.unique(part[some])]
    if len(parts) < 2:
        return _RIDGES[0]
    errors = np.zeros(len(_RIDGES))
    for fitted, left in parts:
        found: FloatArray | None = None
        for index, ridge in enumerate(_RIDGES):  # from the strongest, each from the one before
            found = problem.solved(ridge * len(fitted) / len(part), fitted, found)
            errors[index] += problem.error(found, left)
    return _RIDGES[int(np.argmax(errors <= _AS_GOOD * errors.min()))]


def no_embedding(view: KnownView, training: bool) -> Sequence[FloatArray]:
    """Embedding without dimensions: the same scale and shift for all ("Global")."""
    return [np.zeros(0)]


def scaling_candidates(
    config: Config, embeds: dict[str, Embed], views: Iterable[KnownView]
) -> list[Candidate]:
    """Candidates that need no anchors, fitted on training views.

    Args:
        config: for the limits of the result.
        embeds: label -> what scale and shift are a function of.
        views: of the training set; read once.

    Raises:
        InputError: no view can be used, or they are of two kinds of networks.
        MetricDepthError: a view cannot be embedded.
    """
    examples: dict[str, list[Example]] = {label: [] for label in embeds}
    kinds: set[Kind] = set()
    for view in views:
        kinds.add(view.relative.kind)
        for label, embed in embeds.items():
            example = example_of(view, embed(view, True))
            examples[label] += [] if example is None else [example]
    if len(kinds) > 1:
        raise InputError("fit-on: depth and inverse depth; needed outputs of one network.")
    return [
        _candidate(label, config, fit_scaling(examples[label], next(iter(kinds), "depth")), embed)
        for label, embed in embeds.items()
    ]


def _candidate(label: str, config: Config, scaling: TrainScaling, embed: Embed) -> Candidate:
    embedded: dict[str, FloatArray | MetricDepthError] = {}

    def prepare(view: KnownView) -> None:
        embedded.clear()
        try:
            embedded[view.name] = embed(view, False)[0]
        except MetricDepthError as error:
            embedded[view.name] = error

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        found = embedded[view.name]
        if isinstance(found, MetricDepthError):
            raise found
        return published(scaling.depth(view, found), limited(config, view))

    return Candidate(label, solve, prepare)

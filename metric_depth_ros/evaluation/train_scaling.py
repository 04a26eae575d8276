"""Scale and shift learned on a training set: the rows "Global", "Image" and "RSA" of paper 000's tables.

All three give an image the depth y = a x + b in the network's own space, x its output. Global has one a and b
for all images; Image and RSA (Zeng et al. 2024) regress them from an embedding of the picture, or of a
sentence about it. Those papers train small networks; here a and b are linear in the embedding and found in
closed form (ours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from metric_depth_ros.config import Config
from metric_depth_ros.depth import depth_from, depth_in, published, relative_in
from metric_depth_ros.errors import ConfigError, InputError, MetricDepthError
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.types import Anchors, FloatArray, IntArray, Kind, MetricDepth

# Most directions of the embeddings that are used: those in which they vary most.
_DIRECTIONS = 64
# Strengths of the ridge to choose from, in images, and parts of the training set for that choice.
_RIDGES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
_FOLDS = 5

# Function from a view, and whether it is for training, to its embeddings (P,): in training several, if there
# are several sentences. Raises MetricDepthError.
Embed = Callable[[KnownView, bool], Sequence[FloatArray]]


@dataclass(frozen=True, eq=False)
class Example:
    """All that is kept of a training image.

    Attributes:
        moments: (2, 2) means over its pixels of u u, u v; u v, v v, with u = x / y and v = 1 / y.
        target: (2,) means of u and v. So the mean of (1 - a u - b v)^2, the squared relative error of y, is
            1 - 2 (a, b) target + (a, b) moments (a, b).
        embeddings: (K, P), one or more.
        scene: examples of one scene are never both for fitting and for choosing.
        range_y: (2,) lowest and highest y.
    """

    moments: FloatArray
    target: FloatArray
    embeddings: FloatArray
    scene: str
    range_y: FloatArray


@dataclass(frozen=True, eq=False)
class TrainScaling:
    """Scale and shift of an image by its embedding.

    Attributes:
        kind: of the network's output: its space.
        centre: (P,) mean embedding of the training set.
        weights: (2, P) change of scale and shift with the embedding.
        level: (2,) scale and shift at the mean embedding.
        range_y: (2,) lowest and highest y of the training set.
        ridge: the chosen strength; 0: there was nothing to choose.
        images: number of training images.
    """

    kind: Kind
    centre: FloatArray
    weights: FloatArray
    level: FloatArray
    range_y: FloatArray
    ridge: float
    images: int

    def scale_and_shift(self, embedding: FloatArray) -> tuple[float, float]:
        """Scale and shift for an embedding (P,)."""
        scale, shift = (self.level + self.weights @ (embedding - self.centre)).tolist()
        return scale, shift

    def depth(self, view: KnownView, embedding: FloatArray) -> MetricDepth:
        """Depth (H, W); y is at least half the training set's lowest (ours), so that every pixel has one.

        Raises:
            ConfigError: the network's output is of another kind than in training.
        """
        if view.relative.kind != self.kind:
            raise ConfigError(f"{view.name}: {view.relative.kind}; the training set's is {self.kind}.")
        scale, shift = self.scale_and_shift(embedding)
        x = relative_in(self.kind, view.relative)
        y = np.maximum(np.float32(scale) * x + np.float32(shift), np.float32(self.range_y[0] / 2))
        return MetricDepth(depth_from(self.kind, y), info={"scale": scale, "shift": shift})


def example_of(view: KnownView, embeddings: Sequence[FloatArray]) -> Example | None:
    """Example of a view's known pixels; None where the network gives no value at any."""
    truth, kind = view.known.pixels, view.relative.kind
    u, v = np.rint(truth.uv).astype(np.intp).T
    x = relative_in(kind, view.relative)[v, u].astype(np.float64)
    seen = np.isfinite(x)
    if not seen.any():
        return None
    y = depth_in(kind, truth.depth[seen])
    columns = np.stack([x[seen] / y, 1 / y])
    moments = columns @ columns.T / columns.shape[1]
    extent = np.array([y.min(), y.max()])
    return Example(moments, columns.mean(axis=1), np.stack(embeddings), view.scene, extent)


def fit_scaling(examples: Sequence[Example], kind: Kind) -> TrainScaling:
    """Scaling with the least squared relative error of y over the examples, each with the same weight.

    The embeddings' 64 directions of most variance count, under a ridge that pulls to one scale and shift for
    all; its strength is the one with the least error on scenes that were left out (five parts).

    Raises:
        InputError: there is no example.
    """
    if not examples:
        raise InputError("fit-on: no training image with enough known pixels; needed some.")
    counts = [len(example.embeddings) for example in examples]
    rows: IntArray = np.repeat(np.arange(len(examples)), counts)
    stacked = np.concatenate([example.embeddings for example in examples]).astype(np.float64)
    weight = np.repeat(1 / np.array(counts), counts)
    centre = weight @ stacked / weight.sum()
    directions = _directions(stacked - centre)
    features = np.column_stack([np.ones(len(rows)), (stacked - centre) @ directions])
    problem = _Problem(
        np.stack([example.moments for example in examples])[rows],
        np.stack([example.target for example in examples])[rows],
        features,
        weight,
    )
    ridge = _chosen_ridge(problem, [examples[row].scene for row in rows]) if directions.size else 0.0
    solution = problem.solved(ridge)
    extents = np.stack([example.range_y for example in examples])
    extent = np.array([extents[:, 0].min(), extents[:, 1].max()])
    return TrainScaling(
        kind, centre, solution[:, 1:] @ directions.T, solution[:, 0], extent, ridge, len(examples)
    )


def _directions(centred: FloatArray) -> FloatArray:
    """Directions (P, k) of most variance, scaled so that the features' mean square length is 1."""
    _, size, directions = np.linalg.svd(centred, full_matrices=False)
    kept = min(_DIRECTIONS, int(np.count_nonzero(size > 1e-6 * size.max(initial=1e-9))))
    length = np.sqrt((size[:kept] ** 2).sum() / len(centred))
    return np.asarray(directions[:kept].T / max(length, np.finfo(np.float64).tiny))


@dataclass(frozen=True, eq=False)
class _Problem:
    """Least squares for (a, b) = W f of rows with moments (N, 2, 2), targets (N, 2) and weights (N,).

    ``features`` are f (N, 1 + k), ``unit`` the sizes (2,) of x / y and 1 / y.
    """

    moments: FloatArray
    targets: FloatArray
    features: FloatArray
    weight: FloatArray
    unit: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        mean = np.einsum("n,nii->i", self.weight, self.moments) / self.weight.sum()
        object.__setattr__(self, "unit", np.sqrt(mean))

    def solved(self, ridge: float, rows: IntArray | None = None) -> FloatArray:
        """W (2, 1 + k) of some rows, all by default; the ridge is in units of a and b that weigh alike."""
        every = slice(None) if rows is None else rows
        f, w = self.features[every], self.weight[every]
        moments = self.moments[every] / np.outer(self.unit, self.unit)
        size = f.shape[1]
        normal = np.einsum("n,nij,nk,nl->ikjl", w, moments, f, f, optimize=True).reshape(2 * size, 2 * size)
        right = np.einsum("n,ni,nk->ik", w, self.targets[every] / self.unit, f, optimize=True)
        penalty = np.tile(np.concatenate([[0.0], np.full(size - 1, ridge)]), 2)
        # A shift that nothing determines stays small.
        penalty += 1e-9 * w.sum()
        found = np.linalg.solve(normal + np.diag(penalty), right.ravel())
        return np.asarray(found.reshape(2, size) / self.unit[:, None])

    def error(self, solution: FloatArray, rows: IntArray) -> float:
        """Weighted sum of the squared relative errors of some rows."""
        ab = self.features[rows] @ solution.T
        squared = 1 - 2 * np.einsum("ni,ni->n", ab, self.targets[rows])
        squared += np.einsum("ni,nij,nj->n", ab, self.moments[rows], ab)
        return float(self.weight[rows] @ squared)


def _chosen_ridge(problem: _Problem, scenes: Sequence[str]) -> float:
    """Ridge with the least error on left-out scenes; of a single scene the strongest."""
    _, number = np.unique(np.array(scenes), return_inverse=True)
    part = number.reshape(-1) % _FOLDS
    parts = [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in np.unique(part)]
    if len(parts) < 2:
        return _RIDGES[-1]
    errors = [
        sum(problem.error(problem.solved(ridge, fitted), left) for fitted, left in parts) for ridge in _RIDGES
    ]
    return _RIDGES[int(np.argmin(errors))]


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
        return published(scaling.depth(view, found), config)

    return Candidate(label, solve, prepare)

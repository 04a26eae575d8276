"""``metric_depth_ros.solve``: arrays in, metric depth out, with any solver."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import ArrayLike

from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.config import SETTINGS, WITHOUT_ANCHORS, Config, SolverConfig, from_flat
from metric_depth_ros.depth import published
from metric_depth_ros.drawing.plots import plot_result
from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.health import findings
from metric_depth_ros.label_images import compact
from metric_depth_ros.priors.metric_network import UNSTATED_SIGMA
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.regions.merging import few_enough
from metric_depth_ros.solvers import SOLVERS, build_solver, check_sigma
from metric_depth_ros.types import (
    BASIS,
    Anchors,
    BoolArray,
    FloatArray,
    ImageArray,
    IntArray,
    Kind,
    MetricDepth,
    Prior,
    RelativeDepth,
    SolverInput,
)

# Sigma of anchors that have none, as a fraction of their depth.
_UNKNOWN_SIGMA = 0.02
# Settings that are no options: a prior is given as an array, not made by a network from a description.
_NOT_HERE = ("solver.name", "solver.prior", "solver.description", "solver.temporal.")
DEFAULT_SOLVER: str = SETTINGS["solver.name"].default


@dataclass(frozen=True, eq=False)
class Solution(MetricDepth):
    """Metric depth with what it was made of.

    Attributes:
        anchors: those given, with their sigma.
        image: (H, W, 3); None: none was given.
    """

    anchors: Anchors | None = None
    image: ImageArray | None = None

    def plot(self, truth: ArrayLike | None = None) -> Any:
        """Figure of matplotlib with all that is known, and the error against the truth (H, W) in metres.

        Raises ConfigError if matplotlib is not installed, InputError for a truth of another shape.
        """
        return plot_result(self.depth, image=self.image, anchors=self.anchors, sigma=self.sigma, truth=truth)


def solve(
    relative: ArrayLike,
    uv: ArrayLike,
    depth: ArrayLike,
    *,
    kind: Kind = "inverse_depth",
    image: ArrayLike | None = None,
    sigma: ArrayLike | None = None,
    regions: ArrayLike | None = None,
    basis: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    prior_sigma: float = UNSTATED_SIGMA,
    solver: str = DEFAULT_SOLVER,
    **options: Any,
) -> Solution:
    """Metric depth from a depth network's output and a few pixels of known depth.

        result = solve(relative, uv, depth, image=image, max_depth_m=80)
        result.depth     # (H, W) float32 metres, NaN unknown

    Nothing is kept from call to call, and no input is modified.

    Args:
        relative: (H, W) of the network, any scale; NaN or masked where unknown.
        uv: (N, 2) pixels of the anchors, u right and v down; integers are pixel centres. Those outside
            the image are ignored.
        depth: (N,) metres along the optical axis, positive.
        kind: "inverse_depth" (larger is nearer: MiDaS, Depth Anything) or "depth" (larger is farther).
        image: (H, W, 3) RGB or (H, W) gray, uint8; solvers that need regions segment it.
        sigma: standard deviation of ``depth`` in metres, (N,) or one for all; None: 2 % of ``depth``.
        regions: region labels (H, W), whole numbers from 0; None: those of the built-in segmenter.
        basis: basis maps (K, h, w) of the image, of a generator (docs/basis.md), for ``basis``,
            ``paper_basis``, ``gaussian_process`` and ``refined`` of them; ``paper_basis`` has no others.
        prior: metric depth (H, W) of anything else, NaN unknown, which anchors correct (docs/priors.md);
            with it there may be no anchor.
        prior_sigma: standard deviation of the logarithm of its scale.
        solver: name of the solver; docs/solvers.md lists them.
        **options: settings of ``solver.NAME.`` and ``solver.`` without that prefix, as in
            ``domain="log"`` or ``max_depth_m=80``, and ``max_relative_sigma`` of ``output``; of ``refined``
            also those of the solver that it refines (``of``).

    Returns:
        ``.depth`` (H, W) metres, NaN unknown; ``.sigma`` (H, W) metres, or None if the solver gives none;
        ``.info``, a description of the fit; ``.plot()`` draws it.

    Raises:
        ConfigError: an unknown solver or option, or a value that is not allowed.
        InputError: an array of another shape, an anchor that is not finite or not positive, anchors that look
            like millimetres, or neither an image nor regions for a solver that uses regions.
        AnchorError: no anchor lies where relative depth is known, and there is no prior.
    """
    config = _configured(solver, options)
    given = _relative(relative, kind, basis)
    shape = given.values.shape
    anchors = _anchors(uv, depth, sigma)
    picture = _picture(image, shape)
    chosen = build_solver(config.solver)
    check_sigma(chosen, config)
    labels = None
    if chosen.wants_regions:
        labels = _segmented(picture, given, solver, config) if regions is None else _given(regions, picture)
    focus_m = config.solver.focus_m or None
    known = None if prior is None else _prior(prior, prior_sigma, shape)
    _in_metres(anchors, known, config)
    told = SolverInput(given, anchors, image=picture, regions=labels, focus_m=focus_m, prior=known)
    found = published(chosen.solve(told), config)
    return Solution(found.depth, found.sigma, found.info, anchors, picture)


def _configured(solver: str, options: Mapping[str, Any]) -> Config:
    """Settings from a solver's name and options. Raises ConfigError."""
    known = _options_of(SolverConfig(name=SETTINGS["solver.name"].checked(solver)).chosen)
    if solver == "refined":
        of = SETTINGS["solver.refined.of"]
        known = {**_options_of(of.checked(options.get("of", of.default))), **known}
    if solver in WITHOUT_ANCHORS and solver != "prior":
        raise ConfigError(f"{solver}: needs a network; use metric_depth_ros.pipeline, or solver='prior'.")
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(sorted(known))}."
            raise ConfigError(f"{solver}: unknown option {name!r}. {hint}")
    return from_flat({"solver.name": solver, **{known[name]: value for name, value in options.items()}})


def _options_of(solver: str) -> dict[str, str]:
    """Dotted setting name of each option: the solver's own options, and those that all solvers share."""
    own, shared = f"solver.{solver}.", "solver."
    sections = tuple(f"solver.{name}." for name in SOLVERS)
    found = {
        name.removeprefix(shared): name
        for name in SETTINGS
        if name.startswith(shared) and not name.startswith((*sections, *_NOT_HERE))
    }
    found.update({name.removeprefix(own): name for name in SETTINGS if name.startswith(own)})
    return found | {"max_relative_sigma": "output.max_relative_sigma"}


def _numbers(values: ArrayLike, name: str) -> FloatArray:
    """``values`` as float32, NaN where masked. Raises InputError."""
    try:
        if np.iscomplexobj(values):
            raise TypeError("complex numbers")
        hidden = np.ma.getmask(values)
        return np.asarray(np.where(hidden, np.nan, values) if hidden.any() else values, np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: {error}; needed an array of numbers.") from error


def _relative(values: ArrayLike, kind: str, basis: ArrayLike | None) -> RelativeDepth:
    found = _numbers(values, "relative")
    if found.ndim != 2 or not found.size:
        raise InputError(f"relative: shape {found.shape}; needed (H, W). Leave out the axes of size 1.")
    if kind not in get_args(Kind):
        raise InputError(
            f"kind: {kind!r}; needed inverse_depth (larger is nearer) or depth (larger is farther)."
        )
    features = {} if basis is None else {BASIS: _numbers(basis, "basis")}
    return RelativeDepth(found, cast(Kind, kind), features=features)


def _prior(values: ArrayLike, sigma: float, shape: tuple[int, ...]) -> Prior:
    """The caller's prior, unknown where it is not positive. Raises InputError."""
    depth = _numbers(values, "prior")
    if depth.shape != shape:
        raise InputError(f"prior: shape {depth.shape}; needed {shape}, that of relative. Resize it.")
    if not isinstance(sigma, (int, float, np.number)) or not 0 < sigma < np.inf:
        raise InputError(f"prior_sigma: {sigma!r}; needed a positive number.")
    with np.errstate(invalid="ignore"):
        depth = np.where(depth > 0, depth, np.float32(np.nan))
    if not np.isfinite(depth).any():
        raise InputError("prior: no positive depth; needed metres. Leave it out.")
    return Prior(depth, float(sigma), "given", has_shape=True)


def _anchors(uv: ArrayLike, depth: ArrayLike, sigma: ArrayLike | None) -> Anchors:
    """Anchors from the caller's arrays. Raises InputError if one is not valid."""
    pixels, metres = _numbers(uv, "uv"), _numbers(depth, "depth")
    if pixels.ndim != 2 or pixels.shape[1] != 2:
        raise InputError(f"uv: shape {pixels.shape}; needed (N, 2), a row of u and v for each anchor.")
    n = len(pixels)
    _one_each(metres, n, "depth")
    if sigma is None:
        noise = _UNKNOWN_SIGMA * metres
    else:
        noise = _numbers(sigma, "sigma")
        noise = np.full(n, float(noise), np.float32) if noise.ndim == 0 else noise
    _one_each(noise, n, "sigma")
    _all_right(np.isfinite(pixels).all(axis=1), "uv", "finite pixels")
    _all_right(np.isfinite(metres) & (metres > 0), "depth", "positive metres")
    _all_right(np.isfinite(noise) & (noise >= 0), "sigma", "metres, 0 or more")
    return Anchors(pixels, metres, noise)


def _in_metres(anchors: Anchors, prior: Prior | None, config: Config) -> None:
    """Raises InputError for anchors that look like millimetres, or are all too far to give depth."""
    limit = config.solver.max_depth_m, "depth", "max_depth_m"
    findings.refuse(findings.in_millimetres(anchors.depth, *limit))
    findings.refuse(findings.too_far(anchors.depth, *limit))
    if prior is not None:
        expected = sample_bilinear(prior.depth, anchors.uv)
        findings.refuse(findings.off_by_a_thousand(anchors.depth, expected))


def _one_each(values: FloatArray, n: int, name: str) -> None:
    if values.shape != (n,):
        raise InputError(f"{name}: shape {values.shape}; needed ({n},), one for each row of uv.")


def _all_right(right: BoolArray | np.bool_, name: str, needed: str) -> None:
    wrong = np.flatnonzero(~right)
    if len(wrong):
        raise InputError(
            f"{name}: {len(wrong)} of {np.size(right)} are not {needed}, the first at {wrong[0]}. "
            "Leave out the anchors that are not known."
        )


def _picture(image: ArrayLike | None, shape: tuple[int, ...]) -> ImageArray | None:
    """The image as (H, W, 3). Raises InputError if its size is not that of the relative map."""
    if image is None:
        return None
    picture = np.asarray(image)
    if picture.dtype != np.uint8 or picture.shape[:2] != shape or picture.shape[2:] not in ((), (1,), (3,)):
        raise InputError(
            f"image: {picture.shape} of {picture.dtype}; needed ({shape[0]}, {shape[1]}, 3) uint8 RGB, "
            "the size of relative. Resize one of the two."
        )
    return picture if picture.shape[2:] == (3,) else np.repeat(picture.reshape(*shape, 1), 3, axis=2)


def _given(regions: ArrayLike, picture: ImageArray | None) -> IntArray:
    """The caller's labels; if they are too many for a solver, small regions are merged (needs an image)."""
    labels = np.asarray(regions)
    if labels.dtype.kind not in "iu" or not labels.size or labels.min() < 0:
        return labels
    labels = compact(labels)
    if picture is None or labels.shape != picture.shape[:2]:
        return labels
    return few_enough(labels, picture, 0.0)


def _segmented(picture: ImageArray | None, relative: RelativeDepth, solver: str, config: Config) -> IntArray:
    """Regions of the built-in segmenter. Raises InputError without an image."""
    if picture is None:
        raise InputError(
            f"{solver}: neither image nor regions; it needs one of them. Pass image=, from which regions are "
            "made, or regions=, or take solver='global_affine'."
        )
    return build_segmenter(config.regions).segment(picture, relative)

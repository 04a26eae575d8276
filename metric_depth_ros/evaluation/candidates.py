"""Candidates to compare: labelled solver configurations and two controls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metric_depth_ros.config import Config, SolverConfig, updated
from metric_depth_ros.depth import published, within_limits
from metric_depth_ros.errors import ConfigError, InputError, MetricDepthError
from metric_depth_ros.evaluation.frames import KnownView
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.evaluation.metrics import MISSING_RATIO
from metric_depth_ros.priors import Estimate, build_prior
from metric_depth_ros.solvers import build_solver
from metric_depth_ros.types import Anchors, Kind, MetricDepth, Prior, PriorInput, RelativeDepth, SolverInput

# Function from a view and anchors to metric depth. Raises MetricDepthError.
Solve = Callable[[KnownView, Anchors], MetricDepth]
CONSTANT, INTERPOLATION = "control: constant map", "control: interpolation"


@dataclass(frozen=True)
class Candidate:
    """One method to compare: a row of the result tables.

    Attributes:
        prepare: computes what the solve needs, outside the timed part.
        focus_m: depth at which its near and far part; 0: none.
    """

    label: str
    solve: Solve
    prepare: Callable[[KnownView], object] = lambda view: None
    control: bool = False
    focus_m: float = 0.0


def solver_candidate(label: str, config: Config, *, constant_map: bool = False) -> Candidate:
    """Candidate for the configured solver, called as in the pipeline, with the configured segmenter.

    Args:
        constant_map: control for this solver: a relative map of ones replaces the network's.
    """
    solver, settings = build_solver(config.solver), config.solver
    estimate = build_prior(settings.chosen_prior, config.engine)
    wants_regions = solver.wants_regions
    priors: dict[str, Prior | MetricDepthError | None] = {}

    def prepare(view: KnownView) -> object:
        priors.clear()
        priors[view.name] = _prior(view, estimate, settings)
        return view.regions(config.regions) if wants_regions else None

    def solve(view: KnownView, anchors: Anchors) -> MetricDepth:
        relative = constant_relative(view, view.relative.kind) if constant_map else view.relative
        regions = view.regions(config.regions) if wants_regions else None
        focus_m = settings.focus_m or None
        prior = priors.get(view.name)
        if isinstance(prior, MetricDepthError):
            raise prior
        given = SolverInput(
            relative, anchors, image=view.image, regions=regions, focus_m=focus_m, prior=prior
        )
        return published(solver.solve(given), limited(config, view))

    return Candidate(label, solve, prepare, control=constant_map, focus_m=settings.focus_m)


def limited(config: Config, view: KnownView) -> Config:
    """Settings with depth limits by what is evaluated, ``limits_m``, twice as wide at both ends.

    What lies beyond is wrong by a factor of two or more, as a pixel without depth counts. A setting other
    than its default stays.
    """
    settings, usual = config.solver, SolverConfig()
    nearest, farthest = view.limits_m[0] / MISSING_RATIO, view.limits_m[1] * MISSING_RATIO
    if settings.min_depth_m != usual.min_depth_m:
        nearest = settings.min_depth_m
    if settings.max_depth_m != usual.max_depth_m:
        farthest = settings.max_depth_m
    return replace(config, solver=replace(settings, min_depth_m=nearest, max_depth_m=farthest))


def _prior(
    view: KnownView, estimate: Estimate | None, settings: SolverConfig
) -> Prior | MetricDepthError | None:
    """Prior of a view, or why there is none: then every solve with it fails.

    Raises InputError if it needs intrinsics that the view has not: that is no failure of a solver.
    """
    try:
        if estimate is None:
            return None
        focus_m, told = settings.focus_m or None, settings.description or view.description
        return estimate(PriorInput(view.image, view.relative, view.camera, focus_m, told))
    except InputError as error:
        if view.camera is not None:
            return error
        raise InputError(
            f"{view.name}: {error} Give fx, fy, cx and cy in calib.json, or leave out {view.set_name} or the "
            "prior."
        ) from error
    except MetricDepthError as error:
        return error


def constant_relative(view: KnownView, kind: Kind) -> RelativeDepth:
    """Constant relative depth: a network without information."""
    return RelativeDepth(np.ones_like(view.relative.values), kind)


def controls(config: Config = Config()) -> list[Candidate]:  # noqa: B008  # frozen
    """Controls without a network: one depth for the whole image, and interpolated anchors.

    The one depth is a geometric mean of the anchors' depths, for every kind of network. Of the settings the
    limits of depth count.
    """
    line = build_solver(SolverConfig(name="global_affine"))

    def level(view: KnownView, anchors: Anchors) -> MetricDepth:
        given = SolverInput(constant_relative(view, "depth"), anchors)
        return within_limits(line.solve(given), limited(config, view).solver)

    def interpolate(view: KnownView, anchors: Anchors) -> MetricDepth:
        found = MetricDepth(interpolate_anchors(anchors, view.known.width, view.known.height))
        return within_limits(found, limited(config, view).solver)

    return [Candidate(CONSTANT, level, control=True), Candidate(INTERPOLATION, interpolate, control=True)]


def build_candidates(
    config: Config, solvers: Sequence[str], variants: Mapping[str, Mapping[str, Any]], *, constant_map: bool
) -> list[Candidate]:
    """Candidates for solvers and labelled configurations, followed by the controls.

    Args:
        config: shared by all candidates.
        solvers: names; each is its own label.
        variants: label -> settings by dotted name, which change ``config``.
        constant_map: whether to add each candidate with a constant relative map as well.

    Raises:
        ConfigError: an unknown solver or setting, or a label given twice.
    """
    changes = [(name, {"solver.name": name}) for name in solvers]
    changes += [(label, dict(settings)) for label, settings in variants.items()]
    labels = [label for label, _ in changes]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ConfigError(f"labels: {', '.join(twice)} more than once; needed labels that differ.")
    configs = [(label, updated(config, settings)) for label, settings in changes]
    found = [solver_candidate(label, each) for label, each in configs]
    if constant_map:
        found += [
            solver_candidate(f"control: {label}, constant map", each, constant_map=True)
            for label, each in configs
        ]
    return found + controls(config)

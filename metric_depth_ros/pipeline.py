"""Pipeline from a sample to metric depth: anchors, engine, solver, limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from metric_depth_ros import messages
from metric_depth_ros.anchor_choice import AnchorChoice, Chosen
from metric_depth_ros.anchors import sample_bilinear
from metric_depth_ros.config import CloudConfig, Config, EngineConfig
from metric_depth_ros.depth import published
from metric_depth_ros.drawing.plots import plot_result
from metric_depth_ros.engines import BUNDLED, BUNDLED_WITH_BASIS, build_engine
from metric_depth_ros.errors import ConfigError, MetricDepthError
from metric_depth_ros.health import findings
from metric_depth_ros.preparation import Preparation
from metric_depth_ros.priors import Estimate, build_prior, check_description, network_prior
from metric_depth_ros.regions import build_segmenter
from metric_depth_ros.share import share_path
from metric_depth_ros.solvers import build_solver, check_sigma, no_scale
from metric_depth_ros.types import (
    Anchors,
    Camera,
    Engine,
    FloatArray,
    ImageArray,
    IntArray,
    MetricDepth,
    Prior,
    PriorInput,
    RelativeDepth,
    Sample,
    Segmenter,
    SolverInput,
)


@dataclass(frozen=True, eq=False)
class Result:
    """Metric depth of one sample, with what is needed to publish and evaluate it.

    Attributes:
        metric: the solver's result within the depth limits.
        camera: the camera of the depth: rectified and resized as configured.
        image: RGB of that camera.
        anchors: the anchors given to the solver.
        sample: the input.
        timings: seconds by stage.
        anchors_by_source: number of anchors by the source that they come from.
        doubts: what may be wrong with the input, each in one line with the fix.
        relative: the network's output.
        solver: name of the solver, as chosen.
        runtime: what ran the network: its library, precision and device.
    """

    metric: MetricDepth
    camera: Camera
    image: ImageArray
    anchors: Anchors
    sample: Sample
    timings: dict[str, float]
    anchors_by_source: Mapping[str, int] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    relative: RelativeDepth | None = None
    solver: str = ""
    runtime: str = ""

    def plot(self, truth: FloatArray | None = None) -> Any:
        """Figure of matplotlib with all that is known, and the error against the truth (H, W) in metres.

        Raises ConfigError if matplotlib is not installed, InputError for a truth of another shape.
        """
        metric = self.metric
        return plot_result(
            metric.depth, image=self.image, anchors=self.anchors, sigma=metric.sigma, truth=truth
        )

    @property
    def stamp_ns(self) -> int:
        """The image's stamp."""
        return self.sample.stamp_ns

    @property
    def frame_id(self) -> str:
        """The image's frame."""
        return self.sample.frame_id

    @property
    def cloud_age_s(self) -> float:
        """Seconds from the newest cloud to the image; NaN without a cloud."""
        newest_ns = max(self.sample.cloud_stamps_ns, default=None)
        return float("nan") if newest_ns is None else (self.stamp_ns - newest_ns) / 1e9


@dataclass(frozen=True, eq=False)
class Perceived:
    """Sample after the network: the input of the solver. Other fields are those of ``Result``.

    Attributes:
        relative: the network's output.
        prior: metric depth that anchors correct; None: there is none.
        regions: labels (H, W) that came with the sample; None: none needed, or ``solve`` computes them.
    """

    relative: RelativeDepth
    camera: Camera
    image: ImageArray
    anchors: Anchors
    regions: IntArray | None
    sample: Sample
    timings: dict[str, float]
    anchors_by_source: Mapping[str, int]
    prior: Prior | None = None
    doubts: tuple[str, ...] = ()


# Image, camera, regions and anchors.
_Taken = tuple[ImageArray, Camera, "IntArray | None", Chosen]


class MetricDepthPipeline:
    """Turns samples into metric depth. ``with_config`` changes settings and keeps the engine."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        prior: Estimate | None = None,
        before: MetricDepthPipeline | None = None,
    ) -> None:
        """``prior`` gives metric depth that anchors correct; None: there is none.

        ``before``: with other settings, of which loaded networks, memory and rectification maps are kept.
        Raises ConfigError if the solver has no sigma and the output needs one.
        """
        self.config = config
        self.engine = engine
        self._solver = build_solver(config.solver)
        check_sigma(self._solver, config)
        self._prior = prior
        self._networks: Segmenter | None = None
        self._measured_ns: int | None = None  # stamp of the newest cloud that gave anchors
        preparation = choice = None
        if before is not None:
            self._networks, self._measured_ns = before._networks, before._measured_ns
            preparation, choice = before._preparation, before._choice
            self._solver.inherit(before._solver)
        self._segmenter: Segmenter | None = None  # where none is needed
        if self._solver.wants_regions and config.regions.source != "topic":
            self._networks = self._segmenter = build_segmenter(config.regions, self._networks)
        self._preparation: Preparation = Preparation(config, preparation)
        self._choice: AnchorChoice = self._anchor_choice(choice)

    def with_config(self, config: Config) -> MetricDepthPipeline:
        """A pipeline with other settings on the same engine and prior.

        Raises ConfigError for settings that do not fit, as a prior that is not loaded or a description that
        cannot be read.

        What the solver remembers and the rectification maps are kept.
        """
        before, now = self.config.solver.chosen_prior, config.solver.chosen_prior
        if now not in ("", before):
            raise ConfigError(f"solver.prior: {now}, which is loaded at the start only. Start with it.")
        prior = self._prior if now else None
        check_description(prior, config.solver.description)
        return MetricDepthPipeline(self.engine, config, prior, before=self)

    def check_description(self, description: str) -> None:
        """Raises ConfigError if the prior reads and cannot read this description."""
        check_description(self._prior, description)

    @property
    def remembers(self) -> bool:
        """Whether the solver keeps earlier samples in memory and can work for a while without anchors."""
        return self._solver.remembers

    @property
    def needs_no_points(self) -> bool:
        """Whether an image without points can give depth."""
        return not self.config.needs_points

    def reset(self) -> None:
        """Forgets earlier samples."""
        self._measured_ns = None
        self._choice = self._anchor_choice()
        if self.remembers:
            self._solver = build_solver(self.config.solver)

    def _anchor_choice(self, before: AnchorChoice | None = None) -> AnchorChoice:
        needed = 0 if self._prior is not None else self.config.anchors.min_count
        return AnchorChoice(self.config, needed, remembers=self.remembers, before=before)

    def process(self, sample: Sample) -> Result:
        """Metric depth of one sample; the sample is not modified.

        Raises:
            InputError: the image is not of its camera's size, its frame is not optical, the points are in
                other units, or its label image is missing or of another shape.
            AnchorError: without a prior, fewer usable anchors than ``anchors.min_count``, and none in memory;
                or none, and the network is not metric.
        """
        return self.solve(self.perceive(sample))

    def perceive(self, sample: Sample) -> Perceived:
        """First half of ``process``, up to and with the network. Raises as ``process`` does."""
        clock = _Clock()
        image, camera, regions, chosen = self._taken(sample, clock)
        with clock("engine"):
            focus_m = self.config.solver.focus_m or None
            relative = self.engine.predict(image, focus_m=focus_m, camera=camera)
        prior = None
        if self._prior is not None:
            with clock("prior"):
                told = self.config.solver.description
                prior = self._prior(PriorInput(image, relative, camera, focus_m, told))
        return Perceived(
            relative, camera, image, chosen.anchors, regions, sample, clock.seconds, chosen.by_source, prior,
            chosen.doubts,
        )  # fmt: skip

    def try_inputs(self, sample: Sample) -> tuple[Mapping[str, int], tuple[str, ...]]:
        """Anchors by source, and doubts, of a sample; no network runs. Raises as ``process`` does."""
        *_, chosen = self._taken(sample, _Clock())
        return chosen.by_source, chosen.doubts

    def _taken(self, sample: Sample, clock: _Clock) -> _Taken:
        """All of a sample that is made before the network."""
        with clock("prepare"):
            image, camera = self._preparation.image(sample)
            by_topic = self._solver.wants_regions and self._segmenter is None
            regions = self._preparation.labels(sample, image) if by_topic else None
        with clock("anchors"):
            return image, camera, regions, self._choice.of(sample, image, camera)

    def solve(self, perceived: Perceived) -> Result:
        """Second half of ``process``. Another thread may run ``perceive`` on the next sample meanwhile."""
        image, camera, anchors = perceived.image, perceived.camera, perceived.anchors
        clock = _Clock(dict(perceived.timings))
        with clock("regions"):
            regions = perceived.regions
            if self._segmenter is not None:
                regions = self._segmenter.segment(image, perceived.relative)
        with clock("solver"):
            prior = perceived.prior
            if prior is not None:
                findings.refuse(
                    findings.off_by_a_thousand(anchors.depth, sample_bilinear(prior.depth, anchors.uv))
                )
            if (
                prior is None
                and perceived.relative.metric
                and self.config.anchors.min_count == len(anchors) == 0
            ):
                prior = network_prior(PriorInput(image, perceived.relative, camera))
            if prior is None and not len(anchors) and not self.remembers:
                raise no_scale()
            given = SolverInput(
                perceived.relative,
                anchors,
                image=image,
                regions=regions,
                focus_m=self.config.solver.focus_m or None,
                stamp_ns=perceived.sample.stamp_ns,
                prior=prior,
                camera=camera,
                T_fixed_camera=self._pose(perceived.sample),
            )
            metric = published(self._solver.solve(given), self.config)
        told = {**self._scale_told(metric.info, perceived), **metric.info}
        if perceived.doubts:
            told["doubts"] = " ".join(perceived.doubts)
        metric = replace(metric, info=told)
        self._choice.keep(metric.depth, image, anchors, perceived.sample.stamp_ns)
        return Result(
            metric, camera, image, anchors, perceived.sample, clock.seconds,
            perceived.anchors_by_source, perceived.doubts, perceived.relative, self.config.solver.chosen,
            self.engine.label,
        )  # fmt: skip

    def _scale_told(self, info: Mapping[str, Any], perceived: Perceived) -> dict[str, Any]:
        """What the scale of a result is from, and how long before the image its newest cloud was measured."""
        sample = perceived.sample
        used = [each.newest_ns for each in sample.sources if each.newest_ns is not None]
        if len(perceived.anchors) and (stamps := used or sample.cloud_stamps_ns):
            self._measured_ns = max(stamps)
        told: dict[str, Any] = {"scale_from": _scale_from(info)}
        if self._measured_ns is not None and (len(perceived.anchors) or info.get("carried")):
            told["scale_age_s"] = (sample.stamp_ns - self._measured_ns) / 1e9
        return told

    def _pose(self, sample: Sample) -> FloatArray | None:
        """T_fixed_camera of the prepared image, which is in the raw frame if it is not rectified."""
        T, rectification = sample.T_fixed_camera, sample.rectification
        if T is None or rectification is None or self.config.input.rectification != "none":
            return T
        T_rectified_raw = np.eye(4)
        T_rectified_raw[:3, :3] = rectification.R
        return np.asarray(T @ T_rectified_raw)


def cloud_of(result: Result, settings: CloudConfig) -> dict[str, Any]:
    """Fields of a result's cloud, as ``messages.cloud_fields`` gives them."""
    return messages.cloud_fields(
        result.metric.depth,
        result.image,
        result.camera,
        stride=settings.stride,
        min_depth_m=settings.min_depth_m,
        max_depth_m=settings.max_depth_m,
        min_angle_deg=settings.min_angle_deg,
    )


def _scale_from(info: Mapping[str, Any]) -> str:
    """What the scale of a result is from."""
    parts = {
        "anchors": info.get("anchors", 1),  # a solver of yours may not say
        "earlier images": info.get("carried"),
        "prior": "prior" in info,
    }
    return " and ".join(name for name, counts in parts.items() if counts)


@dataclass
class _Clock:
    """Stopwatch that keeps the seconds of each stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = time.perf_counter() - start


def build_pipeline(
    config: Config, build: Callable[[EngineConfig], Engine] = build_engine
) -> MetricDepthPipeline:
    """Builds the pipeline of a configuration and warms it up.

    ``build`` gives the engine: one of its own, or one that is shared (``EnginePool.build``).

    Raises:
        ConfigError: settings that do not fit each other.
        ModelError: a network cannot be used.
    """
    engine = build(engine_for(config))
    prior = build_prior(config.solver.chosen_prior, config.engine)
    if prior is not None:
        _check_prior(prior, engine, config)
    pipeline = MetricDepthPipeline(engine, config, prior=prior)
    _warm_up(pipeline)
    return pipeline


def _check_prior(prior: Estimate, engine: Engine, config: Config) -> None:
    """Raises ConfigError if a prior fits neither network nor settings: now, not with every image."""
    camera = Camera(64, 48, np.diag([64.0, 64.0, 1.0]))
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    relative, told = engine.predict(image, camera=camera), config.solver.description
    prior(PriorInput(image, relative, camera, description=told))


def engine_for(config: Config) -> EngineConfig:
    """Engine settings; the default network is replaced by one with maps if the solver uses them."""
    solver, engine = config.solver.chosen, config.engine
    with_basis = BUNDLED_WITH_BASIS.get(solver)
    # The paper's takes no analytic maps, whatever is set.
    if with_basis is None or (config.solver.basis.maps == "analytic" and solver != "paper_basis"):
        return engine
    path = str(share_path(with_basis))
    if engine.second and _is_default(engine.second):
        engine = replace(engine, second=path)
    return replace(engine, manifest=path) if _is_default(engine.manifest) and not engine.model else engine


def _is_default(manifest: str) -> bool:
    """Whether engine.manifest names the default network."""
    return BUNDLED.get(manifest) == BUNDLED[""]


def _warm_up(pipeline: MetricDepthPipeline) -> None:
    """Processes a made-up sample: the first call of many library functions takes 100 times the second."""
    camera = Camera(160, 120, np.array([[160.0, 0, 80], [0, 160.0, 60], [0, 0, 1]]))
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (120, 160, 3), np.uint8)
    points = random.uniform([-1, -1, 3], [1, 1, 5], (1000, 3)).astype(np.float32)
    with suppress(MetricDepthError):
        pipeline.process(Sample(image, camera, points))
    pipeline.reset()

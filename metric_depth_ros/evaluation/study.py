"""A study: datasets, networks, solvers and protocols, and the records of all combinations."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from metric_depth_ros.config import Config, EngineConfig, updated
from metric_depth_ros.datasets import Dataset, open_dataset
from metric_depth_ros.datasets.captions import Captions, read_captions
from metric_depth_ros.depth import Domain
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.evaluation.candidates import Candidate, build_candidates
from metric_depth_ros.evaluation.frames import (
    KnownView,
    RelativeSource,
    Wanted,
    build_source,
    frames_of,
    read_views,
    set_name,
)
from metric_depth_ros.evaluation.given_regions import RegionSource, region_source
from metric_depth_ros.evaluation.known_depth import KnownDepth, TruthRules
from metric_depth_ros.evaluation.measures import DEFAULT, METRICS
from metric_depth_ros.evaluation.output_cache import OutputCache
from metric_depth_ros.evaluation.places import Place
from metric_depth_ros.evaluation.protocols import Case
from metric_depth_ros.evaluation.run_outputs import run_source, stored_depth
from metric_depth_ros.evaluation.runner import Key, Record, draws, run_by_view
from metric_depth_ros.evaluation.whole_truth import whole_truth_candidates
from metric_depth_ros.fleet import Fleet, run_jobs
from metric_depth_ros.pipeline import engine_for

_LOG = logging.getLogger(__name__)
_BUNDLED = "small"
# Function of a set's or a frame's progress in frames.
Tell = Callable[[float], object]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Network:
    """Where relative depth comes from.

    Attributes:
        label: its name in tables, unlike that of the others of a study.
        engine: settings of the network.
        stored: folder of stored outputs, which take the network's place; None: none.
        run: what `metric_depth run` wrote: its depth takes the place of network and solvers; None: nothing.
    """

    label: str
    engine: EngineConfig
    stored: Path | None = None
    run: Path | None = None


@dataclass(frozen=True)
class CacheSettings:
    """Where and how outputs of networks are kept, as ``OutputCache`` takes it."""

    folder: Path
    limit_bytes: int = 10**10
    dtype: str = "float32"


@dataclass(frozen=True)
class Study:
    """What is evaluated: every solver on every network, dataset and case. Of values alone: it can be pickled.

    Attributes:
        config: settings that all solvers share.
        sets: datasets, as ``frames.find_sets`` gives them.
        networks: one or more.
        solvers, variants, constant_map: as ``build_candidates`` takes them.
        cases, seeds, metrics, rules: as ``runner.run`` and ``read_views`` take them.
        regions: "dataset", or a folder of label images; None: regions are those of the settings.
        whole_truth: space of the line of fits to all true depth, or "network" for its own; None: none.
        place: only frames from there.
        every: whether all frames of a sequence count.
        flip: whether depth is the mean of that of an image and its mirror image.
        captions: file of descriptions of the frames; None: those of the datasets.
        cache: None: outputs of networks are not kept.
    """

    config: Config
    sets: tuple[Path, ...]
    networks: tuple[Network, ...]
    solvers: tuple[str, ...] = ()
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    constant_map: bool = False
    cases: tuple[Case, ...] = ()
    seeds: int | None = None
    metrics: tuple[str, ...] = DEFAULT
    rules: TruthRules = field(default_factory=TruthRules)
    regions: str | None = None
    whole_truth: str | None = None
    place: Place | None = None
    every: bool = False
    flip: bool = False
    captions: Path | None = None
    cache: CacheSettings | None = None

    @property
    def changes(self) -> list[Mapping[str, Any]]:
        """Settings of each solver beside the shared ones."""
        return [{"solver.name": name} for name in self.solvers] + list(self.variants.values())


def named_networks(engines: Sequence[EngineConfig | Path], shared: EngineConfig) -> tuple[Network, ...]:
    """Networks by settings, or folders of stored outputs, under labels that differ.

    Args:
        shared: settings for stored outputs, of which only the second network is used.
    """
    given = [(each, shared) if isinstance(each, Path) else (None, each) for each in engines]
    short = [_label(stored, engine) for stored, engine in given]
    long = [str(stored or engine.manifest) for stored, engine in given]
    labels = short if len(set(short)) == len(short) else long
    return tuple(
        Network(label, engine, stored) for label, (stored, engine) in zip(labels, given, strict=True)
    )


def named_runs(runs: Sequence[Path], shared: EngineConfig) -> tuple[Network, ...]:
    """Stored depth of runs, under labels that differ."""
    short = [path.resolve().name for path in runs]
    labels = short if len(set(short)) == len(short) else list(map(str, runs))
    return tuple(Network(label, shared, run=path) for label, path in zip(labels, runs, strict=True))


def _label(stored: Path | None, engine: EngineConfig) -> str:
    second = f"+{Path(engine.second).stem}" if engine.second else ""
    return (stored.resolve().name if stored else Path(engine.manifest).stem or _BUNDLED) + second


def resolved(study: Study) -> Study:
    """The study with networks that give basis maps where a solver uses maps (``engine_for_all``).

    Raises:
        ConfigError: two solvers have networks with maps of their own.
    """
    networks = []
    for network in study.networks:
        if network.run is None and (network.stored is None or network.engine.second):
            config = dataclasses.replace(study.config, engine=network.engine)
            network = dataclasses.replace(network, engine=engine_for_all(config, study.changes))
        networks.append(network)
    return dataclasses.replace(study, networks=tuple(networks))


def engine_for_all(config: Config, changes: Sequence[Mapping[str, Any]]) -> EngineConfig:
    """Settings of the network shared by all solvers: one with basis maps if any solver uses maps.

    Those that were trained for another solver come before the Gaussian process's, which takes any.

    Raises:
        ConfigError: two solvers have networks with maps of their own.
    """
    all_of_them = [updated(config, each) for each in changes]
    pickier = [each for each in all_of_them if each.solver.chosen != "gaussian_process"]
    wanted = dict.fromkeys(map(engine_for, all_of_them))
    others = [each for each in dict.fromkeys(map(engine_for, pickier)) if each != config.engine]
    if len(others) > 1:
        names = " and ".join(Path(each.second or each.manifest).stem for each in others)
        raise ConfigError(
            f"evaluate: the solvers need {names}; needed one network for all. Evaluate them in turn, or name "
            "one with --engine."
        )
    engine = next(iter([*others, *(each for each in wanted if each != config.engine)]), config.engine)
    if len(wanted) > 1:
        _LOG.info("all solvers on %s: one uses maps", Path(engine.second or engine.manifest).stem)
    return engine


def candidates_of(study: Study, network: Network) -> list[Candidate]:
    """Solvers and controls of a study, for one of its networks. Raises ConfigError and ModelError.

    Of a run there is its depth alone.
    """
    if network.run is not None:
        return [stored_depth(study.config)]
    config = dataclasses.replace(study.config, engine=network.engine)
    found = build_candidates(config, study.solvers, study.variants, constant_map=study.constant_map)
    return found + _whole_truth(study, config)


def _whole_truth(study: Study, config: Config) -> list[Candidate]:
    """Fits to all true depth, if asked for: by the given regions, if any, beside the built-in ones."""
    if study.whole_truth is None:
        return []
    regions = {"": config.regions}
    if config.regions.source == "topic":
        built_in = dataclasses.replace(config.regions, source="built-in")
        regions = {"": built_in, ", given regions": config.regions}
    space = None if study.whole_truth == "network" else cast(Domain, study.whole_truth)
    return whole_truth_candidates(config, space, regions)


def count_frames(study: Study) -> int:
    """Number of frames that are read, of all networks together. Raises InputError."""
    frames = sum(len(frames_of(open_dataset(path), every=study.every)) for path in study.sets)
    return frames * len(study.networks)


@dataclass(frozen=True)
class Part:
    """Some frames of a dataset, on one network: a job of a study."""

    network: Network
    path: Path
    frames: tuple[int, ...]

    @property
    def name(self) -> str:
        """Network, set and first frame."""
        return f"{self.network.label}, {set_name(self.path)}, frame {self.frames[0]}"

    @property
    def size(self) -> int:
        """Number of frames."""
        return len(self.frames)


def records_of(
    study: Study,
    done: Container[Key] = frozenset(),
    tell: Tell = lambda frames: None,
    extra: Callable[[Network], Sequence[Candidate]] | None = None,
    fleet: Fleet | None = None,
) -> Iterator[list[Record]]:
    """Records of a study, those of a frame together, always in the same order.

    Args:
        done: keys of records that there are already; they are not computed again, and neither are the
            outputs of networks for frames that have all of theirs.
        tell: is told of frames that are done.
        extra: further candidates for a network; each worker calls it.
        fleet: where frames are evaluated; None: in this process.

    Raises:
        MetricDepthError: a network, a setting or a dataset cannot be used.
    """
    unusable = dict.fromkeys(study.sets)
    work = _RecordsOfPart(study, done, extra)
    for ended in run_jobs(work, list(_parts(study)), fleet, tell=tell, in_order=True):
        any_usable, found = ended.value
        if any_usable:
            unusable.pop(ended.job.path, None)
        yield from found
    for path in unusable:
        _LOG.warning("%s: no frame with enough known pixels, left out", set_name(path))


def _parts(study: Study) -> Iterator[Part]:
    """Single frames; if there are metrics of sequences, whole sets."""
    together = any(METRICS[name].of == "sequences" for name in study.metrics)
    for network in study.networks:
        for path in study.sets:
            frames = tuple(frames_of(open_dataset(path), every=study.every))
            for part in [frames] if together else [(frame,) for frame in frames]:
                yield Part(network, path, part)


@dataclass(frozen=True)
class _RecordsOfPart:
    """Computes the records of parts; keeps the last network with its candidates and dataset, and captions."""

    study: Study
    done: Container[Key]
    extra: Callable[[Network], Sequence[Candidate]] | None
    _loaded: dict[str, tuple[list[Candidate], RelativeSource]] = field(default_factory=dict)
    _opened: dict[Path, Dataset] = field(default_factory=dict)
    _read: dict[Path, Captions] = field(default_factory=dict)

    def __call__(self, part: Part) -> tuple[bool, list[list[Record]]]:
        """Whether any frame has enough known depth, and the records of each. Raises MetricDepthError."""
        study, network = self.study, part.network
        candidates, source = _latest(self._loaded, network.label, lambda: self._load(network))
        labels = [candidate.label for candidate in candidates]
        alone = len(part.frames) == 1
        usable = _Usable(_wanted(study, network, labels, self.done) if alone else None)
        views = read_views(
            part.path, source, rules=study.rules, regions=_regions(study), engine=network.label,
            captions=self._captions(), wanted=usable, only=part.frames,
            opened=_latest(self._opened, part.path, lambda: open_dataset(part.path)),
        )  # fmt: skip
        chosen = (view for view in views if study.place in (None, view.place))
        told = _told(study)
        found = [
            [dataclasses.replace(record, **told) for record in of_view]
            for of_view in run_by_view(candidates, chosen, study.cases, study.seeds, study.metrics, self.done)
        ]
        return usable.any, found

    def _captions(self) -> Captions | None:
        path = self.study.captions
        return None if path is None else _latest(self._read, path, lambda: read_captions(path))

    def _load(self, network: Network) -> tuple[list[Candidate], RelativeSource]:
        candidates = candidates_of(self.study, network)
        candidates += self.extra(network) if self.extra is not None else ()
        return candidates, _source(self.study, network)


def _told(study: Study) -> dict[str, Any]:
    """Fields of every record that say how the study evaluates."""
    return {
        "anchor_pixels": study.rules.anchor_pixels,
        "flip": study.flip,
        "space": study.whole_truth or "",
        "regions": study.regions or study.config.regions.source,
    }


def _latest(kept: dict[K, V], key: K, make: Callable[[], V]) -> V:
    """The value of a key, made if it was not the last one asked for."""
    if key not in kept:
        kept.clear()
        kept[key] = make()
    return kept[key]


def _source(study: Study, network: Network) -> RelativeSource:
    if network.run is not None:
        return run_source(network.run, study.sets)
    focus_m = study.config.solver.focus_m or None
    return build_source(network.engine, network.stored, focus_m=focus_m, flip=study.flip, cache=_cache(study))


def _regions(study: Study) -> RegionSource | None:
    return region_source(study.regions) if study.regions is not None else None


def views_of(study: Study, network: Network, wanted: Wanted | None = None) -> Iterator[KnownView]:
    """Frames of a study's datasets, all or the wanted ones, with the depth of a network."""
    source, regions = _source(study, network), _regions(study)
    captions = None if study.captions is None else read_captions(study.captions)
    for path in study.sets:
        views = read_views(
            path, source, every=study.every, rules=study.rules, regions=regions, engine=network.label,
            captions=captions, wanted=wanted,
        )  # fmt: skip
        yield from (view for view in views if study.place in (None, view.place))


class _Usable:
    """Remembers whether any frame of a set has enough known depth.

    Attributes:
        any: whether one had.
    """

    def __init__(self, wanted: Wanted | None) -> None:
        self._wanted, self.any = wanted, False

    def __call__(self, set_name: str, frame_id: str, known: KnownDepth) -> bool:
        self.any = True
        return self._wanted is None or self._wanted(set_name, frame_id, known)


def _cache(study: Study) -> OutputCache | None:
    settings = study.cache
    if settings is None:
        return None
    return OutputCache(settings.folder, limit_bytes=settings.limit_bytes, dtype=settings.dtype)


def _wanted(
    study: Study, network: Network, labels: Sequence[str], done: Container[Key]
) -> Callable[[str, str, KnownDepth], bool]:
    """Tells whether a frame lacks a record."""

    def lacks(name: str, frame_id: str, known: KnownDepth) -> bool:
        return any(
            (network.label, name, frame_id, case.protocol, case.count, case.noisy, seed, label) not in done
            for case, seed, _ in draws(known, f"{name}/{frame_id}", study.cases, study.seeds)
            for label in labels
        )

    return lacks

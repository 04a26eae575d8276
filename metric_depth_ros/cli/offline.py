"""Implements `metric_depth run`: every sample of a source through the pipeline, results to disk."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from metric_depth_ros.bags import BagReader, BagWriter, Outcome, is_bag
from metric_depth_ros.bags.folder import METADATA
from metric_depth_ros.bags.search import is_one_recording
from metric_depth_ros.bags.storage import SUFFIXES, Window
from metric_depth_ros.cli.depth_bag import DepthBag
from metric_depth_ros.cli.outputs import keep_from_replacing, own_folder
from metric_depth_ros.cli.parsing import remapped
from metric_depth_ros.cli.previews import PREVIEWS, Previews
from metric_depth_ros.cli.shown import Shown
from metric_depth_ros.cli.tally import Tally
from metric_depth_ros.cli.view import keep_page, say_page
from metric_depth_ros.config import Config, EngineConfig, SourceConfig
from metric_depth_ros.datasets import is_dataset, open_dataset, set_parts
from metric_depth_ros.drawing.viewer import WEB, Viewer, viewing
from metric_depth_ros.engines import build_engine
from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.evaluation.held_out import error_at, held_out
from metric_depth_ros.evaluation.run_outputs import DEPTH_BAG
from metric_depth_ros.health import findings
from metric_depth_ros.pipeline import MetricDepthPipeline, Result, build_pipeline
from metric_depth_ros.types import Engine, Sample

# Passes on the samples, of which there are so many, and shows how far it is.
Watched = Callable[[Iterator[Outcome], int], Iterable[Outcome]]


def process(args: argparse.Namespace, config: Config) -> int:
    """Processes a source; returns 0 if any image got depth, else 1. Raises MetricDepthError."""
    out = args.out or default_out(args.source)
    with ExitStack() as stack:
        viewer = None if args.view is None else partial(stack.enter_context, viewing(args.view))
        tally = write_depth(args, config, out, watched=with_bar, warn=_warn, viewer=viewer)
        print(f"{args.source}: {tally.summary()}; results in {out}", flush=True)
        for note in tally.notes():
            _warn(note)
        if args.view == WEB:
            keep_page()
    return 0 if tally.times_s else 1


def _joined(source: Path) -> str:
    """What to know of a folder of bag files that no metadata.yaml joins; empty for all else."""
    if not source.is_dir() or (source / METADATA).exists() or not is_bag(source):
        return ""
    files = sorted(path.name for path in source.iterdir() if path.suffix in SUFFIXES)
    if len(files) < 2 or is_one_recording(files):
        return ""
    return f"{source}: {', '.join(files)} taken as one recording; if they are several, pass --workers 1."


def default_out(source: Path) -> Path:
    """Folder of the results of a source, here, by its name."""
    return Path(f"{source.name.split('.')[0]}_depth")


def check_counts(args: argparse.Namespace) -> None:
    """Raises InputError for --limit or --previews out of range."""
    if (args.limit is not None and args.limit < 1) or args.previews < 0:
        raise InputError("run: --limit must be positive and --previews not negative.")


def write_depth(
    args: argparse.Namespace,
    config: Config,
    out: Path,
    *,
    watched: Watched,
    warn: Callable[[str], None],
    build: Callable[[EngineConfig], Engine] = build_engine,
    viewer: Callable[[], Viewer] | None = None,
) -> Tally:
    """Writes depth of every image of a source to a folder.

    Args:
        watched: shows how far it is.
        warn: is told what to know from the start.
        build: as for ``build_pipeline``.
        viewer: opens what shows every result; called when the source and the folder are known to be good.

    Raises:
        MetricDepthError: the source, the settings or the folder cannot be used.
    """
    check_counts(args)
    tally = Tally()
    with ExitStack() as stack:
        source = stack.enter_context(open_source(args, config, warn))
        if note := _joined(args.source):
            warn(note)
        count = min(source.count, args.limit or source.count)
        _check_out(args, out)
        stack.enter_context(own_folder(out))
        writers: list[DepthBag | Previews | Shown] = []
        if viewer is not None:
            writers.append(Shown(opened := viewer()))
            say_page(opened)
        if not args.no_bag:
            bag = stack.enter_context(BagWriter(out / DEPTH_BAG, overwrite=args.overwrite))
            writers.append(DepthBag(bag, config, args.maps, count))
        found = results(source, count, config, tally, watched=watched, build=build)
        writers.append(Previews(out, count, args.previews, config, overwrite=args.overwrite))
        for index, result in found:
            for writer in writers:
                writer.write(index, result)
    tally.noted = sorted(source.notes)
    return tally


def with_bar(outcomes: Iterator[Outcome], count: int) -> Iterable[Outcome]:
    """Passes on samples, of which there are so many, and shows how far it is."""
    return tqdm(outcomes, total=count, unit="frame", disable=None)  # type: ignore[no-any-return]


def _warn(note: str) -> None:
    print(f"metric_depth: {note}", file=sys.stderr)


def results(
    source: Samples,
    count: int,
    config: Config,
    tally: Tally,
    *,
    watched: Watched = with_bar,
    build: Callable[[EngineConfig], Engine] = build_engine,
) -> Iterator[tuple[int, Result]]:
    """Yields number and result of every image with depth, of the first ``count``; the tally gets the rest.

    ``watched`` and ``build`` are as for ``write_depth``. Raises MetricDepthError at once if the pipeline
    cannot be built, later if the source is damaged.
    """
    pipeline = build_pipeline(config, build)

    def each() -> Iterator[tuple[int, Result]]:
        for index, (_, outcome) in enumerate(watched(islice(source.outcomes, count), count)):
            if (result := _result(pipeline, outcome, tally, config, source.image_topic)) is not None:
                yield index, result
        tally.skipped.update(source.skipped)

    return each()


def _check_out(args: argparse.Namespace, out: Path) -> None:
    """Raises InputError if results would replace the source or lie in it, or pictures of an earlier run."""
    source = set_parts(args.source)[2].resolve()
    if source in (out.resolve(), (out / DEPTH_BAG).resolve()):
        raise InputError(f"{out}: would hold the results beside their source, or in its place. Choose --out.")
    keep_from_replacing(out.glob(PREVIEWS), overwrite=args.overwrite)


def _result(
    pipeline: MetricDepthPipeline,
    outcome: Sample | MetricDepthError,
    tally: Tally,
    config: Config,
    image_topic: str,
) -> Result | None:
    """The pipeline's result, recorded in the tally; None after an error."""
    try:
        if isinstance(outcome, MetricDepthError):
            raise outcome
        started = time.perf_counter()
        result = pipeline.process(outcome)
        tally.times_s.append(time.perf_counter() - started)
        tally.sources.update(result.anchors_by_source)
        if "left_out" in result.metric.info:
            tally.left_out.append(result.metric.info["left_out"])
    except MetricDepthError as error:
        tally.failures.append(str(error))
        return None
    twice = findings.rectified_twice(config.input.rectification, image_topic, outcome.camera)
    for doubt in filter(None, (*result.doubts, twice)):
        tally.doubts.setdefault(findings.place(doubt), doubt)
    if (truth := held_out(outcome, result.camera, config.anchors)) is not None:
        tally.errors.append(error_at(result.metric.depth, truth))
    return result


# ---- in --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """What is processed: number of images, samples, what was skipped how often, notes, images' topic."""

    count: int
    outcomes: Iterator[Outcome]
    skipped: Counter[str] = field(default_factory=Counter)
    notes: Collection[str] = ()
    image_topic: str = ""


def has_frames(source: Path) -> bool:
    """Whether a source is a dataset, or a folder that should be one, and no bag."""
    named = bool(set_parts(source)[0])  # bag:NAME.mcap too
    return named or ((source.is_dir() or is_dataset(source)) and not is_bag(source))


@contextmanager
def open_source(
    args: argparse.Namespace, config: Config, warn: Callable[[str], None] = _warn
) -> Iterator[Samples]:
    """The samples of a bag or of a dataset; ``warn`` hears of doubts. Raises InputError."""
    if has_frames(args.source):
        yield _folder_source(args, config)
        return
    if args.hold_out or args.anchor_count:
        raise InputError(
            "run: --hold-out and --anchor-count are for folders; a bag's points are taken as they are."
        )
    topics, sources = named_topics(args, config.sources)
    if "anchors" in topics and sources and "anchors" not in _names_of(config.sources):
        raise InputError(
            f"run: anchors on {topics['anchors']}, but anchors.sources names {', '.join(sources)}. "
            "Leave out one of the two."
        )
    with bag_reader(args, config) as reader:
        note = findings.taken_as_rectified(config.input.rectification, reader.image_topic)
        if note is not None:
            warn(note)
        yield Samples(
            reader.image_count, reader.samples(config), reader.skipped, reader.notes, reader.image_topic
        )


def bag_reader(args: argparse.Namespace, config: Config, window: Window | None = None) -> BagReader:
    """Reader of a bag, or of a window of it, as the command line and the settings say."""
    topics, sources = named_topics(args, config.sources)
    named: dict[str, Any] = {**topics}
    return BagReader(
        args.source,
        **named,
        image_transport=config.input.image_transport,
        needs_points=config.needs_points,
        calibration=args.calibration,
        stamps=args.stamps,
        sources=sources,
        window=window,
    )


def named_topics(
    args: argparse.Namespace, sources: Mapping[str, SourceConfig]
) -> tuple[dict[str, str], dict[str, SourceConfig]]:
    """Topics that the command line names, by the reader's names, and the sources as it remaps them.

    A flag beats --remap. Raises InputError for names of no topic.
    """
    flags = {
        "image": args.image,
        "camera_info": args.camera_info,
        "anchors": args.anchors,
        "regions": args.regions,
        "anchors_held_out": args.held_out,
        "tf": args.tf,
        "tf_static": None,
    }
    named = {name: topic for name, topic in flags.items() if topic is not None}
    remaps = remapped(args.remap, [*flags, *_names_of(sources)])
    topics = {name: topic for name, topic in remaps.items() if name in flags} | named

    def now(topic: str) -> str:
        return remaps.get(topic.strip("/"), topic)

    return topics, {
        name: replace(source, topic=now(source.topic), camera_info=now(source.camera_info))
        for name, source in sources.items()
    }


def _names_of(sources: Mapping[str, SourceConfig]) -> list[str]:
    """Names of all topics of sources, as --remap knows them."""
    topics = (topic for source in sources.values() for topic in (source.topic, source.camera_info))
    return [topic.strip("/") for topic in topics if topic]


def _folder_source(args: argparse.Namespace, config: Config) -> Samples:
    topics, sources = named_topics(args, config.sources)
    given = [
        *topics,
        *(["calibration"] if args.calibration else []),
        *(["anchors.sources"] if sources else []),
    ]
    given += [] if args.stamps == "header" else ["stamps"]
    if given:
        raise InputError(
            f"run: {', '.join(given)} given for a bag, but {args.source} is a folder of frames. Omit it."
        )
    folder = open_dataset(args.source)

    def outcomes() -> Iterator[Outcome]:
        for index in range(len(folder)):
            try:
                frame = folder[index]
                sample = frame.sample(
                    hold_out=args.hold_out,
                    anchors=args.anchor_count,
                    seed=args.seed,
                    needs_points=config.needs_points,
                )
            except MetricDepthError as error:
                yield folder.stamp_ns(index), error
            else:
                yield folder.stamp_ns(index), sample

    return Samples(len(folder), outcomes())

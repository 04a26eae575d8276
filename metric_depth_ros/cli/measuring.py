"""Measures the pipeline on a bag, and the live node while the bag is replayed."""

from __future__ import annotations

import argparse
import os
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from metric_depth_ros import messages
from metric_depth_ros.bags import open_bag, read_messages
from metric_depth_ros.cli.live import replay_live
from metric_depth_ros.cli.offline import bag_reader, open_source
from metric_depth_ros.config import Config, changed
from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.health.timings import Timings
from metric_depth_ros.pipeline import MetricDepthPipeline, Result, build_pipeline, cloud_of
from metric_depth_ros.types import Sample

# Images whose memory is traced, before any is timed: tracing takes time.
_TRACED = 3
_LATENCY = re.compile(r"(\w+)_ms p50/p95/p99")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Measured:
    """Figures of one run.

    Attributes:
        images, depths: in the bag, and answered.
        rate_hz: depths a second.
        cpu_percent: processor time, of one core.
        peak_mib: memory of the process at its peak.
        stages: p50, p95 and p99 in milliseconds, by stage.
        new_arrays: by part of the work, memory of NumPy that it takes beyond what was there, at its peak, in
            sizes of the image; what libraries take inside is not in it. Empty: not measured.
    """

    images: int
    depths: int
    rate_hz: float
    cpu_percent: float
    peak_mib: float
    stages: Mapping[str, tuple[float, ...]]
    new_arrays: Mapping[str, float] = field(default_factory=dict)


def measure_offline(args: argparse.Namespace, config: Config) -> Measured:
    """Takes the bag through the pipeline, without a pause. Raises MetricDepthError."""
    pipeline, timings = build_pipeline(config), Timings(kept=1_000_000)
    with open_source(args, config) as source:
        count = min(source.count, args.limit or source.count)
        if count <= _TRACED:
            raise InputError(f"{args.source}: {count} images; needed more than {_TRACED}.")
        outcomes = islice(source.outcomes, count)
        new_arrays = _traced(pipeline, outcomes, config)
        forget_peak()
        started, spent_s = time.perf_counter(), usage("self")[0]
        depths = sum(_timed(pipeline, outcomes, config, timings))
        took_s, spent_s = time.perf_counter() - started, usage("self")[0] - spent_s
    return Measured(
        count - _TRACED, depths, depths / took_s, 100 * spent_s / took_s, usage("self")[1],
        timings.percentiles(), new_arrays,
    )  # fmt: skip


def _timed(
    pipeline: MetricDepthPipeline, outcomes: Iterator[Any], config: Config, timings: Timings
) -> Iterator[bool]:
    """Yields for every image whether it got depth."""
    while True:
        started = time.perf_counter()
        if (outcome := next(outcomes, None)) is None:
            return
        timings.add({"read": time.perf_counter() - started})
        result = _result(pipeline, outcome[1])
        if result is not None:
            timings.add(result.timings)
            with timings.measuring("convert"):
                as_messages(result, config)
            timings.add({"latency": time.perf_counter() - started})
        yield result is not None


def _result(pipeline: MetricDepthPipeline, outcome: Sample | MetricDepthError) -> Result | None:
    try:
        return None if isinstance(outcome, MetricDepthError) else pipeline.process(outcome)
    except MetricDepthError:
        return None


def as_messages(result: Result, config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the depth and of the cloud, as the node publishes them."""
    return messages.depth_fields(result.metric.depth, config.output.encoding), cloud_of(result, config.cloud)


def _traced(pipeline: MetricDepthPipeline, outcomes: Iterator[Any], config: Config) -> dict[str, float]:
    """``Measured.new_arrays`` of the last of the first images that gives depth; empty if none does."""
    found = {}
    tracemalloc.start()
    try:
        for _ in range(_TRACED):
            (_, outcome), read = _peak(partial(next, outcomes))
            result, solved = _peak(partial(_result, pipeline, outcome))
            if result is not None:
                _, converted = _peak(partial(as_messages, result, config))
                sizes = {"read": read, "pipeline": solved, "convert": converted}
                found = {part: size / outcome.image.nbytes for part, size in sizes.items()}
    finally:
        tracemalloc.stop()
    return found


def _peak(make: Callable[[], Made]) -> tuple[Made, int]:
    """What a function returns, and the bytes that it takes beyond those before, at its peak."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    return made, tracemalloc.get_traced_memory()[1] - before


def measure_live(args: argparse.Namespace, config: Config, folder: Path) -> Measured:
    """Replays the bag through a live node. Raises MetricDepthError."""
    with bag_reader(args, config) as reader, open_bag(args.source) as bag:
        images, seconds = reader.image_count, (bag.end_time - bag.start_time) / 1e9 / args.rate
        topics = {
            "image": reader.image_topic.removesuffix("/compressed"),
            **({"camera_info": reader.camera_info_topic} if reader.camera_info_topic else {}),
            **({"anchors": reader.sources["anchors"][0]} if "anchors" in reader.sources else {}),
        }
    used: list[tuple[float, float]] = []

    @contextmanager
    def watching(pid: int) -> Iterator[None]:
        used.append(usage(pid))
        yield
        used.append(usage(pid))

    settings = {**changed(config), "use_sim_time": True}
    recorded = replay_live(
        args.source, folder, settings, topics, rate=args.rate, timeout_s=seconds + 120, watching=watching
    )
    (before_s, _), (after_s, peak_mib) = used
    with open_bag(recorded) as answers:
        depths = answers.count("/depth/image_rect")
    *_, (_, told) = read_messages(recorded, "/diagnostics")
    return Measured(
        images, depths, depths / seconds, 100 * (after_s - before_s) / seconds, peak_mib,
        dict(_stages({pair.key: pair.value for pair in told.status[0].values})),
    )  # fmt: skip


def _stages(values: Mapping[str, str]) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yields the stages among the values of a diagnostics message, with their percentiles."""
    for name, value in values.items():
        if match := _LATENCY.fullmatch(name):
            yield match[1], tuple(float(ms) for ms in value.split(" / "))


def usage(pid: int | str) -> tuple[float, float]:
    """Processor time in seconds, and memory at its peak in MiB, of a running process (or "self")."""
    process = Path("/proc") / str(pid)
    ticks = process.joinpath("stat").read_text().rpartition(")")[2].split()[11:13]
    peak = re.search(r"VmHWM:\s+(\d+)", process.joinpath("status").read_text())
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), int(peak[1]) / 1024 if peak else 0.0


def forget_peak() -> None:
    """Lets the peak of this process' memory begin at what it has now, where the system can do so."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")

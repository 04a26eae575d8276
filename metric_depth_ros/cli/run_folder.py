"""`metric_depth run` of a folder of bags: each is a job for a fleet of workers."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from metric_depth_ros import __version__
from metric_depth_ros.bags import Outcome, find_bags, is_bag
from metric_depth_ros.bags.search import files_of
from metric_depth_ros.cli.fleet_options import fleet_of, for_workers, named_files
from metric_depth_ros.cli.folder_results import (
    Row,
    clear_all,
    digest,
    kept,
    row_of_error,
    settle_settings,
    taking_the_place_of,
    totals,
    write_row,
    write_summary,
)
from metric_depth_ros.cli.offline import check_counts, default_out, has_frames, write_depth
from metric_depth_ros.cli.outputs import own_folder
from metric_depth_ros.cli.progress import Progress
from metric_depth_ros.cli.tally import Tally
from metric_depth_ros.config import Config, EngineConfig, to_flat
from metric_depth_ros.datasets import is_dataset
from metric_depth_ros.engines.pool import EnginePool, SharedEngine
from metric_depth_ros.errors import ConfigError, InputError, ModelError
from metric_depth_ros.fleet import Ended, Fleet, UnexpectedError, count, run_jobs

_MOST_READ = 1 << 20
# Options that change no result.
_NO_MATTER = {
    "source", "out", "overwrite", "view", "workers", "ray", "threads", "gpus", "retries", "ros_args",
    "words", "config", "changes", "solver", "focus", "manifest", "model", "calibration",
}  # fmt: skip


def is_folder_of_bags(args: argparse.Namespace) -> bool:
    """Whether a command line asks for a fleet, or its source is no single bag or folder of frames.

    Raises ConfigError for a fleet for a single file.
    """
    source, wanted = args.source, args.workers is not None or args.ray is not None
    if source.is_dir():
        return wanted or not (is_dataset(source) or _is_one_bag(source))
    if wanted and (source.exists() or has_frames(source)):
        raise ConfigError(f"run: --workers or --ray for {source}; needed a folder of bags.")
    return False


def _is_one_bag(folder: Path) -> bool:
    """Whether a folder is a bag, and holds no others in folders below it."""
    return is_bag(folder) and all(folder in (bag, bag.parent) for bag in find_bags(folder))


@dataclass(frozen=True)
class Recording:
    """A bag or folder of frames: the job of a worker.

    Attributes:
        name: its path in the folder.
        source: its full path.
        out: folder for its results.
        size: of its files, bytes.
        fingerprint: of its files and of what is done with them.
    """

    name: str
    source: Path
    out: Path
    size: float
    fingerprint: str


@dataclass(frozen=True)
class DepthOfRecording:
    """Writes the depth of recordings, with one network for all of them."""

    config: Config
    options: argparse.Namespace

    def __call__(self, job: Recording) -> Row:
        """Row of the recording, once its results are in place. Raises MetricDepthError."""
        if (row := kept(job.out, job.fingerprint)) is not None:  # of a worker that died just after
            return row
        started = time.perf_counter()
        try:
            with taking_the_place_of(job.out) as folder:
                row = self._written(job, folder)
                row = dataclasses.replace(row, seconds=round(time.perf_counter() - started, 3))
                write_row(folder, row, job.fingerprint)
        except OSError as error:
            raise InputError(
                f"{error.filename or job.out}: {error.strerror or error}; needed room and leave to write it."
            ) from error
        return row

    def _written(self, job: Recording, folder: Path) -> Row:
        args = argparse.Namespace(**{**vars(self.options), "source": job.source, "out": folder})
        said: list[str] = []

        def watched(outcomes: Iterator[Outcome], images: int) -> Iterable[Outcome]:
            for outcome in outcomes:
                yield outcome
                count(job.size / images)

        tally = write_depth(args, self.config, folder, watched=watched, warn=said.append, build=self._engine)
        return _row(job.name, tally, said)

    @cached_property
    def _engines(self) -> tuple[EnginePool, list[SharedEngine]]:
        """The networks, and the last one, which stays loaded."""
        return EnginePool(), []

    def _engine(self, config: EngineConfig) -> SharedEngine:
        pool, last = self._engines
        last[:] = [pool.build(config)]
        return last[0]


def _row(name: str, tally: Tally, said: list[str]) -> Row:
    error, covered = tally.held_out or (None, None)
    first = next(iter(tally.failures), "it has no images")
    return Row(
        name, tally.images, len(tally.times_s), error, covered, tally.median_ms,
        notes=(*said, *tally.notes()), error="" if tally.times_s else f"no image got depth: {first}",
    )  # fmt: skip


def process_folder(args: argparse.Namespace, config: Config) -> int:
    """Processes the bags of a folder; returns 0 if each gave depth, else 1. Raises MetricDepthError."""
    check_counts(args)
    if args.view is not None:
        raise ConfigError("run: --view shows one recording, but there is a folder of them. Leave it out.")
    fleet = fleet_of(args)
    out = Path(os.path.abspath(args.out or default_out(args.source.absolute())))
    work = DepthOfRecording(for_workers(config, fleet), _options(args))
    settings = _settings(work)
    jobs = list(_recordings(args.source, out, digest(settings)))
    with own_folder(out):
        settle_settings(out, settings, overwrite=args.overwrite)
        rows = {job.name: row for job in jobs if (row := kept(job.out, job.fingerprint)) is not None}
        again = f", {len(rows)} of them done before" if rows else ""
        missing = sorted((job for job in jobs if job.name not in rows), key=lambda job: -job.size)
        try:
            for row in _done(work, missing, fleet):
                rows[row.bag] = row
        finally:
            clear_all(out)
            found = [rows[name] for name in sorted(rows)]
            write_summary(out, found)
    print(f"{args.source}: {totals(found)}{again}; results in {out}")
    return 1 if any(row.error for row in found) else 0


def _done(work: DepthOfRecording, jobs: list[Recording], fleet: Fleet) -> Iterator[Row]:
    """Yields the rows of the jobs as they end, the largest first, and shows how far they are."""
    progress = Progress(len(jobs), sum(job.size for job in jobs), "recordings", "B")
    with progress, closing(run_jobs(work, jobs, fleet, tell=progress.add)) as all_ended:
        for ended in all_ended:
            row = _row_of(ended)
            if isinstance(ended.error, UnexpectedError):
                progress.say(str(ended.error))
            progress.end(row.bag, row.error)
            yield row


def _row_of(ended: Ended[Recording, Row]) -> Row:
    """Row of a recording. Raises ConfigError and ModelError, which are no recording's fault."""
    if isinstance(ended.error, (ConfigError, ModelError)):
        raise ended.error
    if ended.error is None:
        return ended.value
    return row_of_error(ended.job.name, ended.error, ended.seconds)


def _recordings(folder: Path, out: Path, settings: str) -> Iterator[Recording]:
    """Yields the bags and folders of frames in a folder. Raises InputError if there are none."""
    root, found = Path(os.path.abspath(folder)), 0
    for source in find_bags(root, leave_out=out, also=is_dataset):
        name = root.name if source == root else source.relative_to(root).as_posix()
        about = _about(source)
        size = max(sum(size for _, size, _ in about), 1)
        yield Recording(name, source, out / name, size, digest([settings, about]))
        found += 1
    if not found:
        raise InputError(f"{folder}: no bags; needed .bag, .mcap or .db3 files, at any depth.")


def _about(source: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of each file of a recording; none if they cannot be told: who opens it says so."""
    with suppress(OSError):
        found = [(path, path.stat()) for path in files_of(source)]
        return [(os.path.relpath(path, source), told.st_size, told.st_mtime_ns) for path, told in found]
    return []


def _options(args: argparse.Namespace) -> argparse.Namespace:
    """What workers need of a command line: values alone, paths in full."""
    values = {name: value for name, value in vars(args).items() if name not in ("run", "command_line")}
    if args.calibration is not None:
        values["calibration"] = Path(os.path.abspath(args.calibration))
    return argparse.Namespace(**values)


def _settings(work: DepthOfRecording) -> dict[str, Any]:
    """All that the results follow from, but for the recordings."""
    flat = {name: value for name, value in to_flat(work.config).items() if name != "engine.threads"}
    options = {f"run.{name}": value for name, value in vars(work.options).items() if name not in _NO_MATTER}
    files = dict(named_files(work.config))
    if work.options.calibration is not None:
        files["run.calibration"] = work.options.calibration
    contents = {f"{name} (content)": _content(path) for name, path in files.items()}
    return {"version": __version__, **flat, **options, **contents}


def _content(path: Path) -> str:
    """Fingerprint of a file: of its content, or of large ones, whose hash a manifest has, size and time."""
    with suppress(OSError):
        about = path.stat()
        if about.st_size > _MOST_READ:
            return f"{about.st_size} bytes of {about.st_mtime_ns}"
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return "unreadable"

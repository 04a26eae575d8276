"""What `metric_depth evaluate` gives to workers: values alone, which mean the same to a process elsewhere."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tqdm import tqdm

from metric_depth_ros.cli.embeddings import ROWS, build_embeds
from metric_depth_ros.cli.fleet_options import for_workers, full_path
from metric_depth_ros.datasets import open_dataset, set_parts
from metric_depth_ros.datasets.captions import read_captions
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.evaluation.candidates import Candidate
from metric_depth_ros.evaluation.frames import find_sets, frames_of, set_name
from metric_depth_ros.evaluation.study import Network, Study, views_of
from metric_depth_ros.evaluation.train_scaling import scaling_candidates
from metric_depth_ros.fleet import Fleet

_LOG = logging.getLogger(__name__)


def with_full_paths(study: Study, fleet: Fleet) -> Study:
    """The study for workers, whose working directory is another; with their threads. Else unchanged."""

    def ready(network: Network) -> Network:
        engine = for_workers(dataclasses.replace(study.config, engine=network.engine), fleet).engine
        stored = None if network.stored is None else _full(network.stored)
        run = None if network.run is None else Path(os.path.abspath(network.run))
        return dataclasses.replace(network, engine=engine, stored=stored, run=run)

    if not (fleet.workers or fleet.ray):
        return study
    return dataclasses.replace(
        study,
        config=for_workers(study.config, fleet),
        sets=tuple(map(_full, study.sets)),
        networks=tuple(map(ready, study.networks)),
        variants={
            label: {name: _full_value(value) for name, value in settings.items()}
            for label, settings in study.variants.items()
        },
        captions=study.captions and Path(os.path.abspath(study.captions)),
        cache=study.cache and dataclasses.replace(study.cache, folder=_full(study.cache.folder)),
        regions=study.regions if study.regions in (None, "dataset") else os.path.abspath(study.regions),
    )


def _full(path: Path) -> Path:
    """Full path of a dataset or folder, behind NAME@SPLIT: if it has that."""
    place = str(set_parts(path)[2])
    return Path(str(path).removesuffix(place) + os.path.abspath(place))


def _full_value(value: Any) -> Any:
    """Value of a setting; if it names a file, its full path."""
    path = full_path(value) if isinstance(value, str) and value else None
    return value if path is None else str(path)


@dataclass(frozen=True)
class FittedScalings:
    """Function from a network to its rows of scale and shift learned on ``--fit-on``; can be pickled."""

    study: Study
    fit_on: tuple[Path, ...]
    scaling: tuple[str, ...]
    image_encoder: Path | None
    text_encoder: Path | None

    def __call__(self, network: Network) -> list[Candidate]:
        """The rows. Raises MetricDepthError."""
        embeds = build_embeds(self.scaling, self.image_encoder, self.text_encoder)
        training = dataclasses.replace(self.study, sets=self.fit_on, every=True)
        views = tqdm(views_of(training, network), unit="training frame", disable=None)
        return scaling_candidates(
            dataclasses.replace(self.study.config, engine=network.engine), embeds, views
        )


def fitted_scalings(args: argparse.Namespace, study: Study) -> FittedScalings | None:
    """What makes the rows of ``--fit-on``, if there are to be any. Raises MetricDepthError."""
    fit_on = tuple(map(_full, find_sets(args.fit_on)))
    check_captions(study, fit_on)
    if not fit_on:
        if args.scaling is not None and args.as_published is None:
            raise ConfigError(
                f"--scaling {args.scaling}: nothing to learn from; needed --fit-on DATA with it."
            )
        return None
    encoders = [path and Path(os.path.abspath(path)) for path in (args.image_encoder, args.text_encoder)]
    wanted = ROWS if args.scaling is None else args.scaling.split(",")
    # What the user asks for alone is an error where it cannot be learned.
    sure = args.scaling is not None and args.as_published is None
    names = wanted if sure else _possible(wanted, study, fit_on, encoders[0])
    return FittedScalings(study, fit_on, tuple(names), *encoders)


def check_captions(study: Study, fit_on: Sequence[Path]) -> None:
    """Raises InputError if ``--captions`` lacks one of a frame that is evaluated or learned from."""
    if study.captions is None:
        return
    captions = read_captions(study.captions)
    for paths, every in ((study.sets, study.every), (fit_on, True)):
        for frames in map(open_dataset, paths):
            captions.check_complete(frames, frames_of(frames, every=every))


def _possible(
    wanted: Iterable[str], study: Study, fit_on: Sequence[Path], image_encoder: Path | None
) -> list[str]:
    """Names of the rows that can be learned and shown; why the others cannot is logged."""
    torch = image_encoder is not None or find_spec("torch")
    mute = "" if study.captions else next((set_name(p) for p in (*fit_on, *study.sets) if _mute(p)), "")
    reasons = {
        "image": "" if torch else "needed torch: pip install 'metric_depth_ros[train]'",
        "rsa": f"{mute} has frames without a description (--captions)" if mute else "",
    }
    found = list(wanted)
    for name in [name for name in found if reasons.get(name)]:
        _LOG.warning("--fit-on: without %s: %s", ROWS[name], reasons[name])
        found.remove(name)
    return found


def _mute(path: Path) -> bool:
    """Whether any frame of a set has no description."""
    frames = open_dataset(path)
    return not all(frames.descriptions(index) for index in frames_of(frames, every=True))

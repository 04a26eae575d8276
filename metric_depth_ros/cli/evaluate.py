"""`metric_depth evaluate`: compares solvers and controls on calibrated frames with known depth."""

from __future__ import annotations

import argparse
import dataclasses
import logging
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metric_depth_ros.cli.evaluate_options import add_options
from metric_depth_ros.cli.fleet_options import fleet_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from metric_depth_ros.config import Config
    from metric_depth_ros.evaluation.known_depth import TruthRules
    from metric_depth_ros.evaluation.protocols import Case
    from metric_depth_ros.evaluation.runner import Record
    from metric_depth_ros.evaluation.study import Study

_LOG = logging.getLogger(__name__)
_PROTOCOL = "random,rows,grid"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``evaluate``."""
    parser = verbs.add_parser(
        "evaluate",
        help="error of solvers on frames with known depth, as tables",
        description="Draws anchors from the known depth of calibrated frames, gives them to each solver and "
        "prints metrics at the other known pixels as Markdown, beside two controls without a network: one "
        "depth for all, and the anchors interpolated. docs/evaluation.md says what the numbers mean.",
    )
    add_options(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints the tables. Raises MetricDepthError."""
    from metric_depth_ros.cli.as_published import filled_in
    from metric_depth_ros.cli.outputs import own_folder
    from metric_depth_ros.errors import ConfigError, InputError
    from metric_depth_ros.evaluation import report
    from metric_depth_ros.evaluation.protocols import LEAST_EVALUATED
    from metric_depth_ros.evaluation.report_files import tables_of, write_report

    if args.out is None and (args.resume or args.overwrite or args.pictures or args.records != "jsonl"):
        raise ConfigError(
            "evaluate: --resume, --overwrite, --records and --pictures; needed --out DIR with them."
        )
    if args.resume and args.overwrite:
        raise ConfigError("evaluate: --resume and --overwrite; needed one of them.")
    args = filled_in(args)
    study, papers = build_study(args), build_papers(args)
    with own_folder(args.out) if args.out is not None else nullcontext():
        records = _records(args, study)
        if not records:
            raise InputError(
                f"evaluate: no frame with enough known pixels; needed {LEAST_EVALUATED} of known depth "
                "within the limits, beside the anchors. Check DATA, --place, --limits and --protocol."
            )
        _tell_left_out(study, records)
        tables = tables_of(records, spread=args.spread, papers=papers)
        print(report.as_markdown(tables), end="")
        if args.out is not None:
            write_report(args.out, records, tables, spread=args.spread)
            if args.pictures:
                _draw(args.out, study, records)
    return 0


def _tell_left_out(study: Study, records: Sequence[Record]) -> None:
    """Warns of cases that no frame has: they have no column."""
    from metric_depth_ros.evaluation.groups import case_label

    found = {record.case for record in records}
    if without := dict.fromkeys(case_label(case) for case in study.cases if case not in found):
        _LOG.warning("anchors %s: no frame has them and enough pixels beside, left out", ", ".join(without))


def _records(args: argparse.Namespace, study: Study) -> list[Record]:
    """Records of the study; with ``--out`` they are written while it runs."""
    from tqdm import tqdm

    from metric_depth_ros.cli.evaluation_jobs import fitted_scalings, with_full_paths
    from metric_depth_ros.evaluation.study import count_frames, records_of

    fleet = fleet_of(args, 0)
    travelling = with_full_paths(study, fleet)
    extra = fitted_scalings(args, travelling)
    with tqdm(total=count_frames(study), unit="frame", disable=None) as bar:
        compute = partial(records_of, travelling, tell=bar.update, extra=extra, fleet=fleet)
        if args.out is None:
            return [record for of_frame in compute() for record in of_frame]
        return _written(args, study, compute)


def _written(
    args: argparse.Namespace, study: Study, compute: Callable[..., Iterator[list[Record]]]
) -> list[Record]:
    from metric_depth_ros.evaluation.records import LINES, PARQUET, Journal, need_parquet, write_parquet
    from metric_depth_ros.evaluation.report_files import check_same, clear_run, write_run
    from metric_depth_ros.evaluation.runner import key_of

    parquet = args.records == "parquet" or (args.resume and (args.out / PARQUET).exists())
    if parquet:
        need_parquet()
    if args.resume and (args.out / LINES).exists():
        check_same(args.out, study)
    if not args.resume:
        clear_run(args.out, overwrite=args.overwrite)
    write_run(args.out, study, args.command_line, resume=args.resume)
    with Journal(args.out / LINES, resume=args.resume) as journal:
        records = list(journal.records)
        for of_frame in compute(done=frozenset(map(key_of, records))):
            journal.write(of_frame)
            records += of_frame
    if parquet:
        write_parquet(args.out / PARQUET, records)
    return records


def _draw(folder: Path, study: Study, records: Sequence[Record]) -> None:
    from metric_depth_ros.cli.outputs import save_picture
    from metric_depth_ros.evaluation.sheets import contact_sheets

    for name, picture in contact_sheets(study, records):
        save_picture(folder / f"{name}.jpg", picture)


def build_study(args: argparse.Namespace) -> Study:
    """What the options ask for. Raises MetricDepthError."""
    from metric_depth_ros.cli.focuses import at_focuses, check_focus
    from metric_depth_ros.cli.stored_runs import check_of, data_of
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.evaluation.frames import find_sets
    from metric_depth_ros.evaluation.measures import DEFAULT, OF_SEQUENCES, chosen_metrics
    from metric_depth_ros.evaluation.study import CacheSettings, Study, named_networks, named_runs, resolved

    if args.of:
        check_of(args)
        args.all_frames = True
    metrics: tuple[str, ...] = (*DEFAULT, *OF_SEQUENCES) if args.of else DEFAULT
    if args.metrics is not None:
        metrics = chosen_metrics(args.metrics.split(","), sequences=args.all_frames)
    config = build_config(args)
    stored = [engine if engine.is_dir() else None for engine in args.engine]
    engines = [
        folder or dataclasses.replace(config.engine, manifest=str(engine))
        for folder, engine in zip(stored, args.engine, strict=True)
    ]
    usual = [] if args.variant or args.of else [config.solver.name]
    names = args.solvers.split(",") if args.solvers else usual
    variants = build_variants(args)
    if args.focuses is not None:
        names, variants = [], at_focuses(names, variants, args.focuses)
    check_focus(args, config, variants)
    if not 0 < args.cache_gb < float("inf"):
        raise ConfigError(f"--cache-gb {args.cache_gb:g}: needed more than 0.")
    cache = None
    if args.cache is not None:
        cache = CacheSettings(args.cache, int(args.cache_gb * 1e9), args.cache_dtype)
    return resolved(
        Study(
            config=config,
            sets=tuple(find_sets(data_of(args.of, args.data) if args.of else args.data)),
            networks=named_runs(args.of, config.engine)
            if args.of
            else named_networks(engines or [config.engine], config.engine),
            solvers=tuple(names),
            variants=variants,
            constant_map=args.constant_map,
            cases=tuple(build_cases(args)),
            seeds=args.seeds,
            metrics=metrics,
            rules=build_rules(args),
            regions=args.regions,
            whole_truth=args.whole_truth,
            place=args.place,
            every=args.all_frames,
            flip=args.flip,
            captions=args.captions,
            cache=cache,
        )
    )


def build_papers(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Papers and tables that are asked for. Raises InputError for one that cannot be printed."""
    from metric_depth_ros.evaluation.paper_tables import check_measured

    asked = []
    for text in args.table:
        paper, _, table = text.partition(":")
        check_measured(paper, table)
        asked.append((paper, table))
    return asked


def build_config(args: argparse.Namespace) -> Config:
    """Settings shared by all solvers. Raises ConfigError."""
    from metric_depth_ros.cli.parsing import setting_of
    from metric_depth_ros.config import Config, updated
    from metric_depth_ros.config.parameter_file import load

    changes = dict(map(setting_of, args.changes))
    if args.regions is not None:
        changes.setdefault("regions.source", "topic")
    return updated(load(args.config) if args.config else Config(), changes)


def build_variants(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Settings of each variant by label. Raises ConfigError for a label given twice."""
    from metric_depth_ros.cli.parsing import setting_of
    from metric_depth_ros.errors import ConfigError

    variants: dict[str, dict[str, Any]] = {}
    for label, *settings in args.variant:
        if label in variants:
            raise ConfigError(f"--variant {label}: given twice; needed labels that differ.")
        variants[label] = dict(map(setting_of, settings))
    return variants


def build_cases(args: argparse.Namespace) -> list[Case]:
    """Requested cases of drawing anchors, clean ones first. Raises ConfigError."""
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.evaluation.protocols import cases_of

    if args.seeds is not None and args.seeds < 1:
        raise ConfigError(f"--seeds {args.seeds}: needed 1 or more.")
    try:
        usual = {"random": tuple(map(int, args.anchors.split(",")))} if args.anchors is not None else {}
    except ValueError:
        raise ConfigError(f"--anchors {args.anchors}: needed whole numbers, as in 5,50,500.") from None
    noises = (False, True) if args.noisy else (False,)
    protocol = args.protocol or ("none" if args.of else _PROTOCOL)
    cases = [case for noisy in noises for case in cases_of(protocol, usual, noisy=noisy)]
    if usual and not {case.count for case in cases if case.protocol == "random"} >= {*usual["random"]}:
        raise ConfigError(
            f"--anchors {args.anchors}: numbers of a random without its own; --protocol {protocol} has none. "
            f"Leave it out, or add random:{args.anchors} to --protocol."
        )
    return cases


def build_rules(args: argparse.Namespace) -> TruthRules:
    """What of the known depth counts. Raises ConfigError."""
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.evaluation.known_depth import TruthRules

    limits = None
    if args.limits is not None:
        try:
            near, far = map(float, args.limits.split(","))
        except ValueError:
            raise ConfigError(f"--limits {args.limits}: needed NEAR,FAR in metres, as .001,10.") from None
        limits = near, far
    return TruthRules(limits, args.anchor_pixels == "in")

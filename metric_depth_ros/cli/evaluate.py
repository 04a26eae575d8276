"""`metric_depth evaluate`: compares solvers and controls on calibrated frames with known depth."""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metric_depth_ros.cli.fleet_options import add_fleet, fleet_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from metric_depth_ros.config import Config
    from metric_depth_ros.evaluation.known_depth import TruthRules
    from metric_depth_ros.evaluation.protocols import Case
    from metric_depth_ros.evaluation.runner import Record
    from metric_depth_ros.evaluation.study import Study

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
    parser.add_argument(
        "data",
        nargs="+",
        type=Path,
        metavar="DATA",
        help="frames, shards, NAME@SPLIT:PATH, or a folder of such",
    )
    parser.add_argument("--place", choices=("indoor", "outdoor"), help="only frames from there")
    parser.add_argument("--all-frames", action="store_true", help="not only first and last of a sequence")
    parser.add_argument(
        "--engine",
        type=Path,
        nargs="+",
        default=[],
        help="manifests or bundled names, or folders of stored outputs; several are evaluated side by side",
    )
    parser.add_argument(
        "--of",
        type=Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="measures depth that metric_depth run wrote of DATA, instead of solvers: every frame, in time "
        "too; several stand side by side",
    )
    parser.add_argument(
        "--flip", action="store_true", help="the network's mean over each picture and its mirrored picture"
    )
    parser.add_argument(
        "--metrics",
        metavar="A,B",
        help="tables of these, or all (default: abs_rel,rmse,delta1,ause_abs_rel,within_1_sigma)",
    )
    parser.add_argument(
        "--spread", action="store_true", help="also the standard deviation of each mean over seeds"
    )
    _add_solvers(parser.add_argument_group("solvers"))
    _add_cases(parser.add_argument_group("anchors"))
    _add_truth(parser.add_argument_group("truth"))
    _add_report(parser.add_argument_group("report"))
    _add_cache(parser.add_argument_group("cache of networks' outputs"))
    add_fleet(parser, default="none: this process")
    _add_scaling(parser.add_argument_group("scale and shift from a training set (paper 000)"))
    parser.set_defaults(run=run)


def _add_solvers(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--solvers", metavar="A,B", help="by name (default: that of the settings)")
    group.add_argument(
        "--variant",
        nargs="+",
        action="append",
        default=[],
        metavar=("LABEL", "NAME=VALUE"),
        help="a solver under a label, with settings of its own; repeatable",
    )
    group.add_argument(
        "--focuses", metavar="M,M", help="each solver once with each focus (solver.focus_m), as in paper 004"
    )
    group.add_argument("--constant-map", action="store_true", help="each solver without a network as well")
    group.add_argument("--config", metavar="FILE", help="parameter file for all of them")
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="a setting for all"
    )


def _add_cases(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--protocol",
        metavar="A,B:N,N",
        help="none, random, rows, grid, beams, corners, sensor; of paper 001 low, medium, high, drop; each "
        "with counts or the usual ones, as random:250,1000,rows:8,64,grid:16 (default: random,rows,grid)",
    )
    group.add_argument(
        "--anchors", metavar="N,N", help="of a random without counts (default 1,5,10,50,100,500,2000)"
    )
    group.add_argument("--noisy", action="store_true", help="also with 2 %% range noise and 5 %% outliers")
    group.add_argument("--seeds", type=int, metavar="N", help="draws (default: 3 to 100 anchors, then 2, 1)")


def _add_truth(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--limits",
        metavar="NEAR,FAR",
        help="true depth that counts, m (default: the dataset's own, else to 10 indoors, to 80 outdoors)",
    )
    group.add_argument(
        "--anchor-pixels",
        choices=("in", "out"),
        default="out",
        help="whether pixels with an anchor are evaluated, too, as papers 000 and 001 do (default: out)",
    )
    group.add_argument(
        "--regions",
        metavar="dataset|FOLDER",
        help="regions of all solvers: the dataset's own masks, or label images FOLDER/SET/FRAME.png",
    )
    group.add_argument(
        "--whole-truth",
        choices=("network", "depth", "inverse_depth", "log"),
        metavar="SPACE",
        help="adds median and linear fit to all true depth, of the image and by region; the line in this "
        "space: network (its own), depth (paper 000), inverse_depth or log",
    )


def _add_report(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="writes records, report.md, report.tex, run.json and charts (extra: plots) there",
    )
    group.add_argument("--overwrite", action="store_true", help="removes the run that is in DIR already")
    group.add_argument("--resume", action="store_true", help="keeps the records that are in DIR already")
    group.add_argument(
        "--records", choices=("jsonl", "parquet"), default="jsonl", help="parquet too (extra: parquet)"
    )
    group.add_argument(
        "--pictures", action="store_true", help="contact sheets of the best, median and worst frame in DIR"
    )
    group.add_argument(
        "--table",
        action="append",
        default=[],
        metavar="PAPER:TABLE",
        help="our figures in the form of a paper's table, as 000:1, with its rows below, even if of other "
        "data; repeatable. Published rows of the same data and protocol are printed anyway",
    )


def _add_cache(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--cache", type=Path, metavar="DIR", help="keeps and reuses the networks' outputs")
    group.add_argument("--cache-gb", type=float, default=10.0, metavar="GB", help="at most (default 10)")
    group.add_argument(
        "--cache-dtype", choices=("float32", "float16"), default="float32", help="float16: half the size"
    )


def _add_scaling(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fit-on",
        action="append",
        default=[],
        metavar="DATA",
        help="training frames; adds the rows of --scaling, which use no anchors; repeatable",
    )
    group.add_argument(
        "--scaling",
        metavar="A,B",
        help="global: one scale and shift for all, image: by the picture, rsa: by its description (default: "
        "those that can be learned on DATA)",
    )
    group.add_argument(
        "--image-encoder",
        type=Path,
        metavar="FOLDER",
        help="CLIP checkpoint (default: small_depth's encoder)",
    )
    group.add_argument(
        "--text-encoder",
        type=Path,
        metavar="MANIFEST",
        help="an exported one (default: that of the prior tr2m)",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints the tables. Raises MetricDepthError."""
    from metric_depth_ros.cli.outputs import own_folder
    from metric_depth_ros.errors import ConfigError, InputError
    from metric_depth_ros.evaluation import report
    from metric_depth_ros.evaluation.report_files import tables_of, write_report

    if args.out is None and (args.resume or args.overwrite or args.pictures or args.records != "jsonl"):
        raise ConfigError(
            "evaluate: --resume, --overwrite, --records and --pictures; needed --out DIR with them."
        )
    if args.resume and args.overwrite:
        raise ConfigError("evaluate: --resume and --overwrite; needed one of them.")
    study, papers = build_study(args), build_papers(args)
    with own_folder(args.out) if args.out is not None else nullcontext():
        records = _records(args, study)
        if not records:
            raise InputError(
                "evaluate: no frame with enough known pixels. Check DATA, --place and --anchors."
            )
        tables = tables_of(records, spread=args.spread, papers=papers)
        print(report.as_markdown(tables), end="")
        if args.out is not None:
            write_report(args.out, records, tables, spread=args.spread)
            if args.pictures:
                _draw(args.out, study, records)
    return 0


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

    if args.records == "parquet":
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
    if args.records == "parquet":
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
    return [case for noisy in noises for case in cases_of(protocol, usual, noisy=noisy)]


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

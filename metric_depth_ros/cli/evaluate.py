"""`metric_depth evaluate`: compares solvers and controls on calibrated frames with known depth."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from metric_depth_ros.config import Config, EngineConfig
    from metric_depth_ros.evaluation.candidates import Candidate
    from metric_depth_ros.evaluation.frames import KnownView
    from metric_depth_ros.evaluation.known_depth import TruthRules
    from metric_depth_ros.evaluation.protocols import Case


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb ``evaluate``."""
    parser = verbs.add_parser(
        "evaluate",
        help="error of solvers on frames with known depth, as tables",
        description="Draws anchors from the known depth of calibrated frames, gives them to each solver and "
        "prints AbsRel at the other known pixels as Markdown, beside two controls without a network: one "
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
    parser.add_argument("--engine", type=Path, help="manifest or bundled name, or a folder of stored outputs")
    parser.add_argument(
        "--flip", action="store_true", help="the network's mean over each picture and its mirrored picture"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="writes records.jsonl, report.md and charts of sparsification (extra: plots) there",
    )
    _add_solvers(parser.add_argument_group("solvers"))
    _add_cases(parser.add_argument_group("anchors"))
    _add_truth(parser.add_argument_group("truth"))
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
    group.add_argument("--constant-map", action="store_true", help="each solver without a network as well")
    group.add_argument("--config", metavar="FILE", help="parameter file for all of them")
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes", help="a setting for all"
    )


def _add_cases(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--protocol",
        default="random,rows,grid",
        metavar="A,B:N,N",
        help="random, rows, grid, beams, corners, sensor; of paper 001 low, medium, high, drop; each with "
        "counts or the usual ones, as random:250,1000,rows:8,64,grid:16 (default: random,rows,grid)",
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


def run(args: argparse.Namespace) -> int:
    """Evaluates and prints the tables. Raises MetricDepthError."""
    from tqdm import tqdm

    from metric_depth_ros.cli.outputs import own_folder
    from metric_depth_ros.drawing.charts import save_chart
    from metric_depth_ros.errors import InputError
    from metric_depth_ros.evaluation import report, runner
    from metric_depth_ros.evaluation.candidates import build_candidates

    config, cases = build_config(args), build_cases(args)
    names = args.solvers.split(",") if args.solvers else [] if args.variant else [config.solver.name]
    variants = build_variants(args)
    candidates = build_candidates(config, names, variants, constant_map=args.constant_map)
    candidates += build_whole_truth(args, config)
    changes = [{"solver.name": name} for name in names] + list(variants.values())
    if _stored(args) is None or config.engine.second:
        config = dataclasses.replace(config, engine=engine_for_all(config, changes))
    if args.out is not None:
        with own_folder(args.out):  # before minutes of work
            pass
    views = tqdm(read_all(args, config), unit="frame", disable=None)
    records = list(runner.run(candidates, views, cases, args.seeds))
    if not records:
        raise InputError("evaluate: no frame with enough known pixels. Check DATA, --place and --anchors.")
    text = report.summary(records)
    print(text, end="")
    if args.out is not None:
        runner.write_records(args.out / "records.jsonl", records)
        (args.out / "report.md").write_text(f"{text}\n{report.by_set(records)}", encoding="utf-8")
        for title, panels in report.sparsification_panels(records).items():
            name = "_".join(title.split(",")[:2]).replace(" ", "")
            path = args.out / f"sparsification_{name}.png"
            save_chart(path, "fraction of the pixels removed, least sure first", panels)
    return 0


def build_config(args: argparse.Namespace) -> Config:
    """Settings shared by all solvers. Raises ConfigError."""
    from metric_depth_ros.cli.parsing import setting_of
    from metric_depth_ros.config import Config, updated
    from metric_depth_ros.config.parameter_file import load

    changes = dict(map(setting_of, args.changes))
    if args.engine is not None and _stored(args) is None:
        changes["engine.manifest"] = str(args.engine)
    if args.regions is not None:
        changes.setdefault("regions.source", "topic")
    return updated(load(args.config) if args.config else Config(), changes)


def _stored(args: argparse.Namespace) -> Path | None:
    """Folder of stored outputs, if ``--engine`` names one and no network."""
    engine: Path | None = args.engine
    return engine if engine is not None and engine.is_dir() else None


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


def engine_for_all(config: Config, changes: Sequence[dict[str, Any]]) -> EngineConfig:
    """Settings of the network shared by all solvers: one with basis maps if any solver uses maps.

    Those that were trained for another solver come before the Gaussian process's, which takes any.

    Raises:
        ConfigError: two solvers have networks with maps of their own.
    """
    from metric_depth_ros.config import updated
    from metric_depth_ros.errors import ConfigError
    from metric_depth_ros.pipeline import engine_for

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
        name = Path(engine.second or engine.manifest).stem
        print(f"metric_depth: all solvers on {name}: one uses maps", file=sys.stderr)
    return engine


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
    return [case for noisy in noises for case in cases_of(args.protocol, usual, noisy=noisy)]


def build_whole_truth(args: argparse.Namespace, config: Config) -> list[Candidate]:
    """Fits to all true depth, if asked for: by the given regions, if any, beside the built-in ones."""
    from metric_depth_ros.evaluation.whole_truth import whole_truth_candidates

    if args.whole_truth is None:
        return []
    regions = {"": config.regions}
    if config.regions.source == "topic":
        regions = {
            "": dataclasses.replace(config.regions, source="built-in"),
            ", given regions": config.regions,
        }
    return whole_truth_candidates(
        config, None if args.whole_truth == "network" else args.whole_truth, regions
    )


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


def read_all(args: argparse.Namespace, config: Config) -> Iterator[KnownView]:
    """Reads the frames of every set in the requested place; reports sets without usable frames."""
    from metric_depth_ros.evaluation.frames import build_source, find_sets, read_views, set_name
    from metric_depth_ros.evaluation.given_regions import region_source

    rules, regions = build_rules(args), region_source(args.regions) if args.regions is not None else None
    focus_m = config.solver.focus_m or None
    source = build_source(config.engine, _stored(args), focus_m=focus_m, flip=args.flip)
    for folder in find_sets(args.data):
        count = 0
        for view in read_views(folder, source, every=args.all_frames, rules=rules, regions=regions):
            count += 1
            if args.place in (None, view.place):
                yield view
        if not count:
            print(
                f"metric_depth: {set_name(folder)}: no frame with enough known pixels, left out",
                file=sys.stderr,
            )

"""Options of `metric_depth evaluate`."""

from __future__ import annotations

import argparse
from pathlib import Path

from metric_depth_ros.cli.fleet_options import add_fleet


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of ``evaluate``, in groups."""
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
        "--networks",
        type=Path,
        metavar="FOLDER",
        help="of export: its depth networks for --engine, its SAM for regions, its CLIP for Image and RSA",
    )
    parser.add_argument(
        "--as-published",
        metavar="PAPER:TABLE",
        help="anchors, truth, metrics, solvers and --table as that table has them, as 000:1; other options "
        "given beside it take the place of these",
    )
    parser.add_argument(
        "--captions",
        type=Path,
        metavar="FILE",
        help="descriptions of frames, JSON lines with set, frame and descriptions, instead of the datasets'",
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
        help="training frames, @SPLIT of what is evaluated, or none; adds the rows of --scaling, which use "
        "no anchors; repeatable",
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
        metavar="MANIFEST",
        help="of an exported CLIP (default: small_depth's encoder)",
    )
    group.add_argument(
        "--text-encoder",
        type=Path,
        metavar="MANIFEST",
        help="an exported one (default: that of the prior tr2m)",
    )

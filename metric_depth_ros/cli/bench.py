"""`metric_depth bench`: rate, latency, processor time and memory, offline and through the live node."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metric_depth_ros.cli.run import add_bag_options, add_settings, build_config

if TYPE_CHECKING:
    from metric_depth_ros.cli.measuring import Measured


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "bench",
        help="rate, latency by stage, processor time and memory, on a bag or a rendered drive",
        description="Takes a bag through the pipeline as fast as it goes and, with --graph, at its own pace "
        "through the live node (replayer, node and recorder: three processes). Prints a Markdown table: "
        "p50/p95/p99 by stage, of all images offline and of the last 300 live. Linux.",
    )
    parser.add_argument("source", type=Path, nargs="?", metavar="BAG", help="default: a drive is rendered")
    parser.add_argument("--graph", action="store_true", help="the live node too")
    parser.add_argument("--rate", type=float, default=1.0, help="pace of the live replay (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    parser.add_argument("--limit", type=int, metavar="N", help="offline, stop after N images")
    parser.add_argument("--seconds", type=float, default=10.0, help="of the rendered drive (default 10)")
    parser.add_argument("--hz", type=float, default=30.0, help="images a second of it (default 30)")
    parser.add_argument("--size", default="640x480", help="of its images (default 640x480)")
    add_settings(parser.add_argument_group("settings; these beat --set, which beats --config"))
    add_bag_options(parser.add_argument_group("bags; a topic left out is the only one of its kind"))
    parser.set_defaults(run=run, hold_out=0.0, anchor_count=0, seed=0)


def run(args: argparse.Namespace) -> int:
    """Runs the verb; returns 0 if every run gave depth. Raises MetricDepthError."""
    import json
    import tempfile

    from metric_depth_ros.cli.measuring import measure_live, measure_offline
    from metric_depth_ros.cli.parsing import size_of
    from metric_depth_ros.errors import InputError
    from metric_depth_ros.share import need_ros

    if args.rate <= 0:
        raise InputError(f"bench: --rate {args.rate:g}; needed a positive number.")
    if args.graph:
        need_ros()
    config = build_config(args)
    with tempfile.TemporaryDirectory() as folder:
        if args.source is None:
            from metric_depth_ros.cli.synthetic_bag import render_bag

            args.source = Path(folder) / "drive.mcap"
            size = size_of(args.size)
            render_bag(args.source, "corridor", seed=4, size=size, seconds=args.seconds, rate_hz=args.hz)
        runs = {"offline": measure_offline(args, config)}
        if args.graph:
            runs["live node"] = measure_live(args, config, Path(folder))
    print("\n".join(table(runs)))
    if args.json is not None:
        figures = {name: vars(found) for name, found in runs.items()}
        try:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")
        except OSError as error:
            raise InputError(f"{args.json}: {error.strerror}; needed a file to write to.") from error
    return 0 if all(found.depths for found in runs.values()) else 1


def table(runs: dict[str, Measured]) -> Sequence[str]:
    """Lines of a Markdown table, a column for each run."""
    columns = [_cells(found) for found in runs.values()]
    rows = dict.fromkeys(name for column in columns for name in column)
    lines = [["", *runs], ["---"] * (len(runs) + 1)]
    lines += [[name, *(column.get(name, "") for column in columns)] for name in rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _cells(found: Measured) -> dict[str, str]:
    """Figures of a run in words, by name."""
    cells = {
        "images, with depth": f"{found.images}, {found.depths}",
        "depth images a second": f"{found.rate_hz:.1f}",
        "processor, % of one core": f"{found.cpu_percent:.0f}",
        "memory at its peak, MiB": f"{found.peak_mib:.0f}",
    }
    if found.new_arrays:
        parts = ", ".join(f"{part} {size:.1f}" for part, size in found.new_arrays.items())
        cells["new arrays at their peak, in sizes of the image"] = parts
    for stage, ms in found.stages.items():
        cells[f"{stage}, ms (p50/p95/p99)"] = "/".join(f"{each:.1f}" for each in ms)
    return cells

"""Writes docs/gallery.md: what the package makes of rendered scenes, by kind of scene, sensor and network.

    python benchmarks/gallery.py [--out docs/gallery] [--families room street]

Renders a drive in each kind of scene (extra ``synthetic``), and draws the last image with what each recipe of
``config/recipes`` makes of it. Pictures are of rendered scenes alone: licences of real ones do not let them
be passed on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.bags import BagReader
from metric_depth_ros.cli.main import main as metric_depth
from metric_depth_ros.cli.synthetic_bag import DEPTH
from metric_depth_ros.config import Config, from_flat
from metric_depth_ros.config.parameter_file import load
from metric_depth_ros.drawing.pictures import (
    depth_bar,
    depth_colours,
    depth_range,
    draw_anchors,
    draw_grid,
    nearest,
    resized_with_anchors,
)
from metric_depth_ros.drawing.scales import padded, write
from metric_depth_ros.evaluation.interpolation import interpolate_anchors
from metric_depth_ros.evaluation.metrics import abs_rel
from metric_depth_ros.evaluation.tables import Column, Row, Table, markdown
from metric_depth_ros.pipeline import MetricDepthPipeline, Result, build_pipeline
from metric_depth_ros.share import share_path
from metric_depth_ros.types import FloatArray, ImageArray, Sample
from metric_depth_synthetic.dataset import SyntheticDataset

ROOT = Path(__file__).parents[1]
# Kind of scene -> seed of its drive, chosen by looks: depth near and far.
DRIVES = {"room": 11, "corridor": 4, "street": 2, "tabletop": 3}
SENSORS = {
    "lidar": "LiDAR, 16 lines",
    "depth_camera": "depth camera",
    "scan_2d": "2D LiDAR",
    "vio": "VIO map points",
    "range_finder": "range finder",
    "lidar_vio_range": "LiDAR, VIO, range",
}
ENGINES = {
    "small": "small",
    "tiny": "tiny",
    "metric_solver": str(share_path("config/models/metric_solver.yaml")),
}
CONTROLS = ("control: constant map", "control: interpolation")
SIZE, CELL = "400x300", (216, 162)
SCENES = 5
INTRO = """# Gallery

Made by one command, `python benchmarks/gallery.py`, from rendered scenes alone: each kind of scene, each
sensor with its recipe (`config/recipes`), each bundled depth network. One image each, the last of a drive of
{seconds:g} s, so the figures tell of that image alone, and the networks have learned from scenes made by the
same rules: [figures of many images, real ones too](benchmarks.md). Near is red, far is blue, grey is unknown;
all depths of a picture have one scale. AbsRel is over all pixels whose true depth is known up to {far:g} m;
the controls have the same anchors and no network.
"""
SCENES_INTRO = """## Scenes

Some of the [synthetic world](synthetic.md), each with its true depth: {families}.

![{count} scenes of each kind, images and depth]({folder}/scenes.jpg)
"""


@dataclass(frozen=True)
class Shown:
    """One image by one sensor.

    Attributes:
        results: of each network.
        errors: AbsRel of each network, then of the controls.
        truth: (H, W) metres.
    """

    sensor: str
    results: Sequence[Result]
    errors: Sequence[float]
    truth: FloatArray


def last_sample(bag: Path, config: Config) -> Sample:
    """The last image of a drive, with its anchors and the true depth."""
    with BagReader(bag, sources=config.sources, anchors_held_out=DEPTH) as reader:
        *_, (_, sample) = reader.samples(config)
    if not isinstance(sample, Sample):
        raise sample
    return sample


def shown(bag: Path, pipelines: Sequence[MetricDepthPipeline], sensor: str) -> Shown:
    """The last image of a drive, by a sensor."""
    recipe = load(share_path(f"config/recipes/{sensor}.yaml"))
    sample = last_sample(bag, recipe)
    truth = np.where(sample.true_depth <= recipe.anchors.max_depth_m, sample.true_depth, np.nan)
    pipelines = [pipe.with_config(replace(recipe, engine=pipe.config.engine)) for pipe in pipelines]
    perceived = pipelines[0].perceive(sample)
    flat = replace(perceived.relative, values=np.ones_like(perceived.relative.values), features={})
    constant = pipelines[0].solve(replace(perceived, relative=flat))
    results = [pipe.process(sample) for pipe in pipelines]
    plain = interpolate_anchors(constant.anchors, constant.camera.width, constant.camera.height)
    depths = [*(result.metric.depth for result in results), constant.metric.depth, plain]
    return Shown(sensor, results, [abs_rel(depth, truth) for depth in depths], truth)


def picture(found: Sequence[Shown]) -> ImageArray:
    """Image and true depth, and below them a row for each sensor: its anchors, the depth of each network."""
    truth = found[0].truth
    low, high = depth_range(truth)
    image = cv2.resize(found[0].results[0].image, CELL, interpolation=cv2.INTER_AREA)
    head = [image, depth_colours(nearest(truth, CELL), low, high), depth_bar(CELL[1], low, high)]
    rows = []
    for each in found:
        first = each.results[0]
        anchors = draw_anchors(*resized_with_anchors(first.image, first.anchors, *CELL), low, high)
        write(anchors, f"{SENSORS[each.sensor]}: {len(first.anchors)}", (6, 16))
        rows.append([anchors])
        for result, error in zip(each.results, each.errors, strict=False):
            rows[-1].append(depth_colours(nearest(result.metric.depth, CELL), low, high))
            write(rows[-1][-1], f"AbsRel {error:.3f}", (6, 16))
    body = draw_grid(["anchors", *(f"depth, {name}" for name in ENGINES)], rows)
    top = draw_grid(["image", "true depth", ""], [head])
    return np.concatenate([padded(top, body.shape[1]), body], axis=0)


def section(family: str, found: Sequence[Shown], folder: str) -> str:
    """A kind of scene on the page: its picture, and the error of each network beside the controls."""
    rows = [Row((SENSORS[each.sensor],), each.errors) for each in found]
    columns = [Column(name) for name in (*ENGINES, *CONTROLS)]
    drawn = f"![{family}: image, true depth, and depth by sensor and network]({folder}/{family}.jpg)"
    return f"## {family}\n\n{drawn}\n\n{markdown(Table(('AbsRel',), columns, rows))}\n"


def scenes(family: str, textures: int) -> ImageArray:
    """Images of a kind of scene in a row, their depths below them."""
    data = SyntheticDataset([family], seed=3, size=CELL, views_per_scene=1, textures=textures)
    views = [data[index] for index in range(SCENES)]
    depths = [depth_colours(view.depth, *depth_range(view.depth)) for view in views]
    images = np.concatenate([view.image for view in views], axis=1)
    return np.concatenate([images, np.concatenate(depths, axis=1)])


def render(family: str, folder: Path, args: argparse.Namespace) -> Path:
    """Bag of a drive with every sensor."""
    bag = folder / f"{family}.mcap"
    options = f"--family {family} --seed {DRIVES[family]} --size {args.size} --seconds {args.seconds}"
    options += (
        f" --textures {args.textures} --sensors lidar,depth_camera,scan_2d,vio,range_finder --workers 1"
    )
    if metric_depth(["synthesize", str(bag), "--bag", *options.split()]):
        raise SystemExit(f"gallery: no drive of {family}")
    return bag


def save(path: Path, picture: ImageArray) -> None:
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Writes the gallery of the documentation.")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs/gallery", help="folder of pictures; the page is OUT.md"
    )
    parser.add_argument("--families", nargs="+", choices=DRIVES, default=[*DRIVES])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", default=SIZE)
    parser.add_argument(
        "--textures", type=int, default=400, metavar="N", help="of the scenes; fewer are quicker"
    )
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    pipelines = [build_pipeline(from_flat({"engine.manifest": each})) for each in ENGINES.values()]
    page = [INTRO.format(seconds=args.seconds, far=pipelines[0].config.anchors.max_depth_m)]
    for family in args.families:
        with tempfile.TemporaryDirectory() as folder:
            bag = render(family, Path(folder), args)
            found = [shown(bag, pipelines, sensor) for sensor in SENSORS]
        save(args.out / f"{family}.jpg", picture(found))
        page.append(section(family, found, args.out.name))
    save(args.out / "scenes.jpg", np.concatenate([scenes(family, args.textures) for family in args.families]))
    page.append(SCENES_INTRO.format(families=", ".join(args.families), count=SCENES, folder=args.out.name))
    args.out.with_suffix(".md").write_text("\n".join(page), encoding="utf-8")


if __name__ == "__main__":
    main()

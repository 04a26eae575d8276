"""Writes docs/results.md: every solver on every real frame and on a rendered test set, beside the papers.

    METRIC_DEPTH_DATA=... python benchmarks/results.py --out results

Runs ``metric_depth synthesize``, ``evaluate`` and ``compare`` as the page shows them; what is in the folder
already is kept, so that a run that was cut short goes on. Pictures are of rendered frames alone: the licences
of the real ones do not let them be passed on.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from metric_depth_ros.cli.main import main as metric_depth
from metric_depth_ros.evaluation.comparison import compare, comparison_table
from metric_depth_ros.evaluation.paper_tables import in_form_of
from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.report import Section, as_markdown, sections
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import markdown

ROOT = Path(__file__).parents[1]
PAGE, PICTURES = ROOT / "docs/results.md", ROOT / "docs/results"
# One frame of each scene; the seed is none of the training's.
RENDER = "--seed 2026 --count {count} --views 1 --size 320x240 --everything"
SOLVERS = (
    "gaussian_process,global_affine,region_aware,median,piecewise,lwlr,grid,basis,paper_median,paper_global,"
    "paper_piecewise,paper_lwlr,paper_grid,paper_region_median,paper_slf,paper_ssf"
)
EVERY = (
    '--protocol "random:1,10,100,500 rows:1,16 beams:16 grid:8 corners:500 sensor low medium high drop:1,5"'
)
# Real frames are larger: fewer cases, for a quarter of an hour.
EVERY_REAL = '--protocol "random:10,100,500 rows:4 grid:8 corners:500 sensor low medium drop:1"'
OF_000 = "paper_median,paper_global,paper_region_median,paper_slf,paper_ssf"
OF_001 = "paper_global,paper_grid,paper_lwlr,paper_piecewise,paper_ssf"
REMARKS = """**One draw of anchors for each frame and case**: differences below .01 are noise; of sequences the first
and last frame. What the numbers mean: [evaluation](evaluation.md). Networks: `relative_meter`, stored
outputs of METER (trained on NYU and KITTI, whose frames are among the real ones), and `small`, the
package's own, which never saw the depth of a real picture. Bold is the best of a column, italic the
second. **Controls are in every table**: one depth for all, and the anchors interpolated."""
OTHER = """**On the rendered set, and with the package's network: the papers' rows are of other data and
networks.** Such tables show the form and the order of methods, no more."""
# Claims of paper 000: the second is better than the first.
CLAIMS = (
    ("SSF is better than SLF", "paper_slf", "paper_ssf"),
    ("regions are better than one line for all (SLF)", "paper_global", "paper_slf"),
    ("regions are better than one line for all (SSF)", "paper_global", "paper_ssf"),
    ("regions are better than one median for all", "paper_median", "paper_region_median"),
)


def run(out: Path, name: str, data: Sequence[str], options: str, commands: list[str]) -> list[Record]:
    """Records of an evaluation; its command is added to ``commands``."""
    argv = ["evaluate", *data, *shlex.split(options), "--cache", str(out / "cache"), "--out", str(out / name)]
    argv += ["--resume"] if (out / name / "records.jsonl").exists() else []
    shown = ["$METRIC_DEPTH_DATA" if arg == os.environ["METRIC_DEPTH_DATA"] else arg for arg in argv]
    shown = [arg.replace(os.environ["METRIC_DEPTH_DATA"], "$METRIC_DEPTH_DATA") for arg in shown]
    quoted = (f'"{arg}"' if " " in arg else arg for arg in shown if arg != "--resume")
    commands.append(f"metric_depth {' '.join(quoted)}")
    print(commands[-1], flush=True)
    if metric_depth(argv):
        raise SystemExit(f"results: failed: {commands[-1]}")
    return read_records(out / name)


def render(out: Path, count: int, commands: list[str]) -> str:
    """Folder of the rendered test set."""
    folder = out / "rendered"
    argv = ["synthesize", str(folder), *RENDER.format(count=count).split(), "--workers", "1"]
    commands.append(f"metric_depth {' '.join(argv)}")
    if metric_depth(argv):
        raise SystemExit("results: the test set could not be rendered")
    return str(folder)


def claims(records: Sequence[Record], where: str) -> str:
    """Each claim of paper 000 with the intervals of its differences, and whether it is confirmed."""
    parts = []
    for claim, first, second in CLAIMS:
        a, b = ([record for record in records if record.solver == name] for name in (first, second))
        found = compare(a, b, lambda record: f"{record.engine}, {record.place}", ["abs_rel", "delta1"])
        better, worse = (sum(each.better == side for each in found) for side in "BA")
        verdict = "confirmed" if better and not worse else "refuted" if worse and not better else "mixed"
        verdict = verdict if better or worse else "not decided"
        parts.append(
            f"**{claim}**, {where}: {verdict}. Of {len(found)} differences {second} is better in {better}, "
            f"{first} in {worse}, the others are within chance. A: {first}, B: {second}.\n\n"
            + markdown(comparison_table(found, claim))
        )
    return "\n\n".join(parts)


def lowered(parts: Sequence[Section]) -> str:
    """Sections one heading below."""
    return as_markdown(parts).replace("## ", "### ")


def pictures(out: Path) -> str:
    """Copies the contact sheets of the rendered set; the lines that show them."""
    PICTURES.mkdir(exist_ok=True)
    lines = []
    for solver in ("gaussian_process", "paper_ssf"):
        for path in sorted((out / "rendered_all").glob(f"sheet_small_{solver}_*.jpg")):
            shutil.copyfile(path, PICTURES / path.name)
            lines.append(f"![{path.stem}](results/{path.name})")
    for name in ("error_over_anchors", "error_over_time"):
        path = out / "rendered_all" / f"{name}.png"
        if path.exists():
            shutil.copyfile(path, PICTURES / path.name)
            lines.append(f"![{name}](results/{path.name})")
    return "\n\n".join(lines)


def evaluations(out: Path, frames: int, commands: list[str]) -> dict[str, list[Record]]:
    """Runs what is missing; records by what they are of. The quick ones come first."""
    data, rendered = os.environ["METRIC_DEPTH_DATA"], render(out, frames, commands)

    def of(name: str, folder: str, *options: str) -> list[Record]:
        return run(out, name, [folder], " ".join(options), commands)

    drawn = "--engine small --all-frames --seeds 1"
    both = f"--engine {data}/relative_meter small --seeds 1"
    short, long = "--metrics abs_rel,delta1", "--metrics abs_rel,rmse,log10,delta1,delta2,delta3"
    of_000 = f"--solvers {OF_000} --whole-truth depth --anchor-pixels in {long} --protocol"
    of_001 = f'--anchor-pixels in {long} --protocol "low medium high drop"'
    random = "random:250,500,1000,2000"
    return {
        "rendered": [
            *of("rendered_all", rendered, drawn, f"--solvers {SOLVERS}", short, EVERY, "--pictures"),
            *of("rendered_basis", rendered, drawn, "--solvers paper_basis", short, EVERY),
        ],
        "rendered 000": of("rendered_000", rendered, drawn, of_000, f'"{random} beams:1,16,32"'),
        "rendered 001": [
            *of("rendered_001", rendered, drawn, of_001, f"--solvers {OF_001} --regions dataset"),
            *of("rendered_001_basis", rendered, drawn, of_001, "--solvers paper_basis"),
        ],
        "real 000": of("real_000", data, both, of_000, random),
        "real": [
            *of("real_all", data, both, f"--solvers {SOLVERS}", short, EVERY_REAL),
            *of("real_basis", data, "--seeds 1 --solvers paper_basis", short, EVERY_REAL),
        ],
    }


def write_page(out: Path, frames: int) -> None:
    """Runs what is missing and writes the page."""
    commands: list[str] = []
    found = evaluations(out, frames, commands)
    about = json.loads((out / "real_all/run.json").read_text())
    machine = (
        f"{about['machine']['processor'].split(' (')[0]}, one core; NumPy {about['versions']['numpy']}, ONNX "
        f"Runtime {about['versions']['onnxruntime']}, Python {about['versions']['python']}."
    )
    text = [
        "# Results",
        "Made by one command, `METRIC_DEPTH_DATA=... python benchmarks/results.py`, which runs:",
        "\n".join(f"    {command}" for command in commands),
        f"{machine} {REMARKS}",
        "## Every solver on every real frame",
        lowered(sections(found["real"])),
        f"## Every solver on a rendered test set\n\n{frames} scenes of all families at 320x240.",
        lowered(sections(found["rendered"])),
        pictures(out),
        "## Paper 000: SLF, SSF, region median, median",
        "Its claims, with 95 % intervals of paired differences.",
        claims(found["real 000"], "real frames"),
        claims(found["rendered 000"], "rendered frames"),
        'Side by side, with fits to all true depth ("truth"), which know what they are measured on:',
        lowered(sections(found["real 000"])),
        f"## Tables of the papers in their own form\n\n{OTHER}",
        lowered([part for table in ("1", "2") for part in in_form_of("000", table, found["rendered 000"])]),
        "Of paper 001, with the datasets' own masks as regions, and `paper_basis` with the bundled maps:",
        lowered([p for table in ("1", "2", "3") for p in in_form_of("001", table, found["rendered 001"])]),
    ]
    PAGE.write_text("\n\n".join(part.strip() for part in text) + "\n", encoding="utf-8")
    print(f"{PAGE}: written")


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="of records and reports")
    parser.add_argument("--frames", type=int, default=12, help="of the rendered test set (default 12)")
    args = parser.parse_args()
    if "METRIC_DEPTH_DATA" not in os.environ:
        raise SystemExit("results: METRIC_DEPTH_DATA is not set; needed the folder of the real frames.")
    args.out.mkdir(parents=True, exist_ok=True)
    write_page(args.out, args.frames)


if __name__ == "__main__":
    main()

"""Writes docs/results.md: solvers on real frames and on a rendered test set, beside the papers.

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
from dataclasses import replace
from pathlib import Path

import cv2

from metric_depth_ros.cli.main import main as metric_depth
from metric_depth_ros.evaluation.comparison import FEW_SETS, Difference, compare
from metric_depth_ros.evaluation.paper_tables import in_form_of
from metric_depth_ros.evaluation.records import read_records
from metric_depth_ros.evaluation.report import Section, as_markdown, sections
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.tables import Column, Row, Table, markdown

ROOT = Path(__file__).parents[1]
PAGE, PICTURES = ROOT / "docs/results.md", ROOT / "docs/results"
# One frame of each scene; the seeds are none of the training's.
FAMILIES, SEED = ("street", "room", "corridor", "tabletop"), 2026
RENDER = "--views 1 --size 320x240 --everything"
SOLVERS = (
    "gaussian_process,global_affine,region_aware,median,piecewise,lwlr,grid,basis,paper_median,paper_global,"
    "paper_piecewise,paper_lwlr,paper_grid,paper_region_median,paper_slf,paper_ssf"
)
EVERY = (
    '--protocol "random:1,10,100,500 rows:1,16 beams:16 grid:8 corners:500 sensor low medium high drop:1,5"'
)
# Real frames are larger: fewer cases.
EVERY_REAL = '--protocol "random:10,100,500 rows:4 grid:8 corners:500 sensor low medium drop:1"'
OF_000 = "paper_median,paper_global,paper_region_median,paper_slf,paper_ssf"
OF_001 = "paper_global,paper_grid,paper_lwlr,paper_piecewise,paper_ssf"
REMARKS = """**One draw of anchors for each frame and case**: differences below .01 are noise. **Of sets of
five frames or more only the first and last**; solvers and protocols are those of the commands, on
real frames fewer protocols. What the numbers mean: [evaluation](evaluation.md). Networks:
`relative_meter`, stored outputs of METER (trained on NYU and KITTI, whose frames are among
the real ones), and `small`, the package's own, which never saw the depth of a real picture.
Bold is the best of a column, italic the second. **Controls are in every table**: one depth
for all, and the anchors interpolated. Pictures of real frames are not shown: their licences do not
let them be passed on."""
CLAIMS_WORDS = f"""The paper's claims are that the second of each pair is better; interpolation is a control,
and at this many anchors drawn from dense truth a strong one. A cell has the mean AbsRel
of the first and of the second method; *better* or *worse* says what the second is where
the 95 % interval of the paired difference ([`compare`](evaluation.md#records)) excludes
zero, and neither word where fewer than {FEW_SETS} sets are behind it: its interval says little about other
sets."""
OTHER = """**On the rendered set, and with the package's network: the papers' rows are of other data and
networks.** Such tables show the form and the order of methods, no more."""
# Claims of paper 000, that the second is better than the first, and a control.
CLAIMS = (
    ("SLF, SSF", "paper_slf", "paper_ssf"),
    ("one line for all, SLF", "paper_global", "paper_slf"),
    ("one line for all, SSF", "paper_global", "paper_ssf"),
    ("median, region median", "paper_median", "paper_region_median"),
    ("interpolation, SSF", "control: interpolation", "paper_ssf"),
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
    """Folder of the rendered test set: a set of ``count`` scenes for each family."""
    for number, family in enumerate(FAMILIES):
        argv = ["synthesize", str(out / "rendered" / family), "--families", family, *RENDER.split()]
        argv += ["--seed", str(SEED + number), "--count", str(count), "--workers", "1"]
        commands.append(f"metric_depth {' '.join(argv)}")
        if metric_depth(argv):
            raise SystemExit("results: the test set could not be rendered")
    return str(out / "rendered")


def differences(records: Sequence[Record]) -> dict[str, list[Difference]]:
    """Differences of AbsRel at random anchors for each claim of paper 000."""
    drawn = [record for record in records if record.protocol == "random"]
    found = {}
    for claim, first, second in CLAIMS:
        a, b = ([record for record in drawn if record.solver == name] for name in (first, second))
        found[claim] = compare(a, b, lambda record: f"{record.engine}, {record.place}", ["abs_rel"])
    return found


def verdicts(real: Sequence[Record], rendered: Sequence[Record]) -> str:
    """What the intervals say of each claim, in words."""
    lines = []
    for claim, first, second in CLAIMS:
        parts = []
        for where, records in (("real", real), ("rendered", rendered)):
            parts.append(f"on {where} frames {_counted(differences(records)[claim])}")
        lines.append(f"- `{second}` against `{first}`: {'; '.join(parts)}.")
    return "\n".join(lines)


def _counted(found: Sequence[Difference]) -> str:
    """Cells where the second is better and worse, of those with enough sets."""
    enough = [each for each in found if each.sets >= FEW_SETS]
    if not enough:
        return f"fewer than {FEW_SETS} sets: the intervals say little about other sets"
    better, worse = (sum(each.better == side for each in enough) for side in "BA")
    return f"better in {better} and worse in {worse} of {len(enough)} cells"


def claims(records: Sequence[Record]) -> Table:
    """A row for each claim of paper 000, network and place, a column for each number of anchors.

    A cell has the mean AbsRel of the first and of the second method, and a word where the interval of their
    paired difference excludes zero.
    """
    counts = sorted({record.count for record in records if record.protocol == "random"})
    rows = []
    for claim, found in differences(records).items():
        for what in dict.fromkeys(each.what for each in found):
            cells = {each.case.count: _verdict(each) for each in found if each.what == what}
            rows.append(Row((claim, what), [cells.get(count, "-") for count in counts]))
    heads = ("AbsRel, first and second", "network, place")
    return Table(heads, [Column(f"{count} anchors") for count in counts], rows)


def _verdict(found: Difference) -> str:
    sign = {"A": " worse", "B": " better", "": ""}[found.better if found.sets >= FEW_SETS else ""]
    return f"{found.a:.3f} {found.b:.3f}{sign}"


def in_form(table: str, records: Sequence[Record], place: str) -> list[Section]:
    """A paper's table on the frames of a place, with controls once."""
    paper, _, number = table.partition(":")
    return in_form_of(paper, number, [record for record in records if record.place == place])


def only(records: Sequence[Record], *names: str) -> list[Record]:
    """Records with some of their metrics, for a page that can be read."""
    return [replace(r, errors={name: r.errors[name] for name in names if name in r.errors}) for r in records]


def lowered(parts: Sequence[Section]) -> str:
    """Sections one heading below."""
    return as_markdown(parts).replace("## ", "### ")


def pictures(out: Path, commands: list[str]) -> str:
    """Contact sheets of each rendered set, and charts, in docs/results; the lines that show them."""
    PICTURES.mkdir(exist_ok=True)
    lines = []
    for family in FAMILIES:
        options = (
            "--engine small --all-frames --seeds 1 --solvers gaussian_process,paper_ssf --metrics abs_rel"
        )
        options += " --protocol random:100 --pictures"
        run(out, f"pictures_{family}", [str(out / "rendered" / family)], options, commands)
        for solver in ("gaussian_process", "paper_ssf"):
            name = f"{family}_{solver}.jpg"
            picture = cv2.imread(str(out / f"pictures_{family}" / f"sheet_small_{solver}_100.jpg"))
            cv2.imwrite(str(PICTURES / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 80])
            lines.append(f"{family}, {solver}:\n\n![{family}, {solver}](results/{name})")
    for name in ("error_over_anchors", "error_over_time"):
        shutil.copyfile(out / "rendered_all" / f"{name}.png", PICTURES / f"{name}.png")
        lines.append(f"![{name.replace('_', ' ')}](results/{name}.png)")
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
            *of("rendered_all", rendered, drawn, f"--solvers {SOLVERS}", short, EVERY),
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
    shown = pictures(out, commands)
    text = [
        "# Results",
        "<!-- every command needs: data, time -->",
        "Made by one command, `METRIC_DEPTH_DATA=... python benchmarks/results.py`, which runs:",
        "\n".join(f"    {command}" for command in commands),
        f"{machine} {REMARKS}",
        "## Paper 000: SLF, SSF, region median, median",
        verdicts(found["real 000"], found["rendered 000"]),
        CLAIMS_WORDS,
        f"Real frames:\n\n{markdown(claims(found['real 000']))}",
        f"Rendered frames:\n\n{markdown(claims(found['rendered 000']))}",
        'Side by side, with fits to all true depth ("truth"), which know what they are measured on:',
        lowered(sections(only(found["real 000"], "abs_rel", "delta1"))),
        "## Solvers on real frames",
        lowered(sections(only(found["real"], "abs_rel"))),
        f"## Solvers on a rendered test set\n\n{frames} scenes of each family at 320x240.",
        lowered(sections(only(found["rendered"], "abs_rel"))),
        "Best, median and worst frame with 100 random anchors; and all solvers over anchors and time:",
        shown,
        f"## Tables of the papers in their own form\n\n{OTHER}",
        lowered([p for name in ("000:1", "000:2") for p in in_form(name, found["rendered 000"], "indoor")]),
        "Of paper 001, with the true masks as regions, and `paper_basis` with the bundled maps:",
        lowered(in_form("001:1", found["rendered 001"], "outdoor")),
        lowered([p for name in ("001:2", "001:3") for p in in_form(name, found["rendered 001"], "indoor")]),
    ]
    PAGE.write_text("\n\n".join(part.strip("\n") for part in text) + "\n", encoding="utf-8")
    print(f"{PAGE}: written")


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results"), help="of records and reports")
    parser.add_argument(
        "--frames", type=int, default=5, help="of each family of the rendered set (default 5)"
    )
    args = parser.parse_args()
    if "METRIC_DEPTH_DATA" not in os.environ:
        raise SystemExit("results: METRIC_DEPTH_DATA is not set; needed the folder of the real frames.")
    args.out.mkdir(parents=True, exist_ok=True)
    write_page(args.out, args.frames)


if __name__ == "__main__":
    main()

"""The examples run as a newcomer runs them, and their depth is right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from metric_depth_ros.solvers import SOLVERS

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples beside an installed package")


def run(name: str, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def errors(output: str) -> list[float]:
    return [float(found) for found in re.findall(r"AbsRel (\d\.\d+)", output)]


def test_every_example_is_run_here():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == {
        "first_steps.ipynb", "made_up.py", "solve_arrays.py", "solve_lidar_frame.py", "compare_solvers.py",
    }  # fmt: skip


def test_arrays():
    line, default = errors(run("solve_arrays.py"))
    assert line < 0.2 and default < 0.2


def test_the_notebook_runs_and_shows_what_it_prints(monkeypatch, capsys):
    """Its outputs are those of its code; figures are told within a fifth, as they differ between machines."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    notebook = json.loads((EXAMPLES / "first_steps.ipynb").read_text(encoding="utf-8"))
    names, drawn = {}, 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            lines = [line for line in cell["source"] if not line.startswith("%")]
            exec(compile("".join(lines), "first_steps.ipynb", "exec"), names)
            texts = ["".join(each["text"]) for each in cell["outputs"] if each["output_type"] == "stream"]
            printed, shown = capsys.readouterr().out, "".join(texts)
            number = r"\d+(?:\.\d+)?"
            assert re.sub(number, "#", printed) == re.sub(number, "#", shown)
            found, stored = (list(map(float, re.findall(number, text))) for text in (printed, shown))
            assert found == pytest.approx(stored, rel=0.2)
            pictures = len(cell["outputs"]) - len(texts)
            assert len(pyplot.get_fignums()) == pictures
            drawn += pictures
            pyplot.close("all")
    assert drawn >= 4
    assert found[1] < min(found[2:])  # of few anchors auto makes the most, controls among them


def test_the_notebook_is_small():
    assert (EXAMPLES / "first_steps.ipynb").stat().st_size < 300_000


def test_a_rendered_frame(tmp_path):
    pytest.importorskip("embreex")
    output = run("solve_lidar_frame.py", str(tmp_path / "sheet.png"))
    assert "made-up" not in output
    assert errors(output)[0] < 0.2
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_a_frame_without_the_ray_tracer(tmp_path):
    """A folder before all others on the path hides the package."""
    (tmp_path / "embreex.py").write_text("raise ImportError('hidden')")
    script = (
        "import runpy, sys\n"
        f"sys.path[:0] = [{str(tmp_path)!r}, {str(EXAMPLES)!r}]\n"
        "sys.argv = sys.argv[:1]\n"
        f"runpy.run_path({str(EXAMPLES / 'solve_lidar_frame.py')!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "embreex" in done.stdout and "made-up" in done.stdout
    assert errors(done.stdout)[0] < 0.3


def test_the_comparison_has_a_row_for_every_solver_and_more_anchors_help():
    """A solver may refuse five anchors (nan); none may be bad with 500. One has no maps there."""
    rows = dict(re.findall(r"^\| (\w+) \|(.*)\|$", run("compare_solvers.py"), re.M))
    assert list(rows) == [name for name in SOLVERS if name != "paper_basis"]
    for cells in rows.values():
        few, _, many = map(float, cells.split("|"))
        assert many < 0.3 and not few < many

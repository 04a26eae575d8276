"""A new solver is one file and one line: one is added to a copy of the package and used everywhere."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import metric_depth_ros

PACKAGE = Path(metric_depth_ros.__file__).parent
FILE = '''
"""Twice the relative depth, whatever the anchors say."""

import numpy as np

from metric_depth_ros.solvers.solver import Solver
from metric_depth_ros.types import MetricDepth


class Twice(Solver):
    def __init__(self, config):
        pass

    def solve(self, given):
        return MetricDepth(np.float32(2) * given.relative.values, info={"anchors": len(given.anchors)})
'''
LINE = '    "twice": "twice.Twice",\n'
USE = """
import numpy as np

from metric_depth_ros import solve
from metric_depth_ros.config import SETTINGS, from_flat
from metric_depth_ros.pipeline import MetricDepthPipeline
from metric_depth_ros.types import Camera, RelativeDepth, Sample

assert "twice" in SETTINGS["solver.name"].choices
image, ramp = np.zeros((4, 6, 3), np.uint8), np.arange(24, dtype=np.float32).reshape(4, 6) + 1
found = solve(ramp, [[1, 1]], [3.0], solver="twice", max_depth_m=20, residuals="keep")
assert found.depth[0, 0] == 2 and np.isnan(found.depth[-1, -1])  # 48 m, beyond the limit


class Engine:
    label, why, on_cpu = "made", "", True

    def predict(self, image, *, focus_m=None, camera=None):
        return RelativeDepth(ramp, "depth")


config = from_flat({"solver.name": "twice", "anchors.min_count": 1, "solver.focus_m": 5.0})
camera = Camera(6, 4, np.array([[6.0, 0, 2.5], [0, 6.0, 1.5], [0, 0, 1]]))
sample = Sample(image, camera, np.array([[0, 0, 3.0]], np.float32))
result = MetricDepthPipeline(Engine(), config).process(sample)
np.testing.assert_allclose(result.metric.depth, 2 * ramp)
assert result.metric.info["focus_m"] == 5.0
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PACKAGE, root / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "config", root / "config")
    (root / PACKAGE.name / "solvers/twice.py").write_text(FILE)
    table = root / PACKAGE.name / "config/solver_settings.py"
    before = table.read_text()
    after = before.replace("SOLVERS = {\n", "SOLVERS = {\n" + LINE)
    assert len(after.splitlines()) == len(before.splitlines()) + 1
    table.write_text(after)
    return root


def run(copy, *words):
    return subprocess.run([sys.executable, *words], cwd=copy, capture_output=True, text=True, timeout=120)


def test_python_and_the_pipeline_know_it(copy):
    done = run(copy, "-c", USE)
    assert done.returncode == 0, done.stderr


def test_the_parameter_file_and_the_command_line_know_it(copy):
    written = run(copy, "-m", "metric_depth_ros.cli", "config")
    assert "one of auto, twice, gaussian_process" in written.stdout, written.stderr
    refused = run(copy, "-m", "metric_depth_ros.cli", "run", "nowhere", "--solver", "twise")
    assert refused.returncode == 1 and "auto, twice, gaussian_process" in refused.stderr

"""The linters of ROS 2, where a distribution brings them, with this package's style.

`ruff` and `mypy` (`make lint`) ask for more. Not among them: ament_copyright, which wants a licence in each
file, and ament_xmllint, which takes its schema from the network.
"""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = [str(ROOT / name) for name in ("metric_depth_ros", "metric_depth_synthetic", "benchmarks", "examples")]
OURS += [str(ROOT / name) for name in ("launch", "test", "setup.py")]
# Google's style, as docs/architecture.md says; clear names and arguments need no docstring.
UNDOCUMENTED = [f"D10{number}" for number in range(8)]
WORDING = ["D402", "D403", "D417"]


@pytest.mark.linter
def test_flake8() -> None:
    main = pytest.importorskip("ament_flake8.main")
    status, errors = main.main_with_errors(["--config", str(ROOT / "setup.cfg"), *OURS])
    assert status == 0, "\n".join(errors)


@pytest.mark.linter
def test_pep257(capsys: pytest.CaptureFixture[str]) -> None:
    main = pytest.importorskip("ament_pep257.main")
    options = ["--convention", "google", "--add-ignore", *UNDOCUMENTED, *WORDING]
    status = main.main([*options, "--", *OURS])
    assert status == 0, capsys.readouterr()

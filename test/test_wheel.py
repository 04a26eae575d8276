"""The wheel: what is in it, and that it shows a first picture, without network and outside the checkout."""

import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARE = "metric_depth_ros-{version}.data/data/share/metric_depth_ros"
SHIPPED = ("config", "data", "launch", "rviz")


def call(*command, **options):
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built in a folder of links, so that the checkout stays as it is."""
    try:
        version("pip")  # to import it here would change how setuptools is imported by later tests
    except PackageNotFoundError:
        pytest.skip("pip is not installed")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in ROOT.iterdir():
        if (
            path.name not in ("build", "dist")
            and path.suffix != ".egg-info"
            and not path.name.startswith(".")
        ):
            (source / path.name).symlink_to(path)
    call("-m", "pip", "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", out, source)
    [found] = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    call("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel)
    return folder


def test_the_wheel_has_every_file_that_a_command_reads(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    share = SHARE.format(version=wheel.name.split("-")[1])
    paths = (path for folder in SHIPPED for path in (ROOT / folder).rglob("*") if path.is_file())
    kept = {f"{share}/{path.relative_to(ROOT)}" for path in paths if "__pycache__" not in path.parts}
    assert kept <= names
    code = {str(path.relative_to(ROOT)) for path in (ROOT / "metric_depth_ros").rglob("*.py")}
    assert code <= names
    assert not [name for name in names if name.startswith(("test/", "benchmarks/", "docs/"))]


def test_the_wheel_is_described_for_an_index(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        told = message_from_bytes(archive.read(name))
    assert told["Description-Content-Type"] == "text/markdown"
    text = told.get_payload()
    assert text.startswith("# metric_depth_ros") and "metric_depth try" in text
    assert "](docs/" not in text and "![" not in text
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 14)} <= {
        *told.get_all("Classifier")
    }
    assert told["Requires-Python"] == ">=3.10"


def test_the_installed_wheel_makes_the_first_picture(installed, tmp_path):
    """Nothing is written beside the picture, and nothing of the checkout is used."""
    env = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    before = sorted(installed.rglob("*"))
    assert str(installed) in call(
        "-c", "import metric_depth_ros as m; print(m.__file__)", env=env, cwd=tmp_path
    )
    printed = call("-m", "metric_depth_ros.cli", "try", env=env, cwd=tmp_path)
    assert f"metric_depth run {installed / 'share/metric_depth_ros/data/street.mcap'}" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["metric_depth_try.png"]
    assert sorted(installed.rglob("*")) == before

"""What ROS tools read: package.xml, setup.py, launch files."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

import metric_depth_ros
from metric_depth_ros import share
from metric_depth_ros.cli.live import Graph
from metric_depth_ros.cli.main import build_parser
from metric_depth_ros.health.doctor import Ends, why_silent
from metric_depth_ros.health.facts import OURS
from metric_depth_ros.share import fastdds_profile, share_path

ROOT = Path(__file__).parents[1]
DISTRO_NAMES = {
    "yaml": "python3-yaml",
    "numpy": "python3-numpy",
    "scipy": "python3-scipy",
    "cv2": "python3-opencv",
    "tqdm": "python3-tqdm",
    "packaging": "python3-packaging",
    "onnxruntime": "python3-onnxruntime-pip",
    "rosbags": "python3-rosbags-pip",
}


@pytest.mark.parametrize(
    ("rclpy", "name"),
    [
        ("3.3.11", "FASTRTPS_DEFAULT_PROFILES_FILE"),  # Humble
        ("7.1.6", "FASTRTPS_DEFAULT_PROFILES_FILE"),  # Jazzy
        ("9.1.2", "FASTDDS_DEFAULT_PROFILES_FILE"),  # Kilted
        ("10.0.1", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ],
)
def test_the_fast_dds_profile_is_set_where_that_fast_dds_looks(monkeypatch, rclpy, name):
    monkeypatch.setattr(share, "version", lambda package: rclpy)
    assert fastdds_profile({}) == {name: str(share_path("config/fastdds.xml"))}
    assert fastdds_profile({name: "mine.xml"}) == {}
    lost = why_silent("image", "/image", Ends(["a"], [OURS], "a"))
    assert f" {name} " in lost


def test_package_xml_and_setup_agree():
    package = ET.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3"
    assert package.findtext("name") == "metric_depth_ros"
    assert package.findtext("version") == metric_depth_ros.__version__
    assert package.findtext("export/build_type") == "ament_python"
    assert f'version="{metric_depth_ros.__version__}"' in (ROOT / "setup.py").read_text()


def test_what_cites_the_package_has_its_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == metric_depth_ros.__version__
    assert cited["license"] == ET.parse(ROOT / "package.xml").getroot().findtext("license")


def test_workflows_name_distributions_targets_and_actions_that_exist():
    ros, python = (
        yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())["jobs"]
        for name in ("ros", "python")
    )
    assert ros["industrial_ci"]["strategy"]["matrix"]["distro"] == ["humble", "jazzy", "kilted", "rolling"]
    steps = [step for job in python.values() for step in job["steps"]]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = {name for step in steps for name in re.findall(r"\bmake (\S+)", step.get("run", ""))}
    assert called and called <= set(targets)
    lowest, *_, highest = python["wheel"]["strategy"]["matrix"]["python"]
    setup = (ROOT / "setup.py").read_text()
    assert f'python_requires=">={lowest}"' in setup
    assert f"range({lowest.split('.')[1]}, {int(highest.split('.')[1]) + 1})" in setup


@pytest.mark.parametrize("path", sorted((ROOT / "docker").glob("*")), ids=lambda path: path.name)
def test_dockerfiles_say_that_they_have_not_run_and_call_verbs_that_parse(path):
    text = re.sub(r"\\\n# +", "", path.read_text())
    assert "not run" in text.lower()
    assert re.search(r"^FROM \S+$", text, re.MULTILINE)
    commands = re.findall(
        r"^#.*\bmetric_depth ([a-z][\w-]*(?: --?[\w.=-]+| [\w.]+=[\w.]+)*)$", text, re.MULTILINE
    )
    assert commands
    for words in commands:
        build_parser().parse_args(words.split())


@pytest.mark.parametrize(
    ("rclpy", "variable"),
    [
        ("3.3.16", {"ROS_LOCALHOST_ONLY": "1"}),  # Humble
        ("4.1.8", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),  # Iron
        ("9.1.2", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}),
    ],
)
def test_a_graph_is_kept_on_this_machine_as_that_ros_wants_it(monkeypatch, tmp_path, rclpy, variable):
    monkeypatch.setattr(share, "version", lambda package: rclpy)
    names = ("ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    env = Graph(tmp_path / "logs").env
    assert {name: env[name] for name in names if name in env} == variable


@pytest.fixture
def extras(monkeypatch):
    """The extras of setup.py: name -> what pip is asked for."""
    given = {}
    monkeypatch.setattr("setuptools.setup", lambda **kwargs: given.update(kwargs))
    monkeypatch.chdir(ROOT)
    runpy.run_path("setup.py")
    return given["extras_require"]


def test_both_distributions_from_pypi_bring_the_same_packages(extras):
    kilted, jazzy = (dict(each.split("~=") for each in extras[name]) for name in ("ros", "ros-jazzy"))
    assert kilted.keys() == jazzy.keys()
    assert (kilted["ros-rclpy[fastrtps]"][0], jazzy["ros-rclpy[fastrtps]"][0]) == ("9", "7")
    assert not set(kilted.items()) & set(jazzy.items())


def test_without_python_312_the_tests_on_jazzy_say_what_is_needed(tmp_path):
    make = ["make", "test-jazzy", f"VENV_JAZZY={tmp_path}/venv", f"PYTHON_JAZZY={tmp_path}/missing"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert f"{tmp_path}/missing does not run; needed Python 3.12 for ROS 2 Jazzy" in done.stderr
    assert "PYTHON_JAZZY=" in done.stderr


def test_ci_tests_on_jazzy_what_exists():
    [named] = re.findall(r'TESTS="(.+?)"', (ROOT / ".ci" / "run").read_text(), re.DOTALL)
    paths = named.replace("\\\n", " ").split()
    assert len(paths) > 5 and all((ROOT / path).is_file() for path in paths)


@pytest.mark.parametrize(("wanted", "status"), [({}, 0), ({"METRIC_DEPTH_JAZZY": "required"}, 1)])
def test_ci_says_that_jazzy_was_not_run_and_fails_if_it_is_required(tmp_path, wanted, status):
    """With stand-ins for make and the soak, and without Python 3.12."""
    for path in (".ci", ".venv/bin", "bin"):
        (tmp_path / path).mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    for path in ("bin/make", "bin/python3.12", ".venv/bin/python"):
        (tmp_path / path).write_text("#!/bin/sh\nexit " + ("1" if "3.12" in path else "0"))
        (tmp_path / path).chmod(0o755)
    env = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "PYENV_ROOT": str(tmp_path), **wanted}
    done = subprocess.run(["bash", tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert "Tests on ROS 2 Jazzy: not run" in done.stdout


def test_package_xml_names_every_package_that_is_imported():
    declared = {tag.text for tag in ET.parse(ROOT / "package.xml").getroot().findall("exec_depend")}
    renamed = {**DISTRO_NAMES, "tf2_ros": "tf2_ros_py"}
    optional = (
        "openvino",
        "tensorrt",
        *("lz4", "backports", "compression"),  # come with rosbags
        "embreex",
        "torch",
        "onnx",
        "transformers",
        "safetensors",
        "matplotlib",
        "rerun",
        "argcomplete",
        "tokenizers",
        "h5py",
        "OpenEXR",
        "pyarrow",
        "ray",
    )
    ours = ("metric_depth_ros", "metric_depth_synthetic", "__future__", *optional)
    used = set()
    for path in [*(ROOT / "metric_depth_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                used.add(node.module.split(".")[0])
    needed = {renamed.get(name, name) for name in used - set(sys.stdlib_module_names) - set(ours)}
    assert needed <= declared


def test_shipped_files_are_found():
    for name in (
        "config/metric_depth.yaml",
        "config/fastdds.xml",
        "launch/replay.launch.py",
        "rviz/metric_depth.rviz",
        "config/models/tiny_depth.onnx",
    ):
        assert share_path(name).is_file()


def test_every_file_in_config_and_data_is_installed():
    """setup.py lists them; a checkout hides one that is forgotten."""
    text = (ROOT / "setup.py").read_text()
    patterns = re.findall(r'glob\("((?:config|data)/[^"]+)"\)', text)
    installed = {path for pattern in patterns for path in ROOT.glob(pattern)}
    for folder in ("config", "data"):
        assert {path for path in (ROOT / folder).rglob("*") if path.is_file()} <= installed
    with pytest.raises(FileNotFoundError):
        share_path("config/nothing.yaml")


@pytest.mark.parametrize("name", ["metric_depth", "replay"])
def test_launch_files_load_and_describe_their_arguments(name):
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(ROOT / "launch" / f"{name}.launch.py"))
    arguments = {argument.name for argument in description.get_launch_arguments()}
    assert {"image", "camera_info", "anchors", "manifest", "solver", "focus", "params_file"} <= arguments

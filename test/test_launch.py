"""Launch files: what they start, and what they refuse. Stand-in executables note how they were called."""

import ast
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from metric_depth_ros import config
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.share import start_command

LAUNCH = Path(__file__).parents[1] / "launch"
NODE_MODULE = "metric_depth_ros.nodes"
NOTE = """#!{python}
import json, pathlib, sys
files = [after for before, after in zip(sys.argv, sys.argv[1:]) if before == "--params-file"]
note = {{"argv": sys.argv[1:], "files": [pathlib.Path(file).read_text() for file in files]}}
pathlib.Path("{note}").write_text(json.dumps(note))
"""


@pytest.fixture
def started(tmp_path, monkeypatch):
    """Runs a launch file with both executables replaced: (status, {executable: how it was called})."""
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchDescription, LaunchService

    names = ("metric_depth_node", "metric_depth")
    for name in names:
        place_script(tmp_path / "prefix", name, NOTE.format(python=sys.executable, note=tmp_path / name))
    prefixes = [str(tmp_path / "prefix"), os.environ.get("AMENT_PREFIX_PATH", "")]
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(filter(None, prefixes)))
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    # The launch file sets it for what it starts; setting it here has it undone after the test.
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        monkeypatch.setenv(name, "")

    def run(file, *before, **arguments):
        service = LaunchService(noninteractive=True)
        source = PythonLaunchDescriptionSource(str(LAUNCH / file))
        include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
        service.include_launch_description(LaunchDescription([*before, include]))
        status = service.run()
        notes = {name: tmp_path / name for name in names}
        return status, {name: json.loads(note.read_text()) for name, note in notes.items() if note.exists()}

    return run


def place_script(prefix, name, text):
    """An executable where colcon installs those of this package."""
    script = prefix / "lib" / "metric_depth_ros" / name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(text)
    script.chmod(0o755)
    return script


def parameters(note):
    """The parameters a node was given, later files over earlier ones."""
    merged = {}
    for file in note["files"]:
        merged.update(yaml.safe_load(file)["/**"]["ros__parameters"])
    return merged


def remappings(note):
    return {after for before, after in zip(note["argv"], note["argv"][1:], strict=False) if before == "-r"}


def test_what_is_given_reaches_the_node(started, tmp_path):
    file = tmp_path / "robot.yaml"
    sources = "anchors: {sources: [front]}, sources: {front: {topic: /range, model: range_finder}}"
    file.write_text(f"/**: {{ros__parameters: {{solver.focus_m: 3.0, solver.focus_width: 0.7, {sources}}}}}")
    given = {"image": "/camera/image", "depth": "/out/depth", "manifest": "m.yaml", "solver": "global_affine"}
    given["focus_topic"] = "/planner/focus"
    status, called = started(
        "metric_depth.launch.py",
        **given,
        focus="5",
        threads="1",
        fixed_frame="on",
        namespace="robot",
        params_file=str(file),
        log_level="debug",
    )
    assert status == 0
    note = called["metric_depth_node"]
    assert remappings(note) == {
        "__ns:=/robot",
        "image:=/camera/image",
        "depth/image_rect:=/out/depth",
        "focus:=/planner/focus",
    }
    assert note["argv"][note["argv"].index("--log-level") + 1] == "debug"
    values = parameters(note)
    assert values == {
        "solver.focus_width": 0.7,  # of the file
        "anchors": {"sources": ["front"]},
        "sources": {"front": {"topic": "/range", "model": "range_finder"}},
        "solver.focus_m": 5.0,  # the argument wins over the file
        "engine.manifest": "m.yaml",
        "engine.threads": 1,
        "solver.name": "global_affine",
        "sync.fixed_frame": "on",  # text stays text
    }
    assert type(values["solver.focus_m"]) is float


def test_what_is_not_given_is_left_to_the_node(started):
    status, called = started("metric_depth.launch.py")
    assert status == 0
    note = called["metric_depth_node"]
    assert note["files"] == []
    assert remappings(note) <= {"__ns:=/"}


@pytest.mark.parametrize(
    ("cameras", "namespace", "around", "named"),
    [
        ("front,rear", "", None, ["front", "rear"]),
        (" front, /rear", "robot", None, ["robot/front", "/rear"]),
        ("front,rear", "arm", "robot", ["/robot/arm/front", "/robot/arm/rear"]),
    ],
)
def test_each_camera_has_a_namespace(started, cameras, namespace, around, named):
    from launch_ros.actions import PushRosNamespace

    outer = [PushRosNamespace(around)] if around else []
    status, called = started(
        "metric_depth.launch.py", *outer, cameras=cameras, namespace=namespace, image="raw"
    )
    assert status == 0
    note = called["metric_depth_node"]
    assert note["argv"][: len(named) + 2] == ["--cameras", *named, "--ros-args"]
    # A namespace that launch_ros gives the whole process gives way to the cameras' own (test_lifecycle).
    assert remappings(note) - {f"__ns:=/{around}"} == {"image:=raw"}


def test_a_lifecycle_manager_starts_the_node(started):
    status, called = started("metric_depth.launch.py", autostart="false")
    assert status == 0
    assert parameters(called["metric_depth_node"]) == {"lifecycle.autostart": False}


@pytest.mark.parametrize(
    ("argument", "text", "said"),
    [
        ("focus", "near", "0 to 1000 m, or manipulation, indoor, outdoor, sky, off"),
        ("focus", "2000", "a number from 0 to 1000 m"),
        ("threads", "1.5", "a whole number"),
        ("solver", "magic", "one of auto, "),
        ("autostart", "maybe", "true or false"),
        ("use_sim_time", "maybe", "true or false"),
        ("params_file", "/missing.yaml", "no such file"),
        ("log_level", "loud", "Valid options"),
    ],
)
def test_wrong_arguments_stop_the_launch(started, caplog, argument, text, said):
    status, called = started("metric_depth.launch.py", **{argument: text})
    assert status == 1
    assert called == {}
    assert argument in caplog.text
    assert text in caplog.text
    assert said in caplog.text


def test_replay_starts_the_replayer_and_a_node_on_its_time(started):
    status, called = started("replay.launch.py", bag="/some bag", rate="0.5", loop="0", focus="4")
    assert status == 0
    assert called["metric_depth"]["argv"] == ["replay", "/some bag", "--rate", "0.5", "--loop", "0"]
    assert parameters(called["metric_depth_node"]) == {"use_sim_time": True, "solver.focus_m": 4.0}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("focus", "5", 5.0),
        ("focus", "indoor", 10.0),
        ("focus", "off", 0.0),
        ("threads", "3", 3),
        ("fixed_frame", "1", "1"),
        ("use_sim_time", "True", True),
        ("use_sim_time", "false", False),
    ],
)
def test_arguments_become_typed_values(name, text, value):
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    typed = runpy.run_path(str(LAUNCH / "metric_depth.launch.py"))["typed"]
    assert typed(name, text) == value
    assert type(typed(name, text)) is type(value)
    with pytest.raises(ConfigError, match=r"^threads:=-1: engine\.threads: -1; needed a whole number"):
        typed("threads", "-1")


def test_sources_become_parameters_or_are_refused():
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    arguments = runpy.run_path(str(LAUNCH / "metric_depth.launch.py"))["source_arguments"]
    assert arguments("") == []
    assert arguments("lidar=/points, vio=/map") == [
        "-p", "anchors.sources:=[lidar,vio]",
        "-p", "sources.lidar.topic:=/points",
        "-p", "sources.vio.topic:=/map",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"^sources:=lidar: sources\.lidar\.topic: empty"):
        arguments("lidar")


def test_launch_arguments_name_settings_that_exist():
    settings = {name for name, _ in assigned_in("metric_depth.launch.py")["SETTINGS"].values()}
    assert settings - {"use_sim_time"} <= set(config.SETTINGS)


def test_rviz_shows_the_node_s_topics_in_whatever_namespace():
    """RViz resolves relative names in its own namespace, and remaps them; absolute ones it does not."""
    shown = yaml.safe_load((LAUNCH.parent / "rviz" / "metric_depth.rviz").read_text())
    displays = shown["Visualization Manager"]["Displays"]
    topics = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert topics == set(assigned_in("rviz.launch.py")["TOPICS"].values())
    ours = assigned_in("metric_depth.launch.py")["TOPICS"]
    assert assigned_in("rviz.launch.py")["TOPICS"].items() <= ours.items()


def test_rviz_starts_in_the_namespace_with_the_remappings(started, tmp_path):
    rviz = tmp_path / "prefix" / "lib" / "rviz2" / "rviz2"
    rviz.parent.mkdir(parents=True)
    rviz.write_text(NOTE.format(python=sys.executable, note=tmp_path / "rviz2"))
    rviz.chmod(0o755)
    index = tmp_path / "prefix" / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "rviz2").touch()
    status, _ = started("rviz.launch.py", namespace="robot", image="/camera/image", frame="map")
    assert status == 0
    note = json.loads((tmp_path / "rviz2").read_text())
    assert remappings(note) == {"__ns:=/robot", "image:=/camera/image"}
    assert note["argv"][note["argv"].index("-f") + 1] == "map"


def assigned_in(file):
    """Constants of a launch file that are written out, by name."""
    tree = ast.parse((LAUNCH / file).read_text())
    assigned = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    return {name: ast.literal_eval(value) for name, value in assigned.items()}


def test_colcon_s_script_is_taken_where_there_is_one(tmp_path, monkeypatch):
    script = place_script(tmp_path / "second", "metric_depth_node", "")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'first'}{os.pathsep}{tmp_path / 'second'}")
    assert start_command("metric_depth_node", NODE_MODULE) == [str(script)]


@pytest.mark.parametrize(
    ("executable", "module"), [("metric_depth_node", NODE_MODULE), ("metric_depth", "metric_depth_ros.cli")]
)
def test_without_a_script_this_python_runs_the_module(executable, module, tmp_path, monkeypatch):
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert start_command(executable, module) == [sys.executable, "-m", module]


def test_the_module_of_the_command_line_runs():
    done = subprocess.run(
        [sys.executable, "-m", "metric_depth_ros.cli", "replay", "--help"], capture_output=True
    )
    assert done.returncode == 0
    assert b"--rate" in done.stdout


@pytest.mark.parametrize(
    ("plugins", "becomes", "name"),
    [
        (
            ["obstacle_layer", "inflation_layer"],
            ["obstacle_layer", "voxel_layer", "inflation_layer"],
            "voxel_layer",
        ),
        (
            ["voxel_layer", "inflation_layer"],
            ["voxel_layer", "metric_depth_layer", "inflation_layer"],
            "metric_depth_layer",
        ),
        (["static_layer"], ["static_layer", "voxel_layer"], "voxel_layer"),
    ],
)
def test_nav2_s_costmap_gets_our_layer_before_its_inflation(plugins, becomes, name):
    pytest.importorskip("launch_ros", reason="launch_ros is not installed")
    example = runpy.run_path(str(LAUNCH / "nav2_bringup_example.launch.py"))
    ours = yaml.safe_load((LAUNCH.parent / "config" / "recipes" / "nav2_costmap.yaml").read_text())
    theirs = {
        "local_costmap": {"local_costmap": {"ros__parameters": {"plugins": plugins, "width": 3}}},
        "x": 1,
    }
    merged = example["with_layer"](theirs, example["layer_of"](ours, {"metric_depth": "/depth/points"}))
    costmap = merged["local_costmap"]["local_costmap"]["ros__parameters"]
    assert (costmap["plugins"], costmap["width"], merged["x"]) == (becomes, 3, 1)
    assert costmap[name]["metric_depth"]["topic"] == "/depth/points"


NAVIGATION = """
import json, pathlib
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

def note(context):
    given = context.launch_configurations
    told = {{name: given[name] for name in ("namespace", "autostart", "use_sim_time", "container_name")}}
    told["params"] = pathlib.Path(given["params_file"]).read_text()
    pathlib.Path("{note}").write_text(json.dumps(told))

def generate_launch_description():
    defaults = {{"namespace": "", "autostart": "true", "container_name": "nav2"}}
    declared = [DeclareLaunchArgument(name, default_value=text) for name, text in defaults.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=note)])
"""


@pytest.fixture
def with_nav2(started, tmp_path):
    """Runs the example with a stand-in of nav2_bringup: what Nav2 was told, and how the node was called."""
    share = tmp_path / "prefix" / "share"
    for name, text in {
        "ament_index/resource_index/packages/nav2_bringup": "",
        "nav2_bringup/params/nav2_params.yaml": "{}",
        "nav2_bringup/launch/navigation_launch.py": NAVIGATION.format(note=tmp_path / "nav2"),
    }.items():
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).write_text(text)

    def run(**arguments):
        status, called = started("nav2_bringup_example.launch.py", **arguments)
        assert status == 0
        return json.loads((tmp_path / "nav2").read_text()), called["metric_depth_node"]

    return run


@pytest.mark.parametrize(
    ("given", "clouds"),
    [
        ({}, {"metric_depth": "/depth/points"}),
        ({"namespace": "robot"}, {"metric_depth": "/robot/depth/points"}),
        ({"namespace": "robot", "points": "cloud"}, {"metric_depth": "/robot/cloud"}),
        ({"namespace": "robot", "points": "/cloud"}, {"metric_depth": "/cloud"}),
        ({"cameras": "front"}, {"metric_depth": "/front/depth/points"}),
        (
            {"cameras": "front, /rear", "namespace": "robot"},
            {
                "metric_depth_robot_front": "/robot/front/depth/points",
                "metric_depth_rear": "/rear/depth/points",
            },
        ),
    ],
)
def test_nav2_listens_where_the_node_publishes(with_nav2, given, clouds):
    told, _ = with_nav2(**given)
    costmap = yaml.safe_load(told["params"])["local_costmap"]["local_costmap"]["ros__parameters"]
    layer = costmap["voxel_layer"]
    assert layer["observation_sources"].split() == [*clouds]
    assert {name: layer[name]["topic"] for name in clouds} == clouds
    assert all(layer[name]["obstacle_max_range"] == 4.0 for name in clouds)
    assert ("metric_depth" in layer) == ("metric_depth" in clouds)


def test_nav2_keeps_its_own_arguments(with_nav2):
    mine = {"namespace": "robot", "autostart": "false"}
    told, note = with_nav2(**mine, use_sim_time="true", container_name="mine")
    own = {"namespace": "", "autostart": "true", "use_sim_time": "true", "container_name": "mine"}
    assert {name: told[name] for name in own} == own
    assert "__ns:=/robot" in remappings(note)


def test_a_sensor_s_recipe_goes_with_that_of_nav2(with_nav2):
    _, note = with_nav2(params_file="nav2_depth, realsense")
    recipes = [yaml.safe_load(file)["/**"]["ros__parameters"] for file in note["files"]]
    assert "cloud" in recipes[0] and "sources" in recipes[1]


def test_later_parameter_files_win(started, tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.yaml").write_text(f"/**: {{ros__parameters: {{solver.focus_m: {number}.0}}}}")
    files = f"{tmp_path / '2.yaml'},{tmp_path / '1.yaml'}"
    status, called = started("metric_depth.launch.py", params_file=files)
    assert status == 0
    assert parameters(called["metric_depth_node"]) == {"solver.focus_m": 1.0}

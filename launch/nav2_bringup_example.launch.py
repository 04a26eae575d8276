"""Starts metric_depth_node and Nav2, whose local costmap takes the node's cloud.

    ros2 launch metric_depth_ros nav2_bringup_example.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info anchors:=/lidar/points nav2_params:=my_nav2.yaml

Takes all arguments of metric_depth.launch.py too, for the node alone; Nav2 has its own. Its layer listens to
every camera's cloud. With a sensor's recipe: params_file:=nav2_depth,realsense. An example: copy it.
docs/recipes/nav2.md says what clears.
"""

import tempfile
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    UnsetLaunchConfiguration,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from launch import LaunchDescription
from metric_depth_ros.share import share_path

LAYER, COSTMAP = "voxel_layer", "local_costmap"


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "nav2_params", default_value="", description="Nav2's parameters; empty: those of nav2_bringup"
            ),
            DeclareLaunchArgument("use_sim_time", default_value="false", description="time is from /clock"),
            DeclareLaunchArgument(
                "params_file",
                default_value="nav2_depth",
                description="parameter files or recipes of metric_depth_node: nav2_depth,realsense",
            ),
            IncludeLaunchDescription(the_node()),
            OpaqueFunction(function=start_nav2),
        ]
    )


def start_nav2(context):
    """Starts Nav2 with the node's layer among those of its local costmap."""

    def given(name):
        return LaunchConfiguration(name).perform(context)

    bringup = Path(get_package_share_directory("nav2_bringup"))
    theirs = Path(given("nav2_params") or bringup / "params" / "nav2_params.yaml")
    ours = share_path("config/recipes/nav2_costmap.yaml")
    layer = layer_of(yaml.safe_load(ours.read_text()), clouds_of(context))
    with tempfile.NamedTemporaryFile("w", prefix="nav2_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(with_layer(yaml.safe_load(theirs.read_text()), layer), file)
    arguments = {"params_file": file.name, "use_sim_time": given("use_sim_time")}
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(bringup / "launch" / "navigation_launch.py")),
        launch_arguments=arguments.items(),
    )
    # Nav2 has arguments of the same names, as namespace and autostart.
    of_the_node = the_node().get_launch_description(context).get_launch_arguments()
    return [GroupAction([*(UnsetLaunchConfiguration(each.name) for each in of_the_node), include])]


def the_node():
    """Launch file of the node."""
    return PythonLaunchDescriptionSource(str(share_path("launch/metric_depth.launch.py")))


def clouds_of(context):
    """Topics of the node's clouds, one for each camera, by the name of an observation source."""
    given = context.launch_configurations
    namespace = prefix_namespace(given.get("ros_namespace"), given["namespace"])
    cameras = [name.strip() for name in given["cameras"].split(",") if name.strip()]
    spaces = [prefix_namespace(namespace, name) for name in cameras] or [namespace]
    topics = {make_namespace_absolute(prefix_namespace(space, given["points"])): space for space in spaces}
    if len(topics) == 1:
        return {"metric_depth": next(iter(topics))}
    return {f"metric_depth_{space.strip('/').replace('/', '_')}": topic for topic, space in topics.items()}


def layer_of(ours, clouds):
    """Our layer with an observation source for each cloud."""
    layer = dict(ours[COSTMAP][COSTMAP]["ros__parameters"][LAYER])
    source = layer.pop(layer["observation_sources"])
    sources = {name: {**source, "topic": topic} for name, topic in clouds.items()}
    return {**layer, "observation_sources": " ".join(sources), **sources}


def with_layer(theirs, layer):
    """Nav2's parameters with our layer in the local costmap, before its inflation; all else stays."""
    costmap = theirs.setdefault(COSTMAP, {}).setdefault(COSTMAP, {}).setdefault("ros__parameters", {})
    plugins = costmap.get("plugins", ["inflation_layer"])
    name = "metric_depth_layer" if LAYER in plugins else LAYER
    at = plugins.index("inflation_layer") if "inflation_layer" in plugins else len(plugins)
    costmap["plugins"] = [*plugins[:at], name, *plugins[at:]]
    costmap[name] = layer
    return theirs

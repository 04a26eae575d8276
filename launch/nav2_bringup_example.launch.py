"""Starts metric_depth_node and Nav2, whose local costmap takes the node's cloud.

    ros2 launch metric_depth_ros nav2_bringup_example.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info anchors:=/lidar/points nav2_params:=my_nav2.yaml

Takes all arguments of metric_depth.launch.py too. An example: copy it. docs/recipes/nav2.md says what clears.
"""

import tempfile
from pathlib import Path

import yaml
from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

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
                default_value=str(share_path("config/recipes/nav2_depth.yaml")),
                description="parameters of metric_depth_node",
            ),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share_path("launch/metric_depth.launch.py")))
            ),
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
    merged = with_layer(yaml.safe_load(theirs.read_text()), yaml.safe_load(ours.read_text()))
    with tempfile.NamedTemporaryFile("w", prefix="nav2_", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(merged, file)
    arguments = {"params_file": file.name, "use_sim_time": given("use_sim_time")}
    return [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(bringup / "launch" / "navigation_launch.py")),
            launch_arguments=arguments.items(),
        )
    ]


def with_layer(theirs, ours):
    """Nav2's parameters with our layer in the local costmap, before its inflation; all else stays."""
    costmap = theirs.setdefault(COSTMAP, {}).setdefault(COSTMAP, {}).setdefault("ros__parameters", {})
    layer = ours[COSTMAP][COSTMAP]["ros__parameters"][LAYER]
    plugins = costmap.get("plugins", ["inflation_layer"])
    name = "metric_depth_layer" if LAYER in plugins else LAYER
    at = plugins.index("inflation_layer") if "inflation_layer" in plugins else len(plugins)
    costmap["plugins"] = [*plugins[:at], name, *plugins[at:]]
    costmap[name] = layer
    return theirs

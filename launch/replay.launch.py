"""Replays a bag through metric_depth_node, with RViz if wanted.

    ros2 launch metric_depth_ros replay.launch.py bag:=/path/bag rviz:=true

Takes all arguments of metric_depth.launch.py too. `metric_depth replay` publishes the bag with /clock,
so that every process runs on the bag's time.
"""

from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from launch import LaunchDescription
from metric_depth_ros.share import share_path, start_command


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="bag to replay (ROS 1, ROS 2 sqlite3 or mcap)"),
            DeclareLaunchArgument("rate", default_value="1.0", description="pace; 1.0: as recorded"),
            DeclareLaunchArgument(
                "loop", default_value="1", description="times the bag is played; 0: forever"
            ),
            DeclareLaunchArgument("rviz", default_value="false", description="show depth and cloud in RViz"),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share_path("launch/metric_depth.launch.py"))),
                launch_arguments={"use_sim_time": "true"}.items(),
            ),
            OpaqueFunction(function=start_replay),
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource(str(share_path("launch/rviz.launch.py"))),
                launch_arguments={"use_sim_time": "true"}.items(),
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )


def start_replay(context):
    """Starts the replayer as a separate process."""

    def given(name):
        return LaunchConfiguration(name).perform(context)

    command = [*start_command("metric_depth", "metric_depth_ros.cli"), "replay", given("bag")]
    return [ExecuteProcess(cmd=[*command, "--rate", given("rate"), "--loop", given("loop")], output="screen")]

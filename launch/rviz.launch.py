"""Shows what metric_depth_node gets and publishes in RViz.

    ros2 launch metric_depth_ros rviz.launch.py namespace:=robot image:=/camera/image anchors:=/lidar/points

Takes the node's namespace and topics: those in rviz/metric_depth.rviz are relative and named as the node's.
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from metric_depth_ros.share import share_path

TOPICS = {"image": "image", "anchors": "anchors", "depth": "depth/image_rect", "points": "depth/points"}


def generate_launch_description():
    return LaunchDescription(
        [
            DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
            DeclareLaunchArgument(
                "frame", default_value="camera_optical", description="frame in which all is shown"
            ),
            DeclareLaunchArgument("use_sim_time", default_value="", description="true: time is from /clock"),
            *(
                DeclareLaunchArgument(name, default_value=topic, description=f"topic of {topic}")
                for name, topic in TOPICS.items()
            ),
            OpaqueFunction(function=start_rviz),
        ]
    )


def start_rviz(context):
    """Starts RViz in the node's namespace, with the node's remappings."""

    def given(name):
        return LaunchConfiguration(name).perform(context)

    return [
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=given("namespace"),
            arguments=["-d", str(share_path("rviz/metric_depth.rviz")), "-f", given("frame")],
            parameters=[{"use_sim_time": given("use_sim_time").lower() == "true"}],
            remappings=[(topic, given(name)) for name, topic in TOPICS.items() if given(name) != topic],
        )
    ]

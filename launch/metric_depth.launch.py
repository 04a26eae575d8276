"""Starts metric_depth_node.

    ros2 launch metric_depth_ros metric_depth.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info anchors:=/lidar/points manifest:=/path/model.yaml

An argument left empty leaves the setting to the parameter file, and that to the default.
"""

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from metric_depth_ros.share import share_path

# Launch argument -> (setting, what it is). Empty: not given.
SETTINGS = {
    "manifest": ("engine.manifest", "YAML file that describes the depth network"),
    "model": ("engine.model", "network file; empty: the one the manifest names"),
    "threads": ("engine.threads", "processor threads of the network"),
    "image_transport": ("input.image_transport", "raw or compressed"),
    "rectification": ("input.rectification", "rectified, rectify or none"),
    "fixed_frame": ("sync.fixed_frame", "frame through which clouds are moved to the image's time"),
    "extrinsics": ("extrinsics.source", "tf or parameters"),
    "solver": ("solver.name", "how relative depth becomes metric"),
    "focus": ("solver.focus_m", "depth in metres that should be most precise; 0: none"),
    "use_sim_time": ("use_sim_time", "take the time from /clock"),
}
TOPICS = {
    "image": "image",
    "camera_info": "camera_info",
    "anchors": "anchors",
    "depth": "depth/image_rect",
    "depth_camera_info": "depth/camera_info",
    "points": "depth/points",
}


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument("params_file", default_value="", description="ROS 2 parameter file"),
        DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn or error"),
    ]
    arguments += [
        DeclareLaunchArgument(name, default_value="", description=text)
        for name, (_, text) in SETTINGS.items()
    ]
    arguments += [
        DeclareLaunchArgument(name, default_value=topic, description=f"topic of {topic}")
        for name, topic in TOPICS.items()
    ]
    profile = SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", str(share_path("config/fastdds.xml")))
    return LaunchDescription([*arguments, profile, OpaqueFunction(function=start_node)])


def start_node(context):
    """The node, with only those parameters that were given."""

    def given(name):
        return LaunchConfiguration(name).perform(context)

    parameters = [given("params_file")] if given("params_file") else []
    settings = {
        setting: typed(setting, given(name)) for name, (setting, _) in SETTINGS.items() if given(name)
    }
    return [
        Node(
            package="metric_depth_ros",
            executable="metric_depth_node",
            namespace=given("namespace"),
            output="screen",
            parameters=[*parameters, settings] if settings else parameters,
            remappings=[(topic, given(name)) for name, topic in TOPICS.items() if given(name) != topic],
            arguments=["--ros-args", "--log-level", given("log_level")],
        )
    ]


def typed(setting, text):
    """Launch arguments are text; parameters have types."""
    from metric_depth_ros.config import SETTINGS as KNOWN

    if setting == "use_sim_time":
        return text.lower() in ("true", "1")
    kind = type(KNOWN[setting].default)
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"{setting}: {text!r}; needed {KNOWN[setting].allowed}.") from None

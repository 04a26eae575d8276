"""Starts metric_depth_node.

    ros2 launch metric_depth_ros metric_depth.launch.py image:=/camera/image_raw \
        camera_info:=/camera/camera_info anchors:=/lidar/points

An empty argument counts as not given: the parameter file or the default is used. Instead of anchors several
sensors: sources:=lidar=/lidar/points,vio=/vio/points; their other settings stand in params_file. That takes
several files, and names of recipes: params_file:=realsense,my_params.yaml; a later one beats those before it.

Several cameras with one network, in one process: cameras:=front,rear image:=image_raw subscribes
/front/image_raw and /rear/image_raw; topics that begin with a slash (anchors:=/lidar/points) serve both.
"""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import prefix_namespace

from launch import LaunchDescription
from metric_depth_ros import config
from metric_depth_ros.config import parameter_file
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.share import fastdds_profile, start_command

# Launch argument -> (setting, description). Empty: not given.
SETTINGS = {
    "manifest": ("engine.manifest", "depth network: YAML file, small or tiny; empty: small"),
    "model": ("engine.model", "network file; empty: the one the manifest names"),
    "threads": ("engine.threads", "processor threads of the network"),
    "image_transport": ("input.image_transport", "auto, raw or compressed"),
    "rectification": ("input.rectification", "auto, rectified, rectify or none"),
    "sync_mode": ("sync.mode", "approximate, exact or latest"),
    "fixed_frame": ("sync.fixed_frame", "auto, none, or a frame as odom: clouds move through it"),
    "extrinsics": ("extrinsics.source", "tf or parameters"),
    "solver": ("solver.name", "name of the solver; auto chooses one"),
    "focus": ("solver.focus_m", "metres up to which depth should be most precise, a task's name, or off"),
    "prior": ("solver.prior", "metric depth without anchors: scale_cnn, tr2m, metric_solver, a manifest"),
    "description": ("solver.description", "what the scene is, in words, for tr2m"),
    "autostart": ("lifecycle.autostart", "false: a manager of lifecycle nodes starts the node"),
    "use_sim_time": ("use_sim_time", "take the time from /clock: true or false"),
}
TOPICS = {
    "image": "image",
    "camera_info": "camera_info",
    "anchors": "anchors",
    "regions": "regions",
    "focus_topic": "focus",
    "description_topic": "description",
    "depth": "depth/image_rect",
    "depth_camera_info": "depth/camera_info",
    "color": "depth/image_rect_color",
    "sigma": "depth/sigma",
    "points": "depth/points",
    "preview": "depth/preview/compressed",
    "info": "depth/info",
}


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="namespace of the node"),
        DeclareLaunchArgument(
            "cameras", default_value="", description="namespaces of several cameras: front,rear"
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value="",
            description="ROS 2 parameter files or names of recipes: FILE,FILE; later ones win",
        ),
        DeclareLaunchArgument("sources", default_value="", description="sensors: NAME=TOPIC,NAME=TOPIC"),
        DeclareLaunchArgument(
            "log_level",
            default_value="info",
            choices=["debug", "info", "warn", "error", "fatal"],
            description="how much the node prints",
        ),
    ]
    arguments += [
        DeclareLaunchArgument(name, default_value="", description=text)
        for name, (_, text) in SETTINGS.items()
    ]
    arguments += [
        DeclareLaunchArgument(name, default_value=topic, description=f"topic of {topic}")
        for name, topic in TOPICS.items()
    ]
    profile = [SetEnvironmentVariable(name, path) for name, path in fastdds_profile(os.environ).items()]
    return LaunchDescription([*arguments, *profile, OpaqueFunction(function=start_node)])


def start_node(context):
    """Starts the node with the parameters that were given."""

    def given(name):
        return LaunchConfiguration(name).perform(context)

    around = context.launch_configurations.get("ros_namespace")
    cameras = camera_namespaces(given("cameras"), prefix_namespace(around, given("namespace")))
    executable, *arguments = start_command("metric_depth_node", "metric_depth_ros.nodes")
    values = {setting: typed(name, given(name)) for name, (setting, _) in SETTINGS.items() if given(name)}
    # Without a type launch_ros reads text as YAML: a frame called "on" would become true.
    settings = {name: ParameterValue(value, value_type=type(value)) for name, value in values.items()}
    node = Node(  # its cameras have their own namespaces, whatever launch_ros gives the process
        executable=executable,
        namespace=None if cameras else given("namespace"),
        output="screen",
        parameters=[*parameter_files(given("params_file")), *([settings] if settings else [])],
        remappings=[(topic, given(name)) for name, topic in TOPICS.items() if given(name) != topic],
        arguments=[
            *arguments,
            *(["--cameras", *cameras] if cameras else []),
            "--ros-args",
            "--log-level",
            given("log_level"),
            *source_arguments(given("sources")),
        ],
    )
    return [node]


def camera_namespaces(text, namespace):
    """Namespaces of cameras, separated by commas; below ``namespace`` if they do not begin with a slash."""
    return [prefix_namespace(namespace, name.strip()) for name in text.split(",") if name.strip()]


def source_arguments(text):
    """Arguments of a node for sources of anchors: NAME=TOPIC, separated by commas.

    Raises:
        ConfigError: it is something else, or names that are not allowed.
    """
    topics = dict(part.strip().partition("=")[::2] for part in text.split(",") if part.strip())
    settings = {f"sources.{name}.topic": topic for name, topic in topics.items()}
    try:
        config.from_flat({"anchors.sources": [*topics], **settings})
    except ConfigError as error:
        raise ConfigError(f"sources:={text}: {error}") from None
    named = {"anchors.sources": f"[{','.join(topics)}]", **settings} if topics else {}
    return [word for name, value in named.items() for word in ("-p", f"{name}:={value}")]


def parameter_files(text):
    """Parameter files, separated by commas; checked here, as launch_ros ignores a missing file."""
    paths = [parameter_file.located(part.strip()) for part in text.split(",") if part.strip()]
    for path in paths:
        if not path.is_file():
            raise ConfigError(
                f"params_file:={path}: no such file; needed a ROS 2 parameter file or the name of a recipe."
            )
    return [str(path) for path in paths]


def typed(name, text):
    """Text of a launch argument, converted to the type of its setting.

    Raises:
        ConfigError: the setting does not allow this text.
    """
    setting = SETTINGS[name][0]
    if setting == "use_sim_time":
        if not isinstance(truth(text), bool):
            raise ConfigError(f"{name}:={text}: needed true or false.")
        return truth(text)
    known = config.SETTINGS[setting]
    try:
        return known.checked(converted(text, type(known.default)))
    except ConfigError as error:
        raise ConfigError(f"{name}:={text}: {error}") from None


def converted(text, kind):
    """Text converted to a type; unchanged if it cannot be converted, so the setting's check fails."""
    try:
        return truth(text) if kind is bool else kind(text)
    except ValueError:
        return text


def truth(text):
    """Truth value of "true" or "false"; other text unchanged."""
    return {"true": True, "false": False}.get(text.lower(), text)

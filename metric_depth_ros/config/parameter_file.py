"""Reads and writes settings as a ROS 2 parameter file (YAML).

The same file works for ``ros2 run ... --params-file`` and ``metric_depth run --config``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from metric_depth_ros.config import Config, from_flat, settings_with, to_flat, updated
from metric_depth_ros.documents import read_yaml
from metric_depth_ros.errors import ConfigError, kind_of
from metric_depth_ros.share import share_path

# Parameters that rclpy declares or reads in every node; a file may hold them and QoS overrides beside ours.
ROS_PARAMETERS = ("use_sim_time", "start_type_description_service")
# Name of the file in the folder of a bag that was saved with its settings.
BESIDE_BAG = "parameters.yaml"
# The node's name; a file may hold our settings under it in any namespace, or under wildcards.
_NODE = "metric_depth_node"
_RECIPES = Path("config/recipes")


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Loads a Config from a ROS 2 parameter file (or a plain mapping) and applies ``overrides``.

    ``path``: as for ``located``.

    Raises:
        ConfigError: the file is missing or not YAML, a key is given twice, or as ``from_flat``;
            the message begins with the file's name.
    """
    path = located(path)
    tree = read_yaml(path, ConfigError, f"a readable YAML file{_or_recipe(path)}")
    try:
        config = from_flat(_flattened(_unwrapped(tree or {})))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return updated(config, overrides or {})


def beside(bag: Path) -> Path | None:
    """Parameter file that was saved with a ROS 2 bag (its folder, or the file in it); None: there is none."""
    folder = bag if bag.is_dir() else bag.parent
    found = folder / BESIDE_BAG
    return found if found.is_file() and (folder / "metadata.yaml").is_file() else None


def located(path: str | Path) -> Path:
    """A parameter file: one that is there, else one of the package, as config/recipes/zed.yaml or zed."""
    path = Path(path)
    if path.is_absolute() or (path.exists() and not path.is_dir()):
        return path
    for relative in (path, _RECIPES / f"{path}.yaml"):
        if relative.suffix == ".yaml" and ".." not in relative.parts:
            with suppress(FileNotFoundError):
                return share_path(str(relative))
    return path


def _or_recipe(path: Path) -> str:
    """For a name that is no path: that a recipe may be named, and the one whose name is nearest."""
    if path.suffix or path.name != str(path):
        return ""
    names = sorted(recipe.stem for recipe in share_path(str(_RECIPES)).glob("*.yaml"))
    near = get_close_matches(path.name, names, 1) or names[:1]
    return f" or the name of a recipe (docs/recipes), as {near[0]}"


def _unwrapped(tree: Any) -> Mapping[str, Any]:
    """Settings inside ``NODE: ros__parameters:``, or the tree itself if it has no such part.

    Of several nodes those count that may be ours; the more exactly named beat the others.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"found {kind_of(tree)}; needed a mapping of settings.")
    nodes = dict(_nodes(tree))
    if not nodes:
        return tree
    ours = [node for node in nodes if _may_be_ours(node)]
    if not ours:
        raise ConfigError(f"found nodes {', '.join(nodes)}; needed /** or {_NODE}, in any namespace.")
    parameters: dict[str, Any] = {}
    for node in sorted(ours, key=lambda node: (node.endswith(_NODE), "*" not in node, len(node))):
        if not isinstance(nodes[node], (dict, type(None))):
            raise ConfigError("ros__parameters: needed a mapping of settings.")
        parameters.update(_flattened(nodes[node] or {}))
    return {
        name: value
        for name, value in parameters.items()
        if name not in ROS_PARAMETERS and not name.startswith("qos_overrides.")
    }


def _nodes(tree: Mapping[Any, Any], namespace: str = "") -> Iterator[tuple[str, Any]]:
    """Name of every node of a file, namespaces may be nested, and what is in its ``ros__parameters``."""
    for key, part in tree.items():
        if isinstance(part, dict):
            name = f"{namespace}/{str(key).strip('/')}"
            if "ros__parameters" in part:
                yield name, part["ros__parameters"]
            yield from _nodes({k: v for k, v in part.items() if k != "ros__parameters"}, name)


def _may_be_ours(node: str) -> bool:
    """Whether a node's name in a file may stand for ours: /**, /front/metric_depth_node."""
    return node.rsplit("/", 1)[-1] in (_NODE, "*", "**")


def _flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(_flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def dump(config: Config | None = None) -> str:
    """Text of a ROS 2 parameter file with every setting; help, unit and range are comments."""
    config = config or Config()
    flat = to_flat(config)
    lines = [
        "# Every setting with its default. Generated by `metric_depth config`; do not edit by hand.",
        "# Settings marked (start) are read once; all others can be changed while the node runs.",
        "/**:",
        "  ros__parameters:",
    ]
    opened: list[str] = []
    for setting in settings_with(config.sources).values():
        *parents, leaf = setting.name.split(".")
        for depth, parent in enumerate(parents):
            if opened[: depth + 1] != parents[: depth + 1]:
                opened = parents[: depth + 1]
                lines.append(f"{'  ' * (depth + 2)}{parent}:")
        indent = "  " * (len(parents) + 2)
        mark = "" if setting.live else " (start)"
        lines.append(f"{indent}# {setting.help}; {setting.allowed}{mark}")
        value = yaml.safe_dump(flat[setting.name], default_flow_style=True).removesuffix("...\n").strip()
        lines.append(f"{indent}{leaf}: {value}")
    return "\n".join(lines) + "\n"

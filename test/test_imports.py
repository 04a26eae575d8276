"""The import rule: arrows go down, names on one line do not import each other."""

import ast
from pathlib import Path

import pytest

import metric_depth_ros

PACKAGE = Path(metric_depth_ros.__file__).parent
LEVELS = [
    {"types", "errors", "share", "labels"},
    {"option", "solver_config", "config", "parameter_file", "geometry", "transforms", "messages", "near_far"},
    {"runtimes", "models"},
    {"engines", "regions", "anchors", "sync", "datasets", "bags", "pictures", "charts"},
    {"solvers"},
    {"pipeline", "api"},
    {"evaluation"},
    {"training", "export"},
    {"nodes"},
    {"cli"},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}
# What may be imported on one level, since it only ever points one way.
WITHIN_LEVEL = {("types", "errors"), ("labels", "types"),
    ("parameter_file", "config"), ("config", "solver_config"),
    ("config", "option"), ("solver_config", "option"), ("solver_config", "near_far"),
    ("transforms", "geometry"), ("messages", "geometry"), ("bags", "sync"),
    ("datasets", "sync"), ("datasets", "anchors"), ("regions", "engines"),
    ("export", "training")}  # fmt: skip
ROS = {
    "rclpy",
    "sensor_msgs",
    "std_msgs",
    "geometry_msgs",
    "diagnostic_msgs",
    "rcl_interfaces",
    "tf2_ros",
    "rosgraph_msgs",
}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(module, at the top of the file) of every import."""
    tree = ast.parse(path.read_text())
    top = set(ast.walk(ast.Module([n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], [])))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((name, node in top) for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    here = part_of(path)
    for module, at_top in imports(path):
        root, *rest = module.split(".")
        if root in ROS:
            assert here == "nodes" or (here == "cli" and not at_top), f"{module} imported outside nodes/"
        if root in ("torch", "transformers"):
            assert here in ("models", "training", "export", "runtimes"), f"{module} imported outside models/"
        if root == "metric_depth_ros" and rest and here != "__init__":
            there = rest[0]
            if there == here or there not in LEVEL:
                continue
            assert LEVEL[there] < LEVEL[here] or (here, there) in WITHIN_LEVEL, f"{here} imports {module}"


def test_every_part_has_a_level():
    parts = {part_of(path) for path in FILES} - {"__init__"}
    assert parts <= set(LEVEL)

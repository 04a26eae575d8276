"""The import rule: arrows go down one list of floors, and nowhere in circles."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import metric_depth_ros
import metric_depth_synthetic

PACKAGE, SYNTHETIC = (Path(p.__file__).parent for p in (metric_depth_ros, metric_depth_synthetic))
# A part imports from the floors below it alone; parts of one floor do not know each other.
FLOORS = [
    {"errors"},
    {"types", "share", "files", "fleet"},
    {"label_images", "near_far", "geometry", "documents", "array_files", "encoded_pictures", "stamps"},
    {"config", "transforms", "messages"},
    {"motion"},
    {"anchors", "sync", "depth"},
    {"samples", "scale"},
    {"runtimes", "drawing", "health"},
    {"bags"},
    {"datasets"},
    {"engines"},
    {"regions", "priors"},
    {"anchor_choice", "preparation", "solvers"},
    {"pipeline", "api"},
    {"depth_info", "evaluation"},
    {"learning"},
    {"nodes"},
    {"cli"},
]
# The same inside two of them.
INSIDE = {
    "solvers": [
        {"solver"},
        {"choice"},
        {"fitting"},
        {
            "median",
            "global_affine",
            "piecewise",
            "lwlr",
            "grid",
            "gaussian_process",
            "region_aware",
            "basis",
            "prior_only",
        },
        {"as_published", "refined", "wrappers"},
        {"__init__"},
    ],
    "learning": [{"models"}, {"training"}, {"export"}],
}
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
# All that the synthetic world knows of the package, and who of the package knows it.
KNOWN_TO_SYNTHETIC = ("errors", "fleet", "types", "geometry", "datasets.shard_layout", "datasets.shards")
KNOW_SYNTHETIC = {"cli/synthesize.py", "cli/synthetic_bag.py", "cli/demo.py"}

FILES = sorted([*PACKAGE.rglob("*.py"), *SYNTHETIC.rglob("*.py")])
MODULES = {
    ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES
}


def name_of(path):
    return str(path.relative_to(PACKAGE.parent))


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


def floor_of(part, floors):
    return next((number for number, parts in enumerate(floors) if part in parts), None)


def parts_of(path):
    return [part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_imports_point_down(path):
    here, *inside = parts_of(path)
    for module, at_top in imports(path):
        root, *rest = module.split(".")
        if root in ROS:
            assert here == "nodes" or (here == "cli" and not at_top), f"{module} imported outside nodes/"
        if root in ("torch", "transformers"):
            assert here in ("learning", "runtimes"), f"{module} imported outside learning/"
        if root == "metric_depth_synthetic":
            assert str(path.relative_to(PACKAGE)) in KNOW_SYNTHETIC, f"{here} imports {module}"
        if root != "metric_depth_ros" or not rest or here == "__init__":
            continue
        there = rest[0]
        if there != here:
            above, below = floor_of(here, FLOORS), floor_of(there, FLOORS)
            assert below is None or below < above, f"{here} imports {module}"
        elif here in INSIDE and rest[1] != inside[0]:
            above, below = (floor_of(part, INSIDE[here]) for part in (inside[0], rest[1]))
            assert below is None or below < above, f"{here}/{inside[0]} imports {module}"


@pytest.mark.parametrize("path", sorted(SYNTHETIC.rglob("*.py")), ids=name_of)
def test_the_synthetic_world_knows_little_of_the_package(path):
    for module, _ in imports(path):
        if module.startswith("metric_depth_ros."):
            known = module.removeprefix("metric_depth_ros.")
            assert known.startswith(KNOWN_TO_SYNTHETIC), f"{name_of(path)} imports {module}"


def test_every_part_has_a_floor():
    parts = {parts_of(path)[0] for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert parts == set.union(*FLOORS)
    for folder, floors in INSIDE.items():
        parts = {path.stem for path in (PACKAGE / folder).iterdir() if path.name != "__pycache__"}
        assert parts - {"__init__"} == set.union(*floors) - {"__init__"}


def test_no_file_imports_itself_by_a_detour():
    """Not even inside functions."""

    def file_of(module):
        while module and module not in MODULES:
            module = module.rpartition(".")[0]
        return module

    graph = {}
    for module, path in MODULES.items():
        found = {file_of(name) for name, _ in imports(path)} - {"", module}
        # A file of a package may be imported by its __init__.
        graph[module] = found - {"metric_depth_ros", "metric_depth_synthetic"}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(MODULES) - 2


def test_the_architecture_page_shows_these_floors():
    page = (PACKAGE.parent / "docs/architecture.md").read_text()
    block = page.split("## 3. What may import what")[1].split("```")[1]
    assert [set(line.split()) for line in block.strip().splitlines()] == FLOORS

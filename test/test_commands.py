"""Commands of the documentation run as they are printed, on a small world that has what the pages name.

`pages.py` tells what a page marks: what needs more than a test has is not run, but is marked.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from made_data import write_frames, write_shards
from pages import PAGES, ROOT, Block, blocks_of

from metric_depth_ros.share import share_path

# What a mark may say: modules without which a block is skipped, and what no test has.
MODULES = {"ROS": "rclpy", "the renderer": "embreex", "Rerun": "rerun", "onnx": "onnx"}
NEVER = {
    "a distribution",  # of ROS 2, installed
    "a robot",  # its topics, or a graph that runs meanwhile
    "a screen",
    "a cluster",
    "a GPU",
    "the internet",
    "a checkpoint",  # of a published network
    "data",  # a dataset, or a set rendered for the figures
    "time",  # more than a minute
}
# These come with a distribution or a cluster alone, so that their lines need no mark.
ELSEWHERE = ("ros2 ", "colcon ", "rosdep ", "ray ")

BLOCKS = {page: blocks_of(page) for page in sorted(PAGES)}
ALL = [block for blocks in BLOCKS.values() for block in blocks]


def own_lines(block: Block) -> list[str]:
    """Lines that need neither a distribution nor a cluster."""
    return [line for line in block.lines if not line.strip().startswith(ELSEWHERE)]


def is_run(block: Block) -> bool:
    return bool(own_lines(block)) and not block.run_by and not NEVER & {*block.needs}


RUN = {page: [block for block in blocks if is_run(block)] for page, blocks in BLOCKS.items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what pages name: bags, frames, networks, a parameter file."""
    folder = tmp_path_factory.mktemp("world")
    bag = share_path("data/street.mcap")
    for name in (
        "drive.mcap",
        "demo_output/input.mcap",
        "DRIVES/monday/a.mcap",
        "DRIVES/monday/night/b.mcap",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bag, folder / name)
    write_shards(folder / "DATA", count=6)
    write_frames(folder / "FOLDER")
    models = ROOT / "config" / "models"
    for name in ("networks/NAME.yaml", "mine.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(models / "tiny_depth.yaml", folder / name)
        (folder / name).with_name("tiny_depth.onnx").symlink_to(models / "tiny_depth.onnx")
    (folder / "my_network.onnx").symlink_to(models / "tiny_depth.onnx")
    (folder / "my_params.yaml").write_text("/**:\n  ros__parameters:\n    solver: {name: lwlr}\n")
    for name in ("benchmarks", "config"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "data").mkdir()
    return folder


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a shell in which the package is installed."""
    programs = tmp_path_factory.mktemp("bin")
    for name, module in {"metric_depth": "-m metric_depth_ros.cli ", "python": ""}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {module}"$@"\n')
        (programs / name).chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [page for page, blocks in RUN.items() if blocks])
def test_commands_run_as_printed(page: str, world: Path, env: dict[str, str], tmp_path: Path) -> None:
    """In the order of the page, in a folder of its own."""
    folder = shutil.copytree(world, tmp_path / "world", symlinks=True)
    left_out = []
    for block in RUN[page]:
        missing = [need for need in block.needs if not importlib.util.find_spec(MODULES[need])]
        if missing:
            left_out += missing
            continue
        script = "\n".join(own_lines(block))
        done = subprocess.run(
            ["bash", "-euc", script], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, f"{script}\n{done.stderr}"
    if left_out:
        pytest.skip(f"without {', '.join(sorted({*left_out}))} some commands of {page} were not run")


def test_what_is_not_run_says_why() -> None:
    for block in ALL:
        assert {*block.needs} <= NEVER | {*MODULES}, (block.page, block.needs)
        if block.run_by:
            assert "def test_" in (ROOT / block.run_by).read_text(), block.page


def test_a_mark_is_of_the_next_block_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- needs: time -->\n\n    one \\\n        --flag\n    two\n\nText.\n\n    three\n\n"
        "```text\nno command\n```\n```bash\nfour\n```\n"
    )
    monkeypatch.setitem(PAGES, "page", page)
    found = [(block.lines, block.needs) for block in blocks_of("page")]
    assert found == [(["one      --flag", "two"], ("time",)), (["three"], ()), (["four"], ())]


def test_most_pages_for_users_have_commands_that_run() -> None:
    """What is marked is the exception: a mark on everything would hide all faults."""
    assert sum(map(len, RUN.values())) > 20
    assert {"README.md", "docs/bags.md", "docs/evaluation.md", "docs/viewing.md"} <= {
        page for page, blocks in RUN.items() if blocks
    }


@pytest.mark.parametrize("block", [b for b in ALL if "python benchmarks/" in "\n".join(b.lines)])
def test_flags_of_benchmarks_exist(block: Block) -> None:
    """Of those too that take too long to run."""
    for line in block.lines:
        if found := re.search(r"python (benchmarks/\w+\.py)(.*)", line.split(" #")[0]):
            known = (ROOT / found[1]).read_text()
            for flag in re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", found[2].split(' "')[0]):
                assert re.search(rf'(?:--|"){flag[2:]}\b', known), line

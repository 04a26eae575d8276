"""The gallery: one command writes its page and its pictures; those of the documentation are small."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import cv2
import pytest

pytest.importorskip("embreex")

ROOT = Path(__file__).parents[1]


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("gallery")


def test_one_command_writes_page_and_pictures(gallery: ModuleType, tmp_path: Path) -> None:
    options = ("--families", "tabletop", "--seconds", "0.4", "--size", "120x90", "--textures", "70")
    gallery.main(["--out", str(tmp_path / "pictures"), *options])
    page = (tmp_path / "pictures.md").read_text()
    linked = re.findall(r"!\[[^]]+\]\((.+?)\)", page)
    assert linked == ["pictures/tabletop.jpg", "pictures/scenes.jpg"]
    for name in linked:
        assert min(cv2.imread(str(tmp_path / name)).shape[:2]) > 200
    [head] = re.findall(r"^\| AbsRel \|.*$", page, re.MULTILINE)
    assert all(name in head for name in (*gallery.ENGINES, *gallery.CONTROLS))
    for sensor in gallery.SENSORS.values():
        assert re.search(rf"^\| {sensor} \|( \d+\.\d+ \|)+$", page, re.MULTILINE), sensor


def test_the_gallery_of_the_documentation_is_whole_and_small(gallery: ModuleType) -> None:
    found = {path.stem: path.stat().st_size for path in (ROOT / "docs" / "gallery").iterdir()}
    assert found.keys() == {*gallery.DRIVES, "scenes"}
    assert sum(found.values()) < 1_500_000

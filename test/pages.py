"""Pages of the documentation, and the commands that a reader is told to type.

A command is what is indented, or stands in a fence of ``bash``; any other fence is no command. What cannot be
run anywhere says what it needs in a comment, which no reader sees, before the block or, for a whole page, at
its top::

    <!-- needs: a distribution, time -->
    <!-- every command needs: data -->
    <!-- run by: test/test_recipes.py -->
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "data" / "README.md")
}
_MARK = re.compile(r"<!-- (needs|run by|every command needs): (.*) -->")


@dataclass(frozen=True)
class Block:
    """Commands of a page that stand together.

    Attributes:
        lines: as a shell reads them, continued lines joined.
        needs: what they need that a test may not have.
        run_by: test that runs them, or nothing.
    """

    page: str
    lines: list[str]
    needs: tuple[str, ...]
    run_by: str


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks_of(page: str) -> list[Block]:
    """Commands of a page, in order."""
    text = text_of(page)
    of_all = [found[2] for found in _MARK.finditer(text) if found[1] == "every command needs"]
    blocks = []
    for raw, marks in _raw_blocks(text):
        needs = ", ".join([*of_all, marks.get("needs", "")]).split(", ")
        lines = [line for line in raw.replace("\\\n", " ").split("\n") if line.strip()]
        blocks.append(Block(page, lines, tuple(filter(None, needs)), marks.get("run by", "")))
    return blocks


def _raw_blocks(text: str) -> list[tuple[str, dict[str, str]]]:
    """Text of each block, and the marks right before it."""
    found: list[tuple[str, dict[str, str]]] = []
    marks: dict[str, str] = {}
    pattern = r"^```(\w*)\n((?:.*\n)*?)```$|^((?: {4}.*\n|\n(?= {4}))+)|^(.+)$"
    for fence, fenced, indented, line in re.findall(pattern, text, re.MULTILINE):
        if mark := _MARK.fullmatch(line.strip()):
            marks[mark[1]] = mark[2]
            continue
        if indented or fence == "bash":
            found.append((re.sub(r"^ {4}", "", indented, flags=re.MULTILINE) or fenced, marks))
        marks = {}
    return found

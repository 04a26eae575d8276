"""The course of a training run: two CSV files and a picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from metric_depth_ros.types import FloatArray, ImageArray

_LOSS = ("step", "seconds", "loss", "images_per_s")
# Of a validation: field of what was found, and its panel's title.
SCORES = {"rank": "rank correlation", "abs_rel": "AbsRel after a fit"}
_COLOURS = ((214, 96, 40), (40, 140, 60), (40, 70, 200), (150, 60, 160))
_PANEL, _MARGIN = (620, 300), 46


class Curves:
    """loss.csv, validation.csv and curves.png of one run's folder."""

    def __init__(
        self, folder: str | Path, *, before_step: int = 0, scores: Mapping[str, str] = SCORES
    ) -> None:
        """Rows of steps after ``before_step``, which a resumed run makes again, are dropped.

        ``scores``: the fields of what ``add_scores`` is given, and their panels' titles.
        """
        self._folder, self._scores = Path(folder), dict(scores)
        self._tables = {"loss.csv": _LOSS, "validation.csv": ("step", "seconds", "place", *scores)}
        for name, head in self._tables.items():
            rows = [row for row in self._read(name) if int(row["step"]) <= before_step]
            with (self._folder / name).open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, head)
                writer.writeheader()
                writer.writerows(rows)

    def add_loss(self, step: int, seconds: float, loss: float, images_per_s: float) -> None:
        """Appends the mean loss since the last row."""
        self._append("loss.csv", [step, f"{seconds:.1f}", f"{loss:.5f}", f"{images_per_s:.1f}"])

    def add_scores(self, step: int, seconds: float, scores: Mapping[str, object]) -> None:
        """Appends one row for each place."""
        for place, found in scores.items():
            values = [f"{getattr(found, name):.4f}" for name in self._scores]
            self._append("validation.csv", [step, f"{seconds:.1f}", place, *values])

    def draw(self) -> None:
        """Draws curves.png: the loss and every score over the steps."""
        losses, scores = self._read("loss.csv"), self._read("validation.csv")
        places = list(dict.fromkeys(row["place"] for row in scores))
        panels = [_panel("loss", {"training": _line(losses, "loss")})]
        for column, title in self._scores.items():
            rows = {place: [row for row in scores if row["place"] == place] for place in places}
            panels.append(_panel(title, {place: _line(of_place, column) for place, of_place in rows.items()}))
        cv2.imwrite(str(self._folder / "curves.png"), np.concatenate(panels)[..., ::-1])

    def _append(self, name: str, row: Sequence[object]) -> None:
        with (self._folder / name).open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)

    def _read(self, name: str) -> list[dict[str, str]]:
        path = self._folder / name
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def _line(rows: Sequence[Mapping[str, str]], column: str) -> FloatArray:
    """(N, 2) step and value."""
    return np.array([(float(row["step"]), float(row[column])) for row in rows], np.float64).reshape(-1, 2)


def _panel(title: str, lines: Mapping[str, FloatArray]) -> ImageArray:
    """A plot of lines (N, 2) with their names, and the last value of each."""
    width, height = _PANEL
    panel: ImageArray = np.full((height, width, 3), 255, np.uint8)
    low, high = np.array([_MARGIN, _MARGIN]), np.array([width - 16, height - 28])
    cv2.rectangle(panel, low.tolist(), high.tolist(), (190, 190, 190), 1)
    _write(panel, title, (_MARGIN, 18), (0, 0, 0))
    known = [line[np.isfinite(line[:, 1])] for line in lines.values()]
    points = np.concatenate([line for line in known if len(line)] or [np.zeros((1, 2))])
    least, most = points.min(axis=0), points.max(axis=0)
    least[0] = 0
    span = np.maximum(most - least, 1e-9)
    for text, at in ((f"{most[1]:.3g}", (2, _MARGIN + 4)), (f"{least[1]:.3g}", (2, height - 28)),
                     (f"step {most[0]:.0f}", (width - 110, height - 10))):  # fmt: skip
        _write(panel, text, at, (90, 90, 90))
    for (name, _), line, number in zip(lines.items(), known, range(len(known)), strict=True):
        colour = _COLOURS[number % len(_COLOURS)]
        if len(line):
            part = (line - least) / span
            pixels = np.column_stack([part[:, 0], 1 - part[:, 1]]) * (high - low) + low
            cv2.polylines(panel, [np.rint(pixels).astype(np.int32)], False, colour, 2, cv2.LINE_AA)
            name = f"{name} {line[-1, 1]:.3f}"
        _write(panel, name, (_MARGIN + 8 + 170 * number, 38), colour)
    return panel


def _write(panel: ImageArray, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(panel, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)

"""Training curves of a run: two CSV files and a chart."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from metric_depth_ros.drawing.charts import Panel, save_chart
from metric_depth_ros.types import FloatArray

_LOSS = ("step", "seconds", "loss", "images_per_s")


class Curves:
    """Writes loss.csv, validation.csv and curves.png in a run's folder."""

    def __init__(self, folder: str | Path, scores: Mapping[str, str], *, before_step: int = 0) -> None:
        """Drops rows of steps after ``before_step``, which a resumed run repeats.

        ``scores``: fields of the scores given to ``add_scores``, and the labels of their panels' axes.
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
        """Appends one row of scores for each place."""
        for place, found in scores.items():
            values = [f"{getattr(found, name):.4f}" for name in self._scores]
            self._append("validation.csv", [step, f"{seconds:.1f}", place, *values])

    def draw(self) -> None:
        """Draws curves.png: the loss and every score over the steps."""
        losses, scores = self._read("loss.csv"), self._read("validation.csv")
        places = list(dict.fromkeys(row["place"] for row in scores))
        panels = [Panel("training loss", {"training": _line(losses, "loss")})]
        for column, title in self._scores.items():
            rows = {place: [row for row in scores if row["place"] == place] for place in places}
            panels.append(Panel(title, {place: _line(of_place, column) for place, of_place in rows.items()}))
        save_chart(self._folder / "curves.png", "step", panels)

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
    """Points (N, 2): step and value."""
    return np.array([(float(row["step"]), float(row[column])) for row in rows], np.float64).reshape(-1, 2)

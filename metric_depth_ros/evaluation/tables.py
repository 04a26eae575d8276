"""Tables of figures as Markdown and LaTeX, the best and the second of each column marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["low", "high", ""]
Cell = float | str | None
_UNKNOWN = "-"
_LATEX = str.maketrans(
    {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
     "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its heading.
        better: which values are better; empty: no mark.
        digits: after the point.
    """

    name: str
    better: Better = ""
    digits: int = 3


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        labels: texts of its first columns.
        cells: a number, a text, or None for nothing, for each further column.
        ranked: whether its figures can be best or second.
    """

    labels: tuple[str, ...]
    cells: Sequence[Cell]
    ranked: bool = True


@dataclass(frozen=True)
class Table:
    """Rows under columns.

    Attributes:
        heads: headings of the labels.
        title: what it shows; the caption in LaTeX.
    """

    heads: tuple[str, ...]
    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str = ""


def markdown(table: Table) -> str:
    """Table in Markdown: best **bold**, second _italic_."""
    lines = [[*table.heads, *(column.name for column in table.columns)]]
    lines += _lines(table, lambda text: f"**{text}**", lambda text: f"_{text}_", lambda text: text)
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    rule = "|---" * len(table.heads) + "|---:" * len(table.columns) + "|"
    return "\n".join([head, rule, *body])


def latex(table: Table) -> str:
    """Table in LaTeX with booktabs: best bold, second underlined."""
    heads = [*table.heads, *(column.name + _arrow(column.better) for column in table.columns)]
    lines = [[_escaped(head) for head in heads]]
    lines += _lines(table, r"\textbf{{{}}}".format, r"\underline{{{}}}".format, _escaped)
    head, *body = (f"{' & '.join(line)} \\\\" for line in lines)
    shape = "l" * len(table.heads) + "r" * len(table.columns)
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_escaped(table.title)}}}",
            rf"\begin{{tabular}}{{{shape}}}",
            r"\toprule", head, r"\midrule", *body, r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )  # fmt: skip


def _lines(
    table: Table, best: Callable[[str], str], second: Callable[[str], str], plain: Callable[[str], str]
) -> list[list[str]]:
    """Texts of every row, marked."""
    marks = [_marks(table, index) for index in range(len(table.columns))]
    lines = []
    for row in table.rows:
        texts = []
        for column, cell, (first, next_best) in zip(table.columns, row.cells, marks, strict=True):
            text = plain(shown(cell, column.digits))
            mark = best if text == first else second if text == next_best else str
            texts.append(mark(text) if row.ranked and isinstance(cell, float) else text)
        lines.append([*map(plain, row.labels), *texts])
    return lines


def _marks(table: Table, index: int) -> tuple[str, str]:
    """Best and second text of a column; empty where there is none. What looks the same is marked alike."""
    column = table.columns[index]
    cells = [row.cells[index] for row in table.rows if row.ranked]
    values = [cell for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    if not column.better or len(values) < 2:
        return "", ""
    order = sorted(values, reverse=column.better == "high")
    first, *others = dict.fromkeys(shown(value, column.digits) for value in order)
    return first, others[0] if others else ""


def shown(cell: Cell, digits: int = 3) -> str:
    """Text of a cell."""
    if isinstance(cell, str):
        return cell
    return _UNKNOWN if cell is None or not math.isfinite(cell) else f"{cell:.{digits}f}"


def _arrow(better: Better) -> str:
    return {"low": " (lower is better)", "high": " (higher is better)", "": ""}[better]


def _escaped(text: str) -> str:
    return text.translate(_LATEX)

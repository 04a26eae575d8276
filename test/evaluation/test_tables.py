"""Tables as Markdown and LaTeX."""

from metric_depth_ros.evaluation.tables import Column, Row, Table, latex, markdown

TABLE = Table(
    ("solver", "map"),
    [Column("AbsRel", "low"), Column("delta1", "high", 2), Column("ms")],
    [
        Row(("paper_slf", "100 %"), [0.0501, 0.91, "3.1"]),
        Row(("paper_ssf", ""), [0.0399, 0.914, None]),
        Row(("median", ""), [float("nan"), 0.8, "1.0"]),
        Row(("published", ""), [0.01, 0.99, ""], ranked=False),
    ],
    "NYUv2 & co.",
)


def test_best_and_second_are_marked_in_markdown():
    assert markdown(TABLE).splitlines() == [
        "| solver | map | AbsRel | delta1 | ms |",
        "|---|---|---:|---:|---:|",
        "| paper_slf | 100 % | _0.050_ | **0.91** | 3.1 |",
        "| paper_ssf |  | **0.040** | **0.91** | - |",
        "| median |  | - | _0.80_ | 1.0 |",
        "| published |  | 0.010 | 0.99 |  |",
    ]


def test_and_in_latex_with_its_signs_escaped():
    text = latex(TABLE)
    assert r"paper\_slf & 100 \% & \underline{0.050} & \textbf{0.91} & 3.1 \\" in text
    assert r"\caption{NYUv2 \& co.}" in text and r"\begin{tabular}{llrrr}" in text
    assert text.count(r"\textbf") == 3 and "AbsRel (lower is better)" in text


def test_a_single_row_is_not_the_best_of_anything():
    table = Table(("a",), [Column("x", "low")], [Row(("b",), [1.0])])
    assert "**" not in markdown(table)

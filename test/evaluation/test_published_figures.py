"""The papers' figures: complete, as printed, and compared only with the same data and protocol."""

from pathlib import Path

import pytest

from metric_depth_ros.datasets import DATASETS
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import published
from metric_depth_ros.evaluation.measures import METRICS
from metric_depth_ros.evaluation.published import Data, published_rows, rows_of, same_as, titles

# Of each table: rows, sum of all figures, and sum of each times its place, from 1 on.
TABLES = {
    ("000", "1"): (50, 163.392, 23802.739),
    ("000", "2"): (42, 169.038, 24109.407),
    ("000", "patches"): (6, -15.22, 35.23),
    ("001", "1"): (38, 35.58, 1406.83),
    ("001", "2"): (44, 44.08, 1997.87),
    ("001", "3"): (10, 9.85, 108.72),
    ("002", "I"): (2, 0.3412, 1.01),
    ("002", "II"): (6, 8.3154, 77.723),
    ("003", "1"): (15, 50.761, 2228.17),
    ("003", "2"): (15, 94.635, 4535.982),
    ("003", "3"): (25, 22.079, 541.679),
    ("003", "4"): (12, 11.274, 140.495),
    ("003", "5"): (9, 8.537, 81.308),
    ("003", "7"): (7, 7.924529, 85.486),
    ("003", "8"): (4, 5.979, 43.023),
    ("003", "9"): (9, 8.572, 81.484),
    ("003", "10"): (9, 8.441, 81.479),
    ("003", "11"): (9, 8.595, 81.223),
    ("003", "12"): (12, 11.478, 142.761),
    ("004", "1"): (40, 202.943, 15328.309),
    ("004", "2a"): (9, 30.171, 787.147),
    ("004", "2b"): (9, 48.262, 1293.15),
    ("004", "3a"): (4, 26.787, 269.474),
    ("004", "3b"): (12, 12.071, 145.041),
    ("004", "4"): (2, 4759.5, 20490.3),
    ("004", "5"): (10, 9.5072, 53.034),
    ("004", "6"): (12, 11.171, 135.244),
    ("004", "7"): (7, 483763, 2593232),
}
NYU = Data("nyuv2", "test", (0.001, 10.0), 654, regions="sam")


def test_every_row_and_figure_of_every_table_is_there():
    found = {}
    for key in dict.fromkeys((row.paper, row.table) for row in published_rows()):
        rows = rows_of(*key)
        values = [value for row in rows for value in row.errors.values()]
        placed = sum(place * value for place, value in enumerate(values, 1))
        found[key] = len(rows), pytest.approx(sum(values), abs=1e-5), pytest.approx(placed, abs=6e-4)
    assert found == TABLES
    assert sum(len(row.errors) for row in published_rows()) == 1463
    assert {row.paper for row in published_rows()} == set(titles())


def test_every_table_of_the_papers_is_there_or_told_to_be_left_out():
    """Captions as the papers number them; a table of several parts has a letter each."""
    captions = {
        "000": ["1", "2", "patches"], "001": ["1", "2", "3"], "002": ["I", "II"],
        "003": list(map(str, range(1, 13))), "004": list(map(str, range(1, 8))),
    }  # fmt: skip
    known = {(paper, table.rstrip("ab")) for paper, table in TABLES}
    missing = {(paper, table) for paper, tables in captions.items() for table in tables} - known
    assert missing == {("003", "6")}  # of formulas
    header = Path(published.__file__).with_name("published.yaml").read_text().partition("papers:")[0]
    assert "003's table 6" in header


@pytest.mark.parametrize(
    ("table", "network", "method", "case", "errors"),
    [
        ("000:1", "Depth Anything v2", "SSF", "random 250", (0.044, 0.233, 0.021, 0.963, 0.989, 0.995)),
        ("000:1", "MiDaS", "Linear Fit by region", "whole", (0.033, 0.165, 0.015, 0.984, 0.995, 0.998)),
        ("000:1", "Depth Anything v1", "LF-LiDAR", "beams 16", (0.039, 0.454, 0.017, 0.976, 0.995, 0.999)),
        ("000:patches", "Depth Anything v2", "Patch 3", "whole", (1.45, -2.00)),
        ("000:2", "Depth Anything v1", "SLF", "random 2000", (0.056, 0.127, 0.170, 0.955, 0.984, 0.992)),
        ("001:1", "MiDaS", "LWLR", "medium", (0.12, 0.82)),
        ("001:1", "DA3", "Basis (K = 50)", "high", (0.10, 0.88)),
        ("001:2", "DA3", "Region", "low", (0.32, 0.74)),
        ("001:3", "MiDaS", "Basis (K = 8)", "drop 1", (0.16, 0.78)),
        ("002:II", "DA2", "scale CNN, test set", "none", (0.1914, 0.3636, 0.7231)),
        ("003:1", "DA", "Median", "whole", (0.480, 0.734, 0.886, 0.353, 0.135, 1.743)),
        ("003:2", "TR2M", "Rescale maps, Multiple", "none", (0.965, 0.996, 0.999, 0.066, 0.093, 2.328)),
        ("003:7", "EndoDAC*", "as in the paper", "none", (0.083, 0.004655, 0.949)),
        ("004:2a", "Metric-Solver", "on both datasets", "none", (0.986, 0.998, 0.999, 0.049, 0.183, 0.021)),
        ("004:5", "Metric-Solver", "focus 6 m", "none", (0.8970,)),
        ("004:7", "Metric-Solver", "hypersim (indoor, synthetic)", "none", (142350,)),
        ("004:2b", "NDDepth", "on this dataset", "none", (0.978, 0.998, 0.999, 0.050, 2.025, 0.075)),
    ],
)
def test_figures_are_those_of_the_paper(table, network, method, case, errors):
    (row,) = [
        row
        for row in rows_of(*table.split(":"))
        if (row.network, row.method, row.case) == (network, method, case)
    ]
    assert tuple(row.errors.values()) == errors


@pytest.mark.parametrize(
    ("dataset", "split", "frames"),
    [
        ("nyuv2", "test", 654), ("void", "test", 800), ("ibims", "test", 100),
    ],
)  # fmt: skip
def test_every_row_of_a_fixed_split_tells_its_number_of_frames(dataset, split, frames):
    of_split = [r.data for r in published_rows() if (r.data.dataset, r.data.split) == (dataset, split)]
    assert of_split and all(data.frames == frames for data in of_split)


def test_splits_and_ranges_that_no_paper_tells_are_not_told():
    for row in published_rows():
        if row.paper == "003":
            assert row.data.limits_m is None and row.data.split in ("", "test")
            assert bool(row.data.split) == (row.data.dataset in ("nyuv2", "ibims"))
        if row.paper == "004":
            assert row.data.limits_m is None or row.data.limits_m[0] is None
            assert row.data.flip == (row.table not in ("4", "5", "7"))
        if (row.paper, row.table) == ("004", "1"):
            indoors = row.data.dataset == "ibims" or "indoors" in row.note
            assert row.data.limits_m == (None, 10.0 if indoors else 80.0)


def test_figures_are_possible():
    for row in published_rows():
        if not set(row.errors) & set(METRICS):
            continue
        deltas = [row.errors[name] for name in ("delta1", "delta2", "delta3") if name in row.errors]
        assert deltas == sorted(deltas) and all(0 < value <= 1 for value in deltas), row
        assert all(0 < value < 11 for value in row.errors.values()), row


def test_a_figure_that_is_not_printed_is_left_out():
    (row,) = [row for row in rows_of("000", "1") if (row.network, row.method) == ("DistDepth", "DA")]
    assert set(row.errors) == {"abs_rel", "rmse", "delta1", "delta2"}


def test_rows_of_the_same_data_and_protocol():
    found = same_as(NYU, ["random 250"], ["abs_rel"])
    assert {(row.network, row.method) for row in found} == {
        (network, method)
        for network in ("MiDaS", "Depth Anything v1", "Depth Anything v2")
        for method in ("SLF", "SSF")
    }
    assert {row.solver for row in found} == {"paper_slf", "paper_ssf"}
    assert not same_as(NYU, ["random 250"], ["mae"]) and not same_as(NYU, ["random 251"], ["abs_rel"])


@pytest.mark.parametrize(
    "data",
    [
        Data("nyuv2", "train", (0.001, 10.0), 654),
        Data("nyuv2", "test", (0.2, 5.0), 654),
        Data("nyuv2", "test", (0.001, 10.0), 653),
        Data("void", "test", (0.001, 10.0), 654),
        Data("nyuv2", "test", (0.001, 10.0)),
        Data("nyuv2", "test", (0.001, 10.0), 654, flip=True),
        Data("nyuv2", "test", (0.001, 10.0), 654, anchor_pixels=False),
        Data("nyuv2", "test", (0.001, 10.0), 654, regions="built-in"),
        Data("", "", (0.001, 10.0), 654),
        Data("kitti_raw", "", (0.1, 80.0), 289),
    ],
)
def test_rows_of_other_data_are_not_taken_for_the_same(data):
    rows = same_as(data, ["random 250", "low"], ["abs_rel"])
    assert not rows


def test_an_unknown_table_is_named():
    with pytest.raises(InputError, match="000:9: unknown; needed one of 000:1"):
        rows_of("000", "9")


def test_the_rows_are_of_datasets_and_splits_that_can_be_opened():
    """Else nothing of ours would ever stand beside them."""
    for row in published_rows():
        if row.data.dataset:
            kind = DATASETS[row.data.dataset]
            assert row.data.split in ("", *kind.splits), row
            if row.data.limits_m is not None and row.data.split and row.paper != "004":
                assert kind.limits_m in (None, row.data.limits_m), row

"""The papers' figures: complete, as printed, and compared only with the same data and protocol."""

from collections import Counter

import pytest

from metric_depth_ros.datasets import DATASETS
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.published import Data, published_rows, rows_of, same_as, titles

NYU = Data("nyuv2", "test", (0.001, 10.0), 654)


def test_every_row_of_the_tables_is_there():
    assert Counter((row.paper, row.table) for row in published_rows()) == {
        ("000", "1"): 50, ("000", "2"): 42,
        ("001", "1"): 38, ("001", "2"): 44, ("001", "3"): 10,
        ("002", "I"): 2, ("002", "II"): 6,
        ("003", "1"): 15, ("003", "2"): 15, ("003", "3"): 25, ("003", "7"): 7,
        ("004", "1"): 40, ("004", "2a"): 9, ("004", "2b"): 9, ("004", "5"): 10, ("004", "6"): 12,
    }  # fmt: skip
    assert sum(len(row.errors) for row in published_rows()) == 1262
    assert {row.paper for row in published_rows()} == set(titles())


@pytest.mark.parametrize(
    ("table", "network", "method", "case", "errors"),
    [
        ("000:1", "Depth Anything v2", "SSF", "random 250", (0.044, 0.233, 0.021, 0.963, 0.989, 0.995)),
        ("000:1", "MiDaS", "Linear Fit by region", "whole", (0.033, 0.165, 0.015, 0.984, 0.995, 0.998)),
        ("000:1", "Depth Anything v1", "LF-LiDAR", "beams 16", (0.039, 0.454, 0.017, 0.976, 0.995, 0.999)),
        ("000:2", "Depth Anything v1", "SLF", "random 2000", (0.056, 0.127, 0.170, 0.955, 0.984, 0.992)),
        ("001:1", "MiDaS", "LWLR", "medium", (0.12, 0.82)),
        ("001:1", "DA3", "Basis (K = 50)", "high", (0.10, 0.88)),
        ("001:2", "DA3", "Region", "low", (0.32, 0.74)),
        ("001:3", "MiDaS", "Basis (K = 8)", "drop 1", (0.16, 0.78)),
        ("002:II", "DA2", "scale CNN, test set", "none", (0.1914, 0.3636, 0.7231)),
        ("003:1", "DA", "Median", "whole", (0.480, 0.734, 0.886, 0.353, 0.135, 1.743)),
        ("003:2", "TR2M", "Rescale maps, Multiple", "none", (0.965, 0.996, 0.999, 0.066, 0.093, 2.328)),
        ("003:7", "EndoDAC*", "as in the paper", "none", (0.083, 4.655, 0.949)),
        ("004:2a", "Metric-Solver", "on both datasets", "none", (0.986, 0.998, 0.999, 0.049, 0.183, 0.021)),
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


def test_figures_are_possible():
    for row in published_rows():
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

"""Our figures beside those of the papers, in their form; and charts of records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation.paper_tables import beside_published, check_measured, in_form_of
from metric_depth_ros.evaluation.plots import FRONT, error_over_anchors, error_over_time, pareto_front
from metric_depth_ros.evaluation.report import as_latex, as_markdown, sections
from metric_depth_ros.evaluation.runner import Record


def record(solver="paper_ssf", protocol="random", count=250, frame="0", abs_rel=0.05, **changes):
    fields = dict(
        control=False, place="indoor", set_name="nyu", noisy=False, seed=0, anchors=250, coverage=1.0,
        errors={"abs_rel": abs_rel, "rmse": 0.25, "delta1": 0.96}, evaluated=400, seconds=0.002,
        engine="da_v2_large", dataset="nyuv2@test", limits_m=(0.001, 10.0),
        anchor_pixels=True, space="depth", regions="sam",
    )  # fmt: skip
    return Record(solver=solver, protocol=protocol, count=count, frame=frame, **{**fields, **changes})


def nyu(**changes):
    return [record(frame=str(number), **changes) for number in range(654)]


def lines(sections):
    return as_markdown(sections).splitlines()


def test_published_rows_stand_beside_ours():
    found = lines(beside_published(nyu()))
    assert "## Beside published figures: nyuv2@test, indoor, clean, truth 0.001 to 10 m" in found
    assert "| network | method | case | from | AbsRel | RMSE, m | delta1 |" in found
    assert "| da_v2_large | paper_ssf | random 250 | ours | 0.050 | 0.250 | 0.960 |" in found
    assert "| Depth Anything v2 | SSF | random 250 | paper 000, table 1 | 0.044 | 0.233 | 0.963 |" in found
    assert sum("paper 000, table 1" in line for line in found) == 6  # SLF and SSF of three networks
    assert any(line.startswith("- paper 000: Region-aware") for line in found)
    assert r"paper\_ssf" in as_latex(beside_published(nyu()))


@pytest.mark.parametrize(
    "records",
    [
        nyu()[:653],
        nyu(limits_m=(0.0, 10.0)),
        nyu(dataset="nyuv2@train"),
        nyu(dataset=""),
        nyu(count=251),
        nyu(noisy=True),
        nyu(errors={"mae": 0.1}),
        nyu(anchor_pixels=False),
        nyu(flip=True),
        nyu(regions="built-in"),
        [*nyu(solver="paper_slf", count=251), *nyu()[1:]],
        nyu(protocol="none", count=0, dataset="void@test"),
    ],
    ids=[
        "frames",
        "limits",
        "split",
        "dataset",
        "count",
        "noise",
        "metric",
        "anchor_pixels",
        "flip",
        "regions",
        "frames of the case",
        "frames of none",
    ],
)
def test_rows_of_another_protocol_do_not(records):
    assert beside_published(records) == []


def test_fits_to_the_truth_and_no_anchors_have_rows_of_their_own():
    """And LF-LiDAR those of beams; another form of the same files is the same data."""
    truth = lines(beside_published(nyu(solver="linear (truth)", control=True, dataset="nyuv2_sync@test")))
    assert "| da_v2_large | linear (truth) | whole | ours | 0.050 | 0.250 | 0.960 |" in truth
    expected = (
        "| Depth Anything v2 | Linear Fit by region | whole | paper 000, table 1 | 0.030 | 0.161 | 0.984 |"
    )
    assert expected in truth
    assert "| DA | Median | whole | paper 003, table 1 | 0.480 | 0.353 | 1.743 |" in truth
    network = lines(beside_published(nyu(solver="linear (truth)", control=True, space="network")))
    assert not any("| Linear Fit by region |" in line for line in network)
    none = lines(beside_published(nyu(protocol="none", count=0, anchor_pixels=False)))
    assert not any("| Metric-Solver |" in line for line in none)
    none = lines(beside_published(nyu(protocol="none", count=0, anchor_pixels=False, flip=True)))
    assert "| Metric-Solver | on both datasets | none | paper 004, table 2a | 0.986 | 0.049 | 0.183 |" in none
    beams = lines(beside_published(nyu(protocol="beams", count=16)))
    assert [line for line in beams if "| paper 0" in line] == [
        "| Depth Anything v1 | LF-LiDAR | beams 16 | paper 000, table 1 | 0.039 | 0.454 | 0.976 |"
    ]


def test_what_a_paper_does_not_tell_is_in_the_title():
    records = [
        record("prior", "none", 0, str(number), dataset="ibims@test", limits_m=(0.0, 50.0))
        for number in range(100)
    ]
    found = lines(beside_published(records))
    assert found[0].endswith("; the paper: range not told")
    assert "| TR2M | zero-shot, ViT-Small | none | paper 003, table 3 | 0.154 | 0.736 | - |" in found
    assert beside_published(records[:99]) == []
    far = [replace(each, flip=True, limits_m=(0.0, 10.0)) for each in records]
    (section,) = beside_published(far)
    assert section.title.endswith("; the paper: truth to 10 m, nearest not told")
    assert not any("not told" in line for line in lines(beside_published(nyu())))


def test_a_solver_that_failed_everywhere_is_never_best():
    rows = [*nyu(abs_rel=0.0, coverage=0.0), *nyu(solver="paper_slf", abs_rel=0.2), *nyu(solver="a")]
    for found in (beside_published(rows), sections(rows)):
        text = as_markdown(found)
        assert "0.000" in text and "**0.000**" not in text and "**0.050**" in text


def test_each_dataset_of_a_papers_table_has_a_section_of_its_own():
    """Also where one of them is the same, the others say that they are not."""
    records = nyu(protocol="none", count=0)
    titles = [section.title for section in in_form_of("003", "8", records)]
    assert [title.split(", on ")[0] for title in titles] == [
        "Paper 003, table 8 (nyuv2@test, range not told)",
        "Paper 003, table 8 (ibims@test, range not told)",
    ]
    assert ["OTHER DATA" in title for title in titles] == [False, True]
    found = lines(in_form_of("000", "1", nyu(regions="built-in", count=500) + nyu(solver="linear (truth)")))
    assert any("| SLF | random 500 | paper 000, table 1; OTHER DATA or protocol |" in line for line in found)
    assert any("| Linear Fit | whole | paper 000, table 1 |" in line for line in found)


@pytest.mark.parametrize(
    ("paper", "table", "metric"),
    [
        ("000", "patches", "patch_scale, patch_shift"),
        ("004", "4", "parameters_m, ms, mb"),
        ("004", "7", "pairs"),
    ],
)
def test_a_table_that_cannot_be_measured_is_refused(paper, table, metric):
    words = f"{paper}:{table}: of {metric} alone, which evaluate does not measure"
    with pytest.raises(InputError, match=words):
        check_measured(paper, table)
    for measured in (("002", "I"), ("004", "5"), ("004", "6")):
        check_measured(*measured)


def test_accuracy_of_masks_and_errors_of_the_scale_have_their_tables():
    """Table 5 of 004; table I of 002, whose RMSE is over pictures: root of (.1^2 + .3^2) / 2."""
    far = dict(protocol="none", count=0, dataset="vkitti2@all", limits_m=(0.0, 80.0))
    masks = [record("prior, focus 10 m", errors={"mask_accuracy": 0.9}, **far)]
    found = lines(in_form_of("004", "5", masks))
    assert "| da_v2_large | prior, focus 10 m | none | ours | 0.9000 |" in found
    source = "paper 004, table 5; OTHER DATA or protocol"
    assert f"| Metric-Solver | focus 10 m | none | {source} | 0.9704 |" in found
    scales = [
        record("prior", "none", 0, str(number), errors={"scale_mae": e, "scale_rmse": e})
        for number, e in enumerate((0.1, 0.3))
    ]
    found = lines(in_form_of("002", "I", scales))
    assert "| network | method | case | from | MAE of ln scale | RMSE of ln scale |" in found
    assert "| da_v2_large | prior | none | ours | 0.2000 | 0.2236 |" in found
    source = "paper 002, table I; OTHER DATA or protocol"
    assert f"| DA2 | scale CNN on its test set | none | {source} | 0.1172 | 0.1269 |" in found


def test_a_table_of_pooled_datasets_is_one_mean_over_pictures():
    """Three of .1 and one of .5 are .2, whatever the sets; cases that some frames lack say so."""
    streets = dict(set_name="syn", dataset="urbansyn@all", place="outdoor", limits_m=(0.1, 80.0))
    rooms = dict(set_name="sun", dataset="sun_rgbd@test", limits_m=(0.1, 10.0))
    records = [record("paper_global", "low", 1, str(n), abs_rel=0.1, **streets) for n in range(3)]
    records += [record("paper_global", case, 1, "0", abs_rel=0.5, **rooms) for case in ("low", "high")]
    records += [record("paper_global", "low", 1, "0", abs_rel=9.0, noisy=True, **rooms)]
    (section,) = in_form_of("001", "2", records)
    assert section.title == (
        "Paper 001, table 2 (urbansyn and sun_rgbd together, range not told), on urbansyn@all, outdoor, "
        "clean, truth 0.1 to 80 m (3 frames) and sun_rgbd@test, indoor, clean, truth 0.1 to 10 m (1 frames); "
        "the paper's rows are of OTHER DATA or protocol and cannot be compared"
    )
    found = lines([section])
    assert "| da_v2_large | paper_global | ours | 0.200 | 0.960 | 0.500 | 0.960 |" in found
    assert "- ours at high: 1 of 4 frames" in found
    assert any("| DA3 | Region | paper 001, table 2; OTHER DATA" in line for line in found)
    (section,) = in_form_of("001", "2", records[:3])
    assert "- ours at" not in as_markdown([section])
    assert len(in_form_of("001", "1", records)) == 2  # of one dataset: each of ours alone


def test_a_papers_table_in_its_form_says_that_the_data_are_others():
    records = [
        record(solver, case, 1, abs_rel=error, dataset="", limits_m=(0.0, 10.0))
        for solver, error in (("paper_global", 0.2), ("paper_lwlr", 0.1))
        for case in ("low", "medium")
    ] + [record("paper_ssf", "random", 250, dataset="", limits_m=(0.0, 10.0))]
    found = lines(in_form_of("001", "1", records))
    assert found[0].startswith("## Paper 001, table 1 (kitti_raw, split not told, truth 0.1 to 80 m), on ")
    assert found[0].endswith(
        "indoor, clean, truth to 10 m; the paper's rows are of OTHER DATA or protocol and cannot be compared"
    )
    head = "| network | method | from | AbsRel, low | delta1, low | AbsRel, medium | delta1, medium |"
    assert head in found
    assert "| da_v2_large | paper_lwlr | ours | **0.100** | **0.960** | **0.100** | **0.960** |" in found
    assert (
        "| MiDaS | LWLR | paper 001, table 1; OTHER DATA or protocol | 0.270 | 0.560 | 0.120 | 0.820 |"
        in found
    )
    assert (
        "| DA3 | Basis (K = 30) | paper 001, table 1; OTHER DATA or protocol | - | - | 0.110 | 0.870 |"
        in found
    )
    assert not any("paper_ssf" in line for line in found)
    assert in_form_of("001", "3", records) == []
    with pytest.raises(InputError, match="001:7: unknown"):
        in_form_of("001", "7", records)


# ---- charts ------------------------------------------------------------------------------------


def test_error_over_anchors_is_a_line_per_solver():
    records = [record(s, count=n, abs_rel=e / n) for s, e in (("a", 1), ("b", 2)) for n in (5, 50, 500)]
    (panel,) = error_over_anchors([*records, record("a", "grid", 8)], "abs_rel")
    np.testing.assert_allclose(panel.lines["b"], [[5, 0.4], [50, 0.04], [500, 0.004]])
    assert error_over_anchors(records[:1], "abs_rel") == []


def test_error_over_time_has_the_front():
    """c is slower than b and worse; at the middle number of anchors."""
    known = {"a": (0.001, 0.3), "b": (0.002, 0.1), "c": (0.004, 0.2)}
    records = [
        record(name, count=n, abs_rel=error, seconds=seconds)
        for name, (seconds, error) in known.items()
        for n in (5, 50, 500)
    ]
    records.append(record("control", count=50, control=True))
    (panel,) = error_over_time(records, "abs_rel")
    assert panel.title.endswith("50 random anchors") and list(panel.lines) == ["a", "b", "c"]
    np.testing.assert_allclose(panel.dotted[FRONT], [[1, 0.3], [2, 0.1]])
    higher = pareto_front({name: np.array([[t, e]]) for name, (t, e) in known.items()}, lower_is_better=False)
    np.testing.assert_allclose(higher, [[0.001, 0.3]])
    assert error_over_time([record("a", "grid", 8)], "abs_rel") == []

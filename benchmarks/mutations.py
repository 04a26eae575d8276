"""Planted mutations: each changes a metric, a mask or a training objective, and must fail the named tests.

    python benchmarks/mutations.py                            (all of them; exit 1 if one survives)
    python benchmarks/mutations.py --only silog,gate --to docs/benchmarks/mutations.md

The tree is copied to a temporary folder, so that nothing is changed here. First the named tests must pass
there without any mutation.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", ".*_cache", "build", "*.egg-info")
# Longest time of one mutation's tests.
TIMEOUT_S = 600
# Exit status of pytest: tests failed. Others, as of a file that cannot be imported, kill no mutation.
PASSED, FAILED = 0, 1


@dataclass(frozen=True)
class Mutation:
    """One change of one file.

    Attributes:
        what: what is wrong after it.
        file: below the package.
        old, new: text that occurs once in the file, and what replaces it.
        tests: of which at least one must fail, below test/.
    """

    what: str
    file: str
    old: str
    new: str
    tests: str


METRICS, RUNNER, GROUPS = (f"evaluation/{name}.py" for name in ("metrics", "runner", "groups"))
KNOWN, PROTOCOLS, REGIMES = (f"evaluation/{name}.py" for name in ("known_depth", "protocols", "regimes"))
MEASURES, EDGES, TIME = (f"evaluation/{name}.py" for name in ("measures", "boundaries", "temporal"))
BASIS, SOLVER, TR2M, DEPTH = (
    f"learning/training/{name}/losses.py" for name in ("basis", "metric_solver", "tr2m", "depth")
)
TRAINER, BATCH, CACHE = (f"learning/training/basis/{name}.py" for name in ("trainer", "batch", "cache"))
OF_METRICS = "evaluation/test_metrics.py::"
BY_HAND = f"{OF_METRICS}test_by_hand"
CHARGED = f"{OF_METRICS}test_a_pixel_without_depth_counts_alike_in_every_metric"
OF_EDGES = "evaluation/test_boundaries_and_time.py::test_boundary_f1_by_hand"
OF_FLYING = "evaluation/test_flying_pixels.py::test_"
OF_TIME = "evaluation/test_boundaries_and_time.py::test_"
OF_RUNS, OF_DRAWS = "evaluation/test_evaluate.py::test_", "evaluation/test_protocols.py::test_"
LIMITS = f"{OF_DRAWS}both_limits_count_and_a_mask_and_the_sky"
OF_BASIS = "learning/test_basis_training.py::test_"
OBJECTIVE = f"{OF_BASIS}what_is_minimised_is_the_objective_of_the_paper_or_ours"
OF_SOLVER = "learning/test_metric_solver_training.py::test_"

MUTATIONS = (
    # Metrics.
    Mutation("AbsRel divided by d", METRICS, "np.abs(d - t) / t)", "np.abs(d - t) / d)", BY_HAND),
    Mutation("SqRel divided by d* twice", METRICS, "(d - t) ** 2 / t)", "(d - t) ** 2 / t**2)", BY_HAND),
    Mutation(
        "RMSE without its root", METRICS, "math.sqrt(_mean((d - t) ** 2))", "_mean((d - t) ** 2)", BY_HAND
    ),
    Mutation("RMSE-log of log10", METRICS, "math.sqrt(_mean(np.log(d", "math.sqrt(_mean(np.log10(d", BY_HAND),
    Mutation(
        "log10 of the natural log", METRICS, "np.abs(np.log10(d / t))", "np.abs(np.log(d / t))", BY_HAND
    ),
    Mutation(
        "log10 squared without square", METRICS, "np.log10(d / t) ** 2", "np.abs(np.log10(d / t))", BY_HAND
    ),
    Mutation("iRMSE in 1/m", METRICS, "1e3 * math.sqrt(_mean((1 / d", "math.sqrt(_mean((1 / d", BY_HAND),
    Mutation("iMAE relative", METRICS, "np.abs(1 / d - 1 / t))", "np.abs(1 / d - 1 / t) * t)", BY_HAND),
    Mutation(
        "SILog not about its mean", METRICS, "(np.log(d / t) - _mean(np.log(d / t))) ** 2",
        "np.log(d / t) ** 2", BY_HAND,
    ),
    Mutation("delta counts 1.25 itself", METRICS, "< 1.25**power", "<= 1.25**power", BY_HAND),
    Mutation(
        "delta forgets depth too near", METRICS, "np.maximum(d / t, t / d)", "(d / t)",
        f"{OF_METRICS}test_each_delta_has_its_threshold",
    ),
    Mutation(
        "delta3 is delta2", METRICS, "partial(delta, power=3)", "partial(delta, power=2)",
        f"{OF_METRICS}test_each_delta_has_its_threshold",
    ),
    Mutation("boundary F1 weighs all ratios alike", EDGES, "weights=_RATIOS", "weights=None", OF_EDGES),
    Mutation(
        "boundary F1 where the truth is unknown", EDGES, "(ours > ratio) & np.isfinite(true)",
        "(ours > ratio)", f"{OF_TIME}unknown_true_depth_is_no_boundary",
    ),
    Mutation(
        "farther than the far surface flies", EDGES, " | (ours >= end - margin)", "",
        f"{OF_FLYING}pixels_between_the_surfaces_by_hand",
    ),
    Mutation(
        "an edge that is not found has no flying pixels", EDGES, "~(found & rests)", "(found & ~rests)",
        f"{OF_FLYING}an_edge_that_is_not_found_flies_as_a_whole",
    ),
    Mutation(
        "an edge the wrong way round is found", EDGES, "ours[counts] * np.sign(rise)",
        "ours[counts] * np.sign(ours[counts][:, -1:] - ours[counts][:, :1])",
        f"{OF_FLYING}an_edge_that_is_not_found_flies_as_a_whole",
    ),
    Mutation(
        "flying pixels of rows alone", EDGES, "[_flying(ours, true, reach), _flying(ours.T, true.T, reach)]",
        "[_flying(ours, true, reach)]", f"{OF_FLYING}edges_of_both_directions_count",
    ),
    Mutation(
        "flying pixels of the truth", EDGES, "np.ptp(side, axis=1) < _LEFT * step",
        "np.isfinite(side).all(axis=1)", f"{OF_FLYING}true_depth_without_two_surfaces_has_no_edge",
    ),
    Mutation(
        "holes in the truth are surfaces", EDGES, "np.ptp(side, axis=1) <",
        "np.nanmax(side, axis=1) - np.nanmin(side, axis=1) <",
        f"{OF_FLYING}a_line_with_a_hole_in_the_truth_does_not_count",
    ),
    Mutation(
        "lines go on at the other border", EDGES, "(column >= reach - 1) & ", "",
        f"{OF_FLYING}an_edge_beside_the_border_does_not_count",
    ),
    Mutation(
        "lines of one length at every size", EDGES, "max(_LEAST_REACH, round(_REACH * max(truth.shape)))",
        "_LEAST_REACH", f"{OF_FLYING}more_blur_flies_more",
    ),
    Mutation(
        "poses the wrong way round", TIME, "np.linalg.inv(other.T_world_camera) @ one.T_world_camera",
        "np.linalg.inv(one.T_world_camera) @ other.T_world_camera", f"{OF_TIME}a_change_of_scale_by_hand",
    ),
    Mutation(
        "TAE of hidden points", TIME, "np.minimum.at(nearest, (v, u), moved_depth)",
        "nearest[v, u] = moved_depth", f"{OF_TIME}what_is_hidden_does_not_count",
    ),
    Mutation(
        "flicker of hidden points", TIME, "_SAME = 0.02", "_SAME = 9.0",
        f"{OF_TIME}what_is_hidden_does_not_count",
    ),
    Mutation(
        "points the same to 20 %", TIME, "_SAME = 0.02", "_SAME = 0.2",
        f"{OF_TIME}a_point_is_the_same_if_its_true_depth_agrees_to_two_percent",
    ),
    Mutation(
        "boundary F1 of sparse depth", MEASURES, " or not is_dense(solved.moment.truth)", "",
        f"{OF_TIME}sparse_depth_has_no_boundaries_but_depth_below_a_sky_has",
    ),
    Mutation(
        "temporal metrics mix the seeds", RUNNER, "(candidate.label, case, seed))",
        "(candidate.label, case, 0))", f"{OF_RUNS}frames_in_a_row_are_compared_with_their_own_kind",
    ),
    # Sigma.
    Mutation(
        "AUSE of AbsRel by sigma in metres", METRICS, "s / d if relative", "s if relative",
        f"{OF_METRICS}test_ause_by_hand",
    ),
    Mutation(
        "the oracle knows no errors", METRICS, "_means_of_rest(np.sort(errors))", "_means_of_rest(errors)",
        f"{OF_METRICS}test_ause_by_hand",
    ),
    Mutation(
        "within 2 sigma is within 1", METRICS, "<= times * s", "<= s",
        f"{OF_METRICS}test_sigma_coverage_by_hand",
    ),
    Mutation(
        "calibration errors cancel", METRICS, "np.abs(below - _LEVELS)", "below - _LEVELS",
        f"{OF_METRICS}test_calibration_error_by_hand",
    ),
    Mutation("NLL without its half", METRICS, "+ z**2 / 2 +", "+ z**2 +", f"{OF_METRICS}test_nll_by_hand"),
    # What is missing.
    Mutation("missing pixels are free", METRICS, "MISSING_RATIO * t, d)", "d, d)", CHARGED),
    Mutation("missing pixels are right", METRICS, "MISSING_RATIO = 2.0", "MISSING_RATIO = 1.0", CHARGED),
    Mutation(
        "depth 0 is depth", METRICS, "(values > 0)", "(values >= 0)",
        f"{OF_METRICS}test_unknown_in_either_is_left_out",
    ),
    Mutation(
        "SILog forgives what is missing", MEASURES, "True, _silog, 2)", 'True, _of_pixels("silog"), 2)',
        CHARGED,
    ),
    Mutation(
        "a failure is right", RUNNER, "known.width), np.nan, np.float32)", "known.width), 4, np.float32)",
        f"{OF_RUNS}pixels_without_depth_count_as_twice_the_truth_and_so_do_all_of_a_failure",
    ),
    Mutation(
        "a mean over draws, not frames", GROUPS, "grouped(records, lambda r: (r.set_name, r.frame)).values()",
        "[[r] for r in records]", f"{OF_RUNS}a_mean_is_over_frames_and_its_spread_over_seeds",
    ),
    Mutation(
        "spread over n seeds, not n - 1", GROUPS, "ddof=1", "ddof=0",
        f"{OF_RUNS}a_mean_is_over_frames_and_its_spread_over_seeds",
    ),
    # Masks.
    Mutation(
        "no cap on true depth", KNOWN, "(pixels.depth >= near) & (pixels.depth <= far)",
        "(pixels.depth >= near)", f"{OF_DRAWS}known_depth_ends_at_the_cap_and_the_border",
    ),
    Mutation(
        "no floor of true depth", KNOWN, "(pixels.depth >= near) & (pixels.depth <= far)",
        "(pixels.depth <= far)", LIMITS,
    ),
    Mutation("a cap counts no depth at it", KNOWN, "(pixels.depth <= far)", "(pixels.depth < far)", LIMITS),
    Mutation("a dataset's crop is left out", KNOWN, "counts &= mask[v, u]", "pass", LIMITS),
    Mutation("sky has depth", KNOWN, "np.where(frame.sky, np.nan, frame.depth)", "frame.depth", LIMITS),
    Mutation(
        "no border right and below", KNOWN, "height - 1]) - border_px", "height - 1])",
        f"{OF_DRAWS}known_depth_ends_at_the_cap_and_the_border",
    ),
    Mutation(
        "a white sky is a frame", KNOWN, "framed = all(", "framed = any(",
        f"{OF_DRAWS}a_white_frame_around_a_picture_does_not_count",
    ),
    Mutation(
        "outdoors to 800 m", "evaluation/places.py", '"outdoor": 80.0', '"outdoor": 800.0',
        f"{OF_RUNS}place_and_cap_follow_from_the_known_depth",
    ),
    Mutation(
        "anchors are evaluated", PROTOCOLS, "taken[pixel_index(anchors.uv, known.width)] = True", "pass",
        f"{OF_DRAWS}no_pixel_is_anchor_and_evaluated",
    ),
    Mutation(
        "anchors are left out though they count", PROTOCOLS, "if known.anchor_pixels else _apart(",
        "if False else _apart(", f"{OF_DRAWS}pixels_with_an_anchor_count_if_they_are_to",
    ),
    Mutation(
        "a ring of 1.5 degrees", PROTOCOLS, "_RING_WIDTH = math.radians(0.15)",
        "_RING_WIDTH = math.radians(1.5)", f"{OF_DRAWS}lines_of_a_sweep_s_image_are_the_lidar_s_rings",
    ),
    Mutation(
        "a ring of 0.3 degrees", PROTOCOLS, "_RING_WIDTH = math.radians(0.15)",
        "_RING_WIDTH = math.radians(0.3)", f"{OF_DRAWS}a_ring_is_as_wide_as_half_the_step_of_64_lines",
    ),
    Mutation(
        "a sweep's lines are image rows", KNOWN, "frame.depth is None or frame.depth_is_sweep",
        "frame.depth is None", f"{OF_DRAWS}lines_of_a_sweep_s_image_are_the_lidar_s_rings",
    ),
    Mutation(
        "a sweep is a sensor beside itself", KNOWN, "and not frame.depth_is_sweep and", "and",
        f"{OF_DRAWS}a_sweep_s_image_has_no_other_sensor",
    ),
    Mutation(
        "drop: any of the closest pair", REGIMES, "*nearest.T[::-1]))", "nearest[:, 0]))",
        f"{OF_DRAWS}of_the_closest_pair_the_one_with_the_closer_second_neighbour_is_dropped",
    ),
    Mutation(
        "results cut at the solver's limits", "evaluation/candidates.py", "min_depth_m=nearest, ", "",
        f"{OF_RUNS}depth_that_counts_is_within_the_limits_of_every_row",
    ),
    Mutation(
        "as many outliers as inliers", PROTOCOLS, "OUTLIERS = 0.05", "OUTLIERS = 0.5",
        f"{OF_DRAWS}two_percent_noise_and_five_percent_outliers_half_of_them_near",
    ),
    Mutation(
        "regime high ends at 504", REGIMES, "(500, 530)", "(500, 504)",
        f"{OF_BASIS}a_regime_has_as_many_anchors_as_the_paper_says",
    ),
    Mutation(
        "001: trained on .01 to 500 m", CACHE, "NEAREST_M, FARTHEST_M = 0.1, 80.0",
        "NEAREST_M, FARTHEST_M = 0.01, 500.0", f"{OF_BASIS}a_cache_knows_depth_from_a_tenth_of_a_metre_to_80",
    ),
    # Training objectives.
    Mutation("001: anchor loss ten times", BASIS, '"anchor": 0.1', '"anchor": 1.0', OBJECTIVE),
    Mutation("001: decorrelation a hundred times", BASIS, '"decor": 1e-4', '"decor": 1e-2', OBJECTIVE),
    Mutation("001: gates a hundred times", BASIS, '"gate": 1e-4', '"gate": 1e-2', OBJECTIVE),
    Mutation(
        "001: gate loss with the other sign", BASIS, "(gates * gates.clamp(", "(-gates * gates.clamp(",
        f"{OF_BASIS}the_losses_by_hand",
    ),
    Mutation("001: no anchor loss", TRAINER, 'WEIGHTS["anchor"] * anchor_loss', "0 * anchor_loss", OBJECTIVE),
    Mutation("001: SmoothL1 with beta 0.1", TRAINER, "0.1 if mixed else 1.0", "0.1", OBJECTIVE),
    Mutation("001: ridge 1e-2", BASIS, "RIDGE = 1e-3", "RIDGE = 1e-2", OBJECTIVE),
    Mutation(
        "001: log depth not centred", BATCH, "log_relative - median)", "log_relative)",
        f"{OF_BASIS}anchors_of_a_batch_hold_the_field_at_their_pixels",
    ),
    Mutation(
        "the newest checkpoint is the best", "learning/training/loop.py",
        "loss is not None and loss < self._best_loss", "loss is not None",
        f"{OF_BASIS}the_weights_with_the_lowest_validation_loss_are_kept",
    ),
    Mutation(
        "004: mask weight 0.5", SOLVER, "MASK_WEIGHT = 0.05", "MASK_WEIGHT = 0.5",
        f"{OF_SOLVER}the_losses_by_hand",
    ),
    Mutation(
        "004: near loss everywhere", SOLVER, "** 2 * targets.is_near", "** 2",
        f"{OF_SOLVER}the_losses_by_hand",
    ),
    Mutation(
        "004: sky counts in the accuracy of the mask", "near_far.py", "known = np.isfinite(depth)",
        "known = ~np.isnan(depth)", f"{OF_SOLVER}a_score_by_hand",
    ),
    Mutation("003: lambda .85", TR2M, "SI_LAMBDA = 0.15", "SI_LAMBDA = 0.85", "learning/test_tr2m_losses.py"),
    Mutation(
        "003: pseudo depth always", TR2M, "PSEUDO_RHO = 0.8", "PSEUDO_RHO = 0.0",
        "learning/test_tr2m_losses.py",
    ),
    Mutation(
        "depth network: sky may be near", DEPTH, "torch.where(ordinary, residual, residual.relu())",
        "residual * ordinary", "learning/test_training.py::test_sky_must_only_be_far",
    ),
)  # fmt: skip


def apply(mutation: Mutation, tree: Path) -> str:
    """Changes the file in a tree; returns its text before. Raises SystemExit if it has not that text once."""
    path = tree / "metric_depth_ros" / mutation.file
    before = path.read_text(encoding="utf-8")
    if (found := before.count(mutation.old)) != 1:
        raise SystemExit(f"{mutation.what}: {mutation.file} has {mutation.old!r} {found} times; needed once.")
    path.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    return before


def tested(tree: Path, tests: Sequence[str]) -> int:
    """Exit status of pytest on some tests of a tree."""
    paths = [f"test/{test}" for test in tests]
    # Without bytecode: a file of equal size in the same second would be taken for the one before.
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *paths]
    run = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
    if run.returncode not in (PASSED, FAILED):
        told = f"{run.stdout[-2000:]}{run.stderr[-2000:]}"
        raise SystemExit(f"pytest {' '.join(paths)}: status {run.returncode}\n{told}")
    return run.returncode


def kills(mutation: Mutation, tree: Path) -> bool:
    """Whether the mutation's tests fail in a tree, which is left as it was."""
    before = apply(mutation, tree)
    try:
        return tested(tree, [mutation.tests]) == FAILED
    finally:
        (tree / "metric_depth_ros" / mutation.file).write_text(before, encoding="utf-8")


def table(results: Sequence[tuple[Mutation, bool]]) -> str:
    """Markdown table of mutations, whether they were found, and by which tests."""
    lines = ["| Mutation | File | | Test |", "|---|---|---|---|"]
    for mutation, killed in results:
        test, found = mutation.tests.rpartition("/")[2], "killed" if killed else "**survived**"
        lines.append(f"| {mutation.what} | `{mutation.file}` | {found} | `{test}` |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="words, separated by commas, of which a mutation has one")
    parser.add_argument("--to", type=Path, help="a Markdown page whose table is replaced")
    args = parser.parse_args()
    chosen = [m for m in MUTATIONS if any(word in f"{m.what} {m.file}" for word in args.only.split(","))]
    results = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        if tested(tree, sorted({mutation.tests for mutation in chosen})) != PASSED:
            raise SystemExit("mutations: the tests fail without any; needed tests that pass.")
        for mutation in chosen:
            results.append((mutation, kills(mutation, tree)))
            print(table(results[-1:]).splitlines()[-1], flush=True)
    survived = [mutation.what for mutation, killed in results if not killed]
    print(f"{len(results) - len(survived)} of {len(results)} killed", *survived, sep="\n- ")
    if args.to is not None:
        page = args.to.read_text(encoding="utf-8").partition("| Mutation |")[0]
        args.to.write_text(f"{page}{table(results)}\n", encoding="utf-8")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())

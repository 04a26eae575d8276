"""Files of a run's report: tables, charts, and where the figures come from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from metric_depth_ros.config import to_flat
from metric_depth_ros.documents import read_json
from metric_depth_ros.drawing.charts import save_chart
from metric_depth_ros.engines import manifest_paths
from metric_depth_ros.errors import InputError
from metric_depth_ros.evaluation import report
from metric_depth_ros.evaluation.groups import metrics_of
from metric_depth_ros.evaluation.paper_tables import beside_published, in_form_of
from metric_depth_ros.evaluation.plots import error_over_anchors, error_over_time
from metric_depth_ros.evaluation.provenance import provenance
from metric_depth_ros.evaluation.records import LINES, PARQUET
from metric_depth_ros.evaluation.report import Section
from metric_depth_ros.evaluation.runner import Record
from metric_depth_ros.evaluation.study import Network, Study

RUN = "run.json"
# All that a run writes.
_WRITTEN = (
    RUN, LINES, PARQUET, "report.md", "report.tex", "sparsification_*.png", "error_over_anchors.png",
    "error_over_time.png", "sheet_*.jpg",
)  # fmt: skip
# Parts of a study whose settings stand under names, which records have.
_NAMED = ("networks", "variants")
_OPTIONS = ("seeds", "metrics", "constant_map", "regions", "whole_truth", "place", "every", "flip")
# Of the settings of a study, those that change its records.
_CHANGING = ("settings", "metrics", "regions", "whole_truth", "flip", "captions", "rules")


def tables_of(
    records: Sequence[Record], *, spread: bool = False, papers: Sequence[tuple[str, str]] = ()
) -> list[Section]:
    """All tables that a run prints: ours, those with published rows, and the papers' that are asked for."""
    asked = [section for paper, table in papers for section in in_form_of(paper, table, records)]
    return [*report.sections(records, spread=spread), *beside_published(records), *asked]


def write_report(folder: Path, records: Sequence[Record], tables: Sequence[Section], *, spread: bool) -> None:
    """Writes report.md and report.tex, with a table by set too, and charts (extra ``plots``)."""
    every = [*tables, *report.set_sections(records, spread=spread)]
    _write(folder / "report.md", report.as_markdown(every))
    _write(folder / "report.tex", report.as_latex(every))
    for title, panels in report.sparsification_panels(records).items():
        name = "_".join(title.split(",")[:2]).replace(" ", "").replace("@", "_")
        save_chart(
            folder / f"sparsification_{name}.png", "fraction of the pixels removed, least sure first", panels
        )
    metric = metrics_of(records)[0]
    for name, axis, panels in (
        ("error_over_anchors", "random anchors", error_over_anchors(records, metric)),
        ("error_over_time", "median time of a solve, ms", error_over_time(records, metric)),
    ):
        if panels:
            save_chart(folder / f"{name}.png", axis, panels, logarithmic=True)


def clear_run(folder: Path, *, overwrite: bool) -> None:
    """Removes the files of an earlier run, and no others.

    Raises InputError if there is an earlier run, unless ``overwrite``.
    """
    earlier = [name for name in (LINES, PARQUET, RUN) if (folder / name).exists()]
    if earlier and not overwrite:
        raise InputError(
            f"{folder}: {earlier[0]} of an earlier run; needed a folder without. Choose another, or add "
            "--resume to go on with that run or --overwrite to remove it."
        )
    for pattern in _WRITTEN if earlier else ():
        for path in folder.glob(pattern):
            path.unlink()


def write_run(folder: Path, study: Study, words: Sequence[str], *, resume: bool = False) -> None:
    """Writes run.json: what was run, with what, where. Raises InputError if it cannot be written.

    Args:
        words: of the command line, after ``metric_depth``.
        resume: keeps of a run that goes on what its records were made with, and when.
    """
    tree = {**provenance(study.config, words), "study": description(study)}
    if resume and (folder / RUN).exists():
        then = _stored(folder / RUN)
        for group in _NAMED:
            known = then["study"].get(group)
            tree["study"][group] = {**(known if isinstance(known, dict) else {}), **tree["study"][group]}
        told = {name: then[name] for name in ("command", "started", "versions", "git") if name in then}
        earlier = then.get("earlier")
        tree["earlier"] = [*(earlier if isinstance(earlier, list) else []), told]
    _write(folder / RUN, json.dumps(tree, indent=1, default=str) + "\n")


def _stored(path: Path) -> dict[str, Any]:
    """Content of a run.json. Raises InputError if it is none."""
    tree = read_json(path, InputError, "the run.json of a run to go on with")
    if not isinstance(tree, dict) or not isinstance(tree.get("study"), dict):
        raise InputError(f"{path}: no study; needed the run.json of a run to go on with.")
    return tree


def description(study: Study) -> dict[str, Any]:
    """A study in values for JSON."""
    return {
        "sets": list(map(str, study.sets)),
        "networks": {network.label: _network(network) for network in study.networks},
        "solvers": list(study.solvers),
        "variants": {label: dict(changes) for label, changes in study.variants.items()},
        "cases": [dataclasses.astuple(case) for case in study.cases],
        **{name: getattr(study, name) for name in _OPTIONS},
        "captions": study.captions and _sha256(study.captions),
        "rules": vars(study.rules),
    }


def _network(network: Network) -> dict[str, Any]:
    """A network in values for JSON; manifests by their content too, which names the models' sha256."""
    if network.run is not None:
        return {"run": str(network.run.resolve())}
    if network.stored is not None and not network.engine.second:
        return {"stored": str(network.stored.resolve())}
    manifests = manifest_paths(network.engine)[network.stored is not None :]
    return {
        "stored": network.stored and str(network.stored.resolve()),
        **vars(network.engine),
        "sha256": [_sha256(path) for path in manifests if path.is_file()],
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_same(folder: Path, study: Study) -> None:
    """Raises InputError if a folder's records were made with other settings, so that they cannot be kept.

    Sets, cases, seeds and solvers may be others: their records are told apart.
    """
    path = folder / RUN
    stored = _stored(path)
    now = json.loads(json.dumps({"settings": to_flat(study.config), **description(study)}, default=str))
    then = {"settings": stored.get("settings"), **stored["study"]}
    differing = [name for name in _CHANGING if now[name] != then.get(name)]
    for group in _NAMED:
        known = then.get(group)
        known = known if isinstance(known, dict) else {}
        differing += [
            f"{group}.{key}"
            for key, value in now[group].items()
            if _placeless(known.get(key, value)) != _placeless(value)
        ]
    if differing:
        raise InputError(
            f"{path}: other {', '.join(differing)} than this run; needed the same to go on. Choose another "
            "folder, or leave out --resume."
        )


def _placeless(settings: Any) -> Any:
    """Settings without where manifests lie, which are known by their content."""
    if not isinstance(settings, dict) or "sha256" not in settings:
        return settings
    return {name: value for name, value in settings.items() if name not in ("manifest", "second")}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; needed a file to write to.") from error

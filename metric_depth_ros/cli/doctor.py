"""`metric_depth doctor`: what of a bag, or of the running graph, will work, what will not, and why."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metric_depth_ros.cli.run import add_bag_options, add_settings, build_config

if TYPE_CHECKING:
    from metric_depth_ros.bags.storage import Window
    from metric_depth_ros.config import Config
    from metric_depth_ros.errors import MetricDepthError
    from metric_depth_ros.health.facts import Plan, Topic, Tried
    from metric_depth_ros.types import Sample

# Images that are tried in each part of a bag that is looked at.
_IMAGES = 12
# So long a graph may be listened to.
_LONGEST_S = 3600.0
# So long a graph may take to show its first message.
_PATIENCE_S = 5.0


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "doctor",
        help="what will not work with a bag or the running graph, and why; the command that will",
        description="Looks at samples of a bag, or listens to the graph; lists topics, clocks, frames and "
        "what is wrong, the cause first; prints the command to run. Exit status 0 if depth will come.",
    )
    parser.add_argument(
        "source", type=Path, nargs="?", metavar="BAG", help="a bag or a folder of frames; default: the graph"
    )
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="how long to listen (5)")
    parser.add_argument("--yaml", type=Path, metavar="FILE", help="write the settings as a parameter file")
    add_settings(parser.add_argument_group("settings that are given; these beat --set, which beats --config"))
    add_bag_options(parser.add_argument_group("topics that are known"))
    # Folders of frames are tried as they are.
    parser.set_defaults(run=run, takes_ros_args=True, hold_out=0.0, anchor_count=0, seed=0)


def run(args: argparse.Namespace) -> int:
    """Runs the verb. Raises MetricDepthError."""
    from metric_depth_ros.cli.offline import has_frames
    from metric_depth_ros.config.parameter_file import beside

    if args.source is not None and args.config is None and (saved := beside(args.source)) is not None:
        args.config = str(saved)
        print(f"settings: {saved}, saved with the bag")
    config = build_config(args)
    _refuse_what_does_not_apply(args)
    if args.source is None:
        return _listen(args, config)
    if has_frames(args.source):
        return _try_frames(args, config)
    return _examine(args, args.source, config)


def _refuse_what_does_not_apply(args: argparse.Namespace) -> None:
    from metric_depth_ros.errors import InputError

    if not 0 < args.seconds <= _LONGEST_S:
        raise InputError(f"--seconds: {args.seconds:g}; needed more than 0, and {_LONGEST_S:g} at most.")
    given = {
        "--calibration": args.calibration is not None,
        "--stamps recorded": args.stamps != "header",
        "--held-out": args.held_out is not None,
    }
    found = [option for option, is_given in given.items() if is_given]
    if args.source is None and found:
        raise InputError(
            f"doctor: {', '.join(found)} given for the graph; the node has no such option. Omit it, or "
            "name a bag."
        )


def _try_frames(args: argparse.Namespace, config: Config) -> int:
    """Tries the frames of a folder, which need no topics. 0 if depth will come."""
    from metric_depth_ros.cli.doctor_report import prescribed, told
    from metric_depth_ros.cli.offline import open_source
    from metric_depth_ros.config import changed
    from metric_depth_ros.health.doctor import diagnose, will_work
    from metric_depth_ros.health.facts import Facts, Plan

    facts, plan = Facts({}), Plan()
    with open_source(args, config) as source:
        tried = list(_outcomes((outcome for _, outcome in source.outcomes), config, ""))
    works = will_work(plan, tried)
    print("\n".join(told(diagnose(facts, plan, tried, config), tried, works)))
    print("\n".join(prescribed(args, facts, plan, changed(config), works)))
    return 0 if works else 1


def _examine(
    args: argparse.Namespace,
    path: Path,
    config: Config,
    graph: Mapping[str, Topic] | None = None,
) -> int:
    """Examines a bag, or what was recorded of a graph with these topics. 0 if depth will come."""
    from metric_depth_ros.bags.guesses import guess, settings_of
    from metric_depth_ros.bags.survey import survey
    from metric_depth_ros.cli.doctor_report import listed, prescribed, told
    from metric_depth_ros.cli.offline import named_topics
    from metric_depth_ros.config import changed, updated
    from metric_depth_ros.health.doctor import diagnose, will_work

    named, sources = named_topics(args, config.sources)
    config = replace(config, sources=sources)
    facts, windows = survey(path, named.get("tf"), named.get("tf_static"))
    if graph is not None:
        facts = facts.of_graph(graph)
    plan = guess(facts, config, named, calibration=args.calibration is not None)
    chosen = updated(config, settings_of(plan))
    planned, skipped = _planned(args, path, plan, named), Counter[str]()
    tried = [] if plan.missing else list(_tried(planned, windows, plan, chosen, skipped))
    works = will_work(plan, tried)
    print("\n".join(listed(facts, plan)))
    print("\n".join(told(diagnose(facts, plan, tried, chosen, skipped), tried, works)))
    print("\n".join(prescribed(planned, facts, plan, changed(chosen), works)))
    return 0 if works else 1


def _listen(args: argparse.Namespace, config: Config) -> int:
    """Records the graph for a while, and examines the recording."""
    import tempfile
    import time

    from metric_depth_ros.cli.ros import ros_context
    from metric_depth_ros.errors import InputError

    with tempfile.TemporaryDirectory() as folder, ros_context(args.ros_args) as spin:
        from metric_depth_ros.bags.survey import WANTED
        from metric_depth_ros.nodes.ends import topics_of
        from metric_depth_ros.nodes.recorder import Recorder

        recorder = Recorder(Path(folder) / "heard", [], kinds=WANTED)
        with spin(recorder):
            print(f"listening for {args.seconds:g} s", flush=True)
            patience_s = time.monotonic() + _PATIENCE_S
            while not any(recorder.received.values()) and time.monotonic() < patience_s:
                time.sleep(0.05)
            time.sleep(args.seconds)
            found = topics_of(recorder)
        if not any(recorder.received.values()):
            raise InputError(
                f"graph: no image, camera_info, sensor or transform came in {args.seconds:g} s; topics: "
                f"{', '.join(sorted(found)) or 'none'}. Start the drivers, set their ROS_DOMAIN_ID, or "
                "listen longer with --seconds."
            )
        return _examine(args, Path(folder) / "heard", config, found)


def _planned(
    args: argparse.Namespace, path: Path, plan: Plan, named: Mapping[str, str]
) -> argparse.Namespace:
    """The command line as it is recommended; what it remapped is in the plan, or named by a flag."""
    topics = {
        "image": plan.image,
        "camera_info": plan.camera_info or None,
        "anchors": plan.anchors or None,
        "regions": named.get("regions"),
        "held_out": named.get("anchors_held_out"),
        "tf": named.get("tf"),
        "remap": [f"tf_static:={named['tf_static']}"] if "tf_static" in named else [],
    }
    stamps = "recorded" if plan.recorded else args.stamps
    return argparse.Namespace(**{**vars(args), **topics, "source": path, "stamps": stamps})


# ---- trying ----------------------------------------------------------------------------------


def _tried(
    args: argparse.Namespace,
    windows: Sequence[Window],
    plan: Plan,
    config: Config,
    skipped: Counter[str],
) -> Iterator[Tried]:
    """Some images of each window, with all that `run` does before the network.

    Why messages were passed over is counted in ``skipped``.
    """
    from metric_depth_ros.cli.offline import bag_reader
    from metric_depth_ros.errors import MetricDepthError
    from metric_depth_ros.health.facts import Tried

    for window in windows:
        try:
            with bag_reader(args, config, window) as reader:
                outcomes = (outcome for _, outcome in reader.samples(config))
                yield from _outcomes(outcomes, config, plan.image)
                skipped.update(reader.skipped)
        except MetricDepthError as error:
            yield Tried(error=str(error))


def _outcomes(
    outcomes: Iterator[Sample | MetricDepthError], config: Config, image_topic: str
) -> Iterator[Tried]:
    from metric_depth_ros.config import updated
    from metric_depth_ros.errors import MetricDepthError
    from metric_depth_ros.health import findings
    from metric_depth_ros.health.facts import Tried
    from metric_depth_ros.pipeline import MetricDepthPipeline

    if config.solver.chosen_prior:  # it is not loaded here, and needs no anchors
        config = updated(config, {"anchors.min_count": 0, "solver.prior": ""})
    pipeline = MetricDepthPipeline(_NoNetwork(), config)
    for outcome in islice(outcomes, _IMAGES):
        try:
            if isinstance(outcome, MetricDepthError):
                raise outcome
            anchors, doubts = pipeline.try_inputs(outcome)
        except MetricDepthError as error:
            yield Tried(error=str(error))
        else:
            twice = findings.rectified_twice(config.input.rectification, image_topic, outcome.camera)
            seen = {s.name: len(findings.depth_in_view(s.points, outcome.camera)) for s in outcome.sources}
            yield Tried(anchors, seen, tuple(filter(None, (*doubts, twice))))


class _NoNetwork:
    """In place of an engine, where only its inputs are looked at."""

    label, why, on_cpu = "none", "only inputs are looked at", True

    def predict(self, image: Any, **_: Any) -> Any:
        raise NotImplementedError

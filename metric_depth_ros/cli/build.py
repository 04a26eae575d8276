"""`metric_depth build`: chooses the engine's runtime and builds its plans ahead of time."""

from __future__ import annotations

import argparse
import sys

from metric_depth_ros.cli.run import add_settings, build_config


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "build",
        help="choose the engine's runtime and build its plan ahead; the node then starts at once",
        description="Verifies the network, builds and tests the plans of accelerators, times the runtimes "
        "that are installed, whatever was chosen before, and stores it all in ~/.cache/metric_depth_ros "
        "($XDG_CACHE_HOME). Ends with 1 when the runtime that is set by name cannot be used. "
        "Run it as the user and with the settings that the node will have.",
    )
    add_settings(parser.add_argument_group("settings; these beat --set, which beats --config"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the verb; returns 0, or 1 if the runtime that is set by name cannot be used.

    Raises MetricDepthError.
    """
    from metric_depth_ros.engines import build_engine, manifest_paths
    from metric_depth_ros.pipeline import MetricDepthPipeline, engine_for
    from metric_depth_ros.priors import build_prior

    config = build_config(args)
    settings = engine_for(config)
    engine = build_engine(settings, anew=True)
    # Loads the networks for regions and prior if they are needed.
    MetricDepthPipeline(engine, config, prior=build_prior(config.solver.chosen_prior, settings))
    print(f"{' and '.join(map(str, manifest_paths(settings)))}: {engine.label}, {engine.why}")
    if all(settings.runtime in ("auto", label.split()[0]) for label in engine.label.split("; ")):
        return 0
    print(f"metric_depth: engine.runtime: {settings.runtime} cannot be used; see above.", file=sys.stderr)
    return 1

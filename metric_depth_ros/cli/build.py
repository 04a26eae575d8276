"""`metric_depth build`: makes ready what the engine needs, and exits."""

from __future__ import annotations

import argparse

from metric_depth_ros.cli.run import add_settings, build_config


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "build",
        help="choose the engine's runtime and build its plan ahead; the node then starts at once",
        description="Verifies the network, builds and tests the plans of accelerators, times the runtimes "
        "that are installed, and stores it all in ~/.cache/metric_depth_ros ($XDG_CACHE_HOME). "
        "Run it as the user and with the settings that the node will have.",
    )
    add_settings(parser.add_argument_group("settings; these beat --set, which beats --config"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when there is an engine. Raises MetricDepthError."""
    from metric_depth_ros.engines import build_engine, manifest_path

    config = build_config(args).engine
    engine = build_engine(config)
    print(f"{manifest_path(config)}: {engine.label}, {engine.why}")
    return 0

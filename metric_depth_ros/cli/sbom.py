"""`metric_depth sbom`: bill of materials of what is installed: package, dependencies, models."""

from __future__ import annotations

import argparse


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the verb."""
    parser = verbs.add_parser(
        "sbom",
        help="bill of materials: package, dependencies and models with licences and hashes",
        description="Prints CycloneDX 1.5 as JSON: what is installed here, the same bytes for the same "
        "installation. Model files are hashed and compared with their manifests.",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the verb. Raises ModelError for a model file that is not its manifest's."""
    import json

    from metric_depth_ros.cli.materials import bill_of_materials

    print(json.dumps(bill_of_materials(), indent=1))
    return 0

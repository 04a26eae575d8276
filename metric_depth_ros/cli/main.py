# PYTHON_ARGCOMPLETE_OK
"""`metric_depth VERB ...`: one module per verb, with ``add_parser(verbs)`` and ``run(args) -> int``."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from metric_depth_ros import __version__
from metric_depth_ros.cli import (
    bench,
    build,
    compare,
    config,
    datasets,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    frames_to_bag,
    record,
    replay,
    run,
    sbom,
    synthesize,
    train,
    try_it,
    view,
)
from metric_depth_ros.errors import MetricDepthError

# Importing a verb must stay fast: heavy modules are imported inside its run().
VERBS = (
    try_it,
    run,
    doctor,
    build,
    evaluate,
    compare,
    explain,
    bench,
    frames_to_bag,
    replay,
    record,
    view,
    synthesize,
    train,
    export,
    datasets,
    config,
    sbom,
    demo,
)


# What the system refuses to write, and to name.
_REFUSALS = (
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.ENAMETOOLONG,
)  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """Argument parser with all verbs."""
    parser = argparse.ArgumentParser(
        prog="metric_depth", description="Dense metric depth from one camera and a few metric points."
    )
    parser.add_argument("--version", action="version", version=f"metric_depth_ros {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns 0 on success, 1 on an error the user can fix (one line), 2 on wrong usage.

    SIGTERM acts as Ctrl-C, so that no temporary file stays.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    ours, ros_args = _split_ros_args(list(sys.argv[1:] if argv is None else argv))
    try:
        return _run(ours, ros_args)
    except MetricDepthError as error:
        print(f"metric_depth: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # as by `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"metric_depth: {where}{error.strerror}. Make room, or choose another place.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("metric_depth: interrupted", file=sys.stderr)
        return 130


def _run(ours: list[str], ros_args: list[str]) -> int:
    parser = build_parser()
    _complete(parser)
    args = parser.parse_args(ours)
    if ros_args and not getattr(args, "takes_ros_args", False):
        parser.error("--ros-args: this verb does not join a ROS graph.")
    args.ros_args, args.command_line = ros_args, ours
    logging.basicConfig(format="metric_depth: %(message)s")
    logging.getLogger("metric_depth_ros").setLevel(logging.INFO)
    return int(args.run(args))


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answers and exits if a shell asks for completions; needs argcomplete."""
    if "_ARGCOMPLETE" in os.environ:
        try:
            from argcomplete import autocomplete
        except ImportError:
            return
        autocomplete(parser)


def _split_ros_args(argv: list[str]) -> tuple[list[str], list[str]]:
    """Splits arguments into ours and those from --ros-args on."""
    at = argv.index("--ros-args") if "--ros-args" in argv else len(argv)
    return argv[:at], argv[at:]


if __name__ == "__main__":
    sys.exit(main())

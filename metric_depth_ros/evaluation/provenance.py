"""Where the figures of a run come from: command, settings, versions, machine and state of the source."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from metric_depth_ros import __version__
from metric_depth_ros.config import Config, to_flat
from metric_depth_ros.runtimes.fingerprint import processor

# Packages that figures depend on; those that are not installed are left out.
_PACKAGES = ("numpy", "scipy", "opencv-python-headless", "onnxruntime", "openvino", "torch", "matplotlib")
_GIT_S = 5.0


def provenance(config: Config, words: Sequence[str]) -> dict[str, Any]:
    """Everything that a reader needs to make the figures again, as values for JSON.

    ``words``: of the command line, after ``metric_depth``.
    """
    return {
        "command": shlex.join(["metric_depth", *words]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
        },
        "git": git_state(Path(__file__).parent),
        "settings": to_flat(config),
    }


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of what it computes with."""
    found = {"metric_depth_ros": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of a folder's work tree, and whether tracked files differ from it; None: no work tree."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if commit is None or changed is None or _git(folder, "ls-files", "--", ".") in (None, ""):
        return None
    return {"commit": commit, "changed": bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=_GIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

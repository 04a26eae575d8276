"""Writes docs/results.md and the pages in docs/results from the records of ``results.py``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_pages(out: Path, seconds: Mapping[str, float]) -> None:
    """Writes all pages."""

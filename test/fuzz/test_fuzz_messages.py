"""Damaged messages give a result or an error with a name: no other exception, no hang, no memory."""

from __future__ import annotations

import pytest
from campaign import MOST_BYTES, campaign

COUNT = 2000


@pytest.fixture(scope="module")
def cases():
    return campaign("messages", COUNT, seed=1)


def test_only_errors_with_a_name_come_out(cases):
    assert len(cases) == COUNT
    assert [case for case in cases if case["came"] not in ("result", "error")] == []


def test_memory_is_bounded(cases):
    assert [case for case in cases if case["bytes"] > MOST_BYTES] == []


def test_errors_are_short(cases):
    assert [case for case in cases if len(case["says"]) > 1000] == []


def test_both_results_and_errors_come(cases):
    """A campaign in which all is refused, or nothing, tests little."""
    came = [case["came"] for case in cases]
    assert min(came.count("result"), came.count("error")) > COUNT / 10

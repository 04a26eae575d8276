"""Damaged bags, files and messages give a result or a named error: nothing else, no hang, no memory."""

from __future__ import annotations

import pytest
from campaign import MOST_BYTES, campaign
from seeds import LARGE_BYTES

COUNTS = {"bags": 200, "files": 420, "messages": 2000}


@pytest.fixture(scope="module", params=COUNTS)
def what(request):
    return request.param


@pytest.fixture(scope="module")
def cases(what):
    return campaign(what, COUNTS[what], seed=1)


def test_only_errors_with_a_name_come_out(what, cases):
    assert len(cases) == COUNTS[what]
    assert [case for case in cases if case["came"] not in ("result", "error")] == []


def test_memory_is_bounded(cases):
    assert [case for case in cases if case["bytes"] > MOST_BYTES] == []


def test_errors_are_short(cases):
    assert [case for case in cases if len(case["says"]) > 1000] == []


def test_both_results_and_errors_come(what, cases):
    """A campaign in which all is refused, or nothing, tests little."""
    if what != "files":
        came = [case["came"] for case in cases]
        assert min(came.count("result"), came.count("error")) > len(cases) / 10
        return
    for kind in {case["kind"] for case in cases}:
        came = [case["came"] for case in cases if case["kind"] == kind]
        assert came.count("error") >= 5, kind
        assert came.count("result") >= 1, kind


def test_a_large_message_is_copied_seldom():
    """In each way of storing it: once as it lies in the file, and once as it is read."""
    cases = campaign("large", 19, seed=0)
    assert {case["came"] for case in cases} == {"result"}, cases
    assert [case for case in cases if case["bytes"] > 3.5 * LARGE_BYTES] == []

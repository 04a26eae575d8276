"""When a job that failed is tried again."""

from contextlib import suppress

import pytest

from metric_depth_ros.errors import ModelError
from metric_depth_ros.health import backoff


@pytest.fixture
def clock(monkeypatch):
    """The time that a backoff sees: a list of one number."""
    now = [100.0]
    monkeypatch.setattr(backoff.time, "monotonic", lambda: now[0])
    return now


def test_a_failed_job_is_tried_again_less_and_less_often(clock):
    job, tries = backoff.Backoff(), []

    def attempt(second):
        with job("state"):
            tries.append(second)
            raise ModelError("no file")

    for second in range(400):
        clock[0] = 100.0 + second
        with pytest.raises(ModelError, match="no file"):
            attempt(second)
    assert tries == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]


def test_it_is_tried_at_once_when_what_it_needs_has_changed(clock, tmp_path):
    path = tmp_path / "model.yaml"
    job, tries = backoff.Backoff(), []

    def attempt():
        with suppress(ModelError), job(backoff.files_beside([path, tmp_path / "absent" / "x"])):
            tries.append(1)
            raise ModelError("no file")

    attempt()
    attempt()
    assert len(tries) == 1
    for content in ("one", "other"):
        path.write_text(content)
        attempt()
        attempt()
    assert len(tries) == 3
    with job("changed"):
        tries.append(1)
    assert len(tries) == 4

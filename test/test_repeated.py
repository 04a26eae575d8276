"""What follows from a cloud alone is computed once."""

from dataclasses import replace

import numpy as np
import pytest

from metric_depth_ros.config import Config
from metric_depth_ros.repeated import Repeated
from metric_depth_ros.types import Camera

CAMERA = Camera(64, 48, np.array([[50.0, 0, 31.5], [0, 50.0, 23.5], [0, 0, 1]]))
POINTS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def counted():
    """The function, and what it was called with."""
    calls = []
    return Repeated(lambda *given: calls.append(given) or len(calls)), calls


def test_equal_arguments_give_the_last_result(counted):
    function, calls = counted
    given = POINTS, CAMERA, Config().anchors, None
    again = POINTS.copy(), replace(CAMERA, K=CAMERA.K.copy()), Config().anchors, None
    assert function(*given) == function(*again) == 1
    assert len(calls) == 1


@pytest.mark.parametrize(
    "other",
    [
        (POINTS + 1, CAMERA, None),
        (POINTS[:3], CAMERA, None),
        (POINTS.astype(np.float64), CAMERA, None),
        (POINTS, replace(CAMERA, width=65), None),
        (POINTS, replace(CAMERA, K=CAMERA.K + np.diag([1, 0, 0])), None),
        (POINTS, CAMERA, POINTS),
        (POINTS, CAMERA),
        (np.full_like(POINTS, np.nan), CAMERA, None),
    ],
)
def test_any_difference_calls_it(counted, other):
    function, _ = counted
    assert function(POINTS, CAMERA, None) == 1
    assert function(*other) == 2
    assert function(POINTS, CAMERA, None) == 3


def test_an_array_that_was_changed_in_place_is_another(counted):
    function, _ = counted
    points = POINTS.copy()
    assert function(points) == 1
    points[0, 0] = 5
    assert function(points) == 2


def test_what_is_not_equal_to_itself_is_computed_anew(counted):
    function, _ = counted
    nan = np.array([np.nan])
    assert (function(nan), function(nan)) == (1, 2)

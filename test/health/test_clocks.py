"""Why images have no cloud: clocks, limits, silence, told apart by the times of messages."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from metric_depth_ros.health.clocks import Heard, Limits, why_apart

SECOND = 1_000_000_000


def heard(stamps_s: Iterable[float], late_s: float = 0.0, off_s: float = 0.0) -> list[Heard]:
    """Messages measured at some times, which come late and whose clock is off."""
    return [Heard(round((at + off_s) * SECOND), round((at + late_s) * SECOND)) for at in stamps_s]


def every(period_s: float, until_s: float = 6.0, since_s: float = 0.0) -> list[float]:
    return [100 + since_s + period_s * n for n in range(round((until_s - since_s) / period_s))]


IMAGES = heard(every(0.1))
LIVE = Limits(0.3, 0.01, wait_s=0.05)
# Name -> clouds, limits, setting and its least value, whether the clocks differ, words.
CASES = {
    "slow": (heard(every(1.0)), Limits(0.3, 0.01), ("sync.max_cloud_age_s", 0.9), False, "before the"),
    "slow and named": (
        heard(every(1.0)), Limits(0.3, 0.01, "front"), ("sources.front.max_age_s", 0.9), False, "before",
    ),
    "another clock": (heard(every(0.1), off_s=-40), Limits(0.3, 0.01), None, True, "-40.000 s off"),
    "another clock, offset before": (
        heard(every(0.1), off_s=-40), Limits(0.3, 0.01, "a", offset_s=-30), ("sources.a.time_offset_s", 10.0),
        True,
        "Set it, or run with --stamps recorded, or set sources.a.time_offset_s: 10.000",
    ),
    "late, live": (
        heard(every(0.1), late_s=0.6), LIVE, None, True,
        "If it only comes late, set sync.max_cloud_age_s: 0.",
    ),
    "silent": (heard(every(0.1, 3.0)), Limits(0.3, 0.01), ("", 0.0), False, "sent nothing for 3."),
    "unequal stamps": (
        heard(every(0.1), off_s=0.004), Limits(0.0, 0.0, exact=True), ("sync.mode", "approximate"), False,
        "0.004000 s off the image, but sync.mode is exact",
    ),
    "unequal stamps of a source": (
        heard(every(0.1), off_s=0.004), Limits(0.0, 0.0, "tof", exact=True),
        ("sources.tof.mode", "approximate"), False, "set sources.tof.mode: approximate",
    ),
    "a latched map": (
        heard([100.0], late_s=2.0), Limits(0.3, 0.01), ("sync.max_cloud_age_s", 5.9), False, "Set",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_reason_is_told(case: str) -> None:
    clouds, limits, setting, clocks, words = CASES[case]
    reason = why_apart(IMAGES, clouds, limits)
    assert reason is not None and words in reason.words, reason
    assert reason.clocks == clocks
    if setting is not None:
        assert reason.setting == setting[0]
        assert setting[1] == reason.value or (
            isinstance(reason.value, float) and setting[1] <= reason.value <= 1.2 * setting[1]
        )


@pytest.mark.parametrize("late_s", [0.0, 0.6])
def test_nothing_is_wrong_where_every_image_has_a_cloud(late_s: float) -> None:
    """In a bag messages may come late."""
    assert why_apart(IMAGES, heard(every(0.1), late_s), Limits(0.3, 0.01)) is None
    assert why_apart(IMAGES, heard(every(0.1, since_s=2.0), late_s), Limits(0.3, 0.01)) is None
    assert why_apart(IMAGES, [], Limits(0.3, 0.01)) is None


def test_a_lead_is_asked_for_where_clouds_follow_their_images() -> None:
    reason = why_apart(heard(every(1.0)), heard(every(1.0, since_s=0.06)), Limits(0.3, 0.01))
    assert reason is not None and reason.setting == "sync.max_cloud_lead_s" and 0.06 < reason.value < 0.08


def test_a_jump_of_both_clocks_is_no_difference_between_them() -> None:
    """More clouds are remembered than images, from before the jump too."""
    jumped = [Heard(each.stamp_ns + 5 * SECOND * (n >= 40), each.came_ns) for n, each in enumerate(IMAGES)]
    clouds = [Heard(each.stamp_ns + 1, each.came_ns) for each in jumped]
    reason = why_apart(jumped[30:], clouds, Limits(0.0, 0.0, exact=True, wait_s=0.05))
    assert reason is not None and "sync.mode is exact" in reason.words, reason

"""Transforms that would end look-ups for good: they are refused, and named."""

import numpy as np
import pytest

from metric_depth_ros.errors import TransformError
from metric_depth_ros.health import transform_guard
from metric_depth_ros.health.transform_guard import TransformGuard
from metric_depth_ros.transforms import TransformTree

MS = 1_000_000
HOUR_MS = 3_600_000


class Tf:
    """A guarded tree: base -> camera is fixed, map -> base moves."""

    def __init__(self):
        self.tree = TransformTree(keep_s=10.0)
        self.guard = TransformGuard(self.tree)
        self.now_ms = self.stamp_ms = 1_000_000
        self.send("base", "camera", static=True)

    def send(self, parent, child, *, ahead_ms=0, static=False, x=0.0):
        T = np.eye(4)
        T[0, 3] = x
        return self.guard.add(
            parent, child, T, (self.stamp_ms + ahead_ms) * MS, self.now_ms * MS, static=static
        )

    def step(self, count=1, ms=100, **moved):
        """Publishes map -> base; what was wrong."""
        found = []
        for _ in range(count):
            self.now_ms, self.stamp_ms = self.now_ms + ms, self.stamp_ms + ms
            found.append(self.send("map", "base", **moved))
        return [*filter(None, found)]

    def x(self):
        return self.tree.lookup("map", "camera", self.stamp_ms * MS)[0, 3]


@pytest.fixture
def tf():
    tf = Tf()
    assert tf.step(5) == []
    return tf


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, -HOUR_MS, 5_000])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_wrong_stamps_end_with_themselves_and_the_clock_is_named(tf, ahead_ms, times):
    said = tf.step(times, ahead_ms=ahead_ms) + tf.step(2, x=7.0)
    assert tf.x() == 7.0
    if times == 1:
        (words,) = said
        assert f"'base' in 'map' came once stamped {(ahead_ms - 100) / 1e3:+.3f} s from those" in words
        assert "clock" in words
    elif ahead_ms > 0:
        assert any("'base' in 'map': stamps jumped by +" in words for words in said)


def test_a_wrong_first_stamp_ends_with_the_second_right_one():
    tf = Tf()
    tf.step(ahead_ms=HOUR_MS)
    tf.step(2, x=3.0)
    assert tf.x() == 3.0


def test_when_time_jumps_back_only_the_frames_that_jump_are_begun_anew(tf):
    tf.send("map", "slow")
    tf.stamp_ms -= 50_000
    tf.step(2, x=4.0)
    assert tf.x() == 4.0
    assert tf.tree.knows("map", "slow", 1_000_500 * MS) and not tf.tree.knows("map", "slow", tf.stamp_ms * MS)
    tf.tree.clear(newer_than_ns=tf.stamp_ms * MS)  # an image has jumped
    assert tf.x() == 4.0 and "slow" not in tf.tree.parents()


def test_a_loop_is_refused_and_named(tf):
    words = tf.send("camera", "map")
    assert "'map' in 'camera' closes a loop, as 'camera' below 'base' below 'map'; it is refused" in words
    tf.step(2, x=2.0)
    assert tf.x() == 2.0
    assert tf.send("camera", "map", static=True) and tf.x() == 2.0


def test_a_wrong_transform_that_came_first_gives_way_to_those_that_go_on(tf):
    lost = Tf()
    lost.send("camera", "map")
    assert "closes a loop" in lost.step()[0]
    lost.step(15, x=6.0)
    assert lost.x() == 6.0
    for _ in range(15):  # one that goes on gives way to none
        tf.step()
        assert tf.send("camera", "map")


def test_a_fixed_transform_gives_way_to_a_moving_one_that_comes_twice(tf):
    tf.send("map", "camera", x=9.0)
    assert tf.tree.is_static("camera") and tf.x() == 0.0
    tf.step()
    tf.send("map", "camera", x=9.0)
    assert not tf.tree.is_static("camera") and tf.x() == 9.0


def test_a_new_parent_takes_over_at_once_and_the_old_one_again(tf):
    assert tf.send("odom", "base") is None and tf.tree.parents()["base"] == "odom"
    assert tf.step(2, x=5.0) == [] and tf.x() == 5.0


def test_frames_are_bounded_in_number_and_length_and_silent_ones_make_room(tf, monkeypatch):
    monkeypatch.setattr(transform_guard, "_MOST_FRAMES", 10)
    words = [tf.send("map", f"tag{i}") for i in range(12)]
    assert sum(word is not None for word in words) == 4 and "over 10 frames" in words[-1]
    tf.step(700, x=1.0)
    assert tf.send("map", "tag99") is None and tf.x() == 1.0
    assert len(tf.tree) == 3 and len(tf.guard._heard_ns) == 2  # no name stays
    assert "300 characters; needed 256" in tf.send("map", "n" * 300)


def test_frames_in_a_long_line_are_looked_up_quickly_enough():
    tree = TransformTree()
    for i in range(5_000):
        tree.add(f"f{i}", f"f{i + 1}", np.eye(4), 0, static=True)
    assert tree.knows("f0", "f5000", 0) and len(tree.loop("f5000", "f0")) == 5_000
    with pytest.raises(TransformError, match="does not exist"):
        tree.lookup("f5000", "f5001x", 0)


def test_samples_of_a_frame_are_bounded_in_number(monkeypatch):
    from metric_depth_ros import transforms

    monkeypatch.setattr(transforms, "_MOST_KEPT", 100)
    tree = TransformTree(keep_s=10.0)
    for i in range(1_000):
        tree.add("map", "base", np.eye(4), i)
    assert tree.knows("map", "base", 999) and tree.knows("map", "base", 955)
    assert len(tree._edges["base"]._stamps) <= 101

import weakref
from dataclasses import replace

import numpy as np
import pytest

from metric_depth_ros.config import Config, SyncConfig, from_flat, sync_of
from metric_depth_ros.errors import TransformError
from metric_depth_ros.geometry import rigid_transform
from metric_depth_ros.motion import Places
from metric_depth_ros.stamps import StampGuard, is_due, jumps_back
from metric_depth_ros.sync import (
    CloudRing,
    Source,
    all_points,
    gather_points,
    gather_sources,
)
from metric_depth_ros.transforms import TransformTree
from metric_depth_ros.types import Cloud

MS, SECOND = 1_000_000, 1_000_000_000


def cloud(stamp_ms, frame="lidar", points=((0.0, 0.0, 1.0),)):
    return Cloud(np.array(points, np.float32), frame, round(stamp_ms * MS))


def ring(*stamps_ms, **settings):
    ring = CloudRing(SyncConfig(**settings))
    for stamp in stamps_ms:
        ring.add(cloud(stamp))
    return ring


def kept_ms(ring):
    return stamps_ms(ring._clouds)


def stamps_ms(clouds):
    return [cloud.stamp_ns // MS for cloud in clouds]


def sorted_out(guard, stamps):
    """Good and wrong stamps, in seconds, of items that come one a second."""
    good, wrong = [], []
    for came, stamp in enumerate(stamps):
        passed, refused = guard.put(stamp, round(stamp * 1e9), came * SECOND)
        good, wrong = good + passed, wrong + refused
    passed, refused = guard.end()
    return good + passed, wrong + refused


@pytest.mark.parametrize(
    ("stamps", "good", "wrong"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], []),
        ([0, 1, 0.5, 3], [0, 1, 0.5, 3], []),  # out of order
        ([0, 1, -900, 3, 4], [0, 1, 3, 4], [-900]),
        ([0, 1, 900, 3, 4], [0, 1, 3, 4], [900]),
        ([0, 1, 900, -900, 4, 5], [0, 1, 4, 5], [900, -900]),
        ([50, 51, 0, 1, 2], [50, 51, 0, 1, 2], []),  # a loop
        ([50, 51, 900, 901, 902], [50, 51, 900, 901, 902], []),
        ([50, 51, 900, 0, 1, 2], [50, 51, 0, 1, 2], [900]),
    ],
)
def test_a_single_wrong_stamp_is_told_from_a_jump_in_time(stamps, good, wrong):
    assert sorted_out(StampGuard(), stamps) == sorted_out(StampGuard(first_too=True), stamps) == (good, wrong)


@pytest.mark.parametrize(
    ("stamps", "good", "wrong"),
    [
        ([900, 1, 2], [1, 2], [900]),
        ([0, 900, 2, 3], [0, 2, 3], [900]),
        ([900, -900, 2, 3], [2, 3], [900, -900]),
        ([7], [7], []),
        ([7, 900], [7, 900], []),  # nobody knows
    ],
)
def test_the_first_stamp_may_be_the_wrong_one(stamps, good, wrong):
    assert sorted_out(StampGuard(first_too=True), stamps) == (good, wrong)


def test_what_comes_last_with_a_stamp_far_off_is_wrong():
    guard = StampGuard()
    assert guard.put("first", SECOND, 0) == (["first"], [])
    assert guard.put("last", 900 * SECOND, SECOND) == ([], [])
    assert guard.end() == ([], ["last"])


def test_a_pause_and_a_fast_replay_are_no_slips():
    guard = StampGuard()
    for stamp, came in ((0, 0), (1, 500), (3601, 4100), (3661, 4103)):
        assert guard.put(stamp, stamp * SECOND, came * SECOND) == ([stamp], [])


def test_the_newest_cloud_up_to_the_image_is_taken():
    r = ring(0, 100, 200)
    assert stamps_ms(r.select(150 * MS)) == [100]
    assert stamps_ms(r.select(200 * MS)) == [200]


def test_a_cloud_slightly_newer_belongs_to_the_image_and_a_later_one_does_not():
    r = ring(100, 200, max_cloud_lead_s=0.01)
    assert stamps_ms(r.select(190 * MS)) == [200]
    assert stamps_ms(r.select(189 * MS)) == [100]


def test_an_old_cloud_is_not_used():
    assert ring(100, max_cloud_age_s=0.3).select(401 * MS) == []
    assert stamps_ms(ring(100, max_cloud_age_s=0.3).select(400 * MS)) == [100]


def test_several_clouds_accumulate_oldest_first_whatever_their_order_of_arrival():
    assert stamps_ms(ring(300, 100, 200, accumulate=2).select(300 * MS)) == [200, 300]


def test_clouds_that_another_thread_looks_at_stay():
    r = ring(0, 100)
    seen = r._clouds
    r.clear()
    assert not len(r) and stamps_ms(seen) == [0, 100]


def test_one_cloud_is_not_copied(monkeypatch):
    monkeypatch.setattr(np, "concatenate", lambda arrays: pytest.fail("copied"))
    places = Places("camera", 0, still("odom"), Config())
    assert len(gather_points([cloud(0, "camera")], places)) == 1


def test_an_image_waits_only_for_a_cloud_that_is_due():
    r = ring(0, 100, 200)  # a 10 Hz sensor: the next one is due at 300
    assert not r.awaits(233 * MS)
    assert not r.awaits(266 * MS)
    assert r.awaits(300 * MS)
    r.add(cloud(300))
    assert not r.awaits(300 * MS)
    # After a pause the period is still the usual one.
    assert ring(0, 1_000, 1_100, 1_200).awaits(1_300 * MS)


def test_clouds_are_chosen_as_the_mode_says():
    stamps = 100, 190, 215, 230
    expected = {"approximate": [190, 215], "latest": [215, 230], "exact": []}
    for mode, chosen in expected.items():
        config = sync_of(from_flat({"sync.mode": mode, "sync.max_cloud_lead_s": 0.1}), "anchors", "")
        r = CloudRing(replace(config, accumulate=2))
        for stamp in stamps:
            r.add(cloud(stamp))
        assert stamps_ms(r.select(200 * MS)) == chosen
        assert (stamps_ms(r.select(215 * MS)) == [215]) == (mode == "exact")


def test_nearest_of_two_alike_is_the_newer():
    assert stamps_ms(ring(190, 210).select(200 * MS)) == [210]


def test_an_image_waits_as_the_mode_says():
    due = {"approximate": True, "latest": False, "exact": True}
    for mode, waits in due.items():
        source = Source("anchors", "point_cloud2", from_flat({"sync.mode": mode}))
        assert source.ring.awaits(0) == waits
        for stamp in (0, 100, 200):
            source.ring.add(cloud(stamp))
        assert source.awaits(300 * MS) == waits
        source.ring.add(cloud(300))
        assert not source.awaits(300 * MS)
    assert not ring(0, 100, 195, max_cloud_lead_s=0.1).awaits(200 * MS)  # the next one is farther off
    assert ring(0, 100, 195, max_cloud_lead_s=0.1, accumulate=4).awaits(200 * MS)


def test_a_source_may_have_a_mode_of_its_own():
    config = from_flat({**NAMED, "sources.front.mode": "exact", "sources.vio.mode": "latest"})
    assert sync_of(config, "front", "depth_camera").max_cloud_age_s == 0
    assert sync_of(config, "vio", "vio").mode == "latest"
    assert sync_of(from_flat({**NAMED, "sync.mode": "exact"}), "vio", "vio").max_cloud_age_s == 0


def test_an_image_without_any_cloud_waits():
    assert ring().awaits(0)
    assert ring(0, max_cloud_age_s=0.1).awaits(500 * MS)
    assert not ring(600).awaits(500 * MS)  # what comes next is newer still


def test_after_a_jump_back_later_clouds_are_forgotten():
    r = ring(0, 110, 5_000, 5_100)
    r.forget_after(100 * MS)
    assert stamps_ms(r.select(100 * MS)) == [110]
    assert len(r) == 2


def test_after_a_jump_a_full_ring_keeps_the_cloud_that_came_before_the_image():
    r = ring(*range(5_000, 10_000, 100))
    r.add(cloud(1_000))
    r.forget_after(1_000 * MS)
    assert stamps_ms(r.select(1_000 * MS)) == [1_000]


def test_two_sensors_of_one_stamp_do_not_make_an_image_wait():
    r = ring(0, 0, 100, 100, 200, 200)
    assert not r.awaits(233 * MS)
    assert r.awaits(300 * MS)


def test_the_ring_is_bounded_and_keeps_the_newest():
    r = ring(*range(0, 100_000, 100))
    assert len(r) < 64
    assert stamps_ms(r.select(99_900 * MS)) == [99_900]
    many = ring(*range(0, 20_000, 100), accumulate=100, max_cloud_age_s=3600)
    assert stamps_ms(many.select(20_000 * MS)) == [*range(10_000, 20_000, 100)]


def test_time_jumps_back_by_more_than_a_second():
    assert not jumps_back(5_000 * MS, 4_000 * MS) and jumps_back(5_000 * MS, 4_000 * MS - 1)
    assert not jumps_back(5_000 * MS, 9_000 * MS)


def test_clouds_of_depth_come_at_their_rate():
    """At 5 Hz, every 200 ms; a camera's stamps may be early by a twentieth of that."""
    assert is_due(None, 0, 5.0) and not is_due(None, 0, 0.0)
    due = [is_due(1_000 * MS, (1_000 + later) * MS, 5.0) for later in (0, 189, 190, 400)]
    assert due == [False, False, True, True]
    assert is_due(10_000 * MS, 1_000 * MS, 5.0)  # time has jumped back


def test_points_are_moved_into_the_image_frame():
    tree = TransformTree()
    tree.add("camera", "lidar", rigid_transform([0, 0, 2], [0, 0, 0, 1]), 0, static=True)
    points = gather_points([cloud(0), cloud(1)], Places("camera", 0, tree, from_flat({})))
    np.testing.assert_allclose(points, [[0, 0, 3], [0, 0, 3]])


def test_points_are_moved_in_time_through_the_fixed_frame():
    tree = TransformTree()
    for stamp, x in ((0, 0.0), (100 * MS, 1.0)):
        tree.add("odom", "base", rigid_transform([x, 0, 0], [0, 0, 0, 1]), stamp)
    config = from_flat({"sync.fixed_frame": "odom"})
    points = gather_points([cloud(0, "base")], Places("base", 100 * MS, tree, config))
    np.testing.assert_allclose(points, [[-1, 0, 1]])  # the robot moved 1 m towards +x meanwhile


def test_extrinsics_from_parameters_need_no_frames():
    config = from_flat({"extrinsics.source": "parameters", "extrinsics.translation": [0, 0, -0.5]})
    points = gather_points([cloud(0, "")], Places("", 0, TransformTree(), config))
    np.testing.assert_allclose(points, [[0, 0, 0.5]])


def test_a_missing_frame_id_is_said():
    for image, of_cloud, which in (("camera", "", "the cloud"), ("", "lidar", "the image")):
        with pytest.raises(
            TransformError, match=f"{which} has no frame_id.* Or set extrinsics.source: param"
        ):
            gather_points([cloud(0, of_cloud)], Places(image, 0, TransformTree(), from_flat({})))


def test_no_clouds_give_no_points():
    assert gather_points([], Places("camera", 0, TransformTree(), from_flat({}))).shape == (0, 3)


# ---- sources -------------------------------------------------------------------------------------

NAMED = {"anchors.sources": ["vio", "front"], "sources.vio.topic": "/v", "sources.front.topic": "/f"}


class Counting(TransformTree):
    """Counts what is looked up."""

    looked_up = 0

    def lookup(self, *where, **how):
        self.looked_up += 1
        return super().lookup(*where, **how)


def still(*frames):
    tree = Counting()
    for frame in frames:
        tree.add("camera", frame, np.eye(4), 0, static=True)
    return tree


def test_clouds_in_one_fixed_frame_are_looked_up_once():
    clouds = [cloud(100 * index, "odom") for index in range(30)]
    for frame in ("auto", "odom", "none"):
        tree, settings = still("odom"), {"sync.fixed_frame": frame}
        assert len(gather_points(clouds, Places("camera", 3_000 * MS, tree, from_flat(settings)))) == 30
        assert tree.looked_up == 1


def test_a_moving_sensor_s_clouds_are_placed_in_the_fixed_frame_once():
    tree = Counting()
    for tenth in range(31):
        tree.add("odom", "camera", rigid_transform([0, 0, tenth / 10], [0, 0, 0, 1]), 100 * tenth * MS)
    clouds = [cloud(100 * tenth, "camera") for tenth in range(30)]
    config = from_flat({"sync.fixed_frame": "odom"})
    # The cloud of the image's own time is not moved: its place in the fixed frame is looked up later.
    for stamp, looked_up in ((2_900, 29 + 2), (3_000, 2), (3_000, 1)):
        tree.looked_up = 0
        points = gather_points(clouds, Places("camera", stamp * MS, tree, config))
        np.testing.assert_allclose(points[:, 2], 1 + np.arange(30) / 10 - stamp / 1_000, atol=1e-6)
        assert tree.looked_up == looked_up


def test_one_source_s_missing_transform_is_told_and_the_others_go_on():
    config, told = from_flat(NAMED), []
    vio, front = Source("vio", "point_cloud2", config), Source("front", "range", config)
    seen = Cloud(np.ones((2, 3), np.float32), "odom", 0)
    beam = Cloud(np.ones((1, 3), np.float32), "bumper", 0, np.array([0.3], np.float32))
    chosen = [(vio, [seen]), (front, [beam])]

    def gather(*frames):
        told.clear()
        return gather_sources(
            chosen, Places("camera", 0, still(*frames), config), lambda name, error: told.append(name)
        )

    both = gather("odom", "bumper")
    assert [(s.name, s.model, len(s.points)) for s in both] == [
        ("vio", "lidar", 2),
        ("front", "range_finder", 1),
    ]
    assert both[0].sigma is None and both[1].sigma == [np.float32(0.3)]
    assert len(all_points(both)) == 3 and told == []
    assert [s.name for s in gather("odom")] == ["vio"] and told == ["front"]
    with pytest.raises(TransformError, match=r"odom.*static_transform_publisher") as missing:
        gather()
    assert "parameters" not in str(missing.value)  # which place one sensor alone


def test_clouds_from_before_the_transforms_began_are_left_out():
    tree = TransformTree()
    for tenth in (2, 3):
        tree.add("odom", "camera", np.eye(4), 100 * tenth * MS)
    config = from_flat({**NAMED, "sync.fixed_frame": "odom"})
    clouds = [cloud(100 * tenth, "camera", [[0, 0, tenth]]) for tenth in range(4)]
    source = Source("front", "range", config)
    (points,) = gather_sources([(source, clouds)], Places("camera", 300 * MS, tree, config), print)
    np.testing.assert_allclose(points.points[:, 2], [2, 3])
    with pytest.raises(TransformError, match="outside"):
        gather_points(clouds[:2], Places("camera", 300 * MS, tree, config))


def test_sigma_is_zero_for_messages_that_tell_none():
    config = Config()
    source = Source("anchors", "point_cloud2", config)
    told = Cloud(np.ones((2, 3), np.float32), "camera", 1, np.array([0.1, 0.2], np.float32))
    untold = Cloud(np.ones((1, 3), np.float32), "camera", 0)
    (points,) = gather_sources([(source, [untold, told])], Places("camera", 0, still(), config), print)
    np.testing.assert_allclose(points.sigma, [0, 0.1, 0.2])
    assert all_points(()).shape == (0, 3)


@pytest.mark.parametrize(
    ("kind", "origin_m", "step_m"),
    [("f4", 0, 2**-22), ("f4", 5.3e6, 0.5), ("f4", 7e4, 2**-7), ("f8", 5.3e6, 2**-30)],
)
def test_sources_tell_the_steps_of_their_numbers(kind, origin_m, step_m):
    """By most points: a few may be out of all proportion."""
    points = np.full((250, 3), 2 + origin_m, kind)
    points[::25] = 1e30
    source = Source("anchors", "point_cloud2", Config())
    chosen = [(source, [Cloud(points, "camera", 0)]), (source, [])]
    full, empty = gather_sources(chosen, Places("camera", 0, still(), Config()), print)
    assert (full.step_m, empty.step_m) == (step_m, 0)


def test_an_image_waits_for_no_source_that_has_fallen_silent():
    source = Source("vio", "point_cloud2", from_flat(NAMED))
    assert not source.awaits(0)
    for stamp in (0, 100, 200):
        source.ring.add(cloud(stamp))
    assert source.awaits(300 * MS)
    assert not source.awaits(233 * MS)
    assert not source.awaits(1_300 * MS)


def test_settings_of_a_source_change_live():
    source = Source("front", "range", from_flat({**NAMED, "sync.fixed_frame": "none"}))
    assert source.ring.config.accumulate == 1
    source.configure(from_flat(NAMED))
    assert source.ring.config.accumulate == 30
    source.configure(from_flat({**NAMED, "sources.front.accumulate": 7, "sources.front.model": "radar"}))
    assert (source.ring.config.accumulate, source.model) == (7, "radar")


@pytest.mark.parametrize(
    ("kind", "model", "known"),
    [
        ("point_cloud2", "lidar", True),
        ("laser_scan", "auto", True),
        ("point_cloud2", "vio", False),  # ORB-SLAM's map has the camera's axes
        ("point_cloud2", "depth_camera", False),
        ("point_cloud2", "radar", False),
        ("depth_image", "auto", False),
        ("point_cloud2", None, True),  # the one topic without a name
        ("depth_image", None, False),
    ],
)
def test_only_some_sensors_tell_what_is_up(kind, model, known):
    config = from_flat({**NAMED, "sources.front.model": model} if model else {})
    source = Source("front" if model else "anchors", kind, config)
    places = Places("camera", 0, still("odom"), config)
    (found,) = gather_sources([(source, [cloud(0, "odom")])], places, print)
    assert found.up is None if not known else found.up.tolist() == [0, 0, 1]
    (found,) = gather_sources([(source, [cloud(0, "/camera")])], places, print)
    assert found.up is None


@pytest.mark.parametrize(("accumulate", "used"), [(1, [100]), (3, [80, 90, 100])])
def test_where_the_newest_cloud_s_place_is_not_known_yet_earlier_ones_serve(accumulate, used):
    """A LiDAR at 100 Hz, transforms at 10 Hz: the next cloud comes before its transform."""
    tree = TransformTree()
    for stamp in (0, 100):
        tree.add("odom", "base", np.eye(4), stamp * MS)
    tree.add("base", "lidar", np.eye(4), 0, static=True)
    settings = {"sync.fixed_frame": "odom", "sync.max_cloud_lead_s": 0.05, "sync.accumulate": accumulate}
    config = from_flat(settings)
    source = Source("anchors", "point_cloud2", config)
    for stamp in range(50, 150, 10):
        source.ring.add(cloud(stamp, "lidar", [(0, 0, stamp)]))
    clouds = [*source.ring._clouds][-accumulate:]
    (points,) = gather_sources([(source, clouds)], Places("base", 100 * MS, tree, config), print)
    assert points.points[:, 2].tolist() == used and points.newest_ns == 100 * MS
    del source.ring._clouds[:6]
    with pytest.raises(TransformError, match="known from"):
        gather_sources([(source, clouds)], Places("base", 100 * MS, tree, config), print)


# --- memory


def big(stamp_ms, megabytes=1.0):
    return Cloud(np.empty((round(megabytes * 1e6 / 12), 3), np.float32), "lidar", stamp_ms * MS)


@pytest.mark.parametrize(("share", "accumulate", "left"), [(1, 1, 8), (0.5, 1, 4), (1, 8, 8), (1, 100, 8)])
def test_clouds_are_bounded_by_bytes_whatever_their_number(share, accumulate, left):
    ring = CloudRing(SyncConfig(buffer_mb=8, accumulate=accumulate, max_cloud_age_s=100.0))
    ring.share = share
    for stamp in range(0, 3_000, 100):
        ring.add(big(stamp))
        assert ring.nbytes <= 8.1e6 * share
    assert len(ring.select(2_900 * MS)) == min(left, accumulate) and len(ring) == left
    assert ring.too_small == (accumulate > 8)
    ring.add(big(3_000, 50.0))  # the newest is kept, whatever its size
    assert stamps_ms(ring.select(3_000 * MS)) == [3_000] and len(ring) == 1


def test_sources_share_the_memory():
    config = from_flat(
        {"anchors.sources": ["a", "b"], "sources.a.topic": "/a", "sources.b.topic": "/b", "sync.buffer_mb": 8}
    )
    source = Source("a", "point_cloud2", config)
    for stamp in range(20):
        source.ring.add(big(stamp))
    assert len(source.ring) == 4


def test_what_no_image_from_now_on_can_use_is_dropped():
    r = ring(*range(0, 3_000, 100), max_cloud_age_s=0.3)
    assert r.drop_useless(2_500 * MS) == 0.0
    assert kept_ms(r) == [*range(1_200, 3_000, 100)]  # images out of order are up to 1 s older
    assert stamps_ms(r.select(2_500 * MS)) == [2_500]
    assert r.drop_useless(60_000 * MS) == 0.0 and len(r) == 0


def test_clouds_of_another_clock_do_not_stay():
    r = ring(100, 3_600_200, 200, max_cloud_age_s=0.3)
    assert not r.awaits(300 * MS)  # it takes the later one for the next
    assert r.drop_useless(300 * MS) == pytest.approx(3_599.9)
    assert kept_ms(r) == [100, 200] and r.awaits(310 * MS) is not None
    assert r.drop_useless(300 * MS) == 0.0


@pytest.mark.parametrize("accumulate", [1, 3])
def test_in_silence_what_the_next_image_would_use_is_kept(accumulate):
    r = ring(100, 300, 200, 400, accumulate=accumulate)
    before = stamps_ms(r.select(410 * MS))
    r.keep_newest()
    assert stamps_ms(r.select(410 * MS)) == before and len(r) == accumulate


def test_a_guard_keeps_no_item_that_it_has_passed_on():
    guard = StampGuard()
    item = np.zeros(3)
    held = weakref.ref(item)
    guard.put(item, 10 * MS, 0)
    del item
    assert held() is None

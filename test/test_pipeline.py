import dataclasses

import numpy as np
import pytest

from metric_depth_ros.config import from_flat, updated
from metric_depth_ros.errors import AnchorError, ConfigError, InputError
from metric_depth_ros.geometry import project, unproject
from metric_depth_ros.pipeline import build_pipeline
from metric_depth_ros.types import Camera, Rectification, Sample, SourcePoints

SCALE = 20.0  # the scene below is SCALE times its gray value deep


@pytest.fixture
def scene(camera):
    """A slanted wall whose gray value is its relative depth, and points on it."""
    gray = np.linspace(60, 200, camera.width).astype(np.uint8)
    image = np.repeat(np.broadcast_to(gray, (camera.height, camera.width))[:, :, None], 3, axis=2).copy()
    truth = SCALE * image[:, :, 0] / 255.0
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 64, 3), np.arange(0, 48, 3)))
    points = unproject(np.stack([u, v], 1), truth[v, u], camera)
    return Sample(image, camera, points.astype(np.float32), 5, "camera"), truth


def settings(toy_manifest, **more):
    return from_flat({"engine.manifest": str(toy_manifest), "anchors.grid_px": 0, **more})


@pytest.mark.parametrize("solver", ["global_affine", "region_aware"])
def test_the_scene_s_scale_is_recovered(toy_manifest, scene, solver):
    sample, truth = scene
    result = build_pipeline(settings(toy_manifest, **{"solver.name": solver})).process(sample)
    np.testing.assert_allclose(result.metric.depth, truth, rtol=2e-3)
    assert (result.stamp_ns, result.frame_id) == (5, "camera")
    assert set(result.timings) == {"prepare", "anchors", "engine", "regions", "solver"}


def test_inputs_are_not_modified(toy_manifest, scene):
    sample, _ = scene
    image, points = sample.image.copy(), sample.points_camera.copy()
    build_pipeline(settings(toy_manifest)).process(sample)
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_array_equal(sample.points_camera, points)


def test_output_scale_resizes_depth_image_and_camera_together(toy_manifest, scene):
    sample, _ = scene
    result = build_pipeline(settings(toy_manifest, **{"output.scale": 0.5})).process(sample)
    assert result.metric.depth.shape == result.image.shape[:2] == (24, 32)
    assert (result.camera.width, result.camera.height) == (32, 24)
    point = sample.points_camera[100:101]
    (u, v), z = project(point, result.camera)[0][0], point[0, 2]
    assert result.metric.depth[round(v), round(u)] == pytest.approx(z, rel=0.03)


def test_a_raw_image_is_rectified_and_depth_belongs_to_the_pinhole(toy_manifest, scene):
    sample, _ = scene
    bent = dataclasses.replace(sample.camera, distortion_model="plumb_bob", D=(-0.1, 0, 0, 0, 0))
    pipeline = build_pipeline(settings(toy_manifest))
    result = pipeline.process(dataclasses.replace(sample, camera=bent))
    assert not result.camera.distorted
    kept = pipeline.with_config(settings(toy_manifest, **{"input.rectification": "none"}))
    assert kept.process(dataclasses.replace(sample, camera=bent)).camera is bent
    # The maps are not made anew for a focus that slides.
    slid = pipeline.with_config(settings(toy_manifest, **{"solver.focus_m": 4.0}))
    assert slid._preparation._rectifier is pipeline._preparation._rectifier is not None


def test_the_wanted_pinhole_is_the_output_s(toy_manifest, scene):
    sample, _ = scene
    K = np.array([[45.0, 0, 30], [0, 45.0, 20], [0, 0, 1]])
    bent = dataclasses.replace(sample.camera, distortion_model="plumb_bob", D=(-0.1, 0, 0, 0, 0))
    result = build_pipeline(settings(toy_manifest)).process(
        dataclasses.replace(sample, camera=bent, rectification=Rectification(K, np.eye(3)))
    )
    np.testing.assert_array_equal(result.camera.K, K)


def test_camera_info_of_another_size_is_refused(toy_manifest, scene):
    sample, _ = scene
    other = Camera(128, 96, sample.camera.K)
    with pytest.raises(InputError, match=r"64x48.*128x96"):
        build_pipeline(settings(toy_manifest)).process(dataclasses.replace(sample, camera=other))


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (2, "2 usable of 2 points, need 3. Check that the cloud covers"),
        (0, "0 usable of 0 points, need 3. No sensor measured anything"),
    ],
)
def test_too_few_anchors_give_no_depth(toy_manifest, scene, count, words):
    sample, _ = scene
    few = dataclasses.replace(sample, points_camera=sample.points_camera[:count])
    with pytest.raises(AnchorError, match=words):
        build_pipeline(settings(toy_manifest)).process(few)


def test_points_in_another_unit_give_no_depth(toy_manifest, scene):
    sample, _ = scene
    pipeline = build_pipeline(settings(toy_manifest))
    far = dataclasses.replace(sample, points_camera=1000 * sample.points_camera)
    with pytest.raises(InputError, match=r"^points in view: .*look like millimetres: divide by 1000"):
        pipeline.process(far)
    with pytest.raises(AnchorError, match=r"points in view: all 35. are beyond anchors.max_depth_m \(1 m\)"):
        build_pipeline(settings(toy_manifest, **{"anchors.max_depth_m": 1.0})).process(sample)
    # A few near ones are left, which would be taken for the depth of all.
    far.points_camera[:8] = sample.points_camera[:8]
    with pytest.raises(InputError, match="look like millimetres: divide by 1000"):
        pipeline.process(far)


def of_sources(sample, **points):
    given = tuple(SourcePoints(name, np.float32(each), "lidar") for name, each in points.items())
    return dataclasses.replace(sample, sources=given, points_camera=np.concatenate([*points.values()]))


def test_a_source_in_another_unit_is_left_out_and_named_and_the_others_serve(toy_manifest, scene):
    sample, truth = scene
    points = sample.points_camera
    pipeline = build_pipeline(settings(toy_manifest))
    for good, bad in ((points, points[::40]), (points[::20], points)):
        result = pipeline.process(of_sources(sample, good=good, bad=1000 * bad))
        np.testing.assert_allclose(result.metric.depth, truth, rtol=5e-3)
        assert result.anchors_by_source["bad"] == 0 < result.anchors_by_source["good"]
        (doubt,) = result.doubts
        assert doubt.startswith("source bad: points in view") and "divide by 1000" in doubt
    with pytest.raises(InputError, match=r"source one: points in view: .*divide by 1000"):
        pipeline.process(of_sources(sample, one=1000 * points, other=1000 * points))
    with pytest.raises(AnchorError, match=r"0 usable .*\(good 0 of 0, bad 0 of 352\). source bad: points in"):
        pipeline.process(of_sources(sample, good=points[:0], bad=1000 * points))


@pytest.mark.parametrize(("factor", "doubted"), [(2, True), (0.8, True), (1.03, False)])
def test_sources_that_contradict_each_other_are_named(toy_manifest, scene, factor, doubted):
    sample, _ = scene
    points = sample.points_camera
    both = of_sources(sample, front=points, rear=factor * points, few=9 * points[:1])
    doubts = build_pipeline(settings(toy_manifest)).process(both).doubts
    assert len(doubts) == doubted
    if doubted:
        assert doubts[0].startswith(
            f"sources front and rear: front is {1 / factor:.3g} times as deep as rear"
        )


def test_a_frame_that_is_not_optical_gives_no_depth(toy_manifest, scene):
    """The wall in axes of the body: a ceiling and a floor for who takes z for the optical axis."""
    sample, truth = scene
    body = sample.points_camera @ np.float32([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
    ceiling = np.float32([0, 0, 4]) + np.random.default_rng(0).uniform(-2, 2, (500, 3)).astype(np.float32)
    up = np.array([0.0, 0, 1])
    wrong = dataclasses.replace(
        sample, frame_id="camera_link", points_camera=np.concatenate([body, ceiling]), points_up=up
    )
    pipeline = build_pipeline(settings(toy_manifest))
    with pytest.raises(
        InputError, match=r"frame 'camera_link' is no optical frame.* set input.frame: optical"
    ):
        pipeline.process(wrong)
    assert (
        not pipeline.with_config(settings(toy_manifest, **{"input.frame": "optical"})).process(wrong).doubts
    )
    (doubt,) = pipeline.process(dataclasses.replace(wrong, frame_id="camera")).doubts
    assert "frame 'camera' may be no optical frame" in doubt
    right = pipeline.process(dataclasses.replace(sample, frame_id="camera_link", points_up=up))
    np.testing.assert_allclose(right.metric.depth, truth, rtol=2e-3)
    assert right.doubts == ()


def test_coordinates_too_large_for_their_numbers_are_doubted(toy_manifest, scene):
    sample, _ = scene
    coarse = SourcePoints("map", sample.points_camera, step_m=0.5)
    result = build_pipeline(settings(toy_manifest)).process(dataclasses.replace(sample, sources=(coarse,)))
    assert ["points of map" in doubt for doubt in result.doubts] == [True]


def test_several_sources_give_one_depth_and_are_counted_apart(toy_manifest, scene):
    sample, truth = scene
    points = sample.points_camera[30:270]  # none at the image's border
    points = points[points[:, 0] != points[:, 0].min()]
    sources = (
        SourcePoints("lidar", points[::2], "lidar"),
        SourcePoints("vio", points[1::2], "vio"),
        SourcePoints("wide", 3 * points[5:6], sigma=np.array([50.0], np.float32)),
    )
    pipeline = build_pipeline(settings(toy_manifest))
    result = pipeline.process(dataclasses.replace(sample, sources=sources))
    np.testing.assert_allclose(result.metric.depth, truth, rtol=5e-3)
    assert result.anchors_by_source == {"lidar": len(points[::2]), "vio": len(points[1::2]), "wide": 1}
    alone = pipeline.process(sample)
    assert alone.anchors_by_source == {"anchors": len(alone.anchors)}
    few = dataclasses.replace(sample, sources=tuple(dataclasses.replace(s, points=s.points[:1], sigma=None)
                                                    for s in sources[:2]))  # fmt: skip
    with pytest.raises(AnchorError, match=r"2 usable of 2 points, need 3 \(lidar 1 of 1, vio 1 of 1\)"):
        pipeline.process(few)


def test_points_of_every_source_are_turned_with_the_raw_image(toy_manifest, scene):
    sample, truth = scene
    R = np.diag([-1.0, -1.0, 1.0])  # the rectified camera is upside down
    turned = (sample.points_camera @ R.T).astype(np.float32)
    sources = (SourcePoints("a", turned[::2]), SourcePoints("b", turned[1::2]))
    rectification = Rectification(sample.camera.K, R)
    given = dataclasses.replace(sample, sources=sources, rectification=rectification)
    pipeline = build_pipeline(settings(toy_manifest, **{"input.rectification": "none"}))
    np.testing.assert_allclose(pipeline.process(given).metric.depth, truth, rtol=5e-3)


@pytest.fixture
def labelled(camera):
    """Left and right half of an image."""
    return np.repeat(np.arange(camera.width)[None] >= camera.width // 2, camera.height, axis=0).astype(
        np.int32
    )


@pytest.mark.parametrize("step", [1, 2])
def test_regions_may_come_with_the_sample(toy_manifest, scene, labelled, step):
    sample, truth = scene
    right = labelled.astype(bool)
    u, v = (project(sample.points_camera, sample.camera)[0] + 0.5).astype(int).T
    nearer = np.where(right[v, u], np.float32(0.5), np.float32(1))
    sample = dataclasses.replace(
        sample,
        points_camera=sample.points_camera * nearer[:, None],
        regions=labelled[::step, ::step],
    )
    config = settings(toy_manifest, **{"solver.name": "region_aware", "regions.source": "topic"})
    depth = build_pipeline(config).process(sample).metric.depth
    np.testing.assert_allclose(depth, np.where(right, 0.5, 1) * truth, rtol=0.02)


def test_regions_are_rectified_and_resized_with_the_image(toy_manifest, scene, labelled):
    sample, _ = scene
    bent = dataclasses.replace(sample.camera, distortion_model="plumb_bob", D=(-0.2, 0, 0, 0, 0))
    sample = dataclasses.replace(
        sample, camera=bent, image=(labelled * 100 + 50).astype(np.uint8)[..., None] * np.ones(3, np.uint8)
    )
    config = {"solver.name": "region_aware", "regions.source": "topic", "output.scale": 0.5}
    pipeline = build_pipeline(settings(toy_manifest, **config))
    image, _ = pipeline._preparation.image(sample)
    regions = pipeline._preparation.labels(dataclasses.replace(sample, regions=labelled), image)
    assert regions.shape == image.shape[:2]
    seen = image.min(axis=2) > 0
    agree = (image[..., 0] > 100) == (regions == 1)
    assert agree[seen].mean() > 0.96  # one column is half of each


def test_regions_that_do_not_come_or_do_not_fit_are_refused(toy_manifest, scene, labelled):
    sample, _ = scene
    config = settings(toy_manifest, **{"solver.name": "region_aware", "regions.source": "topic"})
    pipeline = build_pipeline(config)
    with pytest.raises(InputError, match="no label image came"):
        pipeline.process(sample)
    with pytest.raises(InputError, match="same proportions"):
        pipeline.process(dataclasses.replace(sample, regions=labelled[:-9]))
    lonely = pipeline.with_config(settings(toy_manifest, **{"regions.source": "topic"}))
    assert np.isfinite(lonely.process(sample).metric.depth).any()  # auto needs none


def test_thousands_of_regions_are_joined(toy_manifest, scene):
    sample, truth = scene
    pixels = np.arange(truth.size, dtype=np.int32).reshape(truth.shape)
    config = settings(toy_manifest, **{"solver.name": "region_aware", "regions.source": "topic"})
    result = build_pipeline(config).process(dataclasses.replace(sample, regions=pixels))
    assert result.metric.info["regions"] < 1000
    np.testing.assert_allclose(result.metric.depth, truth, rtol=0.02)


def test_a_solver_with_a_memory_goes_on_without_anchors(toy_manifest, scene):
    sample, truth = scene
    pipeline = build_pipeline(settings(toy_manifest, **{"solver.temporal.memory_s": 1.0}))
    bare = dataclasses.replace(
        sample, points_camera=sample.points_camera[:0], stamp_ns=sample.stamp_ns + 10**8
    )
    with pytest.raises(AnchorError, match="0 usable"):  # what warmed it up is forgotten
        pipeline.process(bare)
    pipeline.process(sample)
    np.testing.assert_allclose(pipeline.process(bare).metric.depth, truth, rtol=0.01)
    for changes in ({"drift": 0.1}, {"memory_s": 0.8}):  # live changes keep what is remembered
        changes = {f"solver.temporal.{key}": value for key, value in changes.items()}
        pipeline = pipeline.with_config(updated(pipeline.config, {**changes, "solver.max_depth_m": 90.0}))
        np.testing.assert_allclose(pipeline.process(bare).metric.depth, truth, rtol=0.01)
    assert pipeline.process(bare).metric.info["scale_from"] == "earlier images"
    pipeline.reset()
    with pytest.raises(AnchorError, match="0 usable"):
        pipeline.process(bare)


def test_the_age_of_the_scale_is_that_of_the_newest_cloud_it_rests_on(toy_manifest, scene):
    pipeline = build_pipeline(settings(toy_manifest, **{"solver.temporal.memory_s": 1.0}))
    stamps = {"cloud_stamps_ns": (9_900_000_000, 9_950_000_000), "stamp_ns": 10_000_000_000}
    sample = dataclasses.replace(scene[0], **stamps)
    assert pipeline.process(sample).metric.info["scale_age_s"] == pytest.approx(0.05)
    bare = dataclasses.replace(
        sample, points_camera=sample.points_camera[:0], stamp_ns=10_300_000_000, cloud_stamps_ns=()
    )
    pipeline = pipeline.with_config(updated(pipeline.config, {"solver.max_depth_m": 90.0}))
    assert pipeline.process(bare).metric.info["scale_age_s"] == pytest.approx(0.35)
    pipeline.reset()
    assert "scale_age_s" not in pipeline.process(scene[0]).metric.info  # nobody knows when


def test_focus_lowers_the_error_inside_it(toy_manifest, camera):
    """Two thirds of the wall follow one line, the far third another; the focus chooses between them."""
    image = np.repeat(np.linspace(60, 200, 64).astype(np.uint8)[None, :, None].repeat(48, 0), 3, axis=2)
    gray = image[:, :, 0] / 255.0
    truth = np.where(gray < 0.6, 5 * gray, 5 * 0.6 + 60 * (gray - 0.6))
    u, v = (a.ravel() for a in np.meshgrid(np.arange(0, 64, 2), np.arange(0, 48, 2)))
    sample = Sample(image, camera, unproject(np.stack([u, v], 1), truth[v, u], camera).astype(np.float32))
    near = truth < 2.5

    def error(focus):
        changes = {"solver.focus_m": focus, "solver.name": "global_affine"}
        depth = build_pipeline(settings(toy_manifest, **changes)).process(sample).metric.depth
        return np.nanmean(np.abs(depth - truth)[near] / truth[near])

    assert error(1.8) < 0.6 * error(0.0)
    assert error(15.0) > error(1.8)


# ---- what is too uncertain -------------------------------------------------------------------


def corridor():
    """Depth of a corridor, 2 m wide and 2.4 m high, 9 m long; and its camera, 1 m above the floor."""
    camera = Camera(160, 120, np.array([[110.0, 0, 79.5], [0, 110.0, 59.5], [0, 0, 1]]))
    x, y = (np.arange(160) - 79.5) / 110, ((np.arange(120) - 59.5) / 110)[:, None]
    with np.errstate(divide="ignore"):
        sides, floor, ceiling = (
            1 / np.abs(x),
            np.where(y > 0, 1 / y, np.inf),
            np.where(y < 0, 1.4 / -y, np.inf),
        )
    return np.minimum(np.minimum(sides, 9.0), np.minimum(floor, ceiling)).astype(np.float32), camera


def cells(depth, camera):
    """Cells of 5 cm, 0.1 to 1.5 m above the floor and up to 5 m away, that hold a point of a depth map."""
    v, u = np.nonzero(depth < 5)
    x, y, z = unproject(np.stack([u, v], 1), depth[v, u], camera).T
    inside = (y < 0.9) & (y > -0.5)
    return set(zip(*(np.floor(a[inside] / 0.05).astype(int).tolist() for a in (x, z)), strict=True))


@pytest.mark.parametrize(("u", "enough"), [([80], 0), (range(0, 160, 4), 90)])
def test_in_a_corridor_only_certain_depth_leaves_no_phantoms(toy_manifest, u, enough):
    """The network flattens a corridor. One range to its end says nothing of what is near; a 2D scan does."""
    truth, camera = corridor()
    gray = np.clip(255 * (truth / 9) ** 0.6, 1, 255).astype(np.uint8)
    image = np.repeat(gray[:, :, None], 3, axis=2)
    uv = np.stack([u, np.full(len(u), 60)], axis=1)
    points = unproject(uv, truth[60, list(u)], camera).astype(np.float32)
    near = {(x + a, z + b) for x, z in cells(truth, camera) for a in (-1, 0, 1) for b in (-1, 0, 1)}

    def phantoms(images=1, **more):
        """Of the last of so many images at 10 Hz."""
        pipeline = build_pipeline(settings(toy_manifest, **{"anchors.min_count": 1, **more}))
        for i in range(images):
            sample = Sample(image, camera, points, 5 + i * 10**8, "camera", T_fixed_camera=np.eye(4))
            result = pipeline.process(sample)
        found = cells(result.metric.depth, camera)
        return found - near, found, result.metric

    wrong, found, before = phantoms()
    assert (len(wrong) > 0.5 * len(found)) == (enough == 0)
    assert np.isfinite(before.depth).all() and "left_out" not in before.info
    wrong, found, after = phantoms(**{"output.max_relative_sigma": 0.1})
    assert len(found) >= enough and len(wrong) <= 0.02 * len(found)
    left_out = np.isnan(after.depth)
    assert after.info["left_out"] == pytest.approx(left_out.mean())
    assert 0 < left_out.mean() < 0.5 if enough else 0.9 < left_out.mean() < 1
    np.testing.assert_array_equal(left_out, np.isnan(after.sigma))
    np.testing.assert_array_equal(left_out, before.sigma > 0.1 * before.depth)
    # What repeats itself does not become certain.
    standing = {"output.max_relative_sigma": 0.1, "solver.temporal.memory_s": 2.0}
    wrong, found, after = phantoms(30, **standing)
    assert after.info["carried"]
    assert len(found) >= enough and len(wrong) <= 0.02 * len(found)


def test_a_solver_without_a_sigma_cannot_leave_out_what_is_uncertain(toy_manifest):
    told = {"solver.name": "median", "output.max_relative_sigma": 0.2}
    with pytest.raises(ConfigError, match=r"solver.name median has no sigma. .* solver.residuals to spread"):
        build_pipeline(settings(toy_manifest, **told))
    build_pipeline(settings(toy_manifest, **told, **{"solver.residuals": "spread"}))

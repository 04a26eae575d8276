"""Solids, worlds of them, and pictures with exact ground truth."""

import numpy as np
import pytest

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import Camera
from metric_depth_synthetic import mesh
from metric_depth_synthetic.mesh import placed
from metric_depth_synthetic.photography import NEUTRAL
from metric_depth_synthetic.render import (
    View,
    draw_camera,
    draw_size,
    draw_view,
    look_at,
    render,
)
from metric_depth_synthetic.scene import LABELS, Light, Material, Motion, Scene, Sky, Station
from metric_depth_synthetic.textures import make_bank
from metric_depth_synthetic.world import World

pytest.importorskip("embreex")

CAMERA = Camera(80, 60, np.array([[70.0, 0, 39.5], [0, 70, 29.5], [0, 0, 1]]))


def plain(colour=(0.5, 0.5, 0.5), **other):
    """A material whose texture does not show."""
    return Material(0, colour, colour, 1.0, **other)


@pytest.fixture(scope="module")
def bank():
    return make_bank(0)


def wall_scene(distance=3.0, **other):
    """A wall across the x axis, seen along it from the origin; sky around it."""
    scene = Scene("room", sky=Sky((0.5, 0.6, 0.8), (0.2, 0.4, 0.8)), **other)
    scene.add("wall", [(mesh.quad((distance, -1, -1), (0, 2, 0), (0, 0, 2)), plain())])
    return scene


def along_x(position=(0, 0, 0)):
    position = np.array(position, np.float64)
    return look_at(position, position + np.array([1, 0, 0]))


def volume(solid):
    c = solid.corners.astype(np.float64)
    return np.einsum("ij,ij->", np.cross(c[:, 0], c[:, 1]), c[:, 2]) / 6


@pytest.mark.parametrize(
    ("solid", "expected", "tolerance"),
    [
        (mesh.box(1, 2, 3), 6, 1e-6),
        (mesh.slab((1, 1, 1), (2, 3, 4)), 6, 1e-6),
        (mesh.cylinder(0.5, 2, segments=64), np.pi / 2, 0.01),
        (mesh.cylinder(0.5, 3, top=0, segments=64), np.pi / 4, 0.01),
        (mesh.ellipsoid(1, 2, 3, segments=64), np.pi, 0.02),
        (mesh.ellipsoid(1, 1, 1, power=0.5, segments=64), 0.75, 0.1),
        (mesh.extruded([(0, 0), (1, 0), (1, 1), (0, 1)], 2), 2, 1e-6),
        (mesh.lathe([(0, 0), (1, 0), (0, 1)], segments=64), np.pi / 3, 0.01),
    ],
)
def test_solids_are_closed_and_turned_outwards(solid, expected, tolerance):
    assert volume(solid) == pytest.approx(expected, rel=tolerance)
    flat = np.cross(solid.corners[:, 1] - solid.corners[:, 0], solid.corners[:, 2] - solid.corners[:, 0])
    assert (np.einsum("ik,ijk->ij", flat, solid.normals) > -1e-6).all()
    assert solid.uv.shape == (len(solid), 3, 2)


def test_solids_stand_on_the_ground():
    rng = np.random.default_rng(0)
    for solid in (mesh.box(1, 1, 1), mesh.cylinder(1, 1), mesh.ellipsoid(1, 1, 1), mesh.blob(0.5, 0.0, rng)):
        assert solid.corners[..., 2].min() == pytest.approx(0, abs=1e-5)


def test_moving_a_solid_keeps_its_volume_and_turns_its_normals():
    moved = mesh.box(1, 2, 3).moved(placed(5, 6, 7, yaw_deg=90))
    assert volume(moved) == pytest.approx(6, rel=1e-5)
    np.testing.assert_allclose(moved.corners.reshape(-1, 3).max(0), [6, 6.5, 10], atol=1e-5)
    flat = np.cross(moved.corners[:, 1] - moved.corners[:, 0], moved.corners[:, 2] - moved.corners[:, 0])
    np.testing.assert_allclose(moved.normals[:, 0], flat / np.linalg.norm(flat, axis=1)[:, None], atol=1e-6)


def test_rays_meet_what_is_there():
    world = World(wall_scene(distance=3.0))
    ways = np.array([[1, 0, 0], [2, 0, 0], [1, 0.2, 0], [-1, 0, 0]], np.float32)
    hits = world.cast(np.zeros(3), ways)
    np.testing.assert_allclose(hits.range_m, [3, 1.5, 3, np.inf], rtol=1e-6)
    assert hits.thing.tolist() == [1, 1, 1, 0]
    assert [LABELS[i] for i in hits.label] == ["wall", "wall", "wall", "sky"]
    np.testing.assert_allclose(hits.normals[0], [-1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(hits.cosine, [1, 1, 1 / np.hypot(1, 0.2), 0], atol=1e-6)


def test_from_inside_a_solid_its_back_is_met():
    scene = Scene("room")
    scene.add("object", [(mesh.box(2, 2, 2), plain())])
    assert World(scene).cast(np.array([0, 0, 1.0]), np.array([[1, 0, 0]], np.float32)).backface.all()


def test_blocked_looks_as_far_as_it_is_told():
    world = World(wall_scene(distance=3.0))
    ways = np.array([[1, 0, 0]] * 2, np.float32)
    assert world.blocked(np.zeros((2, 3)), ways, np.array([2.9, 3.1])).tolist() == [False, True]


def test_things_move_with_time():
    scene = wall_scene()
    box = [(mesh.box(0.2, 0.2, 0.2), plain())]
    scene.add("vehicle", box, placed(1, 0, -0.1), Motion(velocity=(0.5, 0, 0), yaw_rate_deg=90))
    for time_s, face in ((0.0, 0.9), (1.0, 1.4), (2.0, 1.9)):
        hits = World(scene, time_s).cast(np.zeros(3), np.array([[1, 0, 0]], np.float32))
        assert hits.range_m[0] == pytest.approx(face, abs=1e-5)
        assert hits.thing[0] == 2


def test_an_empty_scene_is_refused():
    with pytest.raises(InputError, match="holds nothing"):
        World(Scene("room"))


def test_an_unknown_label_is_refused():
    with pytest.raises(KeyError, match="sofa"):
        Scene("room").add("sofa", [])


def test_ground_truth_of_a_wall_is_exact(bank):
    view = render(
        World(wall_scene(3.0)), bank, CAMERA, along_x(), np.random.default_rng(0), photography=NEUTRAL
    )
    assert view.image.shape == (60, 80, 3)
    assert view.image.dtype == np.uint8
    v, u = np.mgrid[0:60, 0:80]
    on_wall = (np.abs(u - 39.5) / 70 < 1 / 3) & (np.abs(v - 29.5) / 70 < 1 / 3)
    np.testing.assert_allclose(view.depth[on_wall], 3.0, rtol=1e-6)
    assert np.isinf(view.depth[~on_wall]).all()
    assert (view.instances == on_wall).all()
    assert (view.labels == on_wall * LABELS.index("wall")).all()
    np.testing.assert_allclose(view.normals[on_wall], [[0, 0, -1]] * on_wall.sum(), atol=1e-6)
    assert (view.normals[~on_wall] == 0).all()


def test_the_picture_lies_on_the_depth(bank):
    """A point of the world projects to the pixel whose depth is its own."""
    scene = wall_scene(4.0)
    scene.add("object", [(mesh.box(0.3, 0.3, 0.3), plain((1, 0, 0)))], placed(2.0, 0.4, 0.2))
    T = look_at(np.array([0.2, -0.3, 0.5]), np.array([3.0, 0.2, 0.1]), roll=0.3)
    view = render(World(scene), bank, CAMERA, T, np.random.default_rng(0), photography=NEUTRAL)
    top = np.linalg.inv(T) @ [1.9, 0.4, 0.5, 1]
    front = np.linalg.inv(T) @ [1.85, 0.4, 0.35, 1]
    u, v = (CAMERA.K @ front[:3])[:2] / front[2]
    assert top[1] < front[1]
    assert view.depth[round(v), round(u)] == pytest.approx(front[2], rel=0.01)
    assert view.instances[round(v), round(u)] == 2


def test_look_at_has_the_axes_of_a_camera():
    T = look_at(np.array([0.0, 0, 1]), np.array([5.0, 0, 1]))
    np.testing.assert_allclose(T[:3, :3].T, [[0, -1, 0], [0, 0, -1], [1, 0, 0]], atol=1e-9)
    down = look_at(np.zeros(3), np.array([0.0, 0, -1]))
    np.testing.assert_allclose(down[:3, 2], [0, 0, -1])
    assert np.linalg.det(down[:3, :3]) == pytest.approx(1)


def test_a_thing_throws_a_shadow(bank):
    scene = Scene(
        "room", ambient=(0.05, 0.05, 0.05), lights=[Light((3, 3, 3), position=(0, 0, 4), size=0.05)]
    )
    scene.add("floor", [(mesh.quad((-3, -3, 0), (6, 0, 0), (0, 6, 0)), plain())])
    lid = mesh.quad((-0.5, -0.5, 2), (1, 0, 0), (0, 1, 0))
    lit = Scene(scene.family, list(scene.things), scene.lights, scene.ambient)
    scene.add("object", [(lid, plain())])
    T = look_at(np.array([-2.5, 0, 0.8]), np.array([0.0, 0, 0]))
    pictures = [
        render(World(s), bank, CAMERA, T, np.random.default_rng(0), photography=NEUTRAL).image.astype(int)
        for s in (lit, scene)
    ]
    under = np.linalg.inv(T) @ [0, 0, 0, 1]
    u, v = np.rint((CAMERA.K @ under[:3])[:2] / under[2]).astype(int)
    assert pictures[1][v, u].mean() < 0.6 * pictures[0][v, u].mean()
    # Away from the shadow nothing changes but the ambient light.
    assert abs(pictures[1][-1, 0].mean() - pictures[0][-1, 0].mean()) < 20


def test_edges_are_smooth(bank):
    scene = wall_scene(4.0, ambient=(1.0, 1.0, 1.0))
    scene.add("object", [(mesh.quad((2, -0.05, -2), (0, 0.3, 0.6), (0, -1.0, 5)), plain((0, 0, 0)))])
    view = render(World(scene), bank, CAMERA, along_x(), np.random.default_rng(0), photography=NEUTRAL)
    inner = view.image[20:40, 20:60].astype(int)
    levels = np.unique(inner[..., 1])
    between = (levels > inner.min() + 15) & (levels < inner.max() - 15)
    assert between.sum() >= 2


def test_a_mirror_shows_the_scene(bank):
    def picture(mirror):
        scene = Scene("room", ambient=(1, 1, 1))
        scene.add(
            "floor", [(mesh.quad((-9, -9, 0), (18, 0, 0), (0, 18, 0)), plain((0.1, 0.1, 0.1), mirror=mirror))]
        )
        scene.add("wall", [(mesh.quad((4, -9, 0), (0, 18, 0), (0, 0, 9)), plain((0.0, 0.9, 0.0)))])
        T = look_at(np.array([0.0, 0, 1]), np.array([3.0, 0, 0]))
        return render(World(scene), bank, CAMERA, T, np.random.default_rng(0), photography=NEUTRAL).image

    with_mirror, without = picture(0.5)[40, 40].astype(int), picture(0.0)[40, 40].astype(int)
    assert with_mirror[1] - with_mirror[0] > without[1] - without[0] + 30


def test_same_seed_same_picture(bank):
    world = World(wall_scene())
    views = [render(world, bank, CAMERA, along_x(), np.random.default_rng(seed)) for seed in (3, 3, 4)]
    assert (views[0].image == views[1].image).all()
    assert (views[0].image != views[2].image).any()
    assert isinstance(views[0], View)


def test_a_view_is_taken_where_one_can_see():
    scene = Scene("room", near_m=0.3, far_m=10)
    scene.add("wall", [(mesh.quad((6, -6, -6), (0, 12, 0), (0, 0, 12)), plain())])
    scene.add("furniture", [(mesh.box(2, 2, 2), plain())], placed(0, 0, -1))
    # Half of the station lies inside the box.
    scene.stations = [Station((0, 0, 0), (2, 0, 0), (5, -1, -1), (5, 1, 1), roll_deg=0)]
    world = World(scene)
    for seed in range(20):
        T = draw_view(scene, world, np.random.default_rng(seed), CAMERA)
        assert T[0, 3] > 1


def test_cameras_cover_the_range_asked_for():
    rng = np.random.default_rng(0)
    cameras = [draw_camera(rng, *draw_size(rng)) for _ in range(500)]
    fov = [np.degrees(2 * np.arctan(c.width / 2 / c.K[0, 0])) for c in cameras]
    assert 40 <= min(fov) < 47
    assert 100 < max(fov) <= 110.001
    assert 1.3 < min(c.width / c.height for c in cameras) < 1.4
    assert max(c.width / c.height for c in cameras) > 2.7
    assert all(abs(c.width * c.height / 76800 - 1) < 0.12 for c in cameras)

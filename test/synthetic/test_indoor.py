"""Rooms and corridors of the synthetic world: sound geometry, things that rest on something, free cameras."""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import pytest

from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.patterns import PATTERNS
from metric_depth_synthetic.scene import LABELS, Scene, Thing
from metric_depth_synthetic.scenes.indoor import corridor, room, solids
from metric_depth_synthetic.scenes.indoor.plan import Headroom, Plan
from metric_depth_synthetic.scenes.indoor.solids import UNITS, Item, Piece
from metric_depth_synthetic.textures import TextureBank, make_bank
from metric_depth_synthetic.world import World

SEEDS = range(30)
FAMILIES = {"room": room.build, "corridor": corridor.build}

pytest.importorskip("embreex")


@lru_cache(maxsize=1)
def _bank() -> TextureBank:
    return make_bank(0, count=len(PATTERNS))


@cache
def _built(family: str, seed: int) -> Scene:
    rng = np.random.default_rng(seed)
    return FAMILIES[family](rng, Palette(rng, _bank()))


@cache
def _world(family: str, seed: int) -> World:
    return World(_built(family, seed))


def _corners(thing: Thing) -> np.ndarray:
    points = np.concatenate([mesh.corners.reshape(-1, 3) for mesh, _ in thing.parts])
    return points @ thing.T_world_thing[:3, :3].T + thing.T_world_thing[:3, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_scenes_are_finite_and_of_known_labels(family: str) -> None:
    counts = []
    for seed in SEEDS:
        scene = _built(family, seed)
        assert scene.family == family and len(scene.stations) >= 1 and len(scene.lights) <= 8
        total = 0
        for thing in scene.things:
            assert thing.label in LABELS and np.isfinite(thing.T_world_thing).all()
            for mesh, material in thing.parts:
                total += len(mesh)
                assert mesh.corners.shape == mesh.normals.shape == (len(mesh), 3, 3)
                assert np.isfinite(mesh.corners).all() and np.isfinite(mesh.uv).all()
                np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=-1), 1, atol=1e-3)
                assert material.repeat_m > 0
        counts.append(total)
    assert min(counts) > 300 and max(counts) < 90_000
    assert np.median(counts) > 2_000 and np.median(counts) < 25_000


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_same_scene(family: str) -> None:
    rng = np.random.default_rng(3)
    again, first = FAMILIES[family](rng, Palette(rng, _bank())), _built(family, 3)
    other = _built(family, 4)
    assert again.stations == first.stations != other.stations
    assert again.lights == first.lights and len(again.things) == len(first.things)
    for a, b in zip(again.things, first.things, strict=True):
        assert a.label == b.label and a.motion == b.motion
        np.testing.assert_array_equal(a.T_world_thing, b.T_world_thing)
        for (mesh_a, material_a), (mesh_b, material_b) in zip(a.parts, b.parts, strict=True):
            assert material_a == material_b
            np.testing.assert_array_equal(mesh_a.corners, mesh_b.corners)


@pytest.mark.parametrize("family", FAMILIES)
def test_cameras_stand_free(family: str) -> None:
    """From every station rays in all directions meet nothing nearer than what a good picture holds."""
    way = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    near, total = 0, 0
    for seed in SEEDS:
        scene, world = _built(family, seed), _world(family, seed)
        for station in scene.stations:
            middle = (np.array(station.low) + station.high) / 2
            reach = np.full(len(way), 0.9 * scene.near_m, np.float32)
            near += bool(world.blocked(np.tile(middle, (len(way), 1)), way, reach).any())
            total += 1
    assert total > 20 * len(SEEDS)
    assert near <= 0.02 * total


@pytest.mark.parametrize("family", FAMILIES)
def test_cameras_are_enclosed(family: str) -> None:
    """A camera in a building sees floor below it and a ceiling above, and nothing of the void."""
    for seed in SEEDS:
        scene, world = _built(family, seed), _world(family, seed)
        for station in scene.stations[:8]:
            middle = (np.array(station.low) + station.high) / 2
            turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
            rise = np.repeat([-0.6, 0.0, 0.6], 24)
            way = np.stack([np.tile(np.cos(turn), 3), np.tile(np.sin(turn), 3), rise], 1)
            hits = world.cast(middle, way.astype(np.float32))
            if scene.sky is None:
                assert np.isfinite(hits.range_m).all(), (seed, middle)
            assert np.isfinite(hits.range_m).mean() > 0.75
            assert np.median(hits.range_m) < 2 * scene.far_m
            below = world.cast(middle, np.array([[0, 0, -1.0]], np.float32))
            assert below.range_m[0] == pytest.approx(middle[2], abs=2.2)


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_are_looked_at_from_a_distance_and_not_too_steeply(family: str) -> None:
    pitch = []
    for seed in SEEDS:
        for station in _built(family, seed).stations:
            assert all(a <= b for a, b in zip(station.low, station.high, strict=True))
            way = (np.array(station.target_low) + station.target_high) / 2
            way -= (np.array(station.low) + station.high) / 2
            assert math.hypot(way[0], way[1]) > 0.4
            pitch.append(math.degrees(math.atan2(way[2], math.hypot(way[0], way[1]))))
    assert min(pitch) > -90 and max(pitch) < 25
    assert np.median(pitch) > -30 and np.median(pitch) < 3


@pytest.mark.parametrize("family", FAMILIES)
def test_furniture_and_people_stand_on_the_floor(family: str) -> None:
    """What is not hung on a wall or set into another piece begins at the floor; nothing goes below it."""
    standing, total = 0, 0
    for seed in SEEDS:
        for thing in _built(family, seed).things:
            if thing.label in ("furniture", "table", "person", "clutter", "screen", "stairs"):
                low = float(_corners(thing)[:, 2].min())
                assert low > -0.021, (seed, thing.label, low)
                if thing.label in ("person", "stairs"):
                    assert low == pytest.approx(0, abs=0.03)
                if thing.label == "furniture":
                    total += 1
                    standing += low < 0.13
    assert total > 30 and standing > 0.75 * total


def test_small_things_rest_on_something() -> None:
    """Under what lies on furniture there is a surface within two centimetres, for nearly all."""
    resting, total = 0, 0
    for seed in SEEDS:
        scene, world = _built("room", seed), _world("room", seed)
        for number, thing in enumerate(scene.things, start=1):
            points = _corners(thing)
            low, size = points.min(0), np.ptp(points, axis=0)
            if thing.label != "clutter" or low[2] < 0.03 or min(size[:2]) < 0.03 or size[2] > 0.5:
                continue
            feet = points[points[:, 2] < low[2] + 0.01]
            # Just beside the foot, where the thing itself is not in the way.
            start = (feet.mean(0) + (feet - feet.mean(0)) * 1.08).astype(np.float32)
            start[:, 2] = low[2] + 0.004
            down = np.tile(np.array([[0, 0, -1.0]], np.float32), (len(start), 1))
            hits = world.cast(start, down)
            below = (hits.range_m < 0.026) & (hits.thing != number)
            resting += bool(below.any())
            total += 1
    assert total > 200
    assert resting > 0.93 * total


def test_furniture_does_not_stand_in_furniture() -> None:
    """The middles of tables and wardrobes of one room are apart, and no camera's floor is taken twice."""
    for seed in SEEDS:
        boxes = []
        for thing in _built("room", seed).things:
            points = _corners(thing)
            low, high = points.min(0), points.max(0)
            if thing.label == "table" and low[2] < 0.05 and np.ptp(points[:, 2]) > 0.5:
                boxes.append((low[:2] + 0.06, high[:2] - 0.06))
        for k, (low, high) in enumerate(boxes):
            for other_low, other_high in boxes[:k]:
                assert not ((low < other_high).all() and (other_low < high).all()), seed


def test_movers_move_at_walking_pace() -> None:
    speeds = [
        float(np.linalg.norm(thing.motion.velocity))
        for family in FAMILIES
        for seed in SEEDS
        for thing in _built(family, seed).things
        if thing.motion is not None
    ]
    assert len(speeds) > 3
    assert min(speeds) >= 0.3 and max(speeds) <= 1.5


@pytest.mark.parametrize("name", sorted(UNITS))
def test_unit_shapes_stand_on_the_origin(name: str) -> None:
    """Within a metre or so in each direction; a quad lies in the plane y = 0 from its corner on."""
    mesh = UNITS[name]()
    low, high = mesh.corners.reshape(-1, 3).min(0), mesh.corners.reshape(-1, 3).max(0)
    assert len(mesh) < 1000
    assert low[2] > -0.25 and high[2] < 1.25
    assert np.abs([low[:2], high[:2]]).max() <= 1.0


def test_solids_are_where_they_were_put() -> None:
    """Corners, normals and texture coordinates of a turned box and a slanting rod, by hand."""
    rng = np.random.default_rng(0)
    material = Palette(rng, _bank()).draw("wood")
    piece = Piece(1, 1, 1)
    item = piece.item("furniture")
    item.put("box", material, (1, 2, 3), (2, 4, 6), 90)
    item.rod(material, (0, 0, 0), (3, 0, 4), 0.1)
    whole = Piece(1, 1, 1)
    whole.add(piece, 10, 0, 0, 90)
    scene = Scene("room")
    whole.into(scene)
    (thing,) = scene.things
    ((mesh, _),) = thing.parts
    boxed, rod = mesh.corners[:12].reshape(-1, 3), mesh.corners[12:].reshape(-1, 3)
    # Turned by 90 degrees in the piece: 4 wide in x, 2 deep in y.
    np.testing.assert_allclose(boxed.min(0), [-1, 1, 3], atol=1e-5)
    np.testing.assert_allclose(boxed.max(0), [3, 3, 9], atol=1e-5)
    along = rod @ np.array([0.6, 0, 0.8])
    assert along.min() == pytest.approx(0, abs=1e-5) and along.max() == pytest.approx(5, abs=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(rod - along[:, None] * [0.6, 0, 0.8], axis=1).max(), 0.1, rtol=1e-4
    )
    flat = np.cross(mesh.corners[:, 1] - mesh.corners[:, 0], mesh.corners[:, 2] - mesh.corners[:, 0])
    assert (np.einsum("ij,ij->i", flat, mesh.normals.mean(1)) > 0).all()
    assert np.ptp(mesh.uv[:12], axis=1).max() == pytest.approx(6)
    np.testing.assert_allclose(thing.T_world_thing[:3, 3], [10, 0, 0])


def test_extents_bound_the_triangles() -> None:
    rng = np.random.default_rng(1)
    material = Palette(rng, _bank()).draw("wood")
    piece = Piece(1, 1, 1)
    for k in range(5):
        item = piece.item("furniture", *rng.normal(size=3), rng.uniform(0, 360))
        item.put("soft", material, rng.normal(size=3), rng.uniform(0.1, 0.3, 3), 30.0 * k)
    labels, low, high = piece.extents()
    scene = Scene("room")
    piece.into(scene)
    assert labels == ["furniture"] * 5
    for k, thing in enumerate(scene.things):
        points = _corners(thing)
        assert (points.min(0) >= low[k] - 1e-4).all() and (points.max(0) <= high[k] + 1e-4).all()


def test_a_plan_keeps_footprints_apart() -> None:
    plan = Plan([(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)], 2.5)
    assert plan.free(2, 1.5, 1, 1, 0)
    assert not plan.free(0.2, 1.5, 1, 1, 0)
    plan.take(2, 1.5, 1, 1, 0)
    assert not plan.free(2.8, 1.5, 1, 1, 0) and plan.free(3.2, 1.5, 1, 1, 0)
    plan.lower(3.5, 0.5, 1, 1, 0, 1.2)
    assert plan.free(3.4, 0.6, 0.8, 0.8, 0, high=1.0) and not plan.free(3.4, 0.6, 0.8, 0.8, 0, high=1.8)


def test_cameras_keep_clear_of_walls_and_things() -> None:
    plan = Plan([(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)], 2.5)
    cupboard = np.array([[1.5, 1.0, 0.0]]), np.array([[2.5, 2.0, 1.0]])
    head = Headroom(plan, cupboard)
    low = head.places(0.5, 0.3)
    high = head.places(1.6, 0.3)
    assert low.min() > 0.25 and low[:, 0].max() < 3.75 and low[:, 1].max() < 2.75
    apart = np.maximum(np.abs(low - (2.0, 1.5)) - 0.5, 0).max(1)
    assert apart.min() > 0.25
    assert np.abs(high - (2.0, 1.5)).max(1).min() < 0.1
    assert len(head.places(2.4, 0.3)) == 0


def test_items_of_one_material_become_one_part() -> None:
    rng = np.random.default_rng(1)
    palette = Palette(rng, _bank())
    one, other = palette.draw("wood"), palette.draw("metal")
    item = Item("furniture", np.eye(4))
    for k in range(3):
        item.box(one, (k, 0, 0), (k + 0.5, 1, 1))
        item.put("ball", other, (k, 0, 1), (1, 1, 1))
    piece = Piece(1, 1, 1, [item])
    scene = Scene("room")
    piece.into(scene)
    (thing,) = scene.things
    assert [len(mesh) for mesh, _ in thing.parts] == [36, 3 * len(solids.UNITS["ball"]())]

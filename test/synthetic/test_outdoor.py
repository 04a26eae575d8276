"""Street and tabletop scenes: sound, reproducible, everything on its support, cameras in free space."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

pytest.importorskip("embreex")

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import LABELS, Scene
from metric_depth_synthetic.scenes import build_scene
from metric_depth_synthetic.scenes.prefab import posed, slabs
from metric_depth_synthetic.scenes.street import layout
from metric_depth_synthetic.scenes.street.place import Place
from metric_depth_synthetic.scenes.street.vegetation import Flora
from metric_depth_synthetic.scenes.street.vehicles import VARIANTS, Fleet
from metric_depth_synthetic.scenes.tabletop.objects import NAMES, draw_object
from metric_depth_synthetic.textures import TextureBank, make_bank
from metric_depth_synthetic.world import World

SEEDS = 30
FAMILIES = ("street", "tabletop")


@pytest.fixture(scope="module")
def bank() -> TextureBank:
    return make_bank(0, count=120)


@pytest.fixture(scope="module")
def scenes(bank: TextureBank) -> dict[str, list[Scene]]:
    return {f: [build_scene(f, np.random.default_rng(s), bank) for s in range(SEEDS)] for f in FAMILIES}


def _points(thing) -> FloatArray:  # type: ignore[no-untyped-def]
    corners = np.concatenate([mesh.corners for mesh, _ in thing.parts]).reshape(-1, 3)
    T = thing.T_world_thing
    return corners @ T[:3, :3].T + T[:3, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_scenes_are_sound(scenes: dict[str, list[Scene]], family: str) -> None:
    for scene in scenes[family]:
        assert scene.family == family
        assert scene.stations and scene.lights and len(scene.things) >= 3
        triangles = 0
        for thing in scene.things:
            assert thing.label in LABELS
            assert np.isfinite(thing.T_world_thing).all()
            for mesh, _ in thing.parts:
                triangles += len(mesh)
                for array in (mesh.corners, mesh.normals, mesh.uv):
                    assert np.isfinite(array).all()
                lengths = np.linalg.norm(mesh.normals, axis=-1)
                np.testing.assert_allclose(lengths, 1, atol=2e-3)
        low, high = {"street": (8_000, 160_000), "tabletop": (14, 25_000)}[family]
        assert low <= triangles <= high


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_gives_the_same_scene(bank: TextureBank, family: str) -> None:
    first, second = (build_scene(family, np.random.default_rng(7), bank) for _ in range(2))
    assert first.stations == second.stations and first.lights == second.lights
    assert len(first.things) == len(second.things)
    for a, b in zip(first.things, second.things, strict=True):
        assert (a.label, a.motion) == (b.label, b.motion)
        np.testing.assert_array_equal(a.T_world_thing, b.T_world_thing)
        for (mesh_a, material_a), (mesh_b, material_b) in zip(a.parts, b.parts, strict=True):
            assert material_a == material_b
            np.testing.assert_array_equal(mesh_a.corners, mesh_b.corners)
    other = build_scene(family, np.random.default_rng(8), bank)
    assert other.stations != first.stations


@pytest.mark.parametrize("family", FAMILIES)
def test_most_cameras_stand_in_free_space(scenes: dict[str, list[Scene]], family: str) -> None:
    clear, total = 0, 0
    rng = np.random.default_rng(0)
    for scene in scenes[family]:
        world = World(scene)
        for station in scene.stations:
            position = (np.array(station.low) + station.high) / 2
            forward = (np.array(station.target_low) + station.target_high) / 2 - position
            forward /= np.linalg.norm(forward)
            rays = forward + rng.normal(0, 0.25, (40, 3))
            hits = world.cast(position, rays / np.linalg.norm(rays, axis=1, keepdims=True))
            clear += bool((hits.range_m < scene.near_m).mean() < 0.1)
            total += 1
    # The drawing of views rejects the rest.
    assert clear / total > 0.93


def test_cameras_stand_above_the_ground_of_streets(scenes: dict[str, list[Scene]]) -> None:
    for scene in scenes["street"]:
        world = World(scene)
        at = np.array([(np.array(s.low) + s.high) / 2 for s in scene.stations])
        below = world.cast(at, np.broadcast_to([0.0, 0.0, -1.0], at.shape))
        assert (below.range_m > 0.15).all() and (below.range_m < 30).all()


def test_vehicles_stand_on_the_road(scenes: dict[str, list[Scene]]) -> None:
    seen = 0
    for scene in scenes["street"]:
        ground = _only(scene, ("road", "ground"))
        for thing in scene.things:
            if thing.label != "vehicle":
                continue
            points = _points(thing)
            lowest = points[np.argsort(points[:, 2])[:6]]
            hits = ground.cast(
                lowest + np.array([0, 0, 3.0]), np.broadcast_to([0.0, 0.0, -1.0], lowest.shape)
            )
            gap = hits.range_m - 3.0
            assert np.abs(gap).max() < 0.15, f"a vehicle {gap} m above the ground"
            seen += 1
    assert seen > 100


def test_people_and_furniture_stand_on_the_ground(scenes: dict[str, list[Scene]]) -> None:
    seen = 0
    for scene in scenes["street"]:
        ground = _only(scene, ("road", "ground"))
        for thing in scene.things:
            if thing.label not in ("person", "sign", "pole") or np.allclose(thing.T_world_thing, np.eye(4)):
                continue
            at = thing.T_world_thing[:3, 3]
            hits = ground.cast(at[None] + np.array([0, 0, 3.0]), np.array([[0.0, 0.0, -1.0]]))
            assert abs(float(hits.range_m[0]) - 3.0) < 0.15
            seen += 1
    assert seen > 100


def test_moving_things_keep_to_the_ground(scenes: dict[str, list[Scene]]) -> None:
    moving = [t for s in scenes["street"] for t in s.things if t.motion is not None]
    assert len(moving) > 50
    speeds = np.array([np.hypot(*t.motion.velocity[:2]) for t in moving if t.motion])
    assert speeds.min() > 0.5 and speeds.max() < 35
    labels = {t.label for t in moving}
    assert {"vehicle", "person"} <= labels


def _only(scene: Scene, labels: tuple[str, ...]) -> World:
    return World(Scene("street", [t for t in scene.things if t.label in labels]))


def test_sky_is_above_and_ground_below(scenes: dict[str, list[Scene]]) -> None:
    for scene in scenes["street"]:
        assert scene.sky is not None
        world = World(scene)
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        down = np.stack([np.cos(angle), np.sin(angle), 0 * angle - 0.3], 1)
        hits = world.cast(np.array([0.0, 0.0, 2.0]), down)
        assert (hits.thing > 0).all(), "a hole in the ground"


@pytest.mark.parametrize("name", layout.KINDS)
def test_every_kind_of_street(bank: TextureBank, name: str) -> None:
    rng = np.random.default_rng(3)
    scene = Scene("street")
    place = Place(scene, rng, Palette(rng, bank), layout.KINDS[name])
    layout.fill(place)
    labels = {t.label for t in scene.things}
    assert {"road", "ground"} <= labels
    assert len(scene.stations) >= 8


def test_objects_rest_on_their_support(scenes: dict[str, list[Scene]]) -> None:
    resting, total = 0, 0
    for scene in scenes["tabletop"]:
        support = _support_height(scene)
        for thing in scene.things:
            if thing.label != "object":
                continue
            low = float(_points(thing)[:, 2].min())
            assert low > support - 1e-3, "an object sunk into its support"
            resting += low < support + 2e-3
            total += 1
    assert total > 200
    assert resting / total > 0.6


@cache
def _support_height(scene: Scene) -> float:
    return float(np.mean([s.target_low[2] for s in scene.stations]))


def test_objects_do_not_share_space(scenes: dict[str, list[Scene]]) -> None:
    """Of rays straight down onto the table few meet two things that overlap in height."""
    crossed, total = 0, 0
    for scene in scenes["tabletop"]:
        support = _support_height(scene)
        things = [t for t in scene.things if t.label == "object"]
        spans = []
        for thing in things:
            points = _points(thing)
            cells = np.floor(points[:, :2] / 0.01).astype(int)
            spans.append({tuple(c) for c in cells[points[:, 2] < support + 0.01]})
        for i, first in enumerate(spans):
            for second in spans[:i]:
                crossed += bool(len(first & second) > 0.25 * max(min(len(first), len(second)), 4))
                total += 1
    assert total > 500
    assert crossed / total < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_every_object_has_a_natural_size_and_stands_on_zero(bank: TextureBank, name: str) -> None:
    rng = np.random.default_rng(0)
    palette = Palette(rng, bank)
    for _ in range(4):
        parts, prefab, drawn = draw_object(rng, palette, name)
        assert drawn == name and parts
        assert abs(prefab.low[2]) < 0.012
        size = prefab.high - prefab.low
        assert 0.01 < size.max() < 0.75


def test_cars_have_the_size_of_cars_and_stand_on_their_wheels(bank: TextureBank) -> None:
    rng = np.random.default_rng(0)
    fleet = Fleet(rng, Palette(rng, bank))
    for far in (False, True):
        for _ in range(VARIANTS):
            _, prefab = fleet.car(far=far)
            length, width, height = prefab.high - prefab.low
            assert 2.6 < length < 6.4 and 1.5 < width < 2.5 and 1.3 < height < 2.8
            assert abs(prefab.low[2]) < 0.015
            wheels = prefab.meshes["dark"].corners.reshape(-1, 3)
            lowest = wheels[wheels[:, 2] < prefab.low[2] + 0.01]
            assert len({(x > 0, y > 0) for x, y, _ in lowest}) == 4
    for _ in range(20):
        assert abs(fleet.lorry()[1].low[2]) < 0.015
        for ridden in (True, False):
            assert abs(fleet.two_wheeler(ridden=ridden)[1].low[2]) < 0.02


def test_trees_keep_their_shape_at_every_detail(bank: TextureBank) -> None:
    rng = np.random.default_rng(0)
    flora = Flora(rng, Palette(rng, bank))
    for _ in range(10):
        state = rng.bit_generator.state
        heights, counts = [], []
        for detail in (0, 1, 2):
            rng.bit_generator.state = state
            _, prefab = flora.tree(detail)
            heights.append(float(prefab.high[2]))
            counts.append(sum(len(m) for m in prefab.meshes.values()))
        assert counts[0] <= counts[1] <= counts[2]
        assert max(heights) < 1.3 * min(heights)


def test_slabs_are_closed_boxes() -> None:
    made = slabs(np.array([[0.0, 0, 0], [2, 0, 0]]), np.array([[1.0, 2, 3], [3, 1, 1]]))
    assert len(made) == 24
    a, b, c = made.corners.transpose(1, 0, 2)
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(6 + 1, abs=1e-4)
    assert len(slabs(np.zeros((1, 3)), np.ones((1, 3)), faces="xXy")) == 6
    moved = made.moved(posed((0, 0, 1), yaw_deg=90))
    np.testing.assert_allclose(moved.corners.reshape(-1, 3).min(0), [-2, 0, 1], atol=1e-5)

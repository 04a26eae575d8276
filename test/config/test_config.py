from pathlib import Path

import pytest

from metric_depth_ros import config as c
from metric_depth_ros.config import parameter_file
from metric_depth_ros.errors import ConfigError
from metric_depth_ros.messages import NEED_CAMERA
from metric_depth_ros.messages.sensors import _READERS
from metric_depth_ros.solvers import SOLVERS

ROOT = Path(__file__).parents[2]


def test_the_shipped_parameter_file_is_fresh():
    shipped = (ROOT / "config" / "metric_depth.yaml").read_text()
    assert shipped == parameter_file.dump(), "run: metric_depth config > config/metric_depth.yaml"


def test_dump_and_load_round_trip(tmp_path):
    changed = c.from_flat(
        {"solver.focus_m": 7.5, "extrinsics.rotation": [0, 0, 1, 0], "engine.manifest": "a b: c"}
    )
    path = tmp_path / "p.yaml"
    path.write_text(parameter_file.dump(changed))
    assert parameter_file.load(path) == changed


def test_every_setting_has_help_and_a_valid_default():
    for setting in c.settings_with(["any"]).values():
        assert setting.help
        assert setting.checked(setting.default) == setting.default
        if type(setting.default) in (int, float):
            assert setting.low is not None
            assert setting.high is not None


def test_solver_names_are_the_registry():
    assert set(c.SETTINGS["solver.name"].choices) == {"auto", *SOLVERS, *c.WITHOUT_ANCHORS}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("anchors.grid", 8, "Did you mean anchors.grid_px?"),
        ("solver.name", "global_afine", "one of auto, gaussian_process, global_affine"),
        ("solver.focus_m", -1, "from 0 to 1000 m"),
        ("solver.focus_m", "near", "a number"),
        ("solver.focus_m", float("nan"), "a number"),
        ("solver.focus_m", True, "a number"),
        ("cloud.stride", 2.5, "a whole number"),
        ("lifecycle.autostart", 1, "true or false"),
        ("lifecycle.autostart", "yes", "true or false"),
        ("cloud.stride", 0, "from 1 to 64"),
        ("extrinsics.rotation", [0, 0, 1], "a list of 4"),
        ("extrinsics.rotation", [0, 0, 0, 0], "length zero"),
        ("anchors.min_depth_m", 500, "less than anchors.max_depth_m"),
    ],
)
def test_wrong_settings_are_refused_with_what_is_allowed(name, value, words):
    with pytest.raises(ConfigError, match=name) as error:
        c.from_flat({name: value})
    assert words in str(error.value)


def test_a_whole_number_serves_as_a_fraction():
    assert c.from_flat({"solver.focus_m": 5}).solver.focus_m == 5.0


def test_a_focus_may_be_a_word():
    assert c.from_flat({"solver.focus_m": "indoor"}).solver.focus_m == 10.0
    for off in ("off", False):  # YAML reads off as False
        assert c.from_flat({"solver.focus_m": off}).solver.focus_m == 0.0
    with pytest.raises(ConfigError, match="or manipulation, indoor, outdoor, sky, off"):
        c.from_flat({"solver.focus_m": "Indoor"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("solver: {name: median_of_medians}", "solver.name"),
        ("solver: {nam: global_affine}", "Did you mean solver.name?"),
        ("solver: 3", "solver: unknown setting"),
        ("- 1", "needed a mapping"),
        ("a: [", "not valid YAML"),
        ("solver: {name: global_affine}\nsolver: {focus_m: 1}", "given twice"),
        ("/a:\n  ros__parameters: {}\n/b:\n  ros__parameters: {}", "needed /**"),
    ],
)
def test_a_wrong_file_is_named_in_the_error(tmp_path, text, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        parameter_file.load(path)
    assert "bad.yaml" in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        parameter_file.load(tmp_path / "nothing.yaml")


@pytest.mark.parametrize("name", ["zed", "config/recipes/zed.yaml"])
def test_a_recipe_is_found_by_its_name_where_no_file_is(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zed").mkdir()  # a folder is no file
    assert parameter_file.load(name).sources
    mine = tmp_path / name
    if mine.is_dir():
        mine.rmdir()
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("solver.focus_m: 3.0")
    assert parameter_file.load(name).solver.focus_m == 3.0


def test_a_wrong_name_is_answered_with_the_nearest_recipe():
    with pytest.raises(
        ConfigError, match=r"realsens: .* the name of a recipe \(docs/recipes\), as realsense"
    ):
        parameter_file.load("realsens")


@pytest.mark.parametrize("name", ["no_recipe", "docs", "../setup.yaml", "README.md"])
def test_nothing_else_of_the_package_is_taken(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=name):
        parameter_file.load(name)


def test_a_file_for_several_nodes_gives_ours_its_own(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**: {ros__parameters: {solver: {focus_m: 2}, cloud: {stride: 3}}}\n"
        "metric_depth_node: {ros__parameters: {solver: {focus_m: 4}}}\n"
        "other_node: {ros__parameters: {speed: 1}}\n"
    )
    loaded = parameter_file.load(path)
    assert (loaded.solver.focus_m, loaded.cloud.stride) == (4.0, 3)


@pytest.mark.parametrize(
    ("node", "focus_m"),
    [
        ("/metric_depth_node", 4),
        ("/front/metric_depth_node", 4),
        ("front/left/metric_depth_node", 4),
        ("/*/metric_depth_node", 4),
        ("/**/metric_depth_node", 4),
        ("/front/**", 4),
        ("/front/other_node", 2),
    ],
)
def test_a_node_may_be_named_in_any_namespace(tmp_path, node, focus_m):
    """The more exact name counts wherever it stands; a node of another name is not ours."""
    path = tmp_path / "p.yaml"
    named = f"{node}: {{ros__parameters: {{solver.focus_m: 4, use_sim_time: true}}}}\n"
    if focus_m == 2:
        named = named.replace("solver.focus_m", "speed")
    for_all = "/**: {ros__parameters: {solver: {focus_m: 2}, cloud: {stride: 3}}}\n"
    for text in (for_all + named, named + for_all):
        path.write_text(text)
        loaded = parameter_file.load(path)
        assert (loaded.solver.focus_m, loaded.cloud.stride) == (focus_m, 3)


def test_namespaces_may_be_nested(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "front:\n  metric_depth_node:\n    ros__parameters: {solver: {focus_m: 4}}\n"
        "  driver:\n    ros__parameters: {gain: 3}\n"
    )
    assert parameter_file.load(path).solver.focus_m == 4.0


def test_precedence_default_file_override(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: true\n    solver: {focus_m: 3, name: global_affine}\n"
    )
    loaded = parameter_file.load(path, {"solver.focus_m": 9.0})
    assert (loaded.solver.focus_m, loaded.solver.name, loaded.cloud.stride) == (
        9.0,
        "global_affine",
        c.Config().cloud.stride,
    )


# ---- sources of anchors --------------------------------------------------------------------------

TWO = {"anchors.sources": ["lidar", "vio"], "sources.lidar.topic": "/points", "sources.vio.topic": "/map"}


def test_sources_have_groups_of_their_own_in_files_and_flat(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**:\n  ros__parameters:\n    anchors: {sources: [lidar, vio]}\n    sources:\n"
        "      lidar: {topic: /points, time_offset_s: -1}\n      vio: {topic: /map, model: vio}\n"
    )
    loaded = parameter_file.load(path, {"sources.vio.accumulate": 5})
    assert loaded == c.from_flat(
        {**TWO, "sources.lidar.time_offset_s": -1.0, "sources.vio.model": "vio", "sources.vio.accumulate": 5}
    )
    assert list(loaded.sources) == ["lidar", "vio"]
    path.write_text(parameter_file.dump(loaded))
    assert parameter_file.load(path) == loaded
    assert "as sync.max_cloud_age_s" in path.read_text()
    without = c.updated(loaded, {"anchors.sources": []})
    assert without == c.Config()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources.lidar.topik": "/p"}, "Did you mean sources.lidar.topic?"),
        ({"sources.radar.topic": "/r"}, "sources.radar.topic: unknown setting. Add radar to anchors.sources"),
        ({"anchors.sources": ["lidar", "vio", "radar"]}, "sources.radar.topic: empty"),
        ({"anchors.sources": ["lidar", "vio", "vio"]}, "sources vio twice"),
        ({"anchors.sources": ["lidar", "vio", "a b"]}, "letters, digits and _"),
        ({"anchors.sources": "lidar"}, "needed a list of names"),
        ({"sources.vio.topic": "/points"}, "topics /points twice"),
        ({"sources.lidar.type": "laser"}, "Did you mean laser_scan?"),
        ({"sources.lidar.model": "lider"}, "Did you mean lidar?"),
        ({"sources.lidar.accumulate": 101}, "from 0 to 100"),
        ({"sources.lidar.max_age_s": -0.5}, "0 or more, or -1"),
        ({"sources.lidar": "/points"}, "sources.lidar: unknown setting"),
        ({"extrinsics.source": "parameters"}, "which place one sensor, but anchors.sources names lidar, vio"),
    ],
)
def test_wrong_sources_are_refused_by_name(changes, words):
    with pytest.raises(ConfigError) as error:
        c.from_flat({**TWO, **changes})
    assert words in str(error.value)


def test_types_and_models_of_sources_are_known_everywhere():
    assert {*c.SENSOR_MODELS} == {"auto", *c.MODELS}
    config = c.from_flat(TWO)
    kinds = {*c.SOURCE_TYPES} - {"auto"}
    assert {c.model_of(config, "lidar", kind) for kind in kinds} <= {*c.MODELS}
    assert kinds == {*_READERS, "range", *NEED_CAMERA}


def test_what_a_source_leaves_out_is_its_model_s():
    config = c.from_flat({**TWO, "sources.vio.model": "vio", "sources.vio.sigma_base_m": 0.5})
    assert c.model_of(config, "lidar", "laser_scan") == "scan_2d"
    assert c.model_of(config, "vio", "laser_scan") == "vio"
    model = c.MODELS["vio"]
    sync, anchors = c.sync_of(config, "vio", "vio"), c.anchors_of(config, "vio", "vio")
    assert (sync.accumulate, sync.max_cloud_age_s) == (model.accumulate, model.max_age_s) == (30, 3.0)
    assert (anchors.sigma_base_m, anchors.sigma_quadratic) == (0.5, model.sigma_quadratic)
    assert anchors.occlusion_window_px == 0
    # Nothing of it reaches the other source, nor the topic without a name.
    assert c.sync_of(config, "lidar", "lidar") == config.sync
    assert c.anchors_of(config, "lidar", "lidar") == config.anchors
    assert c.sync_of(config, "anchors", "") is config.sync
    assert c.anchors_of(config, "anchors", "") is config.anchors


def test_a_sensor_on_the_robot_accumulates_only_where_its_points_can_be_moved():
    ranger = {"anchors.sources": ["front"], "sources.front.topic": "/range"}
    for frame in ("none", ""):
        still = c.sync_of(c.from_flat({**ranger, "sync.fixed_frame": frame}), "front", "range_finder")
        assert (still.accumulate, still.max_cloud_age_s) == (1, 0.3)
    for frame in ("odom", "auto"):
        moved = c.sync_of(c.from_flat({**ranger, "sync.fixed_frame": frame}), "front", "range_finder")
        assert (moved.accumulate, moved.max_cloud_age_s) == (30, 3.0)
    asked = c.from_flat({**ranger, "sources.front.accumulate": 4, "sources.front.max_lead_s": 0.2})
    asked = c.sync_of(asked, "front", "range_finder")
    assert (asked.accumulate, asked.max_cloud_lead_s) == (4, 0.2)

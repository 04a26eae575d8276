"""Two networks whose depths are averaged: by hand, and the bundled ones under a solver."""

from __future__ import annotations

import numpy as np
import pytest

from metric_depth_ros.config import Config, EngineConfig, updated
from metric_depth_ros.engines import build_engine
from metric_depth_ros.engines.averaged import averaged
from metric_depth_ros.errors import ModelError
from metric_depth_ros.pipeline import engine_for
from metric_depth_ros.types import RelativeDepth

nan = np.nan


def depth_of(values, kind="depth", metric=False, **features):
    return RelativeDepth(np.array(values, np.float32), kind, metric, features, "a")


def test_the_mean_by_hand():
    # Over their medians: 1/2, 1, 2 and 1/4, 1, 8.
    found = averaged(depth_of([[1, 2, 4]]), depth_of([[12, 3, 0.375]], "inverse_depth"))
    assert found.kind == "depth" and not found.metric and found.network == "a+a"
    np.testing.assert_allclose(found.values, [[8**-0.5, 1, 4]], rtol=1e-6)


def test_metres_of_one_network_are_the_mean_s_and_of_two_their_mean():
    relative, metric = depth_of([[1, 2, 4]]), depth_of([[3, 3, 3]], metric=True)
    for pair in ((relative, metric), (metric, relative)):
        found = averaged(*pair)
        assert found.metric
        np.testing.assert_allclose(found.values, [[3 * 0.5**0.5, 3, 3 * 2**0.5]], rtol=1e-6)
    both = averaged(metric, depth_of([[12, 12, 12]], metric=True))
    np.testing.assert_allclose(both.values, 6, rtol=1e-6)


def test_where_one_network_has_no_value_the_other_has_one():
    found = averaged(depth_of([[nan, 2, nan, 2]]), depth_of([[6, 3, nan, 3]]))
    np.testing.assert_allclose(found.values, [[2, 1, nan, 1]], rtol=1e-6)


@pytest.mark.parametrize("metric", [False, True])
def test_there_is_no_seam_where_one_network_has_no_value(metric):
    depth = np.linspace(1, 9, 40, dtype=np.float32)[None]
    half = np.where(depth < 4, depth, np.float32(nan))
    for pair in ((depth, half), (half, depth)):
        found = averaged(*(depth_of(each, metric=metric) for each in pair)).values / depth
        np.testing.assert_allclose(found, 1 if metric else found[0, 0], rtol=1e-5)


def test_a_network_without_any_value_gives_no_metres():
    nothing, relative = depth_of([[nan, nan]], metric=True), depth_of([[1, 4]])
    for pair in ((nothing, relative), (relative, nothing)):
        found = averaged(*pair)
        assert not found.metric and found.network == "a+a"
        np.testing.assert_array_equal(found.values, [[1, 4]])
    assert np.isnan(averaged(nothing, nothing).values).all()


def test_features_are_those_of_the_network_that_has_learned_maps():
    one, two, three = (np.full((1, 2, 2), n, np.float32) for n in (1, 2, 3))
    plain, first, second = (
        depth_of([[1.0]], **f) for f in ({"f": one}, {"basis": one}, {"basis": two, "spread": three})
    )
    assert averaged(first, second).features == {"basis": one}  # their misfit is not known
    assert averaged(plain, second).features == {"basis": two, "spread": three}
    assert averaged(plain, plain).features == {"f": one}


def test_two_bundled_networks_look_at_one_picture():
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    config = EngineConfig(manifest="tiny", second="small", runtime="onnxruntime")
    engine = build_engine(config)
    found = engine.predict(image)
    first, second = (
        build_engine(EngineConfig(manifest=name, runtime="onnxruntime")).predict(image)
        for name in ("tiny", "small")
    )
    np.testing.assert_array_equal(found.values, averaged(first, second).values)
    assert found.network == "tiny_depth+small_depth" and engine.on_cpu
    assert engine.label.count("onnxruntime") == 2
    with pytest.raises(ModelError, match=r"engine.second: 'none'; needed a file, or one of small, tiny"):
        build_engine(EngineConfig(second="none"))


def test_the_second_network_brings_maps_too():
    config = updated(Config(), {"engine.manifest": "tiny", "engine.second": "small"})
    assert engine_for(config).manifest == "tiny"
    assert engine_for(config).second.endswith("small_depth_basis.yaml")
    assert engine_for(updated(config, {"solver.name": "median"})) == config.engine

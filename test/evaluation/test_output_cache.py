"""Cache of networks' outputs: exact, shared, bounded, and no worse for a damaged entry."""

import os
import threading

import numpy as np
import pytest

from metric_depth_ros.errors import ConfigError, InputError
from metric_depth_ros.evaluation.output_cache import OutputCache, fingerprint
from metric_depth_ros.types import Camera, RelativeDepth

KEY = "ab" + 62 * "0"


def output(seed=0, side=20):
    values = np.random.default_rng(seed).uniform(1e-3, 5, (side, side)).astype(np.float32)
    values[0, 0] = np.nan
    return RelativeDepth(values, "inverse_depth", True, {"coarse": values[None, ::2, ::2]}, "a network")


def refuse():
    raise AssertionError("it is stored already")


def test_an_output_comes_back_as_it_was(tmp_path):
    first = OutputCache(tmp_path).through(KEY, output)
    again = OutputCache(tmp_path).through(KEY, refuse)
    for found in (first, again):
        np.testing.assert_array_equal(found.values, output().values)
        np.testing.assert_array_equal(found.features["coarse"], output().features["coarse"])
        assert (found.kind, found.metric, found.network) == ("inverse_depth", True, "a network")
        assert found.values.dtype == np.float32


def test_half_precision_is_the_same_the_first_time_and_later_and_holds_any_range(tmp_path):
    large = RelativeDepth(output().values * np.float32(1e6), "depth")
    first = OutputCache(tmp_path, dtype="float16").through(KEY, lambda: large)
    again = OutputCache(tmp_path, dtype="float16").through(KEY, refuse)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_allclose(first.values, large.values, rtol=1e-3)
    (path,) = tmp_path.glob("*/*.npz")
    assert path.stat().st_size < 0.75 * len(large.values.tobytes()) + 2000
    with pytest.raises(ConfigError, match="int8; needed float32 or float16"):
        OutputCache(tmp_path, dtype="int8")


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-9], lambda data: data[:99] + b"!" + data[100:]]
)
def test_a_damaged_entry_is_computed_again(tmp_path, damage, caplog):
    cache = OutputCache(tmp_path)
    cache.through(KEY, output)
    (path,) = tmp_path.glob("*/*.npz")
    path.write_bytes(damage(path.read_bytes()))
    found = cache.through(KEY, lambda: output(1))
    np.testing.assert_array_equal(found.values, output(1).values)
    assert "computed again" in caplog.text and cache.misses == 2
    np.testing.assert_array_equal(cache.through(KEY, refuse).values, output(1).values)


def test_what_was_not_used_for_longest_makes_room(tmp_path):
    cache = OutputCache(tmp_path, limit_bytes=25_000)
    keys = [f"{number:02}" + 62 * "0" for number in range(9)]
    for age, key in enumerate(keys[:4]):
        cache.through(key, lambda: output(side=30))
        os.utime(tmp_path / key[:2] / f"{key}.npz", (age, age))
    cache.load(keys[0])  # now it is the newest
    cache.through(keys[4], lambda: output(side=30))
    left = {path.stem for path in tmp_path.glob("*/*.npz")}
    assert keys[0] in left and keys[4] in left and keys[1] not in left
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*.npz")) <= 25_000


def test_two_share_a_folder(tmp_path):
    wrong = []

    def work():
        cache = OutputCache(tmp_path, limit_bytes=30_000)
        for number in range(40):
            key = f"{number % 7:02}" + 62 * "0"
            found = cache.through(key, lambda number=number: output(number % 7))
            if not np.array_equal(found.values, output(number % 7).values, equal_nan=True):
                wrong.append(number)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong and not list(tmp_path.glob(".*.part"))


def test_a_fingerprint_is_of_image_camera_and_network():
    image = np.zeros((4, 6, 3), np.uint8)
    camera = Camera(6, 4, np.array([[5.0, 0, 3], [0, 5, 2], [0, 0, 1]]))
    other = image.copy()
    other[3, 5, 2] = 1
    prints = [
        fingerprint("a", image, None),
        fingerprint("b", image, None),
        fingerprint("a", other, None),
        fingerprint("a", image, camera),
        fingerprint("a", image.reshape(6, 4, 3), None),
    ]
    assert len(set(prints)) == 5 and prints[0] == fingerprint("a", image.copy(), None)


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="needed a folder for the cache"):
        OutputCache(tmp_path / "file")


def test_a_full_disk_is_no_reason_to_stop(tmp_path, monkeypatch, caplog):
    cache = OutputCache(tmp_path)
    monkeypatch.setattr(
        "pathlib.Path.write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    np.testing.assert_array_equal(cache.through(KEY, output).values, output().values)
    assert "No space left" in caplog.text

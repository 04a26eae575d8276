"""Files outside the folders of models are refused, wherever they are named."""

import shutil

import pytest

from metric_depth_ros.config import NAME_FILES, SETTINGS, Config, updated
from metric_depth_ros.engines import build_engine
from metric_depth_ros.errors import ModelError
from metric_depth_ros.priors import build_prior
from metric_depth_ros.share import FOLDERS_VARIABLE, refuse_outside, share_path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder of models, with the small network."""
    inside = tmp_path / "models"
    inside.mkdir()
    for end in ("yaml", "onnx"):
        shutil.copy(share_path(f"config/models/tiny_depth.{end}"), inside)
    monkeypatch.setenv(FOLDERS_VARIABLE, f"{tmp_path / 'none'}:{inside}")
    return inside


def test_no_setting_that_names_a_file_can_be_changed_while_the_node_runs():
    words = ("manifest", "file", "folder", "directory", "path")
    named = {name for name, each in SETTINGS.items() if any(word in each.help.split() for word in words)}
    assert named - {"engine.focuses"} <= {*NAME_FILES, "save.folder"} <= SETTINGS.keys()
    assert not [name for name in (*NAME_FILES, "save.folder") if SETTINGS[name].live]


def test_a_network_in_one_of_the_folders_and_the_package_s_own_are_used(folder):
    engine = updated(Config(), {"engine.manifest": str(folder / "tiny_depth.yaml")}).engine
    assert build_engine(engine).label
    assert build_engine(Config().engine).label
    assert build_prior("scale_cnn", Config().engine) is not None


@pytest.mark.parametrize("setting", ["engine.manifest", "engine.second", "engine.model", "solver.prior"])
@pytest.mark.parametrize(
    "place", ["{up}/tiny_depth{end}", "{folder}/../tiny_depth{end}", "{folder}/link{end}"]
)
def test_a_file_elsewhere_is_not_even_read(folder, setting, place):
    end = ".onnx" if setting == "engine.model" else ".yaml"
    shutil.copy(folder / f"tiny_depth{end}", folder.parent)
    (folder / f"link{end}").symlink_to(folder.parent / f"tiny_depth{end}")
    path = place.format(up=folder.parent, folder=folder, end=end)
    changes = {"engine.manifest": str(folder / "tiny_depth.yaml"), setting: path}
    config = updated(Config(), changes)
    with pytest.raises(ModelError, match=rf"{path}: outside the folders of {FOLDERS_VARIABLE}"):
        build_prior(config.solver.prior, config.engine) or build_engine(config.engine)


def test_weights_beside_a_network_may_not_lead_out_of_its_folder(folder):
    (folder.parent / "secret").write_bytes(b"x")
    (folder / "tiny_depth.onnx").unlink()
    (folder / "tiny_depth.onnx").symlink_to(folder.parent / "secret")
    engine = updated(Config(), {"engine.manifest": str(folder / "tiny_depth.yaml")}).engine
    with pytest.raises(ModelError, match="outside the folders"):
        build_engine(engine)


@pytest.mark.parametrize(("folders", "refused"), [(None, False), ("", True), (":", True), ("/", False)])
def test_unset_anything_is_allowed_and_empty_only_what_the_package_brings(
    monkeypatch, tmp_path, folders, refused
):
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    if folders is not None:
        monkeypatch.setenv(FOLDERS_VARIABLE, folders)
    refuse_outside(share_path("config/models/tiny_depth.yaml"))
    if refused:
        with pytest.raises(ModelError, match="outside"):
            refuse_outside(tmp_path / "model.yaml")
    else:
        refuse_outside(tmp_path / "model.yaml")

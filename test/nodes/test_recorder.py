"""The recorder on a full disk."""

from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from metric_depth_ros.bags.recording import Recording
from metric_depth_ros.errors import InputError
from metric_depth_ros.nodes.recorder import Recorder

pytestmark = pytest.mark.timeout(60)


def test_a_full_disk_ends_a_recording_and_is_kept_as_its_failure(
    ros: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("bag: No space left on device; the bag ends here and is whole. Make room.")

    recorder = Recorder(tmp_path / "bag", ["/x"])
    try:
        monkeypatch.setattr(Recording, "write", full)
        recorder._write("/x", None, b"")
        assert "No space left" in str(recorder.failure)
    finally:
        recorder.destroy_node()
    assert (tmp_path / "bag/metadata.yaml").is_file()


def test_a_recording_in_a_folder_that_is_there_is_refused(ros: None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists; needed a new folder"):
        Recorder(tmp_path, ["/x"])

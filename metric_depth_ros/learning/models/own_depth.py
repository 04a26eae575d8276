"""The depth networks that are trained: the package's own by name, and imported ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from metric_depth_ros.errors import ModelError
from metric_depth_ros.learning.models.depth_network import check_size
from metric_depth_ros.learning.models.pyramid import PyramidDepth
from metric_depth_ros.learning.models.small_depth import SmallDepth, SmallDepthConfig
from metric_depth_ros.learning.models.tiny_depth import TinyDepth, TinyDepthConfig

if TYPE_CHECKING:  # it imports transformers, which the package's own networks do not need
    from metric_depth_ros.learning.models.imported_depth import ImportedDepth

# Name -> network and its sizes.
NETWORKS: dict[str, tuple[Callable[[Any], PyramidDepth], type[Any]]] = {
    "small": (SmallDepth, SmallDepthConfig),
    "tiny": (TinyDepth, TinyDepthConfig),
}


def check_own_size(size: tuple[int, int]) -> None:
    """Raises ConfigError for an input's size that the package's own networks cannot be exported at."""
    check_size(size, "the network", step=16, least=32)


def name_of(architecture: dict[str, Any]) -> str:
    """Name of the network that has these sizes, as a checkpoint stores them; "imported" if it is not ours."""
    if "architecture" in architecture:
        return "imported"
    return "small" if "encoder" in architecture else "tiny"


def imported_networks() -> Any:
    """Module ``imported_depth``. Raises ModelError without transformers, which only it needs."""
    if find_spec("transformers") is None:
        raise ModelError(
            "transformers is not installed; needed for an imported network. Install it: "
            "pip install 'metric_depth_ros[export]'"
        )
    return import_module("metric_depth_ros.learning.models.imported_depth")


def build_depth(architecture: dict[str, Any]) -> PyramidDepth | ImportedDepth:
    """Network with random weights from its sizes. Raises TypeError if they are of another version."""
    if name_of(architecture) == "imported":
        imported: ImportedDepth = imported_networks().rebuild_imported(architecture)
        return imported
    network, config = NETWORKS[name_of(architecture)]
    return network(config(**architecture))

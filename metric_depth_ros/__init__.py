"""Dense metric depth for a robot with one camera and a few metric points."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metric_depth_ros.api import solve
    from metric_depth_ros.drawing.plots import (
        plot_anchors,
        plot_depth,
        plot_error,
        plot_result,
        plot_sigma,
    )

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "plot_anchors",
    "plot_depth",
    "plot_error",
    "plot_result",
    "plot_sigma",
    "solve",
]


def __getattr__(name: str) -> Any:
    """Imports a name on first use, so that importing the package stays fast."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "api" if name == "solve" else "drawing.plots"
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    """The names with those that are imported on first use."""
    return sorted({*globals(), *__all__})

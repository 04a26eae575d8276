"""Dense metric depth for a robot with one camera and a few metric points."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metric_depth_ros.api import solve

__version__ = "0.1.0"
__all__ = ["__version__", "solve"]


def __getattr__(name: str) -> Any:
    """Imports ``solve`` on first use, so that importing the package stays fast."""
    if name == "solve":
        from metric_depth_ros.api import solve

        return solve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names with those that are imported on first use."""
    return sorted({*globals(), *__all__})

"""Errors that a user can cause or fix. Any other exception is a bug.

Wording: *where: what was found; what was needed. What to do.*
"""


class MetricDepthError(Exception):
    """Base class of all errors of this package; nodes and the command line catch it."""


class ConfigError(MetricDepthError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(MetricDepthError):
    """An image, camera, point cloud or bag cannot be used."""


class TransformError(MetricDepthError):
    """A transform between two frames is missing, or not available at that time."""


class AnchorError(MetricDepthError):
    """Too few usable anchors for the solver."""


class ModelError(MetricDepthError):
    """A model file or its manifest is missing or corrupt, or the two do not match."""

"""Errors that a user can cause or fix. Any other exception is a bug.

Wording: *where: what was found; what was needed. What to do.*
"""

from __future__ import annotations

import reprlib

# Characters of a message. What is longer, as a name of many, loses its middle: the end says what to do.
_LONGEST, _START, _END = 1000, 600, 300


class MetricDepthError(Exception):
    """Base class of all errors of this package; nodes and the command line catch it.

    Its text has at most 1000 characters.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[:_START]} [...] {text[-_END:]}"


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


def shown(value: object) -> str:
    """Short text, for a message, of any value of a file."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 60, 60
    return short.repr(value)


def kind_of(value: object) -> str:
    """What a value of a file is, in a word that tells nothing of its content."""
    for kinds, word in _WORDS:
        if isinstance(value, kinds):
            return word
    return type(value).__name__


_WORDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "text"),
    (bool, "true or false"),
    ((int, float), "a number"),
    (dict, "a mapping"),
    ((list, tuple), "a list"),
    (type(None), "nothing"),
)

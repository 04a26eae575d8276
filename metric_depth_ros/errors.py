"""Errors that a user can cause or fix. Any other exception is a bug.

Wording: *where: what was found; what was needed. What to do.*
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from itertools import islice

# Characters of a message.
_LONGEST = 1000


def shortened(text: str, most: int = _LONGEST) -> str:
    """A text without its middle if it is longer than ``most`` characters; the fix stands at its end."""
    if len(text) <= most:
        return text
    return f"{text[: 6 * most // 10]} [...] {text[-3 * most // 10 :]}"


class MetricDepthError(Exception):
    """Base class of all errors of this package; nodes and the command line catch it.

    Its text has at most 1000 characters.
    """

    def __str__(self) -> str:
        return shortened(super().__str__())


class ConfigError(MetricDepthError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(MetricDepthError):
    """An image, camera, point cloud or bag cannot be used."""


class TransformError(MetricDepthError):
    """A transform between two frames is missing, or not available at that time."""


class AnchorError(MetricDepthError):
    """Too few usable anchors for the solver."""


class WorkerError(MetricDepthError):
    """A process or Ray worker that did a job has died, or cannot be started."""


class ModelError(MetricDepthError):
    """A model file or its manifest is missing or corrupt, or the two do not match."""


def shown(value: object) -> str:
    """Short text, for a message, of any value of a file."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring, short.maxother = 2, 60, 60
    return short.repr(value)


def some_of(names: Collection[str], most: int = 10) -> str:
    """Names for a message: the first ones, and how many more there are; "none" of none."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(islice(names, most)) + more or "none"


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

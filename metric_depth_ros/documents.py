"""Reads YAML and JSON that others wrote: of bounded size, depth and number of values.

Errors say what is wrong and where, and never quote the text: it may be another file than was meant.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from metric_depth_ros.errors import InputError, MetricDepthError
from metric_depth_ros.files import open_regular, read_limited

_MOST_YAML, _MOST_JSON = 1 << 20, 1 << 26
# Of a YAML document, with its aliases expanded.
_DEEPEST, _MOST_VALUES = 50, 20_000
_LONGEST_NUMBER = 1000
_LONGEST_LINE = 1 << 20
_LARGE = 10
_NUMBERS = ("int", "float", "timestamp")


def required_keys(kind: type) -> set[str]:
    """Names of the fields of a dataclass that have no default: a document of it must have these keys."""
    return {item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING}


def read_yaml(
    path: str | Path,
    error: type[MetricDepthError],
    needed: str,
    *,
    first_of_many: bool = False,
    large: bool = False,
) -> Any:
    """Value of a YAML file; None if it is empty.

    Args:
        first_of_many: take the first of several documents instead of refusing them.
        large: it may have ten times as much text and as many values as one that is written by hand.

    Raises:
        MetricDepthError: of the class ``error``: the file cannot be read, or not as ``parse_yaml`` needs it;
            ``needed`` says what is needed.
    """
    text = _text(path, (_LARGE if large else 1) * _MOST_YAML, error, needed)
    return parse_yaml(text, str(path), error, first_of_many=first_of_many, large=large)


def parse_yaml(
    text: str,
    where: str,
    error: type[MetricDepthError],
    *,
    first_of_many: bool = False,
    large: bool = False,
) -> Any:
    """Value of a YAML text; None if it is empty.

    Raises:
        MetricDepthError: of the class ``error``: the text is no YAML, gives a key twice, is nested too
            deeply, or holds too many values, aliases expanded.
    """
    loader = None
    try:
        loader = _Loader(text, _MOST_VALUES * (_LARGE if large else 1))
        return loader.get_data() if first_of_many else loader.get_single_data()
    except Exception as reason:  # PyYAML raises anything for a tag whose value does not fit
        at = getattr(reason, "problem_mark", None) or getattr(loader, "place", None)
        place = "" if at is None else f" (line {at.line + 1}, column {at.column + 1})"
        raise error(f"{where}: not valid YAML: {_problem(reason)}{place}.") from None


def read_json(path: str | Path, error: type[MetricDepthError], needed: str) -> Any:
    """Value of a JSON file. Raises MetricDepthError of the class ``error`` as ``read_yaml`` does."""
    return parse_json(_text(path, _MOST_JSON, error, needed), str(path), error)


def parse_json(text: str | bytes, where: str, error: type[MetricDepthError]) -> Any:
    """Value of a JSON text. Raises MetricDepthError of the class ``error`` if it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        problem = "nested too deeply"
    except json.JSONDecodeError as reason:
        problem = f"{reason.msg} (line {reason.lineno}, column {reason.colno})"
    except ValueError:
        problem = "a number or character that cannot be read"
    raise error(f"{where}: not valid JSON: {problem}.")


def json_lines(path: Path, needed: str, *, empty: bool = False) -> Iterator[tuple[str, Any]]:
    """Place and value of each line of a file of JSON lines.

    Args:
        needed: what the file should be, for errors.
        empty: leave out empty lines instead of refusing them.

    Raises:
        InputError: the file cannot be read, or a line is too long or not JSON.
    """
    try:
        with open_regular(path) as file:
            number = 0
            while line := file.readline(_LONGEST_LINE + 1):
                number += 1
                where = f"{path}, line {number}"
                if len(line) > _LONGEST_LINE:
                    raise InputError(f"{where}: more than 1 MB; {needed}.")
                if line.strip() or not empty:
                    yield where, parse_json(line, where, InputError)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {needed}.") from error


def _text(path: str | Path, limit: int, error: type[MetricDepthError], needed: str) -> str:
    try:
        return read_limited(path, limit).decode("utf-8-sig")
    except OSError as reason:
        raise error(f"{path}: {reason.strerror}; needed {needed}.") from reason
    except UnicodeDecodeError:
        raise error(f"{path}: not valid text in UTF-8; needed {needed}.") from None


def _problem(error: Exception) -> str:
    """What PyYAML found, without what it quotes of the text."""
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "a value unlike its type"
    return " ".join(str(said).removeprefix("but ").split("'")[0].split('"')[0].split())


class _Loader(yaml.SafeLoader):
    """YAML SafeLoader that refuses keys given twice, and more than the limits above.

    Attributes:
        place: of the value at hand.
    """

    def __init__(self, text: str, most_values: int) -> None:
        super().__init__(text)
        self._most_values = most_values
        self.place: Any = None
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}  # values in each anchored node, by its id

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        before = self._values
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _refused("nested too deeply", event)
        node = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _refused("an alias inside of what it stands for", event)
            self._values += self._sizes[id(node)]
        else:
            self._values += 1
            self._sizes[id(node)] = self._values - before
        if self._values > self._most_values:
            raise _refused(f"more than {self._most_values} values", event)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys: set[Hashable] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and (key.tag, key.value) in keys:
                raise _refused("a key is given twice", key)
            keys.add((key.tag, key.value) if isinstance(key, yaml.ScalarNode) else id(key))
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        self.place = node.start_mark
        if len(node.value) > _LONGEST_NUMBER and node.tag.rpartition(":")[2] in _NUMBERS:
            raise _refused(f"a number of {len(node.value)} characters", node)
        return super().construct_scalar(node)


def _refused(problem: str, at: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)

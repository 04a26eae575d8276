"""Damages values, bytes, definitions and files, at random from a fixed seed."""

from __future__ import annotations

import copy
import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

NUMBERS: tuple[int, ...] = (
    0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32 - 1,
)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-40, 1e-300, 1e30, -1e30, 1e300, np.inf, -np.inf, np.nan)
TEXTS = ("", "/", "a", "rgb8", "mono16", "32FC1", "yuyv", "nv12", "16UC1; compressedDepth png", "jpeg",
         "h264", "plumb_bob", "equidistant", "\0", "é\u2028\U0001f600", "x" * 100_000, "{}%s\n\n",
         "../../..")  # fmt: skip
# What stands in YAML in place of a value.
YAML_VALUES = ("~", "[]", "{}", "-1", "1e400", ".nan", "0x7fffffffffffffffffff", "text", "2024-01-01",
               "[[[[]]]]", "!!binary aGVsbG8=", "true", "''", "/dev/zero", "../../etc/passwd")  # fmt: skip
# Lines of a definition that lie, or ask for too much.
FIELDS = ("uint8 width", "string height", "float32[] data", "string[1000000000] names", "uint8[0] none",
          "Point[100000000] points", "geometry_msgs/Point[100000000] points", "float64[9] header",
          "std_msgs/Header[] header", "time stamp", "string<=5 step", "wstring encoding", "string X=1",
          )  # fmt: skip


_WORDS = re.compile(
    rb"\b(uint32|uint8|float64|string|float32|width|height|encoding|header|stamp|data|frame_id|fields|ranges|"
    rb"sensor_msgs)\b"
)


# ---- bytes ------------------------------------------------------------------------------------


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes with up to four of them changed, a number made huge, cut, or with a part moved or doubled."""
    data = bytearray(data)
    how = rng.randrange(7) if data else 6
    at = rng.randrange(len(data) or 1)
    if how in (0, 1):
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == 2:
        data[at : at + 4] = rng.choice(NUMBERS).to_bytes(8, "little", signed=True)[:4]
    elif how == 3:
        data[at : at + 8] = rng.choice((2**63 - 1, 2**64 - 1, 2**40, 2**31)).to_bytes(8, "little")
    elif how == 4:
        del data[at:]
    elif how == 5:
        end = min(len(data), at + rng.randint(1, 64))
        data[at:at] = data[at:end]
    else:
        data += rng.randbytes(rng.randint(1, 64))
    return bytes(data)


# ---- messages ---------------------------------------------------------------------------------


def with_odd_value(message: Any, rng: random.Random) -> Any:
    """A copy of a message with one or two fields, at any depth, of an odd value of their type."""
    message = copy.deepcopy(message)
    for _ in range(rng.randint(1, 2)):
        owner, name = rng.choice([*_leaves(message)])
        value = _odd(getattr(owner, name), rng)
        object.__setattr__(owner, name, value)
    return message


def _leaves(message: Any) -> Iterator[tuple[Any, str]]:
    for field in fields(message):
        value = getattr(message, field.name)
        parts = value if isinstance(value, list) else [value]
        yield message, field.name
        for part in parts:
            if is_dataclass(part):
                yield from _leaves(part)


def _odd(value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return rng.choice((*NUMBERS, value + 1, value - 1, value * 2)) % 2**32
    if isinstance(value, float):
        return float(rng.choice(FLOATS))
    if isinstance(value, str):
        return rng.choice((*TEXTS, value.upper(), value + value, value[:-1]))
    if isinstance(value, np.ndarray):
        return _odd_array(value, rng)
    if isinstance(value, list):
        return rng.choice(([], value * 2, value[:-1], value[::-1]))
    return value


def _odd_array(values: np.ndarray[Any, Any], rng: random.Random) -> np.ndarray[Any, Any]:
    values = values.copy()
    if values.dtype == np.uint8 and rng.random() < 0.7:
        return np.frombuffer(damaged(values.tobytes(), rng), np.uint8)
    if len(values) and rng.random() < 0.7:
        kinds = FLOATS if values.dtype.kind == "f" else (0, 1, 100)
        values[rng.randrange(len(values))] = rng.choice(kinds)
        return values
    return rng.choice((values[:0], values[:-1], np.concatenate([values, values]), np.zeros_like(values)))


def with_odd_definition(text: str, rng: random.Random) -> str:
    """A definition with a line left out, renamed, of another type, doubled, or a new line that asks much."""
    lines = text.splitlines(keepends=True)
    held = [i for i, line in enumerate(lines) if re.match(r"\s*[A-Za-z]\S* +\w+", line)]
    at = rng.choice(held or [0])
    how = rng.randrange(7)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines[at] = re.sub(r"(\w+)\s*$", r"\1_x\n", lines[at])
    elif how == 2:
        kind = rng.choice(
            ("uint8", "string", "float64", "float32[]", "string[]", "uint8[3]", "Header", "bool[]")
        )
        lines[at] = re.sub(r"^\s*\S+", kind, lines[at])
    elif how == 3:
        lines[at] *= rng.choice((2, 40))
    elif how == 4:
        lines[at] = rng.choice(FIELDS) + "\n"
    elif how == 5:
        lines.insert(at, rng.choice(FIELDS) + "\n")
    else:
        return damaged(text.encode(), rng).decode(errors="replace")
    return "".join(lines)


# ---- bags -------------------------------------------------------------------------------------


def damage_bag(path: Path, rng: random.Random) -> str:
    """Damages a bag, a file or a folder, in place; returns how."""
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    file = rng.choice(files)
    if file.name == "metadata.yaml":
        how: Callable[[Path, random.Random], None] = rng.choice((damage_yaml, damage_yaml, _damage_file))
    elif file.suffix == ".db3":
        how = rng.choice((_damage_rows, _damage_rows, _damage_rows, _damage_file))
    else:
        how = rng.choice((_damage_file, _damage_definition))
    how(file, rng)
    return f"{how.__name__} of {file.name}"


def _damage_file(file: Path, rng: random.Random) -> None:
    file.write_bytes(damaged(file.read_bytes(), rng))


def _damage_definition(file: Path, rng: random.Random) -> None:
    """Changes words of definitions in place, so that no length of a record changes."""
    data = bytearray(file.read_bytes())
    names = [match.span() for match in _WORDS.finditer(data)]
    if not names:
        return _damage_file(file, rng)
    for begin, end in rng.sample(names, min(len(names), rng.randint(1, 3))):
        size = end - begin
        data[begin:end] = rng.choice((b"x" * size, b"int8    ", b"string  ", b"\xff\xfe\xff\xfe\xff\xfe"))[
            :size
        ].ljust(size, b" ")
    file.write_bytes(data)


def damage_yaml(file: Path, rng: random.Random) -> None:
    lines = file.read_text(errors="replace").splitlines(keepends=True)
    at = rng.randrange(len(lines))
    how = rng.randrange(5)
    if how < 3:
        lines[at] = re.sub(r":.*", lambda _: f": {rng.choice(YAML_VALUES)}", lines[at])
    elif how == 3:
        del lines[at]
    else:
        lines[at] = re.sub(r"(\w+):", rng.choice((r"\1_x:", r"? \1 :", r"&a \1: *a")), lines[at])
    file.write_text("".join(lines))


def _damage_rows(file: Path, rng: random.Random) -> None:
    """Gives a cell of the database a value of another type, or takes a row or column away."""
    with closing(sqlite3.connect(file)) as base, suppress(sqlite3.Error):
        table = rng.choice(
            [name for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        )
        column = rng.choice([row[1] for row in base.execute(f"PRAGMA table_info({table})")])
        odd = rng.choice(
            (None, -1, 2**63 - 1, -(2**63), 1.5, "", "text", b"", b"/image", b"\xff\xfe", "x" * 100_000)
        )
        rows = [row for (row,) in base.execute(f"SELECT rowid FROM {table} ORDER BY rowid")]
        some = rng.sample(rows, min(len(rows), rng.choice((1, 3, len(rows)))))
        how = rng.randrange(8)
        if how == 0:
            base.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO {column}_x")
        elif how == 1:
            base.execute(f"DROP TABLE {table}")
        elif table == "message_definitions" and how < 6:
            for key, text in [
                *base.execute("SELECT rowid, encoded_message_definition FROM message_definitions")
            ]:
                base.execute("UPDATE message_definitions SET encoded_message_definition = ? WHERE rowid = ?",
                             (with_odd_definition(text, rng), key))  # fmt: skip
        else:
            base.executemany(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", [(odd, row) for row in some])
        base.commit()

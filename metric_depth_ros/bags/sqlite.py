"""Reads the sqlite3 files of ROS 2 bags.

The reader of rosbags refuses a whole file for one topic whose definition rosbag2 did not know when it
recorded. This one takes definitions as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, MessageDefinition

from metric_depth_ros.bags.definitions import (
    NO_DEFINITION,
    NO_MESSAGES,
    about_topic,
    definition_of,
    metadata_of,
)
from metric_depth_ros.bags.packed import check_message
from metric_depth_ros.files import need_regular

_TABLES = ("topics", "messages", "message_definitions")


class SqliteFile:
    """One .db3 file, as the storage plugins of rosbags are: ``connections``, ``metadata``, ``messages``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self.metadata = NO_MESSAGES

    def open(self) -> None:
        """Reads what topics there are. Raises sqlite3.Error or ValueError for damage."""
        need_regular(self.path)
        self._database = sqlite3.connect(f"{self.path.resolve().as_uri()}?immutable=1", uri=True)
        self._database.text_factory = lambda text: text.decode(errors="replace")
        try:
            self._read_topics()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def messages(
        self, connections: Collection[Connection], start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yields (connection, recorded_ns, bytes), in order of recording."""
        wanted = {connection.id: connection for connection in connections}
        # Only rows are sorted, not what they hold.
        rows = self._database.execute(
            "SELECT rowid, topic_id, timestamp FROM messages "
            f"WHERE topic_id IN ({','.join('?' * len(wanted))}) AND timestamp >= ? AND timestamp < ? "
            "ORDER BY timestamp",
            (*wanted, start or 0, 2**63 - 1 if stop is None else stop),
        )
        for row, topic, recorded_ns in rows:
            _check("a message", (recorded_ns, int))
            yield wanted[topic], recorded_ns, self._data(row)

    def _data(self, row: int) -> bytes:
        """A message's bytes; type and size are known before they are read."""
        of_row = "FROM messages WHERE rowid = ?"
        ((kind, size),) = self._database.execute(
            f"SELECT typeof(data), CASE typeof(data) WHEN 'blob' THEN length(data) END {of_row}", (row,)
        )
        if kind != "blob":
            raise ValueError(f"a message of the database is of type {kind}")
        check_message(size)
        ((data,),) = self._database.execute(f"SELECT data {of_row}", (row,))
        return bytes(data)

    def _read_topics(self) -> None:
        read = self._database.execute
        self._check_tables()
        columns = [row[1] for row in read("PRAGMA table_info(topics)")]
        qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
        counts = dict(read("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
        definitions = self._definitions()
        for key, topic, kind, encoding, profiles in read(
            f"SELECT id, name, type, serialization_format, {qos} FROM topics ORDER BY id"
        ):
            _check("a topic", (key, int), (topic, str), (kind, str), (encoding, str))
            about = about_topic(encoding, profiles)
            definition, number = definitions.get(kind, NO_DEFINITION), counts.get(key, 0)
            self.connections.append(Connection(key, topic, kind, definition, "", number, about, self))
        if total := sum(counts.values()):
            first, last = next(read("SELECT min(timestamp), max(timestamp) FROM messages"))
            _check("a message", (first, int), (last, int))
            self.metadata = metadata_of(first, last, total)

    def _check_tables(self) -> None:
        """Raises ValueError for what is computed instead of recorded, which may have no end."""
        tables = list(self._database.execute("SELECT name, type, sql FROM sqlite_master"))
        for name, kind, text in tables:
            computed = kind in ("view", "trigger") or "VIRTUAL TABLE" in str(text).upper()
            if name in _TABLES and not computed:
                computed = any(row[6] for row in self._database.execute(f"PRAGMA table_xinfo({name})"))
            if computed:
                raise ValueError(f"its {kind} {name!r:.60} is computed")

    def _definitions(self) -> dict[str, MessageDefinition]:
        """Definitions by type; empty before version 4 of the format."""
        if not list(self._database.execute("PRAGMA table_info(message_definitions)")):
            return {}
        found = {}
        for kind, encoding, text in self._database.execute(
            "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
        ):
            if isinstance(encoding, str) and isinstance(text, str):
                found[kind] = definition_of(encoding, text)
        return found


def _check(what: str, *values: tuple[Any, type]) -> None:
    """Raises ValueError unless every value is of the type beside it; SQLite does not see to that."""
    if not all(isinstance(value, kind) for value, kind in values):
        found = ", ".join(type(value).__name__ for value, _ in values)
        raise ValueError(f"{what} of the database has values of types {found}")

"""Reads the sqlite3 files of ROS 2 bags.

The reader of rosbags refuses a whole file for one topic whose definition rosbag2 did not know when it
recorded. This one takes definitions as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

from rosbags.interfaces import Connection, MessageDefinition

from metric_depth_ros.bags.definitions import (
    NO_DEFINITION,
    NO_MESSAGES,
    about_topic,
    definition_of,
    metadata_of,
)


class SqliteFile:
    """One .db3 file, as the storage plugins of rosbags are: ``connections``, ``metadata``, ``messages``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[Connection] = []
        self.metadata = NO_MESSAGES

    def open(self) -> None:
        """Reads what topics there are. Raises sqlite3.Error for damage."""
        self._database = sqlite3.connect(f"{self.path.resolve().as_uri()}?immutable=1", uri=True)
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
        rows = self._database.execute(
            "SELECT topic_id, timestamp, data FROM messages "
            f"WHERE topic_id IN ({','.join('?' * len(wanted))}) AND timestamp >= ? AND timestamp < ? "
            "ORDER BY timestamp",
            (*wanted, start or 0, 2**63 - 1 if stop is None else stop),
        )
        for topic, recorded_ns, data in rows:
            yield wanted[topic], recorded_ns, data

    def _read_topics(self) -> None:
        read = self._database.execute
        columns = [row[1] for row in read("PRAGMA table_info(topics)")]
        qos = "offered_qos_profiles" if "offered_qos_profiles" in columns else "''"
        counts = dict(read("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
        definitions = self._definitions()
        for key, topic, kind, encoding, profiles in read(
            f"SELECT id, name, type, serialization_format, {qos} FROM topics ORDER BY id"
        ):
            about = about_topic(encoding, profiles)
            definition, number = definitions.get(kind, NO_DEFINITION), counts.get(key, 0)
            self.connections.append(Connection(key, topic, kind, definition, "", number, about, self))
        if total := sum(counts.values()):
            first, last = next(read("SELECT min(timestamp), max(timestamp) FROM messages"))
            self.metadata = metadata_of(first, last, total)

    def _definitions(self) -> dict[str, MessageDefinition]:
        """Definitions by type; empty before version 4 of the format."""
        if not list(self._database.execute("PRAGMA table_info(message_definitions)")):
            return {}
        return {
            kind: definition_of(encoding, text)
            for kind, encoding, text in self._database.execute(
                "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            )
        }

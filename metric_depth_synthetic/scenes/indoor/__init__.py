"""Rooms and corridors with furniture and people."""

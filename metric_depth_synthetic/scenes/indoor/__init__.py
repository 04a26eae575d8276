"""Rooms and corridors, furnished and inhabited."""

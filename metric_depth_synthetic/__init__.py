"""Procedural scenes with exact ground truth, and simulated sensors."""

"""Procedural scenes with exact ground truth, and sensors simulated in them."""

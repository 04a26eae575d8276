"""Evaluation of depth maps: metrics, anchor protocols, and controls without a network."""

"""Solver that fits each image region (paper 000)."""

"""Torch modules: architecture only, no training; and weights of checkpoint folders."""

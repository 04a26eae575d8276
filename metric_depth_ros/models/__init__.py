"""Torch modules: architecture only, no training and no files."""

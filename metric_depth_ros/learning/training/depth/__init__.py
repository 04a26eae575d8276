"""Training of a relative-depth network."""

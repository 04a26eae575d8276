"""Training of the package's networks."""

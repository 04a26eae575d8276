"""Training of the network of the solver ``refined``."""

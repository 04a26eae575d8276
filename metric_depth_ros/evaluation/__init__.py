"""How good a depth map is: metrics, and controls without a network."""

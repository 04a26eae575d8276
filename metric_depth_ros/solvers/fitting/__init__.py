"""What several solvers share: spaces, observations, robust weights, least squares."""

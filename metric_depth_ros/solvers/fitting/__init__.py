"""Parts that several solvers share: observations, robust weights, least squares."""

"""The default solver: a Gaussian process on the logarithm of metric over relative depth."""

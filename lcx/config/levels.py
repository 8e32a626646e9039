"""Levels of the quantiles that an exported graph returns: the ends of the 50, 80, 90 and 95 % bands, and the median."""

LEVELS = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)

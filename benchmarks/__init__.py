"""Measurements, printed as ratios within one run. Nothing here is asserted by a test: the clock is not a judge."""

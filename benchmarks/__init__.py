"""Measurements: both sides in one run, ratios first."""

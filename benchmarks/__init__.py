"""Benchmarks: both sides of a comparison run in one process; ratios are printed first."""

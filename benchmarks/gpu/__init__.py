"""Measurements on a GPU: `python -m benchmarks.gpu`, or `make bench-gpu`."""

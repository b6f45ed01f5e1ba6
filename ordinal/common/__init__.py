"""Errors, files, labels, parameters, paths and types: used by every other package."""

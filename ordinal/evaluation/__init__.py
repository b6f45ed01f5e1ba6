"""Metrics, baselines, plot tables and the table of predictions."""

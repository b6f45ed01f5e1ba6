"""Inspect a table of your own and add it to the catalog."""

"""The catalog of data sets and encoders, and verified downloads."""

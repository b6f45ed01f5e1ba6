"""Distributions over ordered classes: decoding, calibration and conformal intervals."""

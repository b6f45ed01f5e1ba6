"""Array types, shared by all packages."""

import numpy as np
import numpy.typing as npt

Probabilities = npt.NDArray[np.floating]
"""Distributions over K ordered classes, shape (rows, K)."""
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
"""Class indices 0 … K−1, shape (rows,)."""
Rows = npt.NDArray[np.int64]
"""Row numbers, or one number per row, shape (rows,)."""
Padded = npt.NDArray[np.int64]
"""Token ids or an attention mask of a padded batch, shape (rows, width)."""

"""Array types and the names of choices, shared by all packages."""

from typing import Literal

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

LossName = Literal["corn", "coral", "cross_entropy", "oll", "mll", "emd", "sord"]
ClassWeights = Literal["none", "balanced"]
Decoding = Literal["median", "mean", "mode"]
Schedule = Literal["linear", "cosine", "constant_with_warmup"]
Precision = Literal["auto", "32-true", "bf16-mixed"]
Accelerator = Literal["auto", "cpu", "gpu"]
Strategy = Literal["ddp", "fsdp"]
SplitMethod = Literal["shuffle", "hash", "stratified", "group", "time", "given"]
Truncation = Literal["head", "head_tail"]
"""Tokens that are kept of a text that is too long."""
Missing = Literal["refuse", "drop"]
"""Treatment of rows with a text but no label, or a label but no text."""
Metric = Literal["mae", "accuracy", "off_by_one", "rps"]
"""The metrics of `ordinal.evaluation.metrics` that are a mean over rows."""

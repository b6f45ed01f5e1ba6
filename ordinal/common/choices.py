"""The names of choices, such as losses, shared by all packages. Imports nothing heavy."""

from typing import Literal

LossName = Literal["corn", "coral", "cross_entropy", "oll", "mll", "emd", "sord"]
ClassWeights = Literal["none", "balanced"]
Decoding = Literal["median", "mean", "mode", "cost"]
CoverageBy = Literal["none", "label"]
Interval = Literal["adaptive", "shortest"]
Schedule = Literal["linear", "cosine", "constant_with_warmup"]
ActivationCheckpointing = Literal["none", "layers"]
Precision = Literal["auto", "32-true", "bf16-mixed"]
Accelerator = Literal["auto", "cpu", "gpu"]
Strategy = Literal["ddp", "fsdp"]
LoggerName = Literal["none", "csv", "tensorboard", "mlflow", "wandb", "dvclive"]
SplitMethod = Literal["shuffle", "hash", "stratified", "group", "time", "given"]
Truncation = Literal["head", "head_tail"]
"""Tokens that are kept of a text that is too long."""
Missing = Literal["refuse", "drop"]
"""Treatment of rows with a text but no label, or a label but no text."""
Metric = Literal["mae", "accuracy", "off_by_one", "cost", "rps"]
"""The metrics of `ordinal.evaluation.metrics` that are a mean over rows."""

"""Paths of the pipeline's files, relative to the project's root.

dvc.yaml repeats them, since DVC reads it without Python. tests/common/test_paths.py compares them.
"""

from pathlib import Path

PARTS = ("train", "validation", "test")

PARAMS = Path("params.yaml")
CATALOG = Path("data/catalog.yaml")
OWN_DATA = Path("data/own")
ENCODERS = Path("data/encoders")

RAW = Path("data/raw")
REVIEWS = RAW / "reviews.parquet"
FACTS = RAW / "facts.json"
PRETRAINED = Path("data/pretrained")
SPLIT = Path("data/split")
TOKENIZED = Path("data/tokenized")
PREDICTIONS = Path("data/predictions")
MODEL = Path("models/ordinal")

METRICS = Path("metrics/metrics.json")
DETAILS = Path("metrics/details.json")
SPLIT_COUNTS = Path("metrics/split.json")
TOKEN_COUNTS = Path("metrics/tokenize.json")
BASELINE = Path("metrics/baseline.json")
MODEL_CARD = Path("metrics/model_card.md")
PLOTS = Path("metrics/plots")
STUDY_RESULTS = Path("metrics/studies")
SEARCH_RESULTS = Path("metrics/searches")
AUDIT_RESULTS = Path("metrics/audit")
AUDIT = Path("data/audit")  # has texts, so git ignores it

STUDIES = Path("studies")
DVC_LOCK = Path("dvc.lock")

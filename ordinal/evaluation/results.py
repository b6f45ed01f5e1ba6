"""Results of a run: metrics/details.json (`details`), its headline numbers, and how to show them.

`details` has these keys:

- data: name, synthetic, rows. If there are any: dropped and repairs, the counts of what was dropped
  or repaired, by kind.
- split, tokens, baseline: the results of these stages (metrics/split.json and so on). If there are
  any: warnings of the split; features and warning of a baseline. The split has the rows of each
  part, and how many rows of validation and test have the text (duplicates), nearly the text
  (near_duplicates), or the group (groups, if known) of a row in an earlier part.
- train, validation, test: `metrics.all_metrics` of each part.
- bootstrap: low and high end of each test metric's 95 % interval.
- calibration: temperature, and `metrics.distribution_metrics` of the test rows before and after.
- interval: target and achieved coverage of the label intervals on the test rows, and mean width;
  by_label: the coverage and the width for the rows of each label.
"""

from typing import Any

METRIC_NAMES = {
    "mae": "mean absolute error, in labels ↓",
    "rmse": "root mean squared error, in labels ↓",
    "accuracy": "share of exact labels ↑",
    "off_by_one": "share at most one label off ↑",
    "qwk": "Cohen's kappa, quadratic weights ↑",
    "macro_mae": "mean of each label's mean absolute error ↓",
    "spearman": "Spearman's rank correlation ↑",
    "kendall": "Kendall's tau-b ↑",
    "cost": "mean cost of errors ↓",
    "rps": "ranked probability score ↓",
    "ece": "expected calibration error ↓",
    "log_loss": "log loss ↓",
}
"""Name of each metric; ↓: lower is better, ↑: higher is better. There is a cost if the data has
costs of errors."""
FEATURES = {"words": "words and word pairs", "characters": "sequences of 1 to 3 characters"}
"""Features of the baseline TF-IDF."""

HEADLINE_DIGITS = 4
# Kendall's tau is left out: it ranks models as Spearman's correlation does.
HEADLINE_METRICS = tuple(name for name in METRIC_NAMES if name != "kendall")


def baseline_names(details: dict[str, Any]) -> dict[str, str]:
    """Return the names of the baselines in tables."""
    characters = tfidf_features(details) == "characters"
    names = {"median": "median", "tfidf": "TF-IDF (characters)" if characters else "TF-IDF"}
    return {key: names[key] for key in details["baseline"]}


def tfidf_features(details: dict[str, Any]) -> str:
    """Return the key in `FEATURES` of the features of the baseline TF-IDF."""
    features: str = details["baseline"].get("tfidf", {}).get("features", "words")
    return features


def warnings_of(details: dict[str, Any]) -> list[str]:
    """Return what a reader has to know about the data, the split and the baselines."""
    return [
        *_counted("Rows that were dropped", details["data"].get("dropped", {})),
        *_counted("Repairs of the file", details["data"].get("repairs", {})),
        *details["split"].get("warnings", ()),
        *(metrics["warning"] for metrics in details["baseline"].values() if "warning" in metrics),
    ]


def _counted(what: str, counts: dict[str, int]) -> list[str]:
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
    return [f"{what}: {listed}."] if counts else []


def headline(details: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers that `dvc metrics` and `dvc exp show` display: at most 20, 4 decimals."""
    baselines = details["baseline"].items()
    test = [name for name in HEADLINE_METRICS if name in details["test"]]
    errors = [name for name in ("mae", "cost") if name in test]
    return {
        "train": _rounded(details["train"], "mae"),
        "validation": _rounded(details["validation"], "mae"),
        "test": _rounded(details["test"], *test),
        "interval": _rounded(details["interval"], "coverage", "width"),
        "baseline": {name: _rounded(metrics, *errors) for name, metrics in baselines},
    }


def _rounded(values: dict[str, float | None], *names: str) -> dict[str, float | None]:
    numbers = {name: values[name] for name in names}
    return {
        name: None if number is None else round(number, HEADLINE_DIGITS)
        for name, number in numbers.items()
    }


def results_rows(details: dict[str, Any]) -> list[list[str]]:
    """Return one row per test metric: its key, each baseline, the model, its 95 % interval."""
    return [
        [
            metric,
            *(format_number(baseline[metric]) for baseline in details["baseline"].values()),
            format_number(value),
            format_interval(**details["bootstrap"][metric]),
        ]
        for metric, value in details["test"].items()
    ]


def format_number(value: float | None, form: str = ".4f") -> str:
    """Format a number, or a dash if it is undefined (None or NaN)."""
    return "–" if value is None or value != value else format(value, form)


def format_interval(low: float | None, high: float | None) -> str:
    """Format an interval by its two ends."""
    return f"{format_number(low)} to {format_number(high)}"

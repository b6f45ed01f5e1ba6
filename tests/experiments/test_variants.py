"""Test the comparison of variants (estimates, error rates, refusals) and the chart of a study."""

from collections.abc import Callable
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ordinal.common.errors import UserError
from ordinal.evaluation.metrics import all_metrics
from ordinal.evaluation.significance import holm
from ordinal.experiments.variants import Metric, Variant, compare_variants, estimate
from ordinal.reporting.charts import dots_and_intervals

CLASSES = 4
SVG = "{http://www.w3.org/2000/svg}"


def draw(rows: int, seed: int) -> pd.DataFrame:
    """Random predictions for fixed labels, in float32 like the model's."""
    labels = np.random.default_rng(rows).integers(CLASSES, size=rows)
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(CLASSES), size=rows).astype(np.float32)
    table = pd.DataFrame({"row": np.arange(rows) * 3, "label": labels})
    table["predicted"] = rng.integers(CLASSES, size=rows)
    table[[f"p_{k} stars" for k in range(CLASSES)]] = probabilities
    return table


def tables(scores: np.ndarray) -> list[pd.DataFrame]:
    """Predictions with given ranked probability scores, shape (seeds, rows).

    With two classes the score is the square of the probability of the wrong class.
    """
    columns = {"row": np.arange(scores.shape[1]), "label": 0, "predicted": 0}
    return [pd.DataFrame({**columns, "p_1": 1 - np.sqrt(s), "p_2": np.sqrt(s)}) for s in scores]


def crossed(
    rng: np.random.Generator, seeds: int, rows: int, effects: tuple[float, float, float]
) -> np.ndarray:
    """Values around 0, shape (seeds, rows): the sum of seed, row and interaction effects."""
    of_seed, of_row, of_both = effects
    shapes = [(of_seed, (seeds, 1)), (of_row, (1, rows)), (of_both, (seeds, rows))]
    return sum((scale * rng.normal(size=shape) for scale, shape in shapes), np.zeros((seeds, rows)))


def runs_of_four(seeds: int = 3) -> dict[str, list[pd.DataFrame]]:
    """Predictions of four variants, which get worse from `good` to `worse`."""
    rng = np.random.default_rng(0)
    scores = 0.3 + 0.1 * rng.random((4, seeds, 30)) + 0.05 * np.arange(4)[:, None, None]
    return dict(zip(("good", "base", "bad", "worse"), map(tables, scores), strict=True))


@pytest.mark.parametrize("metric", ["mae", "accuracy", "off_by_one", "rps"])
def test_a_variant_has_the_metrics_of_its_runs(metric: Metric) -> None:
    runs = {"a": [draw(50, seed) for seed in range(3)], "b": [draw(50, seed) for seed in (7, 8, 9)]}
    for variant in compare_variants(runs, "a", metric):
        expected = []
        for table in runs[variant.name]:
            probabilities = table.filter(regex="^p_").to_numpy()
            columns = (table[name].to_numpy() for name in ("label", "predicted"))
            expected.append(all_metrics(*columns, probabilities)[metric])
        assert variant.values == pytest.approx(expected)
        assert variant.mean == pytest.approx(np.mean(expected))
        assert variant.sd == pytest.approx(pd.Series(expected).std())
        assert variant.low < variant.mean < variant.high


def test_variants_keep_their_order_and_all_but_the_reference_have_a_contrast() -> None:
    variants = compare_variants(runs_of_four(), "base", "rps")
    assert [variant.name for variant in variants] == ["good", "base", "bad", "worse"]
    reference = variants[1]
    assert reference.contrast is None
    others = [(variant, variant.contrast) for variant in variants if variant.contrast]
    assert len(others) == 3
    for variant, contrast in others:
        assert contrast.difference == pytest.approx(variant.mean - reference.mean)
        assert contrast.low < contrast.difference < contrast.high
    p_values = [contrast.p_value for _, contrast in others]
    assert [contrast.p_holm for _, contrast in others] == pytest.approx(holm(p_values))


def test_a_variant_does_not_differ_from_itself() -> None:
    runs = runs_of_four()["base"]
    contrast = compare_variants({"base": runs, "again": runs}, "base", "rps")[1].contrast
    assert contrast
    assert (contrast.difference, contrast.low, contrast.high) == (0, 0, 0)
    assert (contrast.p_value, contrast.p_holm) == (1, 1)


def test_a_difference_without_any_variance_is_certain() -> None:
    certain = estimate(np.full((2, 8), -0.5))
    assert (certain.mean, certain.low, certain.high, certain.p_value) == (-0.5, -0.5, -0.5, 0)


@pytest.mark.parametrize("seeds", [1, 4])
def test_if_only_rows_vary_the_test_is_students_t_test_over_rows(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    rows = 0.2 + 0.1 * rng.random((2, 25)) + [[0.0], [0.04]]
    runs = {name: tables(np.tile(row, (seeds, 1))) for name, row in zip("ab", rows, strict=True)}
    _agrees(compare_variants(runs, "a", "rps"), rows)


def test_if_only_seeds_vary_the_test_is_students_t_test_over_seeds() -> None:
    seeds = 0.2 + 0.1 * np.random.default_rng(0).random((2, 5)) + [[0.0], [0.04]]
    runs = {
        name: tables(np.tile(seed[:, None], 40)) for name, seed in zip("ab", seeds, strict=True)
    }
    _agrees(compare_variants(runs, "a", "rps"), seeds)


def _agrees(variants: list[Variant], samples: np.ndarray) -> None:
    paired = stats.ttest_rel(samples[1], samples[0])
    interval = paired.confidence_interval()
    contrast = variants[1].contrast
    assert contrast
    assert contrast.p_value == pytest.approx(paired.pvalue)
    assert 1e-6 < contrast.p_value < 0.9
    assert (contrast.low, contrast.high) == pytest.approx((interval.low, interval.high))
    for variant, sample in zip(variants, samples, strict=True):
        interval = stats.ttest_1samp(sample, 0).confidence_interval()
        assert (variant.low, variant.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("effects", [(1.0, 1.0, 1.0), (0.1, 2.0, 0.5), (0.5, 0.2, 1.0)])
def test_the_p_value_is_that_of_clarks_min_f(effects: tuple[float, float, float]) -> None:
    seeds, rows = 4, 30
    values = 0.3 + crossed(np.random.default_rng(0), seeds, rows, effects)
    by_seed = stats.ttest_1samp(values.mean(axis=1), 0).statistic ** 2
    by_row = stats.ttest_1samp(values.mean(axis=0), 0).statistic ** 2
    least = by_seed * by_row / (by_seed + by_row)
    freedom = (by_seed + by_row) ** 2 / (by_seed**2 / (rows - 1) + by_row**2 / (seeds - 1))
    ours = estimate(values)
    assert ours.p_value == pytest.approx(stats.f.sf(least, 1, freedom))
    # At an end of the interval the p-value is 5 %.
    for end in (ours.low, ours.high):
        assert estimate(values - end).p_value == pytest.approx(0.05)


@pytest.mark.parametrize(
    "effects", [(0.15, 1.0, 0.0), (0.15, 1.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
)
def test_false_positives_are_no_more_frequent_than_the_level(
    effects: tuple[float, float, float],
) -> None:
    rng = np.random.default_rng(0)
    runs, truth = 1000, 0.3
    found = [estimate(crossed(rng, 5, 40, effects)).p_value < 0.05 for _ in range(runs)]
    _no_more_than_one_in_twenty(sum(found), runs)
    drawn = [estimate(truth + crossed(rng, 5, 40, effects)) for _ in range(runs)]
    _no_more_than_one_in_twenty(sum(not one.low <= truth <= one.high for one in drawn), runs)


def _no_more_than_one_in_twenty(errors: int, runs: int) -> None:
    assert stats.binomtest(errors, runs, 0.05, alternative="greater").pvalue > 0.01
    assert errors > runs / 200  # conservative, but not useless


@pytest.mark.filterwarnings("error")
def test_one_seed_has_an_interval_and_a_p_value_but_no_standard_deviation() -> None:
    reference, other = compare_variants(runs_of_four(seeds=1), "good", "rps")[:2]
    assert np.isnan(reference.sd)
    assert reference.low < reference.mean < reference.high
    assert other.contrast
    assert 0 < other.contrast.p_value < 1


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # Times 4, 3, 2, 1 from the smallest up: 0.02, 0.03, 0.06, and 0.04, raised to 0.06.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.7, 0.4, 0.6], [1, 1, 1]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([0.3], [0.3]),
        ([], []),
    ],
)
def test_holms_adjustment_of_cases_worked_by_hand(
    p_values: list[float], adjusted: list[float]
) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (lambda table: table.assign(row=table["row"].to_numpy()[::-1]), "50 and 50"),
        (lambda table: table.assign(label=table["label"].to_numpy()[::-1]), "50 and 50"),
        (lambda table: table.iloc[:-1], "49 and 50"),
    ],
)
def test_runs_over_other_rows_are_refused(
    change: Callable[[pd.DataFrame], pd.DataFrame], counts: str
) -> None:
    runs = [draw(50, seed) for seed in range(2)]
    changed = [runs[0], change(runs[1])]
    message = rf"run 2 of 'b' and run 1 of 'a' were tested on different rows \({counts}\)"
    with pytest.raises(UserError, match=message):
        compare_variants({"a": runs, "b": changed}, "a", "mae")
    with pytest.raises(UserError, match="run 2 of 'a' and run 1 of 'a' were tested on different"):
        compare_variants({"a": changed, "b": runs}, "a", "mae")


def test_variants_with_different_numbers_of_runs_are_refused() -> None:
    runs = [draw(50, seed) for seed in range(2)]
    with pytest.raises(UserError, match=r"'b' and 'a' have different numbers of runs \(1 and 2\)"):
        compare_variants({"a": runs, "b": runs[:1]}, "a", "mae")


def test_a_reference_that_is_not_a_variant_is_refused() -> None:
    with pytest.raises(UserError, match="no variant is called 'c': there are a, b"):
        compare_variants({"a": [draw(9, 0)], "b": [draw(9, 1)]}, "c", "mae")


def test_the_chart_does_not_depend_on_the_settings_of_matplotlib() -> None:
    variants = compare_variants(runs_of_four(), "base", "rps")
    first = dots_and_intervals(variants, "rps", "base", "A study")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert dots_and_intervals(variants, "rps", "base", "A study") == first
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(first).iter()}
    assert "text" in tags
    assert "date" not in tags


def test_names_in_the_chart_are_neither_markup_nor_formulas() -> None:
    names = ["a < b & c", "lr=$1$ or $x_2$", r"\alpha_{3}", "_hidden"]
    runs = dict(zip(names, runs_of_four().values(), strict=True))
    for reference in names:
        variants = compare_variants(runs, reference, "rps")
        drawn = dots_and_intervals(variants, "of $rps$", reference, "<Title> of $y$ & z")
        texts = [
            "".join(element.itertext()).strip()
            for element in ElementTree.fromstring(drawn).iter(f"{SVG}text")
        ]
        assert [text for text in texts if text in names] == names
        assert {"of $rps$", "<Title> of $y$ & z", f"mean of {reference}"} <= set(texts)


@pytest.mark.parametrize("seeds", [1, 3])
def test_means_and_seeds_are_drawn_to_scale_from_the_top(seeds: int) -> None:
    variants = compare_variants(runs_of_four(seeds), "base", "rps")
    drawn = ElementTree.fromstring(dots_and_intervals(variants, "rps", "base", "A study"))
    dots: dict[float, list[float]] = {}
    for element in drawn.iter(f"{SVG}use"):
        place = {key: float(element.get(key, "nan")) for key in ("x", "y")}
        dots.setdefault(place["y"], []).append(place["x"])
    expected = [group for variant in variants for group in ([variant.mean], sorted(variant.values))]
    # Below the variants are the ticks of the axis and the legend.
    found = [sorted(dots[height]) for height in sorted(dots)[: len(expected)]]
    assert [len(group) for group in found] == [len(group) for group in expected]
    assert np.corrcoef(np.concatenate(found), np.concatenate(expected))[0, 1] == pytest.approx(1)

"""The report of a run: its numbers, the escaping of its texts, and that it is self-contained."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from ordinal.common.errors import UserError
from ordinal.evaluation.metrics import confusion_matrix
from ordinal.prediction.explanation import Explanation, Word
from ordinal.reporting.charts import curves, error_discs, reliability_diagram
from ordinal.reporting.report import (
    MAX_CHARACTERS,
    MAX_ERRORS,
    coloured_pieces,
    coverage_by_width,
    largest_errors,
    layers,
    mean_errors,
    report,
    risk_areas,
    signed_errors,
)
from ordinal.reporting.run import Run, Stage, read_run
from tests.conftest import ROOT, run_in, set_params

NBSP = "\N{NO-BREAK SPACE}"
CLASSES = list("12345")
SVG = "{http://www.w3.org/2000/svg}"
MARKUP = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }} {% raw %} {#",
    "]]> --> </style></table></svg>",
    "\"' onmouseover='alert(1)' &amp; &lt;",
]
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """The content of a page: its tags, tables, quotes, and the text of each section."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.quotes: list[str] = []
        self.sections: dict[str | None, str] = {}
        self.policy: str | None = None
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self._open.append((tag, attributes))
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "blockquote":
            self.quotes.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self._open]
        if {"td", "th"} & {*inside}:
            self.tables[-1][-1][-1] += data
        if "blockquote" in inside:
            self.quotes[-1] += data
        for tag, attributes in self._open:
            if tag == "section":
                name = attributes["id"]
                self.sections[name] = self.sections.get(name, "") + data

    def table(self, *heading: str) -> list[list[str]]:
        """Return the stripped cells of the one table with this heading, without the heading."""
        tables = [[[cell.strip() for cell in row] for row in table] for table in self.tables]
        (found,) = [table for table in tables if table and table[0] == [*heading]]
        return found[1:]


@pytest.fixture
def run(finished_project: Path) -> Run:
    return read_run(finished_project)


@pytest.fixture
def page(run: Run) -> Page:
    return Page(report(run))


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def marked(run: Run) -> Run:
    """Return a run whose labels, reviews and facts are all markup."""
    names = dict(zip(run.facts["labels"], MARKUP, strict=True))
    texts = [MARKUP[row % len(MARKUP)] for row in range(len(run.predictions))]
    facts = dict.fromkeys(("name", "licence", "origin", "sha256"), MARKUP[1])
    counts = {names[name]: rows for name, rows in run.facts["rows_per_label"].items()}
    facts |= {"labels": MARKUP, "rows_per_label": counts, "dropped": {MARKUP[0]: 3}}
    return replace(
        run,
        facts=run.facts | facts,
        plots=run.plots
        | {name: run.plots[name].replace(names) for name in ("confusion", "mae_per_class")},
        predictions=run.predictions.assign(text=texts),
        parameters=run.parameters | {"model": {"name": MARKUP[0], "revision": None}},
    )


def test_the_command_writes_a_page_that_git_ignores(finished_project: Path) -> None:
    command = run_in(finished_project, "ordinal", "report")
    assert (command.returncode, command.stdout) == (0, "report: report.html\n"), command.stderr
    page = (finished_project / "report.html").read_text(encoding="utf-8")
    assert page == report(read_run(finished_project))
    assert run_in(finished_project, "git", "status", "--porcelain").stdout == ""


def test_the_numbers_are_those_of_the_results(page: Page, finished_project: Path) -> None:
    details = json.loads((finished_project / "metrics/details.json").read_text())
    heading = ("metric", "median", "TF-IDF", "this model", f"95{NBSP}% interval")
    results = page.table(*heading)[::2]  # every second row is an explanation
    assert [row[0] for row in results] == list(details["test"])
    for name, *shown, interval in results:
        of_all = [*details["baseline"].values(), details["test"]]
        assert shown == [number(metrics[name]) for metrics in of_all]
        ends = details["bootstrap"][name]
        assert interval == f"{number(ends['low'])} to {number(ends['high'])}"
    mae = details["test"]["mae"]
    assert f"the mean absolute error is {mae:.4f} labels" in page.sections["results"]

    text = page.sections["probabilities"]
    for stage in ("before", "after"):
        for metric in ("log_loss", "ece"):
            assert number(details["calibration"][stage][metric]) in text
    assert f"{details['interval']['width']:.2f} of" in text


def test_errors_and_coverage_are_those_of_the_predictions(
    page: Page, finished_project: Path
) -> None:
    predictions = pd.read_parquet(finished_project / "data/predictions/test.parquet")
    for label, (name, *cells) in enumerate(page.table("", *CLASSES)):
        mine = predictions[predictions["label"] == label]["predicted"]
        counts = [int((mine == predicted).sum()) for predicted in range(5)]
        shares = [f"{100 * n / len(mine):.0f}{NBSP}%" if n else "" for n in counts]
        assert name == CLASSES[label]
        assert cells == [f"{n}{share}" for n, share in zip(counts, shares, strict=True)]

    error = (predictions["predicted"] - predictions["label"]).abs()
    per_class = page.table("label", "rows", "MAE", "")
    assert [row[0] for row in per_class] == CLASSES
    for name, rows, mae, _ in per_class:
        mine = error[predictions["label"] == CLASSES.index(name)]
        assert (rows, mae) == (str(len(mine)), number(mine.mean()))
    lengths = pd.read_csv(finished_project / "metrics/plots/mae_per_length.csv")
    assert page.table("tokens", "rows", "MAE", "") == [
        [row.tokens, str(row.rows), number(row.mae), ""] for row in lengths.itertuples()
    ]

    covered = predictions["label"].between(predictions["low"], predictions["high"]).mean()
    assert f"{100 * covered:.1f}{NBSP}% of the test rows" in page.sections["probabilities"]


def test_the_facts_are_those_of_the_data(page: Page, finished_project: Path) -> None:
    sha256 = hashlib.sha256((finished_project / "data/own/small.csv").read_bytes()).hexdigest()
    facts = ("small.csv", "a file of the user's own", "not stated", "blank rows: 0", sha256)
    assert not [fact for fact in facts if fact not in page.sections["data"]]
    assert page.table("label", "rows", "") == [[name, "24", ""] for name in CLASSES]

    tokens = json.loads((finished_project / "metrics/details.json").read_text())["tokens"]
    parts = page.table("", "rows", "mean tokens", "longest", "cut", "dupli\N{SOFT HYPHEN}cates")
    assert [row[:2] for row in parts] == [["train", "84"], ["validation", "12"], ["test", "24"]]
    assert [row[5] for row in parts] == ["–", "0", "0"]
    keys = ("mean_tokens", "longest", "cut")
    for part, _, *shown, _ in parts:
        assert shown == [str(tokens[part][key]) for key in keys]


def test_all_parameters_and_stages_are_shown(page: Page, finished_project: Path) -> None:
    parameters = yaml.safe_load((finished_project / "params.yaml").read_text())
    shown = {
        table[0][0]: dict(table[1:])
        for table in page.tables
        if table[0][0] in parameters and len(table[0]) == 1
    }
    assert shown == {
        section: {key: "none" if value is None else str(value) for key, value in values.items()}
        for section, values in parameters.items()
    }
    for stage in yaml.safe_load((finished_project / "dvc.yaml").read_text())["stages"]:
        assert stage in page.sections["pipeline"]


def test_text_from_the_data_is_escaped(run: Run) -> None:
    plain, page = Page(report(run)), Page(report(marked(run)))
    # Both pages show the same rows, so they have the same elements.
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert not {"script", "img", "iframe", "object", "link"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
    assert {*page.quotes} <= {*MARKUP}
    shown = largest_errors(run.predictions)
    assert page.quotes == [MARKUP[row % len(MARKUP)] for row in shown.index]
    assert [row[0] for row in page.table("label", "rows", "MAE", "")] == MARKUP
    assert [row[0] for row in page.table("", *MARKUP)] == MARKUP
    for text in MARKUP[:2]:
        assert text in page.sections["data"]


def test_the_page_loads_nothing_and_its_policy_forbids_it(run: Run) -> None:
    html = report(marked(run))
    page = Page(html)
    assert page.policy == "default-src 'none'; style-src 'unsafe-inline'"
    for tag, attributes in page.tags:
        assert "src" not in attributes, tag
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), tag
    styles = "".join(re.findall(r"<style.*?</style>", html, re.DOTALL))
    assert "@import" not in styles
    assert {*re.findall(r"url\((.)", html)} <= {"#"}


def test_ids_are_unique_and_every_reference_has_its_target(run: Run) -> None:
    html = report(run)
    tags = Page(html).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len({*ids})
    links = [a.get(name) for _, a in tags for name in ("href", "xlink:href") if name in a]
    assert {link for link in links if link} | {*re.findall(r"url\((#.*?)\)", html)} <= {
        f"#{name}" for name in ids
    }


def test_the_same_run_gives_the_same_bytes(finished_project: Path, tmp_path: Path) -> None:
    elsewhere = Path(shutil.copytree(finished_project, tmp_path / "elsewhere", symlinks=True))
    for seed, project in (("1", finished_project), ("2", elsewhere)):
        command = run_in(project, "ordinal", "report", "--out", "a/b.html", PYTHONHASHSEED=seed)
        assert command.returncode == 0, command.stderr
    pages = [project / "a/b.html" for project in (finished_project, elsewhere)]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert [path.name for path in pages[0].parent.iterdir()] == ["b.html"]


def test_without_a_run_the_error_says_what_to_do(project: Path) -> None:
    command = run_in(project, "ordinal", "report")
    assert command.returncode == 1
    assert command.stderr.startswith("error: ")
    assert command.stderr.endswith(" is missing: run `make repro` first\n")
    assert command.stderr.count("\n") == 1
    assert not (project / "report.html").exists()


@pytest.mark.parametrize(
    "file",
    [
        "dvc.lock",
        "data/raw/facts.json",
        "data/split/test.parquet",
        "data/predictions/test.parquet",
        "metrics/details.json",
        "metrics/plots/mae_per_length.csv",
    ],
)
def test_a_missing_file_is_named(file: str, finished_project: Path) -> None:
    (finished_project / file).unlink()
    with pytest.raises(UserError, match=f"{file} is missing: run `make repro` first"):
        read_run(finished_project)


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("dvc.lock", "", "dvc.lock has no stages: restore it with `git checkout dvc.lock`"),
        ("dvc.lock", "<<<<<<< HEAD\nstages:\n", "dvc.lock is not valid YAML"),
        ("metrics/details.json", "{", "metrics/details.json is not valid JSON"),
    ],
)
def test_a_damaged_file_is_named(
    file: str, content: str, complaint: str, finished_project: Path
) -> None:
    (finished_project / file).write_text(content)
    run = run_in(finished_project, "ordinal", "report")
    assert run.returncode == 1
    assert run.stderr.startswith(f"error: {complaint}")
    assert run.stderr.count("\n") == 1


def test_an_unwritable_path_is_one_sentence(finished_project: Path) -> None:
    command = run_in(finished_project, "ordinal", "report", "--out", "data")
    assert command.returncode == 1
    assert command.stderr == "error: data can't be written: Is a directory\n"
    assert not list(finished_project.glob(".data*"))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("predictions", lambda table: table.assign(predicted=(table["predicted"] + 1) % 5)),
        ("predictions", lambda table: table.assign(label=table["label"] + 1)),
        ("predictions", lambda table: table.iloc[:-1]),
        ("split", lambda table: table.assign(label=(table["label"] + 1) % 5)),
        ("split", lambda table: table.assign(row=table["row"] + 1)),
    ],
)
def test_data_of_another_run_is_refused(
    file: str, change: Callable[[pd.DataFrame], pd.DataFrame], finished_project: Path
) -> None:
    path = finished_project / f"data/{file}/test.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(UserError, match="data/ and metrics/ are of different runs"):
        read_run(finished_project)


def test_a_stage_that_has_not_run_again_is_refused(finished_project: Path) -> None:
    set_params(finished_project, {"split.seed": 2})
    assert run_in(finished_project, "dvc", "repro", "split").returncode == 0
    with pytest.raises(UserError, match="has not run since data/split changed: run `make repro`"):
        read_run(finished_project)


def test_the_learning_curves_of_an_unfinished_training_are_refused(
    finished_project: Path,
) -> None:
    path = finished_project / "metrics/plots/steps.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    with pytest.raises(UserError, match=r"steps\.csv is not that of the last finished run: run"):
        read_run(finished_project)


def test_the_parameters_are_those_of_the_run_not_of_a_later_edit(
    finished_project: Path,
) -> None:
    before = read_run(finished_project).parameters
    set_params(finished_project, {"train.lr": 0.5})
    after = read_run(finished_project).parameters
    assert after == before
    assert after["train"]["lr"] == 0.003


def test_largest_errors_come_first_and_then_the_least_probable_truth() -> None:
    rows = [  # row, label, predicted, probability of each class
        (3, 0, 1, [0.2, 0.7, 0.1]),
        (5, 2, 0, [0.8, 0.1, 0.1]),
        (6, 2, 2, [0.3, 0.3, 0.4]),
        (7, 0, 2, [0.0, 0.1, 0.9]),
        (8, 1, 2, [0.1, 0.2, 0.7]),
        (2, 2, 0, [0.7, 0.2, 0.1]),
    ]
    table = pd.DataFrame(
        [(row, label, predicted, *p) for row, label, predicted, p in rows],
        columns=["row", "label", "predicted", "p_a", "p_b", "p_c"],
    )
    found = largest_errors(table)
    assert found["row"].tolist() == [7, 2, 5, 3, 8]
    assert found["distribution"].iloc[1] == [0.7, 0.2, 0.1]
    many = pd.concat([table] * 10, ignore_index=True)
    assert len(largest_errors(many)) == MAX_ERRORS
    assert set(largest_errors(many)["row"]) == {7}


def test_a_long_review_is_cut_and_a_perfect_run_shows_none(run: Run) -> None:
    page = Page(report(replace(run, predictions=run.predictions.assign(text="y" * 1234))))
    assert page.quotes
    for quote in page.quotes:
        assert quote.count("y") == MAX_CHARACTERS
        assert quote.endswith("… (cut:\n1,234 characters)")
    exact = Page(
        report(replace(run, predictions=run.predictions.assign(text="y" * MAX_CHARACTERS)))
    )
    assert {*exact.quotes} == {"y" * MAX_CHARACTERS}

    right = run.predictions.assign(predicted=run.predictions["label"])
    page = Page(report(replace(run, predictions=right)))
    assert page.quotes == []
    assert "All test rows are predicted correctly" in page.sections["largest-errors"]


class Halves:
    """Explains a text as two words, its halves: up, and down with half the effect."""

    def explain(self, text: str) -> Explanation:
        middle = len(text) // 2
        halves = [Word(text[:middle], 0, middle, 0.8), Word(text[middle:], middle, len(text), -0.4)]
        return Explanation(3.0, 2.6, halves)


def test_the_words_of_the_largest_errors_have_colours_and_are_escaped(run: Run) -> None:
    plain, coloured = (Page(report(marked(run), explainer)) for explainer in (None, Halves()))
    assert coloured.quotes == plain.quotes
    assert set(plain.quotes) <= set(MARKUP)
    marks = [attributes for tag, attributes in coloured.tags if tag == "mark"][2:]  # after the key
    assert len(marks) > 2 * len(plain.quotes)  # those of the section on words come last
    assert marks[0] == {"class": "up", "style": "--part: 1.0000"}
    assert marks[1] == {"class": "down", "style": "--part: 0.5000"}
    assert "mark" not in {tag for tag, _ in plain.tags}
    assert "orange words down" in coloured.sections["largest-errors"]


def test_coloured_pieces_make_up_the_beginning_of_the_text() -> None:
    text = "y" * MAX_CHARACTERS + " bad"
    words = [
        (Word("yy", 1, 3, 0.4), 1.0),
        (Word("", MAX_CHARACTERS - 2, MAX_CHARACTERS + 2, 0), 0.5),
    ]
    pieces = coloured_pieces(text, words)
    assert "".join(piece for piece, _ in pieces) == text[:MAX_CHARACTERS]
    assert [strength for _, strength in pieces] == [0, 1, 0, 0.5]
    assert coloured_pieces("some", []) == [("some", 0)]


def test_the_command_explains_with_the_model_of_the_run(finished_project: Path) -> None:
    run = run_in(finished_project, "ordinal", "report", "--explain")
    assert run.returncode == 0, run.stderr
    page = (finished_project / "report.html").read_text(encoding="utf-8")
    assert page.count('<mark class="') > 2 + MAX_ERRORS


def test_coverage_by_width_adds_up_to_the_coverage(run: Run) -> None:
    table = coverage_by_width(run.predictions)
    interval = run.details["interval"]
    assert table["rows"].sum() == len(run.predictions)
    coverage, width = (
        np.average(table[name], weights=table["rows"]) for name in ("coverage", "width")
    )
    assert coverage == pytest.approx(interval["coverage"], abs=1e-6)
    assert width == pytest.approx(interval["width"], abs=1e-6)


def test_stages_come_after_the_stages_they_read_from(run: Run) -> None:
    assert list(layers(run.stages)) == [
        ["download", "pretrained"],
        ["split"],
        ["baseline", "tokenize"],
        ["train"],
        ["evaluate"],
        ["card"],
    ]
    assert run.stages["train"] == Stage(
        after=["download", "pretrained", "tokenize"],
        outs=["metrics/plots/epochs.csv", "metrics/plots/steps.csv", "models/ordinal"],
    )


def results_section(run: Run, mae: float, synthetic: bool, duplicates: int) -> str:
    """Return the section's text where the MAE of TF-IDF is 0.5 and that of the median is 1."""
    details = run.details
    baseline = {
        name: metrics | {"mae": baseline_mae}
        for (name, metrics), baseline_mae in zip(
            details["baseline"].items(), (1.0, 0.5), strict=True
        )
    }
    counts = {"duplicates_of_earlier_parts": {"validation": 0, "test": duplicates}}
    changed = details | {
        "split": details["split"] | counts,
        "baseline": baseline,
        "test": details["test"] | {"mae": mae},
        "bootstrap": details["bootstrap"] | {"mae": {"low": mae - 0.1, "high": mae + 0.1}},
    }
    other = replace(run, details=changed, facts=run.facts | {"synthetic": synthetic})
    return " ".join(Page(report(other)).sections["results"].split())


def test_warnings_that_the_headline_could_mislead(run: Run) -> None:
    fine = results_section(run, 0.3, synthetic=False, duplicates=0)
    for word in ("synthetic", "worse than", "better than", "Duplicates"):
        assert word not in fine
    for part in ("resamples of the test rows", "do not include the randomness of training"):
        assert part in fine

    doubtful = results_section(run, 0.45, synthetic=True, duplicates=7)
    assert "The data is synthetic." in doubtful
    assert "(120 synthetic reviews in all)" in doubtful
    assert "7 of the test rows have the same text as a training or validation row" in doubtful
    assert (
        "The model is not clearly better than the TF-IDF baseline, whose error is 0.5000"
        in doubtful
    )
    assert "than the median" not in doubtful
    worse = results_section(run, 0.7, synthetic=False, duplicates=0)
    assert "The model is worse than the TF-IDF baseline" in worse


def points(svg: str) -> Iterator[tuple[float, float]]:
    """Yield the positions of the markers in drawing order, those of the axes first."""
    for element in ElementTree.fromstring(svg).iter(f"{SVG}use"):
        if "fill" in element.get("style", "") and "stroke" not in element.get("style", ""):
            yield float(element.get("x", "nan")), float(element.get("y", "nan"))


def test_curves_are_drawn_to_scale() -> None:
    x, y = [1, 2, 5, 9], [0.9, 0.4, 0.5, 0.1]
    drawn = np.array([*points(curves({"one": (x, y)}, "epoch", "loss"))])
    assert len(drawn) == 4
    for given, found, sign in ((x, drawn[:, 0], 1), (y, drawn[:, 1], -1)):
        assert np.corrcoef(given, found)[0, 1] == pytest.approx(sign)


def test_a_reliability_diagram_has_a_point_per_bin_and_discs_of_its_share_of_rows() -> None:
    table = pd.DataFrame(
        {
            "confidence": [0.2, 0.5, 0.9, 0.6, 0.8],
            "accuracy": [0.4, 0.1, 0.8, 0.5, 0.9],
            "rows": [1, 16, 4, 9, 12],
            "calibration": ["before"] * 3 + ["after"] * 2,
        }
    )
    svg = reliability_diagram(table)
    drawn = np.array([*points(svg)])[: len(table)]
    assert np.corrcoef(table["confidence"], drawn[:, 0])[0, 1] == pytest.approx(1)
    assert np.corrcoef(table["accuracy"], drawn[:, 1])[0, 1] == pytest.approx(-1)

    paths = [e.get("d", "") for e in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    discs = [np.array(re.findall(r"[\d.]+", d), float)[0::2] for d in paths if d.count("C") == 8]
    widths = [np.ptp(disc) for disc in discs if np.ptp(disc) > 0][: len(table)]
    shares = table["rows"] / table.groupby("calibration")["rows"].transform("sum")
    ratio = np.square(widths) / shares
    assert ratio.to_numpy() == pytest.approx(ratio.mean(), rel=1e-3)


def test_errors_by_direction_are_those_of_a_plain_loop(page: Page, run: Run) -> None:
    pairs = [*zip(run.predictions["label"], run.predictions["predicted"], strict=True)]
    heading = ("label", *(f"{error:+}".replace("-", "−") for error in range(-4, 0)), "0")
    rows = page.table(*heading, "+1", "+2", "+3", "+4", "mean")
    for label, (name, *cells, mean) in enumerate(rows):
        errors = [predicted - true for true, predicted in pairs if true == label]
        for error, cell in zip(range(-4, 5), cells, strict=True):
            possible = 0 <= label + error <= 4
            assert cell == (f"{100 * errors.count(error) / len(errors):.0f}" if possible else "")
        assert name == CLASSES[label]
        assert float(mean.replace("−", "-")) == pytest.approx(np.mean(errors), abs=0.006)


def test_a_label_without_rows_has_no_errors() -> None:
    confusion = confusion_matrix(np.array([0, 0, 2, 2]), np.array([0, 2, 2, 2]), 3)
    shares = signed_errors(confusion)
    nan = np.nan
    expected = [[nan, nan, 0.5, 0, 0.5], [nan] * 5, [0, 0, 1, nan, nan]]
    np.testing.assert_equal(shares, expected)
    np.testing.assert_equal(mean_errors(confusion), [1, nan, 0])


def test_the_area_of_a_disc_is_the_share_of_an_error() -> None:
    shares = np.array([[np.nan, 0.64, 0.36], [0.04, 0.96, np.nan]])
    svg = error_discs(["<low>", "high"], shares)
    assert "&lt;low&gt;" in svg
    paths = [e.get("d", "") for e in ElementTree.fromstring(svg).iter(f"{SVG}path")]
    discs = [np.array(re.findall(r"[\d.]+", d), float)[0::2] for d in paths if d.count("C") == 8]
    areas = np.square([np.ptp(disc) for disc in discs])
    assert areas / areas.sum() == pytest.approx([0.32, 0.18, 0.02, 0.48], abs=1e-3)


def test_the_area_under_the_risk_curve_is_the_mean_of_all_shares(page: Page, run: Run) -> None:
    rows = []
    for row in run.predictions.to_dict("records"):
        expected = sum(float(row[f"p_{k + 1}"]) * abs(k - row["predicted"]) for k in range(5))
        rows.append((expected, abs(row["label"] - row["predicted"])))
    areas = {}
    for name, order in (("model", 0), ("perfect", 1)):
        errors = [error for _, error in sorted(rows, key=lambda row: row[order])]
        areas[name] = np.mean([np.mean(errors[:kept]) for kept in range(1, len(rows) + 1)])
    assert risk_areas(run.predictions) == pytest.approx(areas)
    for area in areas.values():
        assert f"{area:.4f}" in page.sections["probabilities"]


def test_the_rows_that_are_not_left_to_people_are_those_of_a_plain_loop(
    page: Page, run: Run
) -> None:
    records = run.predictions.to_dict("records")
    for interval, kept, mae, accuracy in page.table(
        "widest interval", "rows kept", "MAE", "accuracy"
    ):
        widest = int(interval.split()[0])
        errors = [
            abs(row["label"] - row["predicted"])
            for row in records
            if row["high"] - row["low"] < widest
        ]
        assert kept == f"{100 * len(errors) / len(records):.1f}{NBSP}%"
        assert mae == f"{sum(errors) / len(errors):.4f}"
        assert accuracy == f"{100 * errors.count(0) / len(errors):.1f}{NBSP}%"


def test_the_templates_are_in_the_wheel() -> None:
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert files >= {
        "ordinal/cards/templates/model_card.md",
        "ordinal/model/templates/readme.md",
        "ordinal/model/templates/usage.md",
        "ordinal/reporting/templates/against.html",
        "ordinal/reporting/templates/report.html",
        "ordinal/reporting/templates/style.css",
        "ordinal/reporting/templates/watch.html",
        "ordinal/reporting/templates/words.html",
    }

"""The page of a run: its figures, what strangers wrote in it, and that it needs nothing else."""

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
from ordinal.reporting.charts import curves, reliability_diagram
from ordinal.reporting.report import (
    MOST_WRONG,
    SHOWN,
    coverage_by_width,
    layers,
    most_wrong,
    report,
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
    """What a page says: its tags, its tables, its text, and the text of each section."""

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
        """The rows below a heading, of the one table that has it; blanks at their ends cut."""
        tables = [[[cell.strip() for cell in row] for row in table] for table in self.tables]
        (found,) = [table for table in tables if table and table[0] == [*heading]]
        return found[1:]


@pytest.fixture
def run(finished_project: Path) -> Run:
    return read_run(finished_project)


@pytest.fixture
def page(run: Run) -> Page:
    return Page(report(run))


def figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def marked(run: Run) -> Run:
    """A run whose labels, reviews and facts are all markup."""
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


def test_the_command_writes_the_page_where_git_ignores_it(finished_project: Path) -> None:
    command = run_in(finished_project, "ordinal", "report")
    assert (command.returncode, command.stdout) == (0, "report: report.html\n"), command.stderr
    page = (finished_project / "report.html").read_text(encoding="utf-8")
    assert page == report(read_run(finished_project))
    assert run_in(finished_project, "git", "status", "--porcelain").stdout == ""


def test_the_figures_are_those_of_the_metrics(page: Page, finished_project: Path) -> None:
    metrics = json.loads((finished_project / "metrics/metrics.json").read_text())
    heading = ("metric", "median", "TF-IDF", "this model", f"95{NBSP}% interval")
    results = page.table(*heading)[::2]  # below each stands what it means
    assert [row[0] for row in results] == list(metrics["test"])
    for name, *shown, interval in results:
        of_all = [*metrics["baseline"].values(), metrics["test"]]
        assert shown == [figure(metrics[name]) for metrics in of_all]
        ends = metrics["test_95_percent"][name]
        assert interval == f"{figure(ends['low'])} to {figure(ends['high'])}"
    assert f"is off by {metrics['test']['mae']:.4f} labels on average" in page.sections["figures"]

    trust = page.sections["probabilities"]
    for stage in ("before", "after"):
        for metric in ("log_loss", "ece"):
            assert figure(metrics["test_calibration"][stage][metric]) in trust
    assert f"{metrics['test_conformal']['mean_width']:.2f} of" in trust


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
        assert (rows, mae) == (str(len(mine)), figure(mine.mean()))
    lengths = pd.read_csv(finished_project / "metrics/plots/mae_per_length.csv")
    assert page.table("tokens", "rows", "MAE", "") == [
        [row.tokens, str(row.rows), figure(row.mae), ""] for row in lengths.itertuples()
    ]

    held = predictions["label"].between(predictions["low"], predictions["high"]).mean()
    assert f"{100 * held:.1f}{NBSP}% of the test rows" in page.sections["probabilities"]


def test_the_facts_are_those_of_the_data(page: Page, finished_project: Path) -> None:
    sha256 = hashlib.sha256((finished_project / "data/own/small.csv").read_bytes()).hexdigest()
    told = ("small.csv", "a file of the user's own", "not stated", "blank rows: 0", sha256)
    assert not [fact for fact in told if fact not in page.sections["data"]]
    assert page.table("label", "rows", "") == [[name, "24", ""] for name in CLASSES]

    tokens = json.loads((finished_project / "metrics/tokenize.json").read_text())
    parts = page.table("", "rows", "mean tokens", "most", "cut", "dupli\N{SOFT HYPHEN}cates")
    assert [row[:2] for row in parts] == [["train", "84"], ["validation", "12"], ["test", "24"]]
    assert [row[5] for row in parts] == ["–", "0", "0"]
    keys = ("mean_tokens", "longest", "cut")
    for part, _, *shown, _ in parts:
        assert shown == [str(tokens[part][key]) for key in keys]


def test_parameters_and_stages_are_all_there(page: Page, finished_project: Path) -> None:
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


def test_what_the_data_says_is_text_and_no_markup(run: Run) -> None:
    plain, page = Page(report(run)), Page(report(marked(run)))
    # The rows shown are the same: with other names and texts the page has the same elements.
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert not {"script", "img", "iframe", "object", "link"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
    assert {*page.quotes} <= {*MARKUP}
    wrong = most_wrong(run.predictions)
    assert page.quotes == [MARKUP[row % len(MARKUP)] for row in wrong.index]
    assert [row[0] for row in page.table("label", "rows", "MAE", "")] == MARKUP
    assert [row[0] for row in page.table("", *MARKUP)] == MARKUP
    for text in MARKUP[:2]:
        assert text in page.sections["data"]


def test_nothing_is_loaded_from_elsewhere_and_the_page_forbids_it(run: Run) -> None:
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


def test_every_id_is_there_once_and_every_reference_leads_to_one(run: Run) -> None:
    html = report(run)
    tags = Page(html).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len({*ids})
    links = [a.get(name) for _, a in tags for name in ("href", "xlink:href") if name in a]
    assert {link for link in links if link} | {*re.findall(r"url\((#.*?)\)", html)} <= {
        f"#{name}" for name in ids
    }


def test_the_same_run_is_the_same_page_to_the_last_byte(
    finished_project: Path, tmp_path: Path
) -> None:
    elsewhere = Path(shutil.copytree(finished_project, tmp_path / "elsewhere", symlinks=True))
    for seed, project in (("1", finished_project), ("2", elsewhere)):
        command = run_in(project, "ordinal", "report", "--out", "a/b.html", PYTHONHASHSEED=seed)
        assert command.returncode == 0, command.stderr
    pages = [project / "a/b.html" for project in (finished_project, elsewhere)]
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert [path.name for path in pages[0].parent.iterdir()] == ["b.html"]


def test_without_a_run_it_says_what_to_do(project: Path) -> None:
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
        "metrics/metrics.json",
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
        ("dvc.lock", "", "dvc.lock names no stages: take it back with `git checkout dvc.lock`"),
        ("dvc.lock", "<<<<<<< HEAD\nstages:\n", "dvc.lock is not valid YAML"),
        ("metrics/metrics.json", "{", "metrics/metrics.json is not valid JSON"),
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


def test_a_place_that_cannot_be_written_to_gets_one_sentence(finished_project: Path) -> None:
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
def test_predictions_and_texts_of_another_run_are_refused(
    file: str, change: Callable[[pd.DataFrame], pd.DataFrame], finished_project: Path
) -> None:
    path = finished_project / f"data/{file}/test.parquet"
    change(pd.read_parquet(path)).to_parquet(path)
    with pytest.raises(UserError, match="data/ and metrics/ are of different runs"):
        read_run(finished_project)


def test_results_of_several_runs_are_refused(finished_project: Path) -> None:
    set_params(finished_project, {"split.seed": 2})
    assert run_in(finished_project, "dvc", "repro", "split").returncode == 0
    with pytest.raises(UserError, match="has not run since data/split changed: run `make repro`"):
        read_run(finished_project)


def test_the_parameters_are_those_of_the_run_and_not_of_an_edit_since(
    finished_project: Path,
) -> None:
    before = read_run(finished_project).parameters
    set_params(finished_project, {"train.lr": 0.5})
    after = read_run(finished_project).parameters
    assert after == before
    assert after["train"]["lr"] == 0.003


def test_the_most_wrong_are_the_largest_errors_and_of_those_the_least_expected() -> None:
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
    found = most_wrong(table)
    assert found["row"].tolist() == [7, 2, 5, 3, 8]
    assert found["distribution"].iloc[1] == [0.7, 0.2, 0.1]
    many = pd.concat([table] * 10, ignore_index=True)
    assert len(most_wrong(many)) == MOST_WRONG
    assert set(most_wrong(many)["row"]) == {7}


def test_a_long_review_is_cut_and_a_run_without_errors_shows_none(run: Run) -> None:
    page = Page(report(replace(run, predictions=run.predictions.assign(text="y" * 1234))))
    assert page.quotes
    for quote in page.quotes:
        assert quote.count("y") == SHOWN
        assert quote.endswith("… (cut:\n1,234 characters)")
    exact = Page(report(replace(run, predictions=run.predictions.assign(text="y" * SHOWN))))
    assert {*exact.quotes} == {"y" * SHOWN}

    right = run.predictions.assign(predicted=run.predictions["label"])
    page = Page(report(replace(run, predictions=right)))
    assert page.quotes == []
    assert "No test row is predicted wrong" in page.sections["wrong"]


def test_coverage_by_width_adds_up_to_the_coverage(run: Run) -> None:
    table = coverage_by_width(run.predictions)
    conformal = run.metrics["test_conformal"]
    assert table["rows"].sum() == len(run.predictions)
    coverage, width = (
        np.average(table[name], weights=table["rows"]) for name in ("coverage", "width")
    )
    assert coverage == pytest.approx(conformal["coverage"], abs=1e-6)
    assert width == pytest.approx(conformal["mean_width"], abs=1e-6)


def test_the_stages_stand_below_what_they_read_from(run: Run) -> None:
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


def with_facts(run: Run, mae: float, synthetic: bool, leaked: int) -> str:
    """What the page says at its figures, where TF-IDF has an MAE of 0.5 and the median of 1."""
    baseline = {
        name: figures | {"mae": figure}
        for (name, figures), figure in zip(run.metrics["baseline"].items(), (1.0, 0.5), strict=True)
    }
    interval = {"mae": {"low": mae - 0.1, "high": mae + 0.1}}
    metrics = run.metrics | {
        "baseline": baseline,
        "test": run.metrics["test"] | {"mae": mae},
        "test_95_percent": run.metrics["test_95_percent"] | interval,
    }
    other = replace(
        run,
        metrics=metrics,
        facts=run.facts | {"synthetic": synthetic},
        split=run.split | {"duplicates_of_earlier_parts": {"validation": 0, "test": leaked}},
    )
    return " ".join(Page(report(other)).sections["figures"].split())


def test_what_would_make_the_headline_mislead_stands_beside_it(run: Run) -> None:
    fine = with_facts(run, 0.3, synthetic=False, leaked=0)
    for word in ("synthetic", "worse than", "better than", "Duplicates"):
        assert word not in fine
    for part in ("resamples of the test rows", "not of the luck of one training run"):
        assert part in fine

    doubtful = with_facts(run, 0.45, synthetic=True, leaked=7)
    assert "The data is synthetic." in doubtful
    assert "(120 synthetic reviews in all)" in doubtful
    assert "7 of the test rows have the text of a row that was trained on" in doubtful
    assert "It is not clearly better than the TF-IDF baseline, which is off by 0.5000" in doubtful
    assert "than the median" not in doubtful
    assert "It is worse than the TF-IDF baseline" in with_facts(run, 0.7, synthetic=False, leaked=0)


def points(svg: str) -> Iterator[tuple[float, float]]:
    """Where markers stand in a picture, in the order drawn: those of the axes first."""
    for element in ElementTree.fromstring(svg).iter(f"{SVG}use"):
        if "fill" in element.get("style", "") and "stroke" not in element.get("style", ""):
            yield float(element.get("x", "nan")), float(element.get("y", "nan"))


def test_curves_are_drawn_to_scale() -> None:
    x, y = [1, 2, 5, 9], [0.9, 0.4, 0.5, 0.1]
    drawn = np.array([*points(curves({"one": (x, y)}, "epoch", "loss"))])
    assert len(drawn) == 4
    for given, found, sign in ((x, drawn[:, 0], 1), (y, drawn[:, 1], -1)):
        assert np.corrcoef(given, found)[0, 1] == pytest.approx(sign)


def test_a_reliability_diagram_has_a_point_a_bin_and_its_disc_is_the_share_of_the_rows() -> None:
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
    breadths = [np.ptp(disc) for disc in discs if np.ptp(disc) > 0][: len(table)]
    shares = table["rows"] / table.groupby("calibration")["rows"].transform("sum")
    ratio = np.square(breadths) / shares
    assert ratio.to_numpy() == pytest.approx(ratio.mean(), rel=1e-3)


def test_the_template_is_in_the_wheel() -> None:
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "ordinal/templates/report.html" in files

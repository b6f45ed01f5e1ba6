"""The page of `ordinal serve` in a browser."""

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, Route, expect

from ordinal import load
from ordinal.prediction.explanation import load_explainer
from ordinal.prediction.inputs import choose_texts
from ordinal.prediction.streaming import predict_rows
from tests.browser.conftest import DESK, MARKUP, PHONE, Open

TEXT = "😀 the room was superb, the staff poor"


def click(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def predict(page: Page, text: str, button: str = "Predict") -> None:
    page.get_by_label("Text", exact=True).fill(text)
    click(page, button)


def expect_ready(page: Page) -> None:
    """Wait for the end of what a button has started."""
    expect(page.locator("#result")).to_have_attribute("aria-busy", "false")


def rows_of(page: Page, table: str) -> list[list[str]]:
    """Return the cells of the rows of a table, without its heading, once the page is ready."""
    expect_ready(page)
    rows = page.get_by_role("table", name=table).locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def test_an_example_is_predicted_with_its_distribution_and_interval(
    address: str, opened: Open, tiny_model: Path
) -> None:
    page = opened(address).page
    click(page, "It was fine, but nothing special.")
    click(page, "Predict")
    [one] = load(tiny_model, accelerator="cpu").predict(["It was fine, but nothing special."])
    expect(page.get_by_role("heading", level=2)).to_have_text(one.label)
    expect(page.get_by_role("status")).to_contain_text(f"Predicted label: {one.label}.")
    rows = rows_of(page, "Probability of each label")
    assert [row[0] for row in rows] == [*one.probabilities]
    for row, share in zip(rows, one.probabilities.values(), strict=True):
        assert float(row[2].removesuffix("%")) == pytest.approx(100 * share, abs=0.06)
    inside = [row[0] for row in rows if row[3] == "yes"]
    assert (inside[0], inside[-1]) == (one.low, one.high)
    widths = page.locator(".bar").evaluate_all("bars => bars.map(bar => bar.offsetWidth)")
    full = page.locator(".bars").first.evaluate("cell => cell.clientWidth")
    for width, share in zip(widths, one.probabilities.values(), strict=True):
        assert width == pytest.approx(share * full, abs=0.03 * full)
    assert page.locator("td.inside").count() == len(inside)


def test_the_words_of_a_text_are_coloured_by_their_effect(
    address: str, opened: Open, tiny_model: Path
) -> None:
    page = opened(address).page
    predict(page, TEXT, "Explain")
    expect(page.locator("blockquote")).to_have_text(TEXT)
    explained = load_explainer(tiny_model, "cpu").explain(TEXT)
    expected = [
        [word.word, "up" if strength > 0 else "down", pytest.approx(abs(strength), abs=1e-3)]
        for word, strength in explained.strengths()
        if abs(strength) >= 0.05
    ]
    assert len(expected) > 2
    marks = page.locator("blockquote mark").evaluate_all(
        "marks => marks.map(mark => [mark.textContent, mark.className,"
        " Number(mark.style.getPropertyValue('--part'))])"
    )
    assert marks == expected
    largest = abs(explained.largest(1)[0].effect)
    top = [float(row[1].replace("−", "-")) for row in rows_of(page, "Largest effects")]
    assert abs(top[0]) == pytest.approx(largest, abs=0.006)
    assert [abs(effect) for effect in top] == sorted(map(abs, top), reverse=True)


LINES = [
    *("the room was superb", "=HYPERLINK(1)", "-1.5", "+49 30", 'a "quoted", comma', MARKUP),
    *(f"plain room {number}" for number in range(150)),
]


def test_many_lines_become_a_table_and_a_file(
    address: str, opened: Open, tiny_model: Path, tmp_path: Path
) -> None:
    tab = opened(address)
    page, sizes = tab.page, []
    page.on("request", lambda request: sizes.append(len(request.post_data_json["texts"])))
    predict(page, "\n".join(["", *LINES, " "]), "Predict each line")
    expect(page.get_by_role("status")).to_have_text("Predicted 156 of 156 lines.")
    assert sizes == [64, 64, 28]
    shown = rows_of(page, "Predictions by line")
    assert [row[:2] for row in shown] == [
        [str(number), text] for number, text in enumerate(LINES, start=2)
    ]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert download.value.suggested_filename == "predictions.csv"
    saved = Path(download.value.path()).read_text(encoding="utf-8")

    texts = tmp_path / "texts.csv"
    pd.DataFrame({"text": LINES}).to_csv(texts, index=False)
    predictor = load(tiny_model, accelerator="cpu")
    source = choose_texts([str(texts)], ["text"], None, None)
    expected = pd.concat(predict_rows(predictor, source, keep_going=False))
    found = pd.read_csv(io.StringIO(saved), keep_default_na=False)
    assert list(found) == list(expected)
    assert found["row"].tolist() == [*range(2, 158)]
    assert found["label"].tolist() == expected["label"].tolist()
    numbers = [name for name in found if name.startswith("p_")]
    assert found[numbers].to_numpy() == pytest.approx(expected[numbers].to_numpy(), abs=2e-6)

    cells = [row["text"] for row in csv.DictReader(io.StringIO(saved))]
    escaped = {"=HYPERLINK(1)": "'=HYPERLINK(1)", "+49 30": "'+49 30"}
    assert cells == [escaped.get(line, line) for line in LINES]
    assert page.title() == "ordinal"


def test_the_page_waits_while_the_server_is_busy(address: str, opened: Open) -> None:
    tab = opened(address)
    busy = iter([True, False, True, True])

    def answer(route: Route) -> None:
        if next(busy, False):
            route.fulfill(status=503, headers={"Retry-After": "0"}, json={"detail": "full"})
        else:
            route.continue_()

    tab.page.route("**/predict", answer)
    predict(tab.page, "\n".join(f"room {number}" for number in range(100)), "Predict each line")
    expect(tab.page.get_by_role("status")).to_have_text("Predicted 100 of 100 lines.")
    assert len(tab.errors) == 3  # Chromium's own lines
    assert all("503" in error for error in tab.errors)
    tab.errors.clear()


def test_a_problem_is_shown_as_a_sentence(address: str, opened: Open) -> None:
    tab = opened(address)
    page = tab.page
    problem = page.get_by_role("alert")
    detail = "the server has too many requests: try again later"

    def full(route: Route) -> None:
        route.fulfill(status=503, headers={"Retry-After": "0"}, json={"detail": detail})

    page.route("**/predict", full)
    predict(page, "good room")
    expect(problem).to_have_text("The server has too many requests: try again later.")
    assert len(tab.errors) == 5
    page.unroute("**/predict")
    answers = iter([False, True])
    page.route(
        "**/predict", lambda route: full(route) if next(answers, True) else route.continue_()
    )
    predict(page, "\n".join(["room"] * 70), "Predict each line")
    expect(problem).to_have_text(re.compile(r"try again later\. Predicted 64 of 70 lines\.$"))
    assert len(rows_of(page, "Predictions by line")) == 64
    page.unroute("**/predict")
    page.route("**/predict", lambda route: route.abort())
    predict(page, "good room")
    expect(problem).to_contain_text("The server does not answer.")
    page.unroute("**/predict")
    predict(page, " ")
    expect(problem).to_have_text("Text 1 of 1 is empty.")
    predict(page, " ", "Predict each line")
    expect(problem).to_have_text("There is no text: write or paste one text per line.")
    predict(page, "room\n" + "a" * 10_001, "Predict each line")
    expect(problem).to_have_text("Line 2 has more than 10000 characters: shorten it.")
    tab.errors.clear()  # Chromium writes a line for each failed request
    predict(page, "good room")
    expect(problem).to_be_empty()
    expect(page.get_by_role("heading", level=2)).to_be_visible()


def test_a_stopped_prediction_keeps_its_lines(address: str, opened: Open) -> None:
    page = opened(address).page
    held: list[Route] = []
    page.route("**/predict", lambda route: held.append(route))
    predict(page, "\n".join(["room"] * 200), "Predict each line")
    bar = page.get_by_role("progressbar", name="Predicted lines")
    expect(bar).to_have_attribute("max", "200")
    click(page, "Stop")
    while not held:
        page.wait_for_timeout(1)  # handles events
    held[0].continue_()
    expect(page.get_by_role("status")).to_have_text("Predicted 64 of 200 lines.")
    expect(bar).to_be_hidden()
    assert len(held) == 1


def test_markup_is_shown_as_text(address: str, opened: Open) -> None:
    page = opened(address).page
    predict(page, MARKUP, "Explain")
    expect(page.locator("blockquote")).to_have_text(MARKUP)
    expect_ready(page)
    assert page.locator("#result").locator("script, img").count() == 0
    assert page.title() == "ordinal"


def test_everything_works_with_the_keyboard(address: str, opened: Open) -> None:
    page = opened(address).page

    def tab_to(name: str) -> None:
        """Press Tab until the focus, which is visible, is on the element of this name."""
        for _ in range(12):
            page.keyboard.press("Tab")
            text, style = page.evaluate(
                "[document.activeElement.labels?.[0]?.textContent"
                " || document.activeElement.textContent,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            assert style != "none"
            if text == name:
                return
        raise AssertionError(f"no {name}")

    tab_to("Text")
    tab_to("All three, one per line")
    page.keyboard.press("Space")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    tab_to("Predict each line")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Predicted 3 of 3 lines.")
    tab_to("Download CSV")
    with page.expect_download():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_every_state_is_accessible_and_fits(
    width: int, scheme: str, address: str, opened: Open
) -> None:
    tab = opened(address, width, scheme)
    assert tab.violations() == []
    for button, content in (("Explain", "blockquote"), ("Predict each line", ".lines")):
        predict(tab.page, f"the room was superb\n{'long' * 50}", button)
        expect(tab.page.locator(content)).to_be_visible()
        expect_ready(tab.page)
        assert tab.violations() == []
        assert not tab.scrolls_sideways()


def test_a_model_with_several_columns_has_a_field_for_each(
    address_of_columns: str, opened: Open, tiny_model: Path
) -> None:
    tab = opened(address_of_columns)
    tab.page.get_by_label("title").fill("superb")
    tab.page.get_by_label("body").fill("the room was poor")
    names = tab.page.locator(".actions button").all_inner_texts()
    assert names == ["Predict"]
    expect(tab.page.locator("#notes")).to_contain_text("use ordinal predict with a file")
    expect(tab.page.locator("#notes")).to_contain_text("Words can't be explained")
    click(tab.page, "Predict")
    [one] = load(tiny_model, accelerator="cpu").predict(["superb\nthe room was poor"])
    rows = rows_of(tab.page, "Probability of each label")
    for row, share in zip(rows, one.probabilities.values(), strict=True):
        assert float(row[2].removesuffix("%")) == pytest.approx(100 * share, abs=0.06)
    assert tab.violations() == []

"""The report, and the page of `dvc plots show`, in a browser."""

import pytest
import yaml
from playwright.sync_api import expect

from tests.browser.conftest import CDN, DESK, MARKUP, PHONE, Open
from tests.conftest import ROOT


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [DESK, PHONE])
def test_the_report_is_accessible_and_fits(
    width: int, scheme: str, report_page: str, opened: Open
) -> None:
    tab = opened(report_page, width, scheme)
    assert tab.violations() == []
    assert not tab.scrolls_sideways()
    assert tab.outside == []


def test_the_report_shows_markup_as_text(report_page: str, opened: Open) -> None:
    page = opened(report_page).page
    expect(page.locator("blockquote").first).to_contain_text(MARKUP)
    expect(page.locator("#comparison blockquote").first).to_contain_text(MARKUP)
    expect(page.locator("#comparison h2")).to_contain_text(MARKUP)
    expect(page.locator("#words mark", has_text="awful").first).to_be_visible()
    assert page.locator("body").locator("script, img").count() == 0
    assert "ordered labels" in page.title()


def test_the_links_of_the_report_lead_to_its_sections(report_page: str, opened: Open) -> None:
    page = opened(report_page).page
    for link in page.locator("nav a").all():
        link.focus()
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{report_page}{link.get_attribute('href')}")
        expect(page.locator(":target")).to_be_in_viewport()


def test_dvc_draws_all_plots_with_known_scripts_only(plots_page: str, opened: Open) -> None:
    tab = opened(plots_page)
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    expect(tab.page.locator(".vega-embed :is(canvas, svg.marks)")).to_have_count(len(plots))
    assert len(tab.outside) == 3
    assert all(map(CDN.fullmatch, tab.outside))

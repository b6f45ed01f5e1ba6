"""A browser, a server with a tiny model, and the pages of a finished run."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Thread

import pytest
import uvicorn
import vl_convert
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

from ordinal import load
from ordinal.prediction import server
from ordinal.prediction.explanation import load_explainer
from ordinal.reporting.against import OtherRun
from ordinal.reporting.report import report
from ordinal.reporting.run import read_run
from tests.conftest import run_in

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# The default sandbox does not work as root. The others keep Chromium from asking other machines.
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
CDN = re.compile(r"https://cdn\.jsdelivr\.net/npm/vega(-lite|-embed)?@[\d.]+")
"""The scripts that the page of `dvc plots show` loads."""
MARKUP = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
PHONE, DESK = 360, 1100


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, f"none of {', '.join(BROWSERS)} is on PATH: `make test-browser` installs Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@cache
def vega() -> str:
    """Vega, Vega-Lite and Vega-Embed, from a package instead of the CDN."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version="5.8")


@dataclass
class Tab:
    """A tab of the browser, which records its errors, and its requests to other machines."""

    page: Page
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._note)
        self.page.context.route(
            re.compile(r"^(?!file:|data:|blob:|http://127\.0\.0\.1:)"), self._refuse
        )

    def _note(self, message: object) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _refuse(self, route: Route) -> None:
        self.outside.append(route.request.url)
        if CDN.fullmatch(route.request.url):
            # All three are in one file, which takes the place of the last one.
            body = vega() if "vega-embed" in route.request.url else ""
            route.fulfill(body=body, content_type="text/javascript")
        else:
            route.abort()

    def violations(self) -> list[str]:
        """Return the serious and critical violations that axe-core finds."""
        self.page.evaluate(AXE_SCRIPT)
        found = self.page.evaluate("axe.run()")["violations"]
        return [
            f"{one['id']}: {json.dumps([node['html'] for node in one['nodes']])}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    def scrolls_sideways(self) -> bool:
        """Return whether the page is wider than the window."""
        element = "document.scrollingElement"
        return self.page.evaluate(f"{element}.scrollWidth > {element}.clientWidth")


Open = Callable[..., Tab]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Open]:
    """A function that opens an address. At the end, no tab may have errors or outside requests."""
    tabs: list[Tab] = []
    contexts: list[BrowserContext] = []

    def open_tab(url: str, width: int = DESK, scheme: str = "light") -> Tab:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.set_default_timeout(20_000)
        contexts.append(context)
        tab = Tab(context.new_page())
        tabs.append(tab)
        tab.page.goto(url)
        return tab

    yield open_tab
    for context in contexts:
        context.close()
    assert [error for tab in tabs for error in tab.errors] == []
    assert [url for tab in tabs for url in tab.outside if not CDN.fullmatch(url)] == []


@contextmanager
def serving(app: server.FastAPI) -> Iterator[str]:
    """Serve an app in a thread, and yield its address."""
    with server.listen("127.0.0.1", 0) as listener:
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            running.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def address(tiny_model: Path) -> Iterator[str]:
    """A server that predicts and explains."""
    explain = load_explainer(tiny_model, "cpu").explain
    with serving(server.create_app(load(tiny_model, accelerator="cpu"), explain=explain)) as url:
        yield url


@pytest.fixture(scope="session")
def address_of_columns(tiny_model: Path) -> Iterator[str]:
    """A server of a model with two text columns, which does not explain."""
    predictor = replace(load(tiny_model, accelerator="cpu"), columns=("title", "body"))
    with serving(server.create_app(predictor)) as url:
        yield url


@pytest.fixture(scope="session")
def report_page(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of a run whose reviews are markup, with words, compared with another one."""
    run = read_run(_finished)
    marked = replace(run, predictions=run.predictions.assign(text=f"awful room {MARKUP}"))
    path = tmp_path_factory.mktemp("report") / "report.html"
    explainer = load_explainer(_finished / "models/ordinal", "cpu")
    predictions = run.predictions.drop(columns="text")
    predictions["predicted"] = (predictions["predicted"] + 1) % 5
    other = OtherRun(MARKUP, predictions, run.parameters | {"train": {"new": MARKUP}})
    path.write_text(report(marked, explainer, other), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="session")
def plots_page(_finished: Path) -> str:
    """The page of `dvc plots show`."""
    with suppress(FileNotFoundError):
        shutil.rmtree(_finished / "dvc_plots")
    run = run_in(_finished, "dvc", "plots", "show")
    assert run.returncode == 0, run.stderr
    return (_finished / "dvc_plots/index.html").as_uri()

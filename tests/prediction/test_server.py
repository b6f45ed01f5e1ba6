"""Test the page and the API of a model: answers, refusals, and protection from other sites."""

import asyncio
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import settings
from pydantic import ValidationError
from schemathesis import Case
from tokenizers import Encoding, Tokenizer

from ordinal import Predictor, load
from ordinal.distributions.calibration import Calibration
from ordinal.model.classifier import new_classifier, save_classifier
from ordinal.prediction import server
from ordinal.prediction.explanation import Explanation, Word, load_explainer
from ordinal.prediction.limits import MAX_BYTES
from ordinal.prediction.onnx import export_onnx
from ordinal.prediction.schemas import MAX_CHARACTERS, MAX_TEXTS, Texts
from ordinal.prediction.server import PAGE, create_app, hosts_for
from ordinal.tokenization.tokenizer import save_tokenizer
from tests.conftest import environment, run_in
from tests.prediction.counting import LABELS, token_counter
from tests.tiny import scores_of

NO_OBJECT = "body: Input should be a valid dictionary or object to extract fields from"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return token_counter()


@pytest.fixture(scope="module")
def client(predictor: Predictor) -> Iterator[TestClient]:
    with TestClient(create_app(predictor), "http://127.0.0.1:8000") as client:
        yield client


def test_the_answer_is_what_the_predictor_says(client: TestClient, predictor: Predictor) -> None:
    texts = ["bed", "a good bed in a good room", "a bed"]
    response = client.post("/predict", json={"texts": texts})
    assert response.status_code == 200
    expected = predictor.predict(texts)
    assert len({prediction.label for prediction in expected}) == 3
    assert response.json() == {
        "labels": LABELS,
        "coverage": 0.8,
        "predictions": [vars(prediction) for prediction in expected],
    }
    assert client.post("/predict", json={"texts": []}).json()["predictions"] == []


def test_an_answer_is_not_held_back_until_its_headers_are_acknowledged() -> None:
    with (
        server.listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(
    "text",
    [
        "a\0b",
        "\0",
        "\x1b[31m",
        "😀" * 9,
        "\u200f\u202eמלון טוב",
        "<script>alert(1)</script>",
        "\ufeff",
    ],
)
def test_any_text_that_is_not_blank_is_predicted(client: TestClient, text: str) -> None:
    assert client.post("/predict", json={"texts": [text]}).status_code == 200


def test_the_largest_batch_is_predicted(client: TestClient) -> None:
    """Even if every character is an emoji, which takes twelve bytes when escaped."""
    body = json.dumps({"texts": ["😀" * MAX_CHARACTERS] * MAX_TEXTS})
    assert len(body) > 12 * MAX_CHARACTERS * MAX_TEXTS
    response = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert len(response.json()["predictions"]) == MAX_TEXTS


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"", 422, "body: Field required"),
        (b"{", 422, "the body is not JSON: Expecting property name enclosed in double quotes"),
        (b"[" * 100_000, 400, "There was an error parsing the body"),
        (b"9" * 10_000, 400, "There was an error parsing the body"),
        (b'{"texts": ["\xff"]}', 400, "There was an error parsing the body"),
        (b"null", 422, NO_OBJECT),
        (b'["good"]', 422, NO_OBJECT),
        (b"{}", 422, "body.texts: Field required"),
        (b'{"text": ["good"]}', 422, "body.texts: Field required"),
        (b'{"texts": "good"}', 422, "body.texts: Input should be a valid list"),
        (b'{"texts": ["good", 5]}', 422, "text 2: Input should be a valid string"),
        (b'{"texts": [null, NaN]}', 422, "text 1: Input should be a valid string"),
        (b'{"texts": [""]}', 422, "text 1: String should have at least 1 character"),
        (b'{"texts": ["good", "\\n\\u3000"]}', 422, "text 2 of 2 is empty"),
        (
            json.dumps({"texts": ["a" * (MAX_CHARACTERS + 1)]}).encode(),
            422,
            f"text 1: String should have at most {MAX_CHARACTERS} characters",
        ),
        (
            json.dumps({"texts": ["a"] * (MAX_TEXTS + 1)}).encode(),
            422,
            f"body.texts: List should have at most {MAX_TEXTS} items after validation, not 65",
        ),
        (b" " * (MAX_BYTES + 1), 413, f"the body is larger than {MAX_BYTES} bytes"),
    ],
)
def test_a_bad_body_is_refused_in_one_sentence(
    client: TestClient, body: bytes, status: int, detail: str
) -> None:
    response = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()) == (status, {"detail": detail})


class Breaking:
    """A tokenizer that fails on one word."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def encode_batch_fast(self, texts: list[str]) -> list[Encoding]:
        if "poison" in texts:
            raise ValueError("All examples must have the same number of <eos> tokens.")
        return self.tokenizer.encode_batch_fast(texts)


def test_an_unexpected_error_fails_its_own_request_only(predictor: Predictor) -> None:
    """Requests at the same time and later are answered."""
    breaking = dataclasses.replace(predictor, tokenizer=Breaking(predictor.tokenizer))
    app = create_app(breaking)
    batches = [["bed"], ["good room", "poison"], ["bed"], ["poison"]] * 5

    async def send_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            posts = [client.post("/predict", json={"texts": batch}) for batch in batches]
            return [*await asyncio.gather(*posts), await client.get("/health")]

    *answers, health = asyncio.run(send_all())
    assert health.json() == {"status": "ok"}
    for batch, answer in zip(batches, answers, strict=True):
        if "poison" in batch:
            expected = "the request failed (ValueError): the server's log has the details"
            assert (answer.status_code, answer.json()) == (500, {"detail": expected})
        else:
            assert len(answer.json()["predictions"]) == len(batch)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_validation_stops_at_the_first_error() -> None:
    """A body could contain millions of errors, each much larger in memory than when sent."""
    with pytest.raises(ValidationError) as refused:
        Texts.model_validate({"texts": [0] * 1000})
    assert refused.value.error_count() == 1


def test_half_a_character_is_refused(client: TestClient) -> None:
    """JSON can contain a lone surrogate, which no encoding can represent."""
    for body in (b'{"texts": ["\\ud800"]}', b'{"\\ud800": 1}', b'{"texts": {"\\ud800": "a"}}'):
        headers = {"Content-Type": "application/json"}
        response = client.post("/predict", content=body, headers=headers)
        assert response.status_code == 422
        assert response.json()["detail"].startswith(("text 1: ", "body.texts: "))


def test_no_more_of_a_body_is_read_than_its_limit(predictor: Predictor) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(20):
            read += 2**20
            yield b" " * 2**20

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(predictor))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            headers = {"Content-Type": "application/json"}
            return await client.post("/predict", content=endless(), headers=headers)

    assert asyncio.run(send()).status_code == 413
    assert read == MAX_BYTES + 2**20


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_content_types_that_other_sites_may_send_are_refused(
    client: TestClient, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/predict", content=b'{"texts": ["good"]}', headers=headers)
    assert response.status_code == 415
    assert response.json() == {"detail": "the body has to be of type application/json"}


def test_other_sites_get_no_permission_to_read_answers(client: TestClient) -> None:
    ask = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/predict", headers=ask)
    answer = client.get("/health", headers=ask)
    for response in (preflight, answer):
        assert not [name for name in response.headers if name.startswith("access-control-")]
    assert preflight.status_code == 405


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:8000", 200), ("127.0.0.1", 200), ("example.com", 400), ("localhost.evil", 400)],
)
def test_only_names_of_this_machine_are_answered(
    client: TestClient, host: str, status: int
) -> None:
    """Another site could point its own name at this machine, to read answers from its page."""
    assert client.get("/health", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/predict", "/no-such"])
def test_every_answer_forbids_what_the_page_does_not_need(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert {policy[kind] for kind in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_everything_the_page_loads_is_on_this_server(client: TestClient) -> None:
    tags: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append((tag, dict(attrs)))  # type: ignore[method-assign]
    page = client.get("/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    parser.feed(page.text)
    links = [attrs[key] for _, attrs in tags for key in ("src", "href") if key in attrs]
    assert set(links) == {"page/page.css", "page/page.js", "openapi.json"}
    for script in PAGE.glob("*.js"):
        imported = re.findall(r'from "\./(.*)"', script.read_text("utf-8"))
        assert all((PAGE / name).is_file() for name in imported)
    assert all(client.get(f"/{link}").status_code == 200 for link in links)
    assert [attrs.get("src") for tag, attrs in tags if tag == "script"] == ["page/page.js"]
    named = {attrs["for"] for tag, attrs in tags if tag == "label"}
    assert {attrs["id"] for tag, attrs in tags if tag == "textarea"} == named
    for file in PAGE.iterdir():
        assert not re.search(r"innerHTML|insertAdjacentHTML|//\w+\.\w+", file.read_text("utf-8"))


COLUMNS = ["title", "<b>body</b>"]
ROWS = dataclasses.replace(token_counter(), columns=COLUMNS)


def test_a_model_with_several_text_columns_takes_texts_and_rows() -> None:
    with TestClient(create_app(ROWS), "http://127.0.0.1:8000") as client:
        texts = [{"title": "good bed", COLUMNS[1]: "in a good room"}, {"title": "bed"}, "a bed"]
        answer = client.post("/predict", json={"texts": texts})
        assert answer.status_code == 200, answer.text
        expected = ROWS.predict(["good bed\nin a good room", "bed", "a bed"])
        assert answer.json()["predictions"] == [vars(prediction) for prediction in expected]
        for row, detail in (
            ({"text": "a"}, "text 1 of 1 has the column 'text'; this model has 'title', "),
            ({"title": " ", COLUMNS[1]: None}, "text 1 of 1 is empty"),
            ({"title": 5}, "text 1: Input should be a valid string"),
            ({"title": "a" * (MAX_CHARACTERS + 1)}, "text 1: String should have at most"),
            (5, "text 1: Input should be a valid string"),
        ):
            answer = client.post("/predict", json={"texts": [row]})
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith(detail)
        page = client.get("/").text
        assert page.count("<textarea") == 2
        assert 'name="&lt;b&gt;body&lt;/b&gt;"' in page


def explain(text: str) -> Explanation:
    """Explain a text by two words: the first and the last character."""
    end = len(text)
    return Explanation(2.5, 2.0, [Word(text[:1], 0, 1, 0.7), Word(text[-1:], end - 1, end, -0.2)])


EXPLAINED = {
    "expected": 2.5,
    "baseline": 2.0,
    "words": [
        {"word": "a", "start": 0, "end": 1, "effect": 0.7},
        {"word": "d", "start": 4, "end": 5, "effect": -0.2},
    ],
}


def test_a_text_is_explained_next_to_its_prediction() -> None:
    one, rows = (
        TestClient(create_app(predictor, explain=explain), "http://127.0.0.1:8000")
        for predictor in (token_counter(), ROWS)
    )
    with one as client:
        answer = client.post("/explain", json={"text": "a bed"})
        assert answer.status_code == 200, answer.text
        [prediction] = token_counter().predict(["a bed"])
        about = {"labels": LABELS, "coverage": 0.8, "text": "a bed"}
        assert answer.json() == EXPLAINED | about | {"prediction": vars(prediction)}
        for body, detail in (
            ({"text": "  "}, "text 1 of 1 is empty"),
            ({"text": ""}, "body.text: String should have at least 1 character"),
            ({"text": ["a"]}, "body.text: Input should be a valid string"),
            ({"texts": ["a"]}, "body.text: Field required"),
            ({"text": {"title": "a"}}, "body.text: Input should be a valid string"),
        ):
            refused = client.post("/explain", json=body)
            assert (refused.status_code, refused.json()) == (422, {"detail": detail})
        plain = client.post("/explain", content=b'{"text": "a"}', headers={"Content-Type": "a/b"})
        assert plain.status_code == 415
        assert 'value="explain"' in client.get("/").text
    with rows as client:
        answer = client.post("/explain", json={"text": {"title": "a", COLUMNS[1]: "bed"}}).json()
        assert answer["text"] == "a\nbed"
        assert answer["prediction"] == vars(*ROWS.predict(["a bed"]))
        long = client.post("/explain", json={"text": {"title": "a" * (MAX_CHARACTERS + 1)}})
        assert long.json()["detail"].startswith("body.text: String should have at most")


def test_a_server_that_can_not_explain_says_so(client: TestClient) -> None:
    assert client.post("/explain", json={"text": "a bed"}).status_code == 404
    assert "/explain" not in client.get("/openapi.json").json()["paths"]
    page = client.get("/").text
    assert 'value="explain"' not in page
    assert "Words can't be explained, because this model is an ONNX file." in page


def test_the_limits_are_declared(client: TestClient) -> None:
    texts = client.get("/openapi.json").json()["components"]["schemas"]["Texts"]
    declared = texts["properties"]["texts"]
    assert declared["maxItems"] == MAX_TEXTS
    limits = {"minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": r"\S"}
    assert declared["items"] == {"type": "string"} | limits


def test_documentation_pages_that_load_from_other_servers_are_off(client: TestClient) -> None:
    assert {client.get(path).status_code for path in ("/docs", "/redoc")} == {404}


def described(predictor: Predictor) -> schemathesis.BaseSchema:
    """The API of an app that explains."""
    app = create_app(predictor, ["*"], explain=explain)
    return schemathesis.openapi.from_asgi("/openapi.json", app)


API = described(token_counter())


@API.parametrize()
@settings(max_examples=50)
def test_the_api_does_what_its_description_says(case: Case) -> None:
    """Send valid and invalid requests: no 5xx, and no answer that is not described."""
    case.call_and_validate()


API_OF_ROWS = described(ROWS)


@API_OF_ROWS.parametrize()
@settings(max_examples=50)
def test_the_api_of_rows_does_what_its_description_says(case: Case) -> None:
    case.call_and_validate()


@pytest.fixture(scope="module")
def model(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained model, with its model.onnx in it."""
    folder, tokenizer = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(tiny_encoder, 24, tokenizer)
    network = new_classifier(tiny_encoder, ["1", "2", "3", "4", "5"], "emd")
    save_classifier(network, Calibration(1.0, scores_of([0.5] * 20, 5)), tokenizer, "card", folder)
    export_onnx(folder, folder / "model.onnx")
    return folder


def ordinal_without(*modules: str) -> list[str]:
    """The command `ordinal` in an environment without these modules."""
    missing = f"import sys; sys.modules |= dict.fromkeys({modules})"
    return [sys.executable, "-c", f"{missing}; from ordinal.cli import app; app()"]


@pytest.mark.parametrize(
    ("command", "name"),
    [(["ordinal"], ""), (ordinal_without("torch", "transformers"), "model.onnx")],
    ids=["folder", "onnx"],
)
def test_the_command_serves_a_model_until_it_is_interrupted(
    model: Path, command: list[str], name: str
) -> None:
    server = subprocess.Popen(
        [*command, "serve", "--model", str(model / name), "--coverage", "0.8", "--port", "0"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/health").json() == {"status": "ok"}
            said = client.post("/predict", json={"texts": ["good room", "awful"]}).json()
            explained = client.post("/explain", json={"text": "good room"})
        assert said["coverage"] == 0.8
        expected = [vars(one) for one in load(model, coverage=0.8).predict(["good room", "awful"])]
        for one, other in zip(said["predictions"], expected, strict=True):
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)
        if name:
            assert explained.status_code == 404
        else:
            words = load_explainer(model).explain("good room").words
            for found, word in zip(explained.json()["words"], words, strict=True):
                assert found == vars(word) | {"effect": pytest.approx(word.effect, abs=1e-4)}
        server.send_signal(signal.SIGINT)
        out, error = server.communicate(timeout=120)
    finally:
        server.kill()
        server.wait()
    assert (server.returncode, out, error) == (0, "", "")


def test_threads_that_wait_leave_their_core_to_others(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies: list[str | None] = []
    monkeypatch.setattr(
        server, "serve", lambda *_: policies.append(os.environ.get("OMP_WAIT_POLICY"))
    )
    run = run_in(model, "ordinal", "serve", "--model", "model.onnx", "--port", "0")
    assert run.returncode == 0, run.stderr
    assert policies == ["PASSIVE"]


def test_a_server_that_can_not_start_is_explained_in_one_sentence(model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = run_in(model, "ordinal", "serve", "--model", ".", "--port", port)
    assert run.returncode == 1
    assert run.stderr == (
        f"error: can't listen on 127.0.0.1, port {port}: address already in use\n"
    )
    run = run_in(model, "ordinal", "serve", "--model", "gone.onnx", "--port", "0")
    assert run.returncode == 1
    assert run.stderr == "error: gone.onnx is missing: `ordinal export onnx` writes it\n"
    run = run_in(model, *ordinal_without("fastapi"), "serve", "--model", ".")
    assert run.returncode == 1
    assert run.stderr == "error: fastapi is missing: install it with `pip install '.[serve]'`\n"


@pytest.mark.parametrize("address", ["::1", "127.0.0.2", "localhost"])
def test_other_loopback_addresses_are_protected_too(predictor: Predictor, address: str) -> None:
    hosts = hosts_for(address)
    name = f"[{address}]" if ":" in address else address
    with TestClient(create_app(predictor, hosts), f"http://{name}:8000") as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert hosts_for("0.0.0.0") == ["*"]

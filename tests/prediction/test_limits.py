"""Test the server under load: its queue, time-outs, shutdown, metrics and access log."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from ordinal.common.types import Probabilities
from ordinal.prediction.deferral import Deferral
from ordinal.prediction.explanation import Explanation
from ordinal.prediction.server import create_app
from ordinal.tokenization.tokens import Tokens
from tests.conftest import ROOT, environment
from tests.prediction.counting import Waiting, token_counter


def values(page: str) -> dict[tuple[str, ...], float]:
    """The metrics of a page, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def session(app: FastAPI) -> httpx.AsyncClient:
    """A client of an app in this process."""
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def post(client: httpx.AsyncClient, *texts: str) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(client.post("/predict", json={"texts": list(texts)}))


async def until_queued(client: httpx.AsyncClient, count: int) -> None:
    """Wait until the server has this many requests for predictions."""
    while values((await client.get("/metrics")).text)["ordinal_queue_requests",] != count:
        await asyncio.sleep(0)


def test_a_full_queue_refuses_requests_and_answers_those_in_it() -> None:
    waiting = Waiting()

    async def run() -> tuple[httpx.Response, list[httpx.Response], httpx.Response]:
        async with session(create_app(waiting(), queue_size=2)) as client:
            tasks = [post(client, f"text {number}") for number in range(3)]
            await until_queued(client, 3)
            refused = await post(client, "too many")
            assert (await client.get("/health")).json() == {"status": "ok"}
            waiting.release.set()
            answers = await asyncio.gather(*tasks)
            return refused, answers, await post(client, "later")

    refused, answers, later = asyncio.run(run())
    assert refused.status_code == 503
    assert refused.json() == {"detail": "the server has too many requests: try again later"}
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert [answer.status_code for answer in (*answers, later)] == [200] * 4
    assert waiting.computed == [["text 0"], ["text 1"], ["text 2"], ["later"]]


def test_explanations_wait_in_the_same_queue() -> None:
    waiting = Waiting()

    def explain(text: str) -> Explanation:
        waiting.computed.append(text)
        return Explanation(2.0, 1.0, [])

    async def run() -> tuple[httpx.Response, httpx.Response, dict[tuple[str, ...], float]]:
        async with session(create_app(waiting(), queue_size=1, explain=explain)) as client:
            first = post(client, "first")
            explained = asyncio.create_task(client.post("/explain", json={"text": "second"}))
            await until_queued(client, 2)
            refused = await client.post("/explain", json={"text": "too many"})
            waiting.release.set()
            await first
            return refused, await explained, values((await client.get("/metrics")).text)

    refused, explained, found = asyncio.run(run())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert explained.status_code == 200
    assert waiting.computed == [["first"], ["second"], "second"]
    assert found["ordinal_requests_total", "/explain", "200"] == 1
    assert found["ordinal_requests_total", "/explain", "503"] == 1
    assert found["ordinal_texts_total",] == 2


def test_a_request_that_waited_too_long_is_not_computed() -> None:
    waiting = Waiting()

    async def run() -> list[httpx.Response]:
        async with session(create_app(waiting(), timeout=0)) as client:
            first = post(client, "first")
            await asyncio.to_thread(waiting.started.wait)
            second = await post(client, "second")  # its time is over at once
            waiting.release.set()
            return [await first, second]

    first, second = asyncio.run(run())
    assert first.status_code == 200
    assert second.status_code == 503
    assert second.json() == {"detail": "the request waited for 0 seconds: try again later"}
    assert second.headers["Retry-After"] == "1"
    assert waiting.computed == [["first"]]


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"texts": ['
        await asyncio.Event().wait()

    async def run() -> httpx.Response:
        async with session(create_app(token_counter(), timeout=0.01)) as client:
            headers = {"Content-Type": "application/json"}
            return await client.post("/predict", content=endless(), headers=headers)

    answer = asyncio.run(run())
    assert answer.status_code == 408
    assert answer.json() == {"detail": "the body took more than 0.01 seconds to arrive"}
    assert answer.headers["Connection"] == "close"


def test_a_request_whose_client_has_left_is_not_computed() -> None:
    waiting = Waiting()
    app = create_app(waiting())
    body = b'{"texts": ["left"]}'

    async def leave() -> None:
        """Send a request, and leave before its turn."""
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict"}
        scope |= {"query_string": b"", "headers": headers, "http_version": "1.1", "scheme": "http"}
        scope |= {"root_path": "", "server": ("localhost", 80), "client": ("localhost", 1)}
        messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(_: Any) -> None:
            pass

        await app(scope, receive, send)

    async def run() -> dict[tuple[str, ...], float]:
        async with session(app) as client:
            first = post(client, "first")
            await asyncio.to_thread(waiting.started.wait)
            left = asyncio.create_task(leave())
            await until_queued(client, 2)
            waiting.release.set()
            await asyncio.gather(first, left)
            return values((await client.get("/metrics")).text)

    found = asyncio.run(run())
    assert waiting.computed == [["first"]]
    assert found["ordinal_requests_total", "/predict", "499"] == 1
    assert found["ordinal_queue_requests",] == 0


def test_the_metrics_count_requests_and_texts() -> None:
    def precise(tokens: Tokens) -> Probabilities:
        return np.full((len(tokens), 3), 1 / 3, np.float32)

    predictor = token_counter()  # its label is the least certain for a text of two words
    deferral = Deferral(0.3, predictor.calibration.scores, "")
    app = create_app(replace(predictor, deferral=deferral, precise=precise))
    with TestClient(app, "http://127.0.0.1:8000") as client:
        for texts in (["a b"], ["a b c d e f g", "a b"], [" "]):
            client.post("/predict", json={"texts": texts})
        client.get("/no-such")
        client.get("/another")
        page = client.get("/metrics")
    assert page.headers["Content-Type"].startswith("text/plain; version=")
    found = values(page.text)
    assert found["ordinal_requests_total", "/predict", "200"] == 2
    assert found["ordinal_requests_total", "/predict", "422"] == 1
    assert found["ordinal_requests_total", "other", "404"] == 2
    assert found["ordinal_request_seconds_count", "/predict"] == 3
    assert found["ordinal_texts_total",] == 3
    assert found["ordinal_texts_deferred_total",] == 2
    assert found["process_resident_memory_bytes",] > 0


def test_sigterm_answers_what_was_received_and_the_log_has_a_line_for_each() -> None:
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.prediction.counting"],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        address = ("127.0.0.1", int(server.stdout.readline()))
        with (
            ThreadPoolExecutor(5) as pool,
            httpx.Client(base_url="http://{}:{}".format(*address), timeout=None) as client,
        ):
            posts = [
                pool.submit(client.post, "/predict", json={"texts": [f"text {number}"]})
                for number in range(5)
            ]
            while values(client.get("/metrics").text)["ordinal_queue_requests",] != 5:
                pass
            server.send_signal(signal.SIGTERM)
            while listens(address):
                pass
            server.stdin.close()  # only now, the predictions are computed
            answers = [request.result() for request in posts]
        out, error = server.stdout.read(), server.stderr.read()
        assert server.wait(timeout=120) == 0
    finally:
        server.kill()
        server.wait()
    assert [answer.status_code for answer in answers] == [200] * 5
    assert [len(answer.json()["predictions"]) for answer in answers] == [1] * 5
    line = r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} 127\.0\.0\.1:\d+ "(.*)" (\d+) OK'
    found = [re.fullmatch(line, entry) for entry in out.splitlines()]
    assert all(found), out
    lines = [entry.groups() for entry in found if entry]
    assert lines.count(("POST /predict HTTP/1.1", "200")) == 5
    assert {request for request, _ in lines} == {"POST /predict HTTP/1.1", "GET /metrics HTTP/1.1"}
    assert error == ""


def listens(address: tuple[str, int]) -> bool:
    """Return whether a server accepts connections."""
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return False
    return True

"""Metrics of the server, in the format of Prometheus."""

import time
from collections.abc import Callable
from dataclasses import replace

from fastapi import Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ordinal.common.types import Probabilities
from ordinal.prediction.predictor import Predictor
from ordinal.tokenization.tokens import Tokens

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
PATHS = ("/", "/explain", "/health", "/metrics", "/openapi.json", "/page", "/predict")


class Metrics:
    """The metrics of one server. They contain numbers, and nothing of a text."""

    def __init__(self, queued: Callable[[], float]) -> None:
        """Create the metrics; `queued` returns the number of requests for predictions."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, CPU time, open files
        self.answers = Counter(
            "ordinal_requests",
            "Answers by path and status.",
            ["path", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "ordinal_request_seconds",
            "Time from a request to the end of its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.texts = Counter("ordinal_texts", "Predicted texts.", registry=self.registry)
        self.deferred = Counter(
            "ordinal_texts_deferred", "Texts left to the precise form.", registry=self.registry
        )
        Gauge(
            "ordinal_queue_requests",
            "Requests for predictions that are received, wait or are computed.",
            registry=self.registry,
        ).set_function(queued)

    def count_deferred(self, predictor: Predictor) -> Predictor:
        """Return a predictor that counts the texts that it leaves to its precise form."""
        precise = predictor.precise
        if precise is None:
            return predictor

        def counted(tokens: Tokens) -> Probabilities:
            self.deferred.inc(len(tokens))
            return precise(tokens)

        return replace(predictor, precise=counted)

    def page(self) -> Response:
        """Return all metrics as an answer."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)


class Measured:
    """Middleware that counts and times the answers of an app."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        path = scope["path"] if scope["path"] in PATHS else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.metrics.answers.labels(path, message["status"]).inc()
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            self.metrics.answers.labels(path, 500).inc()  # answered outside of this middleware
            raise
        finally:
            self.metrics.seconds.labels(path).observe(time.perf_counter() - start)

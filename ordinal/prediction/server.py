"""Serve a trained model as a local web page and a small JSON API, without authentication."""

import copy
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from starlette.middleware.trustedhost import TrustedHostMiddleware
from uvicorn.config import LOGGING_CONFIG

from ordinal.common.errors import UserError
from ordinal.prediction.limits import BoundedQueue, Headers, LimitedBody, Queue
from ordinal.prediction.monitoring import Measured, Metrics
from ordinal.prediction.predictor import Columns, Predictor
from ordinal.prediction.schemas import (
    MAX_CHARACTERS,
    MAX_TEXTS,
    REFUSALS,
    ExplainedPrediction,
    Health,
    Predictions,
    bodies,
)

if TYPE_CHECKING:
    from ordinal.prediction.explanation import Explanation

QUEUE = 32
TIMEOUT = 30.0

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost")
HEADERS = {
    # Allow this server's own files and answers only: no inline scripts and no other servers.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Explain = Callable[[str], "Explanation"]


def create_app(
    predictor: Predictor,
    hosts: Sequence[str] = LOOPBACK,
    queue_size: int = QUEUE,
    timeout: float = TIMEOUT,
    explain: Explain | None = None,
) -> FastAPI:
    """Create the app.

    Args:
        predictor: the model.
        hosts: the app answers requests whose Host header is one of these (`*`: any). This prevents
            DNS rebinding: a website can't point its own domain at this machine and read answers.
        queue_size: requests that may wait for a prediction; further ones are refused.
        timeout: seconds that a request may wait, and that its body may take to arrive.
        explain: explains the prediction of a text; without it, the app has no /explain.
    """
    # FastAPI's documentation pages are off because they load scripts from other servers.
    app = FastAPI(title="ordinal", docs_url=None, redoc_url=None)
    queue = Queue(queue_size, timeout)
    metrics = Metrics(lambda: queue.requests)
    # The last one is the first to get a request.
    app.add_middleware(LimitedBody, timeout=timeout)
    app.add_middleware(BoundedQueue, paths=("/predict", "/explain"), queue=queue)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.add_middleware(Headers, headers=HEADERS)
    app.add_middleware(Measured, metrics=metrics)
    _answer_errors(app)
    _add_pages(app, predictor, metrics, explain is not None)
    _add_prediction(app, metrics.count_deferred(predictor), explain, queue, metrics)
    return app


def _add_pages(app: FastAPI, predictor: Predictor, metrics: Metrics, explains: bool) -> None:
    """Add everything that is answered without a prediction."""
    app.mount("/page", StaticFiles(directory=PAGE))
    template = Environment(autoescape=True).from_string((PAGE / "index.html").read_text("utf-8"))
    html = template.render(
        labels=predictor.labels,
        columns=predictor.columns,
        explains=explains,
        most_texts=MAX_TEXTS,
        most_characters=MAX_CHARACTERS,
    )

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html)

    @app.get("/health")
    async def health() -> Health:
        """Report that the server runs, even during a prediction."""
        return Health()

    @app.get("/metrics", include_in_schema=False)
    async def metrics_page() -> Response:
        return metrics.page()


def _add_prediction(
    app: FastAPI, predictor: Predictor, explain: Explain | None, queue: Queue, metrics: Metrics
) -> None:
    """Add what is computed by the model, one request at a time."""
    body_of_texts, body_of_text = bodies(predictor.columns)
    about = {"labels": list(predictor.labels), "coverage": predictor.interval_rule.coverage}

    @app.post("/predict", responses=REFUSALS, dependencies=[Depends(_json_only)])
    async def predict(request: Request, body: body_of_texts) -> Predictions:  # type: ignore[valid-type]
        """Predict a batch of texts."""
        texts = body.texts  # type: ignore[attr-defined]
        compute = partial(predictor.predict, texts)
        predictions = await queue.run(compute, request.is_disconnected)
        metrics.texts.inc(len(texts))
        return Predictions(predictions=predictions, **about)

    if explain is None:
        return

    def explained(row: str | Columns) -> ExplainedPrediction:
        [prediction] = predictor.predict([row])
        text = predictor.text_of(row)
        words = asdict(explain(text))
        return ExplainedPrediction(prediction=prediction, text=text, **words, **about)

    @app.post("/explain", responses=REFUSALS, dependencies=[Depends(_json_only)])
    async def explain_text(request: Request, body: body_of_text) -> ExplainedPrediction:  # type: ignore[valid-type]
        """Predict a text, and return the effect of each of its words."""
        compute = partial(explained, body.text)  # type: ignore[attr-defined]
        answer = await queue.run(compute, request.is_disconnected)
        metrics.texts.inc()
        return answer


def _answer_errors(app: FastAPI) -> None:
    """Answer a request that fails with a sentence in JSON; other requests are not affected."""

    @app.exception_handler(RequestValidationError)
    async def invalid_body(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": _sentence(error)}, 422)

    @app.exception_handler(UserError)
    async def invalid_text(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    # After this answer, Starlette raises the error again, and uvicorn logs its traceback.
    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> JSONResponse:
        detail = f"the request failed ({type(error).__name__}): the server's log has the details"
        return JSONResponse({"detail": detail}, 500, headers=HEADERS)


def hosts_for(address: str) -> list[str]:
    """Return the `hosts` of `create_app` for a server that listens on an address.

    On an address that other machines can reach, the names of the machine are not known.
    """
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:  # a name
        is_loopback = address in LOOPBACK
    if not is_loopback:
        return ["*"]
    return [*LOOPBACK, f"[{address}]" if ":" in address else address]


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes any free port.

    Raises:
        UserError: the operating system refuses the address or port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
        # Inherited by each connection. Otherwise, the body of an answer would wait until the client
        # has acknowledged the headers, which clients delay by 40 ms (Nagle's algorithm).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        # Python appends the address, in parentheses, to some messages.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        raise UserError(f"can't listen on {host}, port {port}: {reason}") from None


def serve(app: FastAPI, listener: socket.socket, access_log: bool = False) -> None:
    """Answer requests until Ctrl-C or SIGTERM, and then those that were already received.

    With `access_log`, stdout has a line per answer: time, client, request and status.
    """
    logs = copy.deepcopy(LOGGING_CONFIG)
    line = '%(asctime)s %(client_addr)s "%(request_line)s" %(status_code)s'
    logs["formatters"]["access"] |= {"fmt": line, "use_colors": False}
    config = uvicorn.Config(
        app, log_config=logs, log_level="warning", access_log=access_log, server_header=False
    )
    logging.getLogger("uvicorn.access").setLevel(logging.INFO)
    # uvicorn raises the signal again after its shutdown. Both are the usual end, not an error.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


async def _json_only(request: Request) -> None:
    """Refuse the content types that a browser lets any website send without a preflight."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "the body has to be of type application/json")


def _sentence(error: RequestValidationError) -> str:
    """Return the first problem and its place, without repeating what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    match first["loc"]:
        case _, "texts", int(number), *_:
            place = f"text {number + 1}"
        case location:
            place = ".".join(location[:2])
    return f"{place}: {first['msg']}"

"""Serve a trained model as a local web page and a small JSON API, without authentication."""

import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment
from pydantic import (
    BaseModel,
    Discriminator,
    FailFast,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
)
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ordinal.common.errors import UserError
from ordinal.prediction.predictor import Prediction, Predictor

MAX_TEXTS = 64
MAX_CHARACTERS = 10_000  # per text
MAX_BYTES = 8 * 2**20  # per body: fits the longest texts, with every character an escaped emoji

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

Text = Annotated[
    str, Field(min_length=1, max_length=MAX_CHARACTERS, json_schema_extra={"pattern": r"\S"})
]


class Texts(BaseModel):
    """Texts to predict. Each must contain more than white space."""

    # Validation stops at the first error, because a body could contain millions.
    texts: Annotated[list[Text], Field(max_length=MAX_TEXTS), FailFast()]


def texts_or_rows(columns: Sequence[str]) -> type[Texts]:
    """Return the body for a model with several text columns: a text may be a row of them."""
    cell = {"anyOf": [{"type": "string", "maxLength": MAX_CHARACTERS}, {"type": "null"}]}
    filled = {"type": "string", "pattern": r"\S"}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(columns, cell),
        "additionalProperties": False,
        "anyOf": [{"required": [name], "properties": {name: filled}} for name in columns],
    }
    # `Predictor.predict` checks the columns, too.
    cells = dict[str, Annotated[str, Field(max_length=MAX_CHARACTERS)] | None]
    row = Annotated[cells, WithJsonSchema(schema), Tag("row")]
    kind = Discriminator(lambda value: "row" if isinstance(value, dict) else "text")
    either: Any = Annotated[Annotated[Text, Tag("text")] | row, kind]
    field: Any = Annotated[list[either], Field(max_length=MAX_TEXTS), FailFast()]
    return create_model("Texts", __base__=Texts, texts=field)


class Predictions(BaseModel):
    """One prediction per text, in the order of the texts."""

    labels: list[str]
    """All labels, lowest first."""
    coverage: float
    """Share of texts whose interval from `low` to `high` is expected to contain the true label."""
    predictions: list[Prediction]


class Health(BaseModel):
    """Answer of a running server."""

    status: str = "ok"


class Problem(BaseModel):
    """Reason why a request was refused."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The body can't be read.",
        413: f"The body is larger than {MAX_BYTES} bytes.",
        415: "The body is not of type application/json.",
        422: "The body does not have the declared form.",
        500: "The request failed in a way that the server did not expect.",
    }.items()
}


def create_app(predictor: Predictor, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """Create the app, which answers requests whose Host header is one of `hosts` (`*`: any).

    Checking the Host header prevents DNS rebinding: a website can't point its own domain at this
    machine and read the answers.
    """
    # FastAPI's documentation pages are off because they load scripts from other servers.
    app = FastAPI(title="ordinal", docs_url=None, redoc_url=None)
    app.add_middleware(_LimitedBody)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    template = Environment(autoescape=True).from_string((PAGE / "index.html").read_text("utf-8"))
    html = template.render(columns=predictor.columns)
    body_type = texts_or_rows(predictor.columns) if predictor.columns else Texts
    one_at_a_time = Lock()

    @app.middleware("http")
    async def add_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    _answer_errors(app)

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(html)

    @app.get("/health")
    async def health() -> Health:
        """Report that the server runs, even during a prediction."""
        return Health()

    # Not async, so that it runs in a thread and does not block other requests.
    @app.post("/predict", responses=REFUSALS, dependencies=[Depends(_json_only)])
    def predict(body: body_type) -> Predictions:  # type: ignore[valid-type]
        """Predict a batch of texts."""
        with one_at_a_time:
            predictions = predictor.predict(body.texts)  # type: ignore[attr-defined]
        return Predictions(
            labels=list(predictor.labels), coverage=predictor.coverage, predictions=predictions
        )

    return app


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


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes any free port.

    Raises:
        UserError: the operating system refuses the address or port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # Python appends the address, in parentheses, to some messages.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        raise UserError(f"can't listen on {host}, port {port}: {reason}") from None


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C."""
    config = uvicorn.Config(app, log_level="warning", server_header=False)
    # uvicorn raises the signal again after its shutdown. Ctrl-C is the usual end, not an error.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


class _LimitedBody:
    """Middleware that refuses a body of more than `MAX_BYTES`, with or without Content-Length."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BYTES:
                raise HTTPException(413, f"the body is larger than {MAX_BYTES} bytes")
            return message

        await self.app(scope, counted, send)


def _json_only(request: Request) -> None:
    """Refuse the content types that a browser lets any website send without a preflight."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "the body has to be of type application/json")


def _sentence(error: RequestValidationError) -> str:
    """Return the first problem and its place, without repeating what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    location = first["loc"]
    place = f"text {location[2] + 1}" if len(location) > 2 else ".".join(location)
    return f"{place}: {first['msg']}"

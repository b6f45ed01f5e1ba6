"""A trained model on a local page and behind a small JSON API."""

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
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, FailFast, Field
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ordinal.common.errors import UserError
from ordinal.prediction.predictor import Prediction, Predictor

MOST_TEXTS = 64
LONGEST = 10_000  # characters of a text
MOST_BYTES = 8 * 2**20  # of a body: as many such texts fit, were each character an escaped emoji

PAGE = Path(__file__).parent / "page"
LOOPBACK = ("127.0.0.1", "localhost")
HEADERS = {
    # The page's own files and answers, and nothing else: neither inline nor from elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

Text = Annotated[str, Field(min_length=1, max_length=LONGEST, json_schema_extra={"pattern": r"\S"})]


class Texts(BaseModel):
    """What to predict; a text holds more than white space."""

    # What comes after the first mistake is not looked at: there may be millions.
    texts: Annotated[list[Text], Field(max_length=MOST_TEXTS), FailFast()]


class Predictions(BaseModel):
    """What the model says of each text, in their order."""

    labels: list[str]
    """Lowest first."""
    coverage: float
    """How often an interval from `low` to `high` holds the true label."""
    predictions: list[Prediction]


class Health(BaseModel):
    """That the server answers."""

    status: str = "ok"


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str


def create_app(predictor: Predictor, hosts: Sequence[str] = LOOPBACK) -> FastAPI:
    """The page and the API of a model, for requests that name one of `hosts` (`*`: any).

    The names keep a foreign site from pointing its own at this machine and reading the answers.
    """
    # FastAPI's pages of documentation load scripts from elsewhere.
    app = FastAPI(title="ordinal", docs_url=None, redoc_url=None)
    app.add_middleware(_LimitedBody)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    one_at_a_time = Lock()

    @app.middleware("http")
    async def with_headers(request: Request, answer: RequestResponseEndpoint) -> Response:
        response = await answer(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(RequestValidationError)
    async def not_as_declared(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": _sentence(error)}, 422)

    @app.exception_handler(UserError)
    async def not_to_be_predicted(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    @app.get("/health")
    async def health() -> Health:
        """Answer, even while a prediction is under way."""
        return Health()

    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": description}
        for status, description in {
            400: "The body can't be read.",
            413: f"The body is larger than {MOST_BYTES} bytes.",
            415: "The body is not of type application/json.",
            422: "The body is not as declared.",
        }.items()
    }

    # Not async: the work is done in a thread, and others are answered meanwhile.
    @app.post("/predict", responses=refusals, dependencies=[Depends(_json_only)])
    def predict(body: Texts) -> Predictions:
        """Predict a batch of texts."""
        with one_at_a_time:
            predictions = predictor.predict(body.texts)
        return Predictions(
            labels=list(predictor.labels), coverage=predictor.coverage, predictions=predictions
        )

    return app


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one.

    Raises:
        UserError: the address can't be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # Python appends the address to some.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        raise UserError(f"can't listen on {host}, port {port}: {reason}") from None


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answer requests until Ctrl-C."""
    config = uvicorn.Config(app, log_level="warning", server_header=False)
    # Once all is closed, uvicorn raises the signal again: here Ctrl-C is the way to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])


class _LimitedBody:
    """Refuses a body of more than `MOST_BYTES`, however it is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MOST_BYTES:
                raise HTTPException(413, f"the body is larger than {MOST_BYTES} bytes")
            return message

        await self.app(scope, counted, send)


def _json_only(request: Request) -> None:
    """Refuse the types that a browser lets any foreign page send."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise HTTPException(415, "the body has to be of type application/json")


def _sentence(error: RequestValidationError) -> str:
    """What is wrong first, and where; nothing of what was sent."""
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']}"
    place = first["loc"]
    where = f"text {place[2] + 1}" if len(place) > 2 else ".".join(place)
    return f"{where}: {first['msg']}"

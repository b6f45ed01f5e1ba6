"""Limits of what clients can ask of the server: bytes, time, and requests at once."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Result = TypeVar("Result")

MAX_BYTES = 8 * 2**20  # per body: fits the longest texts, with every character an escaped emoji
RETRY = {"Retry-After": "1"}  # seconds
FULL = "the server has too many requests: try again later"


class Queue:
    """Requests for predictions: one is computed at a time, the others wait.

    A prediction uses all cores, and a larger batch is no faster on a CPU, so computing several
    requests at once or together would save nothing.
    """

    def __init__(self, size: int, timeout: float) -> None:
        """Create an empty queue.

        Args:
            size: requests that may wait.
            timeout: seconds that a request may wait.
        """
        self.most = size + 1
        self.timeout = timeout
        self.requests = 0
        """Requests that are being received, wait, or are computed."""
        self._turn = asyncio.Lock()

    async def run(
        self, compute: Callable[[], Result], is_gone: Callable[[], Awaitable[bool]]
    ) -> Result:
        """Wait for the turn of a request, and compute its answer in a thread.

        Args:
            compute: returns the answer.
            is_gone: returns whether the client has left, so that nobody would read the answer.

        Raises:
            HTTPException: the request waited too long (status 503), or its client has left (499).
        """
        try:
            async with asyncio.timeout(self.timeout):
                await self._turn.acquire()
        except TimeoutError:
            detail = f"the request waited for {self.timeout:g} seconds: try again later"
            raise HTTPException(503, detail, RETRY) from None
        try:
            if await is_gone():
                raise HTTPException(499, "the client has left")
            return await run_in_threadpool(compute)
        finally:
            self._turn.release()


class BoundedQueue:
    """Middleware that refuses requests to some paths, unread, while their queue is full."""

    def __init__(self, app: ASGIApp, paths: Collection[str], queue: Queue) -> None:
        self.app = app
        self.paths = paths
        self.queue = queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or scope["path"] not in self.paths:
            await self.app(scope, receive, send)
        elif self.queue.requests >= self.queue.most:
            await JSONResponse({"detail": FULL}, 503, RETRY)(scope, receive, send)
        else:
            self.queue.requests += 1
            try:
                await self.app(scope, receive, send)
            finally:
                self.queue.requests -= 1


class LimitedBody:
    """Middleware that refuses a body that is too large, with or without Content-Length, or slow."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        """Wrap an app, whose requests have to arrive within `timeout` seconds."""
        self.app = app
        self.timeout = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        limited = self._limited(receive) if scope["type"] == "http" else receive
        await self.app(scope, limited, send)

    def _limited(self, receive: Receive) -> Receive:
        deadline: float | None = asyncio.get_running_loop().time() + self.timeout
        size = 0

        async def limited() -> Message:
            nonlocal deadline, size
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"the body took more than {self.timeout:g} seconds to arrive"
                raise HTTPException(408, detail, {"Connection": "close"}) from None
            size += len(message.get("body", b""))
            if size > MAX_BYTES:
                raise HTTPException(413, f"the body is larger than {MAX_BYTES} bytes")
            if not message.get("more_body", False):
                deadline = None  # next, this waits until the client leaves
            return message

        return limited


class Headers:
    """Middleware that adds headers to each answer."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app = app
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        async def added(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        await self.app(scope, receive, added)

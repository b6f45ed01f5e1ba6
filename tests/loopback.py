"""A web server on this machine with prescribed answers, which records the requests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sends: int | None = None
    """Bytes of the body that are sent; None sends all."""
    then_waits: bool = False
    """True if the server then keeps the connection open until the client gives up."""
    drips: bool = False
    """True if the body is sent byte by byte, 50 per second."""
    token: str | None = None
    """Without this token the answer is 401."""


class Loopback(ThreadingHTTPServer):
    """Answers by path. Several answers are given in turn; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.headers: dict[str, Mapping[str, str]] = {}
        """The headers of the last request to each path."""
        self.received: dict[str, bytes] = {}
        """The body of the last request to each path."""
        self.bodies: list[tuple[str, bytes]] = []
        """The path and the body of each request that has one."""
        self._answers: dict[str, list[Answer]] = {}

    def answer(self, path: str, *answers: Answer) -> str:
        """Set the answers to a path, and return its URL."""
        self._answers[path] = list(answers)
        return self.url + path

    def next_answer(self, path: str) -> Answer:
        self.asked.append(path)
        answers = self._answers.get(path, [Answer(404)])
        return answers.pop(0) if len(answers) > 1 else answers[0]


class _Handler(BaseHTTPRequestHandler):
    server: Loopback

    def do_GET(self) -> None:
        answer = self._send_head()
        body = answer.body[: answer.sends]
        if answer.drips:
            with suppress(ConnectionError):  # the client gave up
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    sleep(0.02)
        else:
            self.wfile.write(body)
        if answer.then_waits:
            self.connection.recv(1)

    def do_HEAD(self) -> None:
        self._send_head()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received[self.path] = body
        self.server.bodies.append((self.path, body))
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass

    def _send_head(self) -> Answer:
        self.server.headers[self.path] = self.headers
        answer = self.server.next_answer(self.path)
        if answer.token and self.headers["Authorization"] != f"Bearer {answer.token}":
            answer = Answer(401)
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        return answer


@contextmanager
def serving() -> Iterator[Loopback]:
    """Run a server during the block."""
    with Loopback() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

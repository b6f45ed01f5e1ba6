"""The load test counts answers, refusals and errors, and waits as a refusal asks for."""

import asyncio
import itertools
import json
from collections.abc import Sequence

from benchmarks import serving
from benchmarks.serving import Load, client, request, row


def answer(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 2", "", "{}"]).encode()


def load_of(answers: Sequence[bytes]) -> tuple[Load, list[bytes]]:
    """The outcome of a client of a server with these answers, and the requests that it got."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for content in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split()[0])
            got.append(head + await reader.readexactly(length))
            writer.write(content)
        await writer.drain()
        writer.close()

    async def run() -> Load:
        load = Load()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await client(port, itertools.cycle([request("a bed")]), load)
        return load

    return asyncio.run(run()), got


def test_each_kind_of_answer_is_counted() -> None:
    refusal = answer("503 Service Unavailable", "Retry-After: 0")
    last = answer("200 OK", "Connection: close")
    answers = [answer("200 OK"), refusal, answer("500 Error"), answer("503 No time"), last]
    load, got = load_of(answers)
    assert (len(load.latencies), load.refused, load.errors) == (2, 1, 2)
    assert all(latency > 0 for latency in load.latencies)
    assert {json.loads(content.split(b"\r\n\r\n")[1])["texts"][0] for content in got} == {"a bed"}


def test_a_connection_that_breaks_in_the_middle_of_a_request_is_an_error() -> None:
    load, got = load_of([answer("200 OK"), b""])
    assert (len(load.latencies), load.refused, load.errors) == (1, 0, 1)
    assert len(got) == 2


def test_a_row_has_the_rate_its_ratio_and_the_percentiles() -> None:
    load = Load([number / 1000 for number in range(1, 102)], 7, 1, seconds=10.0)
    shown = [cell.strip() for cell in row(8, "int8", load, 5, 0.505, 700).split("|")[1:-1]]
    assert shown == ["8", "int8", "10.1", "2.02", "51", "100", "5.0", "7", "1", "700"]
    assert row(8, "int8", Load(seconds=1.0), 0, 0, 700)  # a server without an answer
    assert len(shown) == len(serving.HEADINGS)

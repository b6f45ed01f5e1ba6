"""A data set of the hub with any number of rows, on a server on this machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from benchmarks.reviews import write_parquet
from ordinal.common.files import sha256

NAME = "benchmarks/reviews"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PARTS = {"train": 0.8, "test": 0.2}


def publish(folder: Path, rows: int, tokenizer: Path) -> None:
    """Write synthetic reviews as the files of a commit, and the hub's list of them."""
    files = folder / f"datasets/{NAME}/resolve/{COMMIT}"
    files.mkdir(parents=True)
    for part, share in PARTS.items():
        write_parquet(files / f"{part}.parquet", round(share * rows), tokenizer)
    siblings = [
        {
            "rfilename": path.name,
            "lfs": {"sha256": sha256(path), "size": path.stat().st_size, "pointerSize": 0},
        }
        for path in sorted(files.iterdir())
    ]
    listed = folder / f"api/datasets/{NAME}/revision/{COMMIT}"
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}))


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a published folder during the block; yield the address of the hub."""
    handler = partial(_Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

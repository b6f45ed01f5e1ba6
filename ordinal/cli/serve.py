"""`ordinal serve`."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ordinal.cli.options import (
    RUN_AGAIN,
    TRAINED,
    ByLabel,
    Coverage,
    Method,
    Model,
    Precise,
    model_path,
    precise_path,
)
from ordinal.common.errors import UserError, report_user_errors

if TYPE_CHECKING:
    from ordinal.prediction.explanation import Explainer, Explanation

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on. The default is only reachable from this machine. There is no "
        "authentication."
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")]
QueueSize = Annotated[
    int,
    typer.Option(
        "--queue",
        min=0,
        help="Requests that may wait for a prediction. Further ones get the status 503.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(min=1, help="Seconds that a request may wait, and that it may take to arrive."),
]
AccessLog = Annotated[bool, typer.Option("--access-log", help="Print a line per answer.")]


def serve(
    model: Model = TRAINED,
    precise: Precise = None,
    coverage: Coverage = 0.9,
    coverage_by: ByLabel = "none",
    interval: Method = "adaptive",
    host: Host = "127.0.0.1",
    port: Port = 8000,
    queue: QueueSize = 32,
    timeout: Timeout = 30.0,
    access_log: AccessLog = False,
) -> None:
    """Serve a web page to try the model, a JSON API and metrics, until Ctrl-C or SIGTERM.

    /metrics has the format of Prometheus. A request that was received is answered before the end.
    """
    # Before torch is imported: by default, its threads keep a core busy while they wait for work,
    # which slows down the clients, other programs, and the thread that reads requests.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with (
        report_user_errors(RUN_AGAIN),
        model_path(model) as path,
        precise_path(precise) as exact,
    ):
        try:
            from ordinal import load
            from ordinal.prediction import server
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is missing: install it with `pip install '.[serve]'`"
            ) from None
        with server.listen(host, port) as listener:
            hosts = server.hosts_for(host)
            predictor = load(
                path, precise=exact, coverage=coverage, coverage_by=coverage_by, interval=interval
            )
            explain = _explain(exact or path)
            app = server.create_app(predictor, hosts, queue, timeout, explain)
            address = f"[{host}]" if ":" in host else host
            print(f"http://{address}:{listener.getsockname()[1]}/ (stop with Ctrl-C)", flush=True)
            server.serve(app, listener, access_log)


def _explain(model: Path) -> "Callable[[str], Explanation] | None":
    """Return the function that explains predictions; there is none for an ONNX file."""
    if model.suffix == ".onnx":
        return None

    @cache
    def explainer() -> "Explainer":
        """Load the model on first use, because it is a second copy of the weights."""
        from ordinal.prediction.explanation import load_explainer

        return load_explainer(model)

    return lambda text: explainer().explain(text)

"""`ordinal serve`."""

from typing import Annotated

import typer

from ordinal.cli.options import RUN_AGAIN, TRAINED, Coverage, Model, model_path
from ordinal.common.errors import UserError, report_user_errors

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on. The default is only reachable from this machine. There is no "
        "authentication."
    ),
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any free port.")]


def serve(
    model: Model = TRAINED,
    coverage: Coverage = 0.9,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Serve a web page to try the model, and a JSON API, until Ctrl-C."""
    with report_user_errors(RUN_AGAIN), model_path(model) as path:
        try:
            from ordinal import load
            from ordinal.prediction import server
        except ModuleNotFoundError as error:
            raise UserError(
                f"{error.name} is missing: install it with `pip install '.[serve]'`"
            ) from None
        with server.listen(host, port) as listener:
            hosts = server.LOOPBACK if host in server.LOOPBACK else ["*"]
            app = server.create_app(load(path, coverage=coverage), hosts)
            address = f"[{host}]" if ":" in host else host
            print(f"http://{address}:{listener.getsockname()[1]}/ (stop with Ctrl-C)", flush=True)
            server.serve(app, listener)

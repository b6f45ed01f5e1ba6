"""Define the command line, `ordinal COMMAND`, with one module per command.

Commands import what they need when they run, so that `ordinal --help` does not load torch.
"""

import typer

from ordinal.cli import (
    audit,
    compare,
    encoder,
    export,
    new_data,
    predict,
    push_to_hub,
    report,
    results,
    search,
    serve,
    study,
    watch,
)

app = typer.Typer(
    help="Ordinal regression with fine-tuned transformers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(results.results)
app.command()(report.report)
app.command()(compare.compare)
app.command()(study.study)
app.command()(search.search)
app.command()(audit.audit)
app.command()(new_data.new_data)
app.command()(predict.predict)
app.command()(watch.watch)
app.command()(serve.serve)
app.add_typer(encoder.app, name="encoder")
app.add_typer(export.app, name="export")
app.command()(push_to_hub.push_to_hub)

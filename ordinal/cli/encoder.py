"""`ordinal encoder`."""

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ordinal.cli.options import RUN_AGAIN
from ordinal.common.errors import UserError, report_user_errors
from ordinal.common.paths import CATALOG, ENCODERS

app = typer.Typer(no_args_is_help=True, help="Add pretrained encoders.")


@app.callback()
def encoder() -> None:
    """Keep `add` a subcommand, although it is the only one."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="OWNER/NAME on the model hub, or a local folder.")],
    revision: Annotated[
        str | None, typer.Option(help="Commit on the hub; the newest if not given.")
    ] = None,
    entry: Annotated[
        str | None, typer.Option("--name", help="Name of the entry; the encoder's if not given.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence; the one that the hub states if not given.")
    ] = None,
) -> None:
    """Bring an encoder, convert it if needed, and pin it in data/catalog.yaml.

    Pickled weights become safetensors, and other tokenizers a tokenizer.json. No code that comes
    with the encoder is run. A converted encoder is written to data/encoders/NAME.
    """
    from ordinal.model.intake import take_in
    from ordinal.own_data.catalog_entry import add_entry, entry_yaml, refuse_name

    with report_user_errors(RUN_AGAIN):
        entry = entry or _entry_name(name)
        refuse_name(entry, CATALOG, "encoders")
        folder = ENCODERS / entry
        if folder.exists():
            raise UserError(f"{folder} exists already: name the entry with --name, or remove it")
        taken = take_in(name, revision, licence, folder)
        for change in taken.changes:
            print(f"- {change}")
        print(f"\nFor {CATALOG}:\n\n{entry_yaml(entry, taken.entry)}")
        add_entry(CATALOG, entry, taken.entry)
        if folder.is_dir():
            track = shlex.join(["dvc", "add", str(folder)])
            print(f"Its files are in {folder}. To put them under version control: {track}")
        print(f"Written. To train with it: dvc exp run -S model.name={entry}")


def _entry_name(name: str) -> str:
    """Return a name for the entry of an encoder: letters, digits, - and _."""
    last = Path(name).resolve().name if Path(name).is_dir() else name.rpartition("/")[2]
    plain = re.sub(r"[^a-z0-9_]+", "-", last.lower()).strip("-_")
    return plain if plain[:1].isalpha() else f"encoder-{plain}".rstrip("-")

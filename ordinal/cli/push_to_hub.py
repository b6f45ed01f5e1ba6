"""`ordinal push-to-hub`."""

from pathlib import Path
from typing import Annotated

import typer

from ordinal.cli.options import RUN_AGAIN, TRAINED, model_path
from ordinal.common.errors import report_user_errors

Repository = Annotated[str, typer.Argument(help="OWNER/NAME; created if it does not exist.")]
Model = Annotated[str, typer.Option(help="models/ordinal, or a commit, branch, tag or experiment.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository private.")]


def push_to_hub(repository: Repository, model: Model = TRAINED, private: Private = False) -> None:
    """Upload a model with its model card to the Hugging Face hub."""
    from ordinal.cards import hub
    from ordinal.experiments import revisions

    with report_user_errors(RUN_AGAIN), model_path(model) as path:
        revision = revisions.WORKSPACE if Path(model) == path else model
        card = revisions.model_card(revision)
        print(hub.push_to_hub(path, card, repository, private=private))

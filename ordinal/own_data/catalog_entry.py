"""Name an entry of the catalog, write it as YAML, and add it to the file."""

import re
import textwrap
import unicodedata
from pathlib import Path

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ordinal.common.errors import UserError
from ordinal.common.files import atomic_file
from ordinal.data.tables import KINDS
from ordinal.sources.catalog import DataSet, load_catalog


def name_for(path: Path) -> str:
    """Return a name for the file's entry, made of letters, digits, - and _."""
    endings = "|".join([*KINDS, "gz", "bz2", "xz", "zst", "zip"])
    stem = re.sub(rf"(\.({endings}))+$", "", path.name.lower())
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    return name if _is_name(name) else f"data-{name}".rstrip("-")


def refuse_name(name: str, catalog: Path) -> None:
    """Pass if a new entry can have this name.

    Raises:
        UserError: DVC's command line would not read `name` as this text, the catalog already has
            it, or the catalog is not valid.
    """
    if not _is_name(name):
        raise UserError(f"--name {name}: use a letter, then letters, digits, - and _")
    if name in load_catalog(catalog).data:
        raise UserError(
            f"{catalog} already has '{name}': choose another name with --name, or, if the file of "
            "this entry has changed, update its checksum (`sha256sum FILE` prints it)"
        )


def _is_name(name: str) -> bool:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)
    # YAML reads some words as other values ("on" is true), and DVC's command line two more.
    return bool(plain) and yaml.safe_load(name) == name and name.lower() not in ("inf", "nan")


def entry_yaml(name: str, entry: DataSet) -> str:
    """Return the entry in the style of data/catalog.yaml, not indented."""
    content = entry.model_dump(exclude_defaults=True, exclude={"format"})
    if fixed := entry.format.fixed():
        content["format"] = fixed
    content |= {key: content.pop(key) for key in ("licence", "origin")}
    return yaml.safe_dump(
        {name: content}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=1 << 20
    )


def add_entry(path: Path, name: str, entry: DataSet) -> None:
    """Write an entry at the top of a catalog's `data` section. All other lines stay as they are.

    Raises:
        UserError: the catalog is not valid, already has the name, or its `data` section is not
            written as a block with one entry per line.
    """
    refuse_name(name, path)
    before = load_catalog(path).data
    with atomic_file(path) as draft:
        try:
            draft.write_bytes(_insert(path.read_bytes().decode(), entry_yaml(name, entry)).encode())
            added = load_catalog(draft).data == before | {name: entry}
        except (UserError, YAMLError):
            added = False
        if not added:
            raise UserError(
                f"{path}: the layout of its data section leaves no place for an entry: add the "
                "entry by hand"
            )


def _insert(catalog: str, entry: str) -> str:
    """Return the text of a catalog with an entry in the line below `data:`.

    The lines are inserted as text, since a round trip through ruamel.yaml would change others: it
    joins values that run over several lines, and indents lists and blocks in one way only.
    """
    root = YAML().load(catalog)
    line, _ = root.lc.key("data")
    indent = " " * root["data"].lc.col
    lines = catalog.split("\n")
    return "\n".join(
        [*lines[: line + 1], textwrap.indent(entry, indent).rstrip("\n"), *lines[line + 1 :]]
    )

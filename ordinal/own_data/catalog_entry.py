"""Name an entry of the catalog, write it as YAML, and add it to the file."""

import re
import textwrap
import unicodedata
from pathlib import Path
from typing import Literal

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ordinal.common.errors import UserError
from ordinal.common.files import atomic_file
from ordinal.data.tables import KINDS
from ordinal.sources.catalog import DataSet, Encoder, load_catalog

Section = Literal["data", "encoders"]


def name_for(path: Path) -> str:
    """Return a name for the file's entry, made of letters, digits, - and _."""
    endings = "|".join([*KINDS, "gz", "bz2", "xz", "zst", "zip"])
    stem = re.sub(rf"(\.({endings}))+$", "", path.name.lower())
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    return name if _is_name(name) else f"data-{name}".rstrip("-")


def refuse_name(name: str, catalog: Path, section: Section = "data") -> None:
    """Pass if a new entry of a section can have this name.

    Raises:
        UserError: DVC's command line would not read `name` as this text, the catalog already has
            it, or the catalog is not valid.
    """
    if not _is_name(name):
        raise UserError(f"--name {name}: use a letter, then letters, digits, - and _")
    if name in getattr(load_catalog(catalog), section):
        advice = "choose another name with --name"
        if section == "data":
            advice += (
                ", or, if the file of this entry has changed, update its checksum (`sha256sum "
                "FILE` prints it)"
            )
        raise UserError(f"{catalog} already has '{name}': {advice}")


def _is_name(name: str) -> bool:
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name)
    # YAML reads some words as other values ("on" is true), and DVC's command line two more.
    return bool(plain) and yaml.safe_load(name) == name and name.lower() not in ("inf", "nan")


def entry_yaml(name: str, entry: DataSet | Encoder) -> str:
    """Return the entry in the style of data/catalog.yaml, not indented."""
    content = entry.model_dump(exclude_defaults=True, exclude={"format"})
    if isinstance(entry, DataSet) and (fixed := entry.format.fixed()):
        content["format"] = fixed
    content |= {key: content.pop(key) for key in ("licence", "origin")}
    # A data set has lists of labels, which are short. An encoder has a hash per file.
    flow = None if isinstance(entry, DataSet) else False
    return yaml.safe_dump(
        {name: content}, sort_keys=False, allow_unicode=True, default_flow_style=flow, width=1 << 20
    )


def add_entry(path: Path, name: str, entry: DataSet | Encoder) -> None:
    """Write an entry at the top of its section of a catalog. All other lines stay as they are.

    Raises:
        UserError: the catalog is not valid, already has the name, or the section is not written as
            a block with one entry per line.
    """
    section: Section = "data" if isinstance(entry, DataSet) else "encoders"
    refuse_name(name, path, section)
    before = load_catalog(path)
    expected = before.model_copy(update={section: getattr(before, section) | {name: entry}})
    with atomic_file(path) as draft:
        try:
            text = _insert(path.read_bytes().decode(), section, entry_yaml(name, entry))
            draft.write_bytes(text.encode())
            added = load_catalog(draft) == expected
        except (UserError, YAMLError):
            added = False
        if not added:
            raise UserError(
                f"{path}: the layout of its {section} section leaves no place for an entry: add "
                "the entry by hand"
            )


def _insert(catalog: str, section: Section, entry: str) -> str:
    """Return the text of a catalog with an entry in the line below the name of a section.

    The lines are inserted as text, since a round trip through ruamel.yaml would change others: it
    joins values that run over several lines, and indents lists and blocks in one way only.
    """
    root = YAML().load(catalog)
    line, _ = root.lc.key(section)
    indent = " " * root[section].lc.col
    lines = catalog.split("\n")
    return "\n".join(
        [*lines[: line + 1], textwrap.indent(entry, indent).rstrip("\n"), *lines[line + 1 :]]
    )

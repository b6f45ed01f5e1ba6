"""Propose the parameters that train on an inspected file, as one command."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ordinal.common.columns import as_list
from ordinal.common.errors import UserError, quoted
from ordinal.common.files import read_yaml
from ordinal.common.labels import number_of
from ordinal.common.parts import part_of
from ordinal.common.paths import PARAMS, PARTS
from ordinal.data.files import files_of_parts
from ordinal.own_data.inspection import Facts
from ordinal.own_data.label_scale import Scale

# Parameters of a data set, with the values that need not be named.
DEFAULTS: dict[str, Any] = {
    "data.name": None,
    "data.revision": None,
    "data.config": None,
    "data.text": None,
    "data.label": None,
    "data.keep": [],
    "data.missing": "refuse",
    "data.costs": None,
    "split.method": "shuffle",
    "split.column": None,
}
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def parameters_for(facts: Facts, name: str) -> dict[str, Any]:
    """Return the parameters that fit a file in the catalog, without those that have defaults.

    Args:
        facts: The result of `inspect`.
        name: The name of the entry.
    """
    columns = facts.columns
    found: dict[str, Any] = {"data.name": name}
    keep = [*columns.ids, *([columns.time] if columns.time else [])]
    if keep:
        found["data.keep"] = keep
    if facts.incomplete:
        found["data.missing"] = "drop"
    if columns.part:
        return found | {"split.method": "given", "split.column": columns.part}
    if columns.group:
        return found | {"split.method": "group", "split.column": columns.group}
    return found | ({"split.method": "hash"} if facts.repeats else {})


def parameters_for_parts(facts: Facts, folder: str) -> dict[str, Any]:
    """Return the parameters for a folder with a file per part, one of which was inspected."""
    given = {"data.text": facts.text, "data.label": facts.label, "split.method": "given"}
    chosen = parameters_for(facts, folder)
    return {key: value for key, value in chosen.items() if key.startswith("data.")} | given


def parts_next_to(facts: Facts) -> dict[str, Path]:
    """Return the file of each part if the inspected one is the train, validation or test part."""
    path = facts.path
    if part_of(path.name.partition(".")[0]) is None:
        return {}
    try:
        files = files_of_parts(path.parent)
    except UserError:
        return {}
    return files if path in files.values() and "test" in files else {}


def command(chosen: Mapping[str, Any]) -> str:
    """Return the command that sets parameters and runs the pipeline.

    It also resets what another data set has left in params.yaml, except text and label columns that
    do no harm: an entry of the catalog has its own.
    """
    current = read_yaml(PARAMS) if PARAMS.exists() else {}
    settings = []
    for key, default in DEFAULTS.items():
        section, name = key.split(".")
        old = current.get(section, {}).get(name, default)
        value = chosen.get(key, default)
        is_harmless = key in ("data.text", "data.label") and not value
        if is_harmless and set(as_list(old or [])).isdisjoint(chosen.get("data.keep", [])):
            continue
        if key == "data.name" or value != old:
            settings += ["-S", f"{key}={_hydra(value)}"]
    return shlex.join(["dvc", "exp", "run", *settings])


def _hydra(value: object) -> str:
    """Return a value in the syntax of Hydra's overrides, which `dvc exp run -S` reads."""
    if isinstance(value, list):
        return f"[{','.join(map(_hydra, value))}]"
    if value is None:
        return "null"
    text = str(value)
    words = ("null", "true", "false", "inf", "nan")
    if PLAIN.fullmatch(text) and text.lower() not in words:
        return text
    # Only backslashes before a quote are doubled.
    inner = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + (found[2] and r"\'"), text)
    return f"'{inner}'"


def needs_no_entry(scale: Scale | None) -> bool:
    """Return whether the pipeline knows the labels of a file by itself: if they are numbers."""
    if scale is None or scale.map or scale.bins:
        return False
    numbers = [number_of(str(label)) for label in scale.labels]
    return all(number is not None and (2 * number).is_integer() for number in numbers)


def column_notes(facts: Facts, has_parts: bool = False) -> list[str]:
    """Return a paragraph for each of the other columns that the parameters can use.

    Args:
        facts: The result of `inspect`.
        has_parts: Whether the files next to this one are used as parts.
    """
    columns = facts.columns
    texts = [*columns.texts, *as_list(facts.text)]
    notes = {
        columns.part: f"names the parts {', '.join(PARTS)}. split.method=given uses them.",
        columns.group: "has values that come back. With split.method=group, all rows with the "
        "same value are in one part.",
        columns.time: "has dates. To test on the latest rows, set split.method=time and "
        f"split.column={columns.time}.",
    }
    found = [f"Column {quoted(column)} {note}" for column, note in notes.items() if column]
    if columns.texts:
        options = " ".join(f"--text {shlex.quote(column)}" for column in texts)
        found.append(
            f"Column {quoted(columns.texts[0])} has texts, too. To use them, name all text "
            f"columns in the order in which they are to be joined: {options}."
        )
    files = ", ".join(path.name for path in parts_next_to(facts).values())
    if files and not has_parts:
        found.append(
            f"{files} seem to be the parts of one data set. An entry has one file: join them, with "
            "a column that names the part, to use split.method=given."
        )
    return found

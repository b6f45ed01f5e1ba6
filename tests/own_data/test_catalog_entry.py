"""Names of catalog entries, and how an entry gets into the catalog."""

import difflib
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from hypothesis import given, settings
from hypothesis import strategies as st

from ordinal.common.errors import UserError
from ordinal.common.params import Data
from ordinal.own_data.catalog_entry import add_entry, entry_yaml, name_for
from ordinal.sources.catalog import DataSet, load_catalog
from tests.conftest import ROOT

ENTRY = DataSet(
    sources=["data/own/t.csv"],
    checksum=f"sha256:{'0' * 64}",
    text="t",
    label="l",
    labels=[1, "no"],
    licence="MIT",
    origin="é " * 60 + "é",
)
SMALL = """\
# All
data:  # sets

    # the first
    one:
        sources: [builtin]
        text: t
        label: l  # the label
        licence: MIT
        {end}
    # no more
{after}"""


@pytest.mark.parametrize(
    "end",
    [
        "labels: [1, 2]\n        origin: x",
        "labels: [1, 2]\n        origin: 'x'  # of x",
        "labels: [1, 2]\n        origin: a\n          b",
        "labels: [1, 2]\n        origin: |\n          a\n          b",
        "origin: x\n        labels:\n        - 1\n        - 2",
        "origin: x\n        labels: [\n          1,\n          2,\n        ]",
    ],
)
@pytest.mark.parametrize("after", ["", "\n# The encoders\nencoders: {}\n"])
def test_all_else_in_the_catalog_stays_as_it_is(end: str, after: str, tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    before = SMALL.format(end=end, after=after) + ("" if after else "encoders: {}")
    path.write_text(before)
    add_entry(path, "mine", ENTRY)
    added = "".join(f"    {line}\n" for line in entry_yaml("mine", ENTRY).splitlines())
    start = before.index("\n    # the first")
    assert path.read_text() == before[:start] + added + before[start:]
    assert load_catalog(path).data["mine"] == ENTRY


@pytest.mark.parametrize("data_last", [False, True])
@pytest.mark.parametrize("ending", ["", "\n"])
def test_the_projects_catalog_gets_added_lines_only(
    data_last: bool, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.yaml"
    data, encoders = (ROOT / "data/catalog.yaml").read_text().split("\nencoders:")
    sections = [f"encoders:{encoders}", data] if data_last else [data, f"encoders:{encoders}"]
    before = "\n".join(sections).rstrip() + ending
    path.write_text(before)
    add_entry(path, "mine", ENTRY)
    difference = list(difflib.ndiff(before.split("\n"), path.read_text().split("\n")))
    assert [line[4:] for line in difference if line.startswith("+ ")] == (
        entry_yaml("mine", ENTRY).splitlines()
    )
    assert not [line for line in difference if line.startswith(("- ", "? "))]
    assert load_catalog(path).data["mine"] == ENTRY


def test_an_entry_is_written_as_the_others_are() -> None:
    assert entry_yaml("mine", ENTRY) == (
        f"mine:\n  sources: [data/own/t.csv]\n  checksum: sha256:{'0' * 64}\n"
        f"  text: t\n  label: l\n  labels: [1, 'no']\n  licence: MIT\n  origin: {ENTRY.origin}\n"
    )


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("data: {}\nencoders: {}\n", "mine", "add the entry by hand"),
        ("encoders: {}\n", "mine", "data is missing"),
        (None, "demo", "already has 'demo': choose another name with --name"),
        (None, "on", "--name on: use a letter, then letters, digits, - and _"),
        (None, "a b", "--name a b: use"),
        (None, "1st", "--name 1st: use"),
    ],
)
def test_a_catalog_that_can_not_take_the_entry_is_left_alone(
    content: str | None, name: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "catalog.yaml"
    before = content or (ROOT / "data/catalog.yaml").read_text()
    path.write_text(before)
    with pytest.raises(UserError) as raised:
        add_entry(path, name, ENTRY)
    assert message in str(raised.value)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=50)
@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1))
def test_any_files_name_gives_one_that_survives_dvcs_command_line(
    tmp_path_factory: pytest.TempPathFactory, stem: str
) -> None:
    name = name_for(Path(f"{stem}.csv"))
    project = tmp_path_factory.mktemp("params")
    (project / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    apply_overrides(project / "params.yaml", [f"data.name={name}"])
    assert Data.load(project / "params.yaml").name == name


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tickets.csv.gz", "tickets"),
        ("Meine Bewertungen (März).v2.jsonl", "meine-bewertungen-marz-v2"),
        ("2024-01-01.parquet", "data-2024-01-01"),
        ("yes.csv", "data-yes"),
        ("nan.tsv", "data-nan"),
        ("评论.csv", "data"),
    ],
)
def test_the_entry_is_named_after_the_file(file: str, name: str) -> None:
    assert name_for(Path(file)) == name

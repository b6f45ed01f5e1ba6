"""The table of predictions: any label name survives, and other columns are not probabilities."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ordinal.common.errors import UserError
from ordinal.evaluation.predictions import (
    COLUMNS,
    predictions_table,
    probabilities_of,
    refuse_other_rows,
    shared_costs,
)

NAMES = ["p_x", "row", "-", "high", "2 stars"]


def table_of(names: list[str] = NAMES, rows: int = 3) -> pd.DataFrame:
    classes = np.arange(rows) % len(names)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(names)), rows)
    interval = (np.maximum(classes - 1, 0), classes)
    return predictions_table(
        np.arange(rows) + 7, classes, classes, interval, probabilities.astype(np.float32), names
    )


def test_a_written_table_is_read_with_its_probabilities(tmp_path: Path) -> None:
    table = table_of()
    assert list(table) == [*COLUMNS, "p_p_x", "p_row", "p_-", "p_high", "p_2 stars"]
    table.to_parquet(tmp_path / "test.parquet", index=False)
    read = pd.read_parquet(tmp_path / "test.parquet")
    pd.testing.assert_frame_equal(read, table)
    expected = np.random.default_rng(0).dirichlet(np.ones(len(NAMES)), 3)
    np.testing.assert_allclose(probabilities_of(read), expected, rtol=1e-6)
    assert probabilities_of(read).dtype == np.float64


def test_kept_columns_come_first_and_keep_their_types(tmp_path: Path) -> None:
    kept = pa.table({"p_id": pa.array([1, None, 3]), "when": pa.array(["a", None, ""])})
    frame = kept.to_pandas(types_mapper=pd.ArrowDtype)
    plain = table_of()
    three = (np.arange(3), plain["label"].to_numpy(), plain["predicted"].to_numpy())
    interval = (plain["low"].to_numpy(), plain["high"].to_numpy())
    table = predictions_table(*three, interval, probabilities_of(plain), NAMES, frame)
    table.to_parquet(tmp_path / "test.parquet", index=False)
    read = pq.read_table(tmp_path / "test.parquet")
    assert read.column_names == ["p_id", "when", *plain.columns]
    assert read.select(["p_id", "when"]).equals(kept)
    again = pd.read_parquet(tmp_path / "test.parquet")
    np.testing.assert_allclose(probabilities_of(again), probabilities_of(plain))


@pytest.mark.parametrize("place", [0, 1])
def test_other_columns_are_not_probabilities(place: int) -> None:
    table = table_of()
    expected = probabilities_of(table)
    table.insert(place, "p_id", "a text")
    np.testing.assert_array_equal(probabilities_of(table), expected)


def test_only_equal_rows_labels_and_classes_can_be_compared() -> None:
    table = table_of()
    refuse_other_rows(table, table.assign(predicted=0, low=0, high=0), "the runs")
    for other in (table_of(rows=4), table.assign(row=[7, 8, 10]), table.assign(label=[0, 1, 1])):
        with pytest.raises(UserError, match="the runs were tested on different rows"):
            refuse_other_rows(table, other, "the runs")
    for names in (NAMES[:4], [*NAMES[:4], "3 stars"]):
        with pytest.raises(UserError, match=r"the runs predict different labels \(5 and [45]\)"):
            refuse_other_rows(table, table_of(names), "the runs")


def test_costs_are_in_the_metadata_of_the_file(tmp_path: Path) -> None:
    plain = table_of()
    columns = (plain[name].to_numpy() for name in ("row", "label", "predicted"))
    ends = (plain["low"].to_numpy(), plain["high"].to_numpy())
    costs = [[0.0 if a == b else 1.5 for b in range(5)] for a in range(5)]
    table = predictions_table(*columns, ends, probabilities_of(plain), NAMES, None, costs)
    table.to_parquet(tmp_path / "test.parquet", index=False)
    read = pd.read_parquet(tmp_path / "test.parquet")
    assert shared_costs([read]) == costs
    assert shared_costs([plain, read]) == costs
    assert shared_costs([plain]) is None
    other = read.copy()
    other.attrs["costs"] = [[0.0] * 5] * 5
    assert shared_costs([read, other]) is None

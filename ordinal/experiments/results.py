"""The test predictions of all runs of a study, metrics/studies/NAME.parquet, written and read here.

One row per run and review: `variant`, `seed`, `row`, `label` and `predicted`, and then the
probabilities with four decimals, as in `ordinal.evaluation.predictions`. It has no texts. Costs of
errors are in its metadata, unless those of two runs differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from ordinal.common.errors import UserError, one_line, quoted
from ordinal.evaluation.predictions import COSTS, probabilities_of, probability_names, shared_costs

RUN = ["variant", "seed"]
CLASSES = ["row", "label", "predicted"]
DECIMALS = 4


def write_runs(runs: Mapping[str, Sequence[pd.DataFrame]], path: Path) -> None:
    """Write the tables of predictions of each variant, one per seed (1, 2, …), as one file."""
    tables = [
        pd.concat([table[CLASSES].astype("int32"), _rounded(table)], axis=1)
        .assign(variant=variant, seed=seed)
        .astype({"seed": "int32"})
        for variant, of_variant in runs.items()
        for seed, table in enumerate(of_variant, 1)
    ]
    table = pd.concat(tables, ignore_index=True)
    table = table[[*RUN, *(name for name in table if name not in RUN)]]
    if costs := shared_costs(one for of_variant in runs.values() for one in of_variant):
        table.attrs[COSTS] = costs
    table.to_parquet(path, compression="zstd", index=False)


def read_runs(
    path: Path, variants: Iterable[str], seeds: int | None = None
) -> dict[str, list[pd.DataFrame]]:
    """Read the tables of predictions of some variants: one per seed, in the order of the seeds.

    Args:
        path: a file that `write_runs` wrote.
        variants: the variants to read.
        seeds: number of seeds per variant, the lowest first; None for all in the file.

    Raises:
        UserError: the file is missing or not such a file, or lacks a variant or a seed.
    """
    try:
        table = pd.read_parquet(path)
    except (OSError, ArrowException) as error:
        raise UserError(f"{path} can't be read as Parquet: {one_line(error)}") from None
    if list(table)[: len(RUN + CLASSES)] != RUN + CLASSES:
        raise UserError(
            f"{path} is not a file of a study's runs: its first columns are not "
            f"{', '.join(RUN + CLASSES)}"
        )
    found = {key: rows.drop(columns=RUN) for key, rows in table.groupby(RUN, sort=False)}
    wanted = range(1, (seeds or int(table["seed"].max())) + 1)
    for variant in variants:
        for seed in wanted:
            if (variant, seed) not in found:
                raise UserError(f"{path} has no run of {quoted(variant)} with seed {seed}")
    return {
        variant: [found[variant, seed].reset_index(drop=True) for seed in wanted]
        for variant in variants
    }


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    probabilities = probabilities_of(table).round(DECIMALS).astype("float32")
    return pd.DataFrame(probabilities, columns=probability_names(table))

"""The costs of errors: a matrix with a row per true label and a column per predicted label."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ordinal.common.choices import Decoding
from ordinal.common.errors import UserError

MAX_COST = 1e9  # sums of more could overflow

Costs = list[list[float]]
"""The cost of each predicted label, for each true label, lowest first; shape (K, K)."""


def _checked(costs: Costs) -> Costs:
    """Return costs, or raise a ValueError that says why they are no matrix of costs.

    The diagonal is 0: a cost of the right label would be part of any decision, and change none.
    """
    for number, row in enumerate(costs, start=1):
        if len(row) != len(costs):
            raise ValueError(
                f"row {number} has {len(row)} numbers, but there are {len(costs)} rows: give one "
                "row per true label, and one column per predicted label"
            )
        if row[number - 1] != 0:
            raise ValueError(
                f"row {number} has {row[number - 1]:g} on the diagonal: the right label costs 0"
            )
    return costs


Cost = Annotated[float, Field(strict=True, ge=0, le=MAX_COST, allow_inf_nan=False)]
CheckedCosts = Annotated[list[list[Cost]], Field(min_length=2), AfterValidator(_checked)]
"""The type of costs in params.yaml and in the catalog."""


def size_problem(costs: Costs, labels: Sequence[object]) -> str | None:
    """Return why costs do not suit the labels, or None."""
    if len(costs) == len(labels):
        return None
    return (
        f"{len(costs)} rows and columns, but the data has {len(labels)} labels: give one row and "
        "one column per label, lowest first"
    )


def costs_of(facts: Mapping[str, Any], rule: Decoding) -> Costs | None:
    """Return the costs in the facts of the data, or None if it has none.

    Raises:
        UserError: it has none, but the decoding rule needs them.
    """
    costs: Costs | None = facts.get("costs")
    if rule == "cost" and costs is None:
        raise UserError(
            "train.decode is cost, but the data has no costs of errors: set data.costs, or costs "
            "in its entry of the catalog"
        )
    return costs

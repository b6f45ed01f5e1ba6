"""The usual names of train, validation and test, in columns and in names of files."""

PART_OF = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""The part that each name means, in lower case."""


def part_of(name: str) -> str | None:
    """Return the part that a name means, in any case, or None."""
    return PART_OF.get(name.strip().casefold())

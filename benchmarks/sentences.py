"""Cut each text of a CSV file to its first two sentences, for `studies/short.yaml`.

`python -m benchmarks.sentences data/own/reviews.csv data/own/short.csv`
"""

import re
import sys

import pandas as pd

TEXT = "TEXT_COLUMN_NAME"  # as in the tutorial's file
SENTENCES = 2


def first_sentences(text: str) -> str:
    """Return the first sentences; one ends with `.`, `!` or `?` before white space."""
    return " ".join(re.split(r"(?<=[.!?])\s+", text.strip())[:SENTENCES])


def main(source: str, destination: str) -> None:
    table = pd.read_csv(source)
    table[TEXT] = table[TEXT].map(first_sentences)
    table.to_csv(destination, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The texts of the short study."""

from pathlib import Path

import pandas as pd

from benchmarks.sentences import TEXT, main


def test_texts_are_cut_after_two_sentences(tmp_path: Path) -> None:
    texts = ["Good. Bad! Ugly?", " One only ", "At 3.5 stars... fine?  Yes. No.", "Why?! Well\nok."]
    pd.DataFrame({TEXT: texts, "stars": [1, 2, 3, 4]}).to_csv(tmp_path / "a.csv", index=False)
    main(str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    short = pd.read_csv(tmp_path / "b.csv")
    assert list(short[TEXT]) == [
        "Good. Bad!",
        "One only",
        "At 3.5 stars... fine?",
        "Why?! Well\nok.",
    ]
    assert list(short["stars"]) == [1, 2, 3, 4]

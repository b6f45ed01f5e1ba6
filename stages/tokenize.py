"""Turn the text of each review into token ids, unpadded."""

from pathlib import Path

from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_folder, write_json
from ordinal.common.params import Tokenize
from ordinal.common.paths import PARTS
from ordinal.tokenization.tokenizer import load_tokenizer, save_tokenizer
from ordinal.tokenization.tokens import tokenize

ENCODER = Path("data/pretrained")


def main() -> None:
    params = Tokenize.load()
    tokenizer = load_tokenizer(ENCODER, params.max_length)
    facts = {}
    with atomic_folder(Path("data/tokenized")) as out:
        for part in PARTS:
            source = Path(f"data/split/{part}.parquet")
            facts[part] = tokenize(source, tokenizer, out / f"{part}.arrow")
        save_tokenizer(ENCODER, params.max_length, out)
    write_json(Path("metrics/tokenize.json"), facts)
    for part, counts in facts.items():
        cut = f"{counts['cut']} of {counts['rows']} reviews cut at {params.max_length} tokens"
        print(f"tokenize: {part}: {cut}")


if __name__ == "__main__":
    with report_user_errors():
        main()

"""Convert the text of each review to token ids, unpadded."""

from ordinal.common.errors import report_user_errors
from ordinal.common.files import atomic_folder, write_json
from ordinal.common.params import Tokenize
from ordinal.common.paths import PARTS, PRETRAINED, SPLIT, TOKEN_COUNTS, TOKENIZED
from ordinal.tokenization.tokenizer import load_tokenizer, save_tokenizer
from ordinal.tokenization.tokens import tokenize


def main() -> None:
    params = Tokenize.load()
    tokenizer = load_tokenizer(PRETRAINED, params.max_length)
    with atomic_folder(TOKENIZED) as out:
        counts = {
            part: tokenize(
                SPLIT / f"{part}.parquet", tokenizer, out / f"{part}.arrow", params.truncation
            )
            for part in PARTS
        }
        save_tokenizer(PRETRAINED, params.max_length, out, params.truncation)
    write_json(TOKEN_COUNTS, counts)
    for part, of_part in counts.items():
        cut = f"{of_part['cut']} of {of_part['rows']} reviews truncated"
        print(f"tokenize: {part}: {cut} at {params.max_length} tokens")


if __name__ == "__main__":
    with report_user_errors():
        main()

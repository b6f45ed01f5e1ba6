"""Text never becomes special tokens, whatever the tokenizer and whatever the text."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from ordinal.common.errors import UserError
from ordinal.common.files import read_json, write_json
from ordinal.tokenization.tokenizer import load_tokenizer, read_literally, save_tokenizer

NAMES = ("<pad>", "<s>", "</s>", "<unk>", "<mask>", "[SEP]", "<|endoftext|>", "<extra_id_0>")
LETTERS = tuple("abdekmnoprstx_i0</>[]|SEP")
FRAME = processors.TemplateProcessing(
    single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
)
CORPUS = ["a bad bed was a bad bed", "send </s> to the </s> end", "a note is a note", "[x] <p>"]
METASPACE = pre_tokenizers.Metaspace(prepend_scheme="always")


def vocabulary(prefix: str = "") -> dict[str, int]:
    pieces = (*NAMES, *LETTERS, *(f"{prefix}{letter}" for letter in LETTERS))
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


def unigram() -> Tokenizer:
    """As in T5 and XLM-RoBERTa: the vocabulary of SentencePiece contains the names."""
    pieces = [(piece, 0.0 if piece in NAMES else -5.0) for piece in [*vocabulary(), "▁"]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = METASPACE
    return tokenizer


def unigram_in_lower_case() -> Tokenizer:
    """As in ALBERT: `</S>` becomes `</s>` before it is looked up."""
    tokenizer = unigram()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    return tokenizer


def unigram_without_pretokenizer() -> Tokenizer:
    tokenizer = unigram()
    tokenizer.pre_tokenizer = None
    return tokenizer


def byte_level() -> Tokenizer:
    """As in RoBERTa, BART and GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(special_tokens=[*NAMES], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def word_piece() -> Tokenizer:
    """As in BERT."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary("##"), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def words_by_spaces() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel(vocabulary(), "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


KINDS: list[Callable[[], Tokenizer]] = [
    unigram,
    unigram_in_lower_case,
    unigram_without_pretokenizer,
    byte_level,
    word_piece,
    words_by_spaces,
]


def published(kind: Callable[[], Tokenizer], special: bool = True) -> Tokenizer:
    """A tokenizer as published, without the changes of this project."""
    tokenizer = kind()
    tokenizer.post_processor = FRAME
    tokenizer.add_special_tokens([*NAMES])
    if special:
        return tokenizer
    content = json.loads(tokenizer.to_str())
    for token in content["added_tokens"]:
        token["special"] = False
    return Tokenizer.from_str(json.dumps(content))


def save_published(
    tokenizer: Tokenizer, folder: Path, model_type: str = "roberta", by: str = "TokenizersBackend"
) -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"model_type": model_type, "eos_token_id": 2, "pad_token_id": 0}
    write_json(folder / "config.json", config)
    roles = {
        "pad_token": "<pad>",
        "bos_token": {"__type": "AddedToken", "content": "<s>"},
        "eos_token": "</s>",
    }
    others = {"unk_token": "<unk>", "mask_token": "<mask>", "add_eos_token": False}
    settings = roles | others | {"model_max_length": 512, "tokenizer_class": by}
    write_json(folder / "tokenizer_config.json", settings)
    return folder


def special_in_text(tokenizer: Tokenizer, text: str) -> set[str]:
    """The special tokens between those that frame a text, except that for unknown characters."""
    tokens = tokenizer.encode(text).tokens
    assert (tokens[0], tokens[-1]) == ("<s>", "</s>")
    return set(tokens[1:-1]) & set(NAMES) - {"<unk>"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_names_of_special_tokens_are_ordinary_text(
    kind: Callable[[], Tokenizer], tmp_path: Path
) -> None:
    before = published(kind)
    after = load_tokenizer(save_published(before, tmp_path), 64)
    for name in NAMES:
        for text in (name, f"a{name}b", f"bed {name} {name}", f"{name}{name}", f" {name}"):
            if name != "<unk>":
                assert special_in_text(before, text)
            assert not special_in_text(after, text), text
    for text in CORPUS:
        plain = text.replace("</s>", "")
        assert after.encode(plain).ids == before.encode(plain).ids


PARTS = st.sampled_from([*NAMES, "</S>", "＜/s＞", " ", "a", "<", ">", "▁", "\u200b"]) | st.text()


@given(st.lists(PARTS, max_size=6).map("".join))
def test_no_text_becomes_special_tokens(text: str) -> None:
    for kind in KINDS:
        tokenizer = published(kind)
        read_literally(tokenizer)
        assert not special_in_text(tokenizer, text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_that_is_saved_and_loaded_is_not_changed_again(
    kind: Callable[[], Tokenizer], tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    save_tokenizer(save_published(published(kind), tmp_path), 64, tmp_path / "new")
    loaded = Tokenizer.from_file(str(tmp_path / "new" / "tokenizer.json"))
    assert not read_literally(loaded)
    first = load_tokenizer(tmp_path, 64)
    for text in [*CORPUS, *NAMES]:
        assert loaded.encode(text).ids == first.encode(text).ids


def test_tokens_with_a_role_are_special_even_if_the_file_does_not_say_so(tmp_path: Path) -> None:
    before = published(byte_level, special=False)
    after = load_tokenizer(save_published(before, tmp_path), 64)
    assert not special_in_text(after, "bed </s><mask> <pad>")
    # Tokens without a role are the vocabulary of ordinary text, such as runs of spaces.
    assert special_in_text(after, "bed [SEP]") == {"[SEP]"}
    assert [after.token_to_id(name) for name in NAMES] == list(range(len(NAMES)))


@pytest.mark.parametrize(
    ("kind", "model_type", "by"),
    [
        (unigram, "t5", "T5Tokenizer"),
        (unigram, "xlm-roberta", "XLMRobertaTokenizer"),
        (byte_level, "bart", "TokenizersBackend"),
    ],
)
def test_plain_transformers_reads_the_same_tokens(
    kind: Callable[[], Tokenizer], model_type: str, by: str, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    save_published(published(kind), tmp_path, model_type, by)
    save_tokenizer(tmp_path, 16, tmp_path / "new")
    write_json(tmp_path / "new" / "config.json", read_json(tmp_path / "config.json"))
    texts = [*CORPUS, *NAMES, "a</s>b " * 20]
    theirs = AutoTokenizer.from_pretrained(tmp_path / "new")(texts, truncation=True)["input_ids"]
    ours = load_tokenizer(tmp_path, 16)
    assert theirs == [ours.encode(text).ids for text in texts]
    assert {row.count(2) for row in theirs} == {1}
    assert {row[-1] for row in theirs} == {2}
    assert np.max([len(row) for row in theirs]) == 16


@pytest.mark.parametrize("kind", [word_piece, byte_level])
def test_other_tokenizers_read_the_same_tokens_with_the_option_of_the_guide(
    kind: Callable[[], Tokenizer], tmp_path: Path
) -> None:
    """Their files are as published; docs/design.md names the option."""
    (tmp_path / "new").mkdir()
    save_published(published(kind), tmp_path)
    save_tokenizer(tmp_path, 16, tmp_path / "new")
    write_json(tmp_path / "new" / "config.json", read_json(tmp_path / "config.json"))
    texts = [*CORPUS, *NAMES, "a</s>b " * 20]
    ours = [load_tokenizer(tmp_path, 16).encode(text).ids for text in texts]
    plain = AutoTokenizer.from_pretrained(tmp_path / "new")
    assert plain(texts, truncation=True)["input_ids"] != ours
    plain = AutoTokenizer.from_pretrained(tmp_path / "new", split_special_tokens=True)
    assert plain(texts, truncation=True)["input_ids"] == ours


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eos_token_id": 0}, r"eos_token_id and pad_token_id are both 0, but a t5 classifier"),
        ({"eos_token_id": 9}, r"does not end a text with eos_token_id 9, at which a t5 classifier"),
    ],
)
def test_a_tokenizer_that_does_not_end_texts_as_the_encoder_needs_is_refused(
    changes: dict[str, int], message: str, tmp_path: Path
) -> None:
    save_published(published(unigram), tmp_path, "t5")
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | changes)
    with pytest.raises(UserError, match=message):
        load_tokenizer(tmp_path, 16)

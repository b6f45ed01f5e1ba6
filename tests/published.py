"""A tiny encoder of each family in the files in which such encoders are published."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sentencepiece
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoModel, PreTrainedModel, set_seed

from ordinal.common.files import write_json
from tests.families import FAMILIES, WORDS, save_word_tokenizer

SIZE = 400  # more than any of the vocabularies
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sentences() -> Iterator[str]:
    for number in range(300):
        words = [WORDS[(number * step) % len(WORDS)] for step in (1, 3, 7)]
        yield f"{' '.join(words)} {number} {LETTERS[number % 26]} {LETTERS.upper()[number % 26]}."


def _sentencepiece(name: str, **options: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        content = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=sentences(),
            model_writer=content,
            vocab_size=90,
            hard_vocab_limit=False,
            minloglevel=2,
            **options,
        )
        (folder / name).write_bytes(content.getvalue())

    return write


def _bytes(*special: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        tokenizer = ByteLevelBPETokenizer()
        tokenizer.train_from_iterator(sentences(), 300, special_tokens=[*special])
        tokenizer.save_model(str(folder))

    return write


def _words(*special: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        words = [*special, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
        (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")

    return write


@dataclass(frozen=True)
class Form:
    """The files of a family: its tokenizer, its weights, and changes of its config."""

    tokenizer: Callable[[Path], None]
    settings: dict[str, object]
    weights: str = "pickle"
    config: dict[str, int | None] = field(default_factory=dict)


BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
DEBERTA = {
    "pad_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "unk_id": 3,
    "pad_piece": "[PAD]",
    "bos_piece": "[CLS]",
    "eos_piece": "[SEP]",
    "unk_piece": "[UNK]",
}
ALBERT = {
    "pad_id": 0,
    "unk_id": 1,
    "bos_id": -1,
    "eos_id": -1,
    "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
}
FORMS = {
    "bert": Form(_words(*BERT), {"do_lower_case": True}, config={"pad_token_id": 0}),
    "distilbert": Form(save_word_tokenizer, {}, "safetensors"),
    "roberta": Form(_bytes("<s>", "<pad>", "</s>", "<unk>", "<mask>"), {}),
    "xlm-roberta": Form(_sentencepiece("sentencepiece.bpe.model"), {}),
    "deberta-v2": Form(
        _sentencepiece("spm.model", **DEBERTA),
        {"do_lower_case": False, "vocab_type": "spm"},
        "half",
        {"pad_token_id": 0},
    ),
    "electra": Form(_words(*BERT), {"do_lower_case": True}, "shards", {"pad_token_id": 0}),
    "albert": Form(_sentencepiece("spiece.model", **ALBERT), {}, config={"pad_token_id": 0}),
    "modernbert": Form(save_word_tokenizer, {}, "safetensors shards"),
    "mpnet": Form(_words("<s>", "<pad>", "</s>", "[UNK]", "<mask>"), {}),
    "gpt2": Form(
        _bytes("<|endoftext|>"),
        {},
        config={"pad_token_id": None, "bos_token_id": 0, "eos_token_id": 0},
    ),
}


def save_published(name: str, folder: Path) -> PreTrainedModel:
    """Write the files of a family's tiny encoder, and return the encoder."""
    form, family = FORMS[name], FAMILIES[name]
    set_seed(0)
    config = family.kind(**family.sizes | {"vocab_size": SIZE} | form.config)
    model = AutoModel.from_config(config)
    if form.weights == "half":
        model = model.half().float()
    form.tokenizer(folder)
    if form.weights.startswith("safetensors"):
        size = "10KB" if form.weights.endswith("shards") else "1GB"
        model.save_pretrained(folder, max_shard_size=size)
    else:
        config.save_pretrained(folder)
        _save_pickles(model, form.weights, folder)
    if not (folder / "tokenizer_config.json").is_file():
        write_json(folder / "tokenizer_config.json", form.settings)
    model.eval()
    return model


def _save_pickles(model: PreTrainedModel, form: str, folder: Path) -> None:
    weights = dict(model.state_dict())
    if form == "half":
        weights = {name: weight.half() for name, weight in weights.items()}
    if form != "shards":
        torch.save(weights, folder / "pytorch_model.bin")
        return
    files: dict[str, str] = {}
    for number in (1, 2):
        file = f"pytorch_model-{number:05}-of-00002.bin"
        shard = dict([*weights.items()][number - 1 :: 2])
        torch.save(shard, folder / file)
        files |= dict.fromkeys(shard, file)
    write_json(folder / "pytorch_model.bin.index.json", {"metadata": {}, "weight_map": files})

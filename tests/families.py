"""A tiny encoder with random weights of each family, with a tokenizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AlbertConfig,
    AutoModel,
    BartConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    T5Config,
    XLMRobertaConfig,
    set_seed,
)

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
WORDS = ("awful", "poor", "plain", "good", "superb", "room", "bed", "staff", "the", "was")
IDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "vocab_size": 40}
BERT = IDS | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
}
SMALLER = BERT | {"embedding_size": 8}
DEBERTA = BERT | {
    "relative_attention": True,
    "position_biased_input": False,
    "position_buckets": 4,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "conv_kernel_size": 3,
}
DISTILBERT = IDS | {
    "dim": 16,
    "n_layers": 2,
    "n_heads": 2,
    "hidden_dim": 32,
    "max_position_embeddings": 24,
}
BART = IDS | {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 24,
}
T5 = IDS | {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 2,
    "decoder_start_token_id": 1,
    "n_positions": 24,
}
GPT2 = IDS | {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 24}


@dataclass(frozen=True)
class Family:
    """The config of a tiny encoder, and what is known of it."""

    kind: Callable[..., PreTrainedConfig]
    sizes: dict[str, object]
    usable: int | None
    """The most tokens that it reads; None if it has relative positions only."""
    hard: bool = True
    """True if it fails on one token more."""
    depths: dict[str, int] = field(default_factory=dict)
    """The depth of its weights by the beginnings of their names; the longest counts."""
    attention_dropout: bool = True


def _two_layers(base: str, layers: str, *top: str) -> dict[str, int]:
    """The depths of an encoder of two layers; the names in `top` are on top of these."""
    below = {f"{base}.": 3, f"{base}.{layers}.0.": 2, f"{base}.{layers}.1.": 1}
    return below | dict.fromkeys(top, 0)


FAMILIES = {
    "bert": Family(
        BertConfig,
        BERT,
        24,
        depths=_two_layers("bert", "encoder.layer", "bert.pooler.", "classifier."),
    ),
    "distilbert": Family(
        DistilBertConfig,
        DISTILBERT,
        24,
        depths=_two_layers("distilbert", "transformer.layer", "pre_classifier.", "classifier."),
    ),
    "roberta": Family(
        RobertaConfig, BERT, 22, depths=_two_layers("roberta", "encoder.layer", "classifier.")
    ),
    # Its positions start after 3, the id of its padding.
    "roberta-with-another-padding-id": Family(
        RobertaConfig,
        BERT | {"pad_token_id": 3},
        20,
        depths=_two_layers("roberta", "encoder.layer", "classifier."),
    ),
    "xlm-roberta": Family(
        XLMRobertaConfig, BERT, 22, depths=_two_layers("roberta", "encoder.layer", "classifier.")
    ),
    "deberta-v2": Family(
        DebertaV2Config,
        DEBERTA,
        None,
        # The convolution works on the output of layer 0.
        depths=_two_layers("deberta", "encoder.layer", "pooler.", "classifier.")
        | {"deberta.encoder.conv.": 2},
    ),
    "deberta-v2-with-positions": Family(
        DebertaV2Config,
        BERT | {"position_biased_input": True},
        24,
        depths=_two_layers("deberta", "encoder.layer", "pooler.", "classifier."),
    ),
    "electra": Family(
        ElectraConfig, SMALLER, 24, depths=_two_layers("electra", "encoder.layer", "classifier.")
    ),
    # One layer, which works three times.
    "albert": Family(
        AlbertConfig,
        SMALLER | {"num_hidden_layers": 3},
        24,
        depths={
            "albert.": 4,
            "albert.encoder.albert_layer_groups.0.": 1,
            "albert.pooler.": 0,
            "classifier.": 0,
        },
    ),
    # Two groups of two layers, and each group works twice.
    "albert-with-two-groups": Family(
        AlbertConfig,
        SMALLER | {"num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2},
        24,
        depths={
            "albert.": 5,
            "albert.encoder.albert_layer_groups.0.": 3,
            "albert.encoder.albert_layer_groups.1.": 1,
            "albert.pooler.": 0,
            "classifier.": 0,
        },
    ),
    "mpnet": Family(
        MPNetConfig, BERT, 22, depths=_two_layers("mpnet", "encoder.layer", "classifier.")
    ),
    "modernbert": Family(
        ModernBertConfig,
        BERT | {"cls_token_id": 0, "sep_token_id": 2, "local_attention": 8},
        24,
        hard=False,
        depths=_two_layers("model", "layers", "model.final_norm.", "head.", "classifier."),
    ),
    "bart": Family(
        BartConfig,
        BART,
        24,
        depths={
            "model.": 6,
            "model.encoder.layers.0.": 5,
            "model.encoder.layers.1.": 4,
            "model.decoder.layernorm_embedding.": 4,
            "model.decoder.layers.0.": 3,
            "model.decoder.layers.1.": 2,
            "model.decoder.layers.2.": 1,
            "classification_head.": 0,
        },
    ),
    "t5": Family(
        T5Config,
        T5,
        None,
        depths={
            "transformer.": 6,
            "transformer.encoder.block.0.": 5,
            "transformer.encoder.block.1.": 4,
            "transformer.encoder.final_layer_norm.": 4,
            "transformer.decoder.block.0.": 3,
            "transformer.decoder.block.1.": 2,
            "transformer.decoder.block.2.": 1,
            "transformer.decoder.final_layer_norm.": 0,
            "classification_head.": 0,
        },
        attention_dropout=False,
    ),
    "gpt2": Family(
        GPT2Config,
        GPT2,
        24,
        depths=_two_layers("transformer", "h", "transformer.ln_f.", "score."),
    ),
}


def save_family(name: str, folder: Path) -> Path:
    """Save the tiny encoder of a family, in the format of the hub."""
    family = FAMILIES[name]
    set_seed(0)
    config = family.kind(**family.sizes)
    AutoModel.from_config(config).save_pretrained(folder)
    save_word_tokenizer(folder)
    return folder


def save_word_tokenizer(folder: Path) -> None:
    """Save a tokenizer of words, which starts texts with <s> and ends them with </s>."""
    words = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(words, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    roles = dict(zip(("bos", "pad", "eos", "unk", "mask"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{role}_token": token for role, token in roles.items()}
    ).save_pretrained(folder)

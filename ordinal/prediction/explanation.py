"""The words that moved a prediction up or down the scale, by integrated gradients.

What is explained is the expected label Σ_k k·p_k of the calibrated distribution, with the labels
counted from 1. The effects of the words add up to its difference from the expected label of a
baseline: the same text with every word replaced by padding.

Reference: Sundararajan, Taly, Yan (2017), Axiomatic attribution for deep networks.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from captum.attr import LayerIntegratedGradients
from tokenizers import Encoding, Tokenizer
from torch import Tensor, nn
from transformers import PreTrainedModel

from ordinal.common.choices import Accelerator, Truncation
from ordinal.common.errors import UserError
from ordinal.distributions.calibration import MIN_PROBABILITY
from ordinal.model.classifier import load_calibration, load_classifier
from ordinal.model.device import choose_device
from ordinal.model.losses import LOSSES
from ordinal.tokenization.tokenizer import load_truncation, read_literally
from ordinal.tokenization.truncation import truncated

TOKENS = 1024  # in memory at once; a text of 512 tokens takes the steps two by two
STEPS = (32, 64, 128, 512)  # of the integral: the next number where one is not exact enough
TOLERANCE = 0.01  # error of the sum of all effects, as a share of the difference to the baseline
SMALL = 0.01  # labels; an effect of all words below this need not be so exact
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff\uf900-\ufaff]")
"""A character of a script without spaces, such as Chinese: there, each token counts as a word."""


@dataclass(frozen=True)
class Word:
    """A word of a text, and its effect."""

    word: str
    start: int
    """Its first character in the text."""
    end: int
    """The character after its last one."""
    effect: float
    """Labels by which it moved the expected label, up if it is positive."""


@dataclass(frozen=True)
class Explanation:
    """The effects of the words of a text. Words that were cut off have none, and are left out."""

    expected: float
    """Expected label, where 1 is the lowest label."""
    baseline: float
    """Expected label of the baseline."""
    words: list[Word]

    def largest(self, count: int) -> list[Word]:
        """Return the words with the largest effects, up or down, largest first."""
        return sorted(self.words, key=lambda word: -abs(word.effect))[:count]

    def strengths(self) -> list[tuple[Word, float]]:
        """Return each word and its effect as a share of the largest, from −1 to 1."""
        largest = max((abs(word.effect) for word in self.words), default=0) or 1
        return [(word, word.effect / largest) for word in self.words]


@dataclass(frozen=True)
class Explainer:
    """A trained model that explains its predictions. `load_explainer` makes one from a folder."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    temperature: float
    truncation: Truncation

    def explain(self, text: str) -> Explanation:
        """Explain the prediction of a text."""
        tokens = truncated(self.tokenizer.encode(text), self.truncation, _tokens)
        ids, special, numbers, places = zip(*tokens, strict=True)
        expected, baseline, effects = self.effects(
            torch.tensor([ids]), torch.tensor([special], dtype=torch.bool)
        )
        return Explanation(expected, baseline, merge_words(text, numbers, places, effects))

    def effects(self, ids: Tensor, special: Tensor) -> tuple[float, float, list[float]]:
        """Return the expected label of a text and of its baseline, and the effect of each token.

        Args:
            ids: the token ids, shape (1, width).
            special: true for special tokens, which the baseline has too, shape (1, width).
        """
        ids, special = ids.to(self.model.device), special.to(self.model.device)
        empty = torch.where(special, ids, self.model.config.pad_token_id)
        mask = torch.ones_like(ids)
        layers = embedding_layers(self.model, ids, mask)
        with torch.no_grad():
            expected = self.expected_label(ids, mask).item()
            vectors: dict[nn.Module, Tensor] = {}
            with _hooked(layers, lambda layer, _, output: vectors.update({layer: output})):
                self.expected_label(empty, mask)
            # With the ids of the text, from which some encoders compute positions or the end.
            with _hooked(layers, lambda layer, *_: vectors[layer]):
                baseline = self.expected_label(ids, mask).item()
        gradients = _layer_gradients(self.expected_label, list(layers))
        for steps in STEPS:
            found = gradients.attribute(
                ids,
                empty,
                additional_forward_args=(mask,),
                n_steps=steps,
                internal_batch_size=max(1, TOKENS // ids.shape[1]),
            )
            effects = sum(
                part.sum(dim=2)[0].roll(-shift)
                for part, shift in zip(found, layers.values(), strict=True)
            )
            error = abs(effects.sum().item() - (expected - baseline))
            if error <= TOLERANCE * max(abs(expected - baseline), SMALL):
                break
        return expected, baseline, effects.tolist()

    def expected_label(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the expected label of each text, shape (rows,), where 1 is the lowest label."""
        logits = self.model(input_ids=ids, attention_mask=mask).logits
        probabilities = LOSSES[self.model.config.ordinal["loss"]].probabilities(logits)
        # As `apply_temperature`, which is for numpy.
        powers = probabilities.clamp(min=MIN_PROBABILITY).double() ** (1 / self.temperature)
        labels = torch.arange(1, powers.shape[1] + 1, device=powers.device)
        expected: Tensor = (powers * labels).sum(dim=1) / powers.sum(dim=1)
        return expected


def load_explainer(folder: Path, accelerator: Accelerator = "auto") -> Explainer:
    """Load the model in a folder of the train stage.

    Raises:
        UserError: there is no such model, or it is an ONNX file.
    """
    if folder.suffix == ".onnx":
        raise UserError(
            f"{folder} is an ONNX file, which can't be explained: use the model's folder"
        )
    model = load_classifier(folder).requires_grad_(False)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    read_literally(tokenizer)
    temperature = load_calibration(folder).temperature
    device = choose_device(accelerator)
    model.to(device)  # type: ignore[arg-type]
    return Explainer(model, tokenizer, temperature, load_truncation(folder))


def embedding_layers(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> dict[nn.Module, int]:
    """Return the modules that turn token ids into vectors, each with the shift of its ids.

    An encoder with a decoder has two, with the same weights. The decoder's gets each id one place
    later, after a start token.
    """
    weight = model.get_input_embeddings().weight
    layers: dict[nn.Module, int] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...], _: Tensor) -> None:
        layers[layer] = 0 if torch.equal(given[0], ids) else 1

    tables = [layer for layer in model.modules() if isinstance(layer, nn.Embedding)]
    with _hooked([table for table in tables if table.weight is weight], note), torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    return layers


def merge_words(
    text: str,
    numbers: Sequence[int | None],
    places: Sequence[tuple[int, int]],
    effects: Sequence[float],
) -> list[Word]:
    """Add up the effects of the tokens of each word.

    Args:
        text: the text.
        numbers: the number of each token's word, or None for a special token.
        places: the first character of each token, and the one after its last.
        effects: the effect of each token.
    """
    words: list[Word] = []
    last = None
    for number, (start, end), effect in zip(numbers, places, effects, strict=True):
        if number is None:
            continue
        start += len(text[start:end]) - len(text[start:end].lstrip())
        if number == last and not (words[-1].word and UNSPACED.match(text, start)):
            word = words.pop()
            start, effect = word.start if word.word else start, word.effect + effect
        words.append(Word(text[start:end], start, end, effect))
        last = number
    return words


def _tokens(encoding: Encoding) -> list[tuple[int, int, int | None, tuple[int, int]]]:
    """Return of each token its id, whether it is special, the number of its word, and its place."""
    marks = encoding.special_tokens_mask
    return list(zip(encoding.ids, marks, encoding.word_ids, encoding.offsets, strict=True))


def _layer_gradients(
    function: Callable[..., Tensor], layers: list[nn.Module]
) -> LayerIntegratedGradients:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Multiple layers provided")
        return LayerIntegratedGradients(function, layers)


@contextmanager
def _hooked(layers: Iterable[nn.Module], hook: Callable[..., object]) -> Iterator[None]:
    """Call `hook` after each of the layers; what it returns, if anything, replaces the output."""
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

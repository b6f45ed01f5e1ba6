"""The tokens that are kept of a text that is too long."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tokenizers import Encoding

from ordinal.common.choices import Truncation

Value = TypeVar("Value")


def truncated_ids(encoding: Encoding, truncation: Truncation) -> list[int]:
    """Return the token ids that the network reads of a text. Training and prediction call this."""
    return truncated(encoding, truncation, lambda piece: piece.ids)


def truncated(
    encoding: Encoding, truncation: Truncation, values: Callable[[Encoding], list[Value]]
) -> list[Value]:
    """Return a value per token that the network reads of a text, such as its id or its place.

    With `head_tail`, a text that is too long keeps the first quarter of the maximum length, and its
    end: 128 and 382 of 512 tokens, and two special tokens (Sun et al. 2019, section 5.3.1).

    Args:
        encoding: the text, encoded by a tokenizer that truncates at the head. What this leaves over
            is in `encoding.overflowing`, in pieces of the same length.
        truncation: which tokens to keep.
        values: returns the value of each token of a piece.
    """
    whole, special = values(encoding), encoding.special_tokens_mask
    if truncation == "head" or 0 not in special or not encoding.overflowing:
        return whole
    start, room = special.index(0), special.count(0)
    head = min(len(whole) // 4, room)
    tail = room - head
    # The last piece may be shorter than the tail, but it is never longer than the piece before it.
    last = [encoding, *encoding.overflowing][-2:]
    rest = [value for piece in last for value in _of_text(values(piece), piece)]
    return [*whole[: start + head], *rest[len(rest) - tail :], *whole[start + room :]]


def _of_text(values: Sequence[Value], piece: Encoding) -> list[Value]:
    """Return the values of a piece without those of the special tokens at its ends."""
    mask = zip(values, piece.special_tokens_mask, strict=True)
    return [value for value, special in mask if not special]

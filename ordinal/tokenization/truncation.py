"""The tokens that are kept of a text that is too long."""

from tokenizers import Encoding

from ordinal.common.choices import Truncation


def truncated_ids(encoding: Encoding, truncation: Truncation) -> list[int]:
    """Return the token ids that the network reads of a text. Training and prediction call this.

    With `head_tail`, a text that is too long keeps the first quarter of the maximum length, and its
    end: 128 and 382 of 512 tokens, and two special tokens (Sun et al. 2019, section 5.3.1).

    Args:
        encoding: the text, encoded by a tokenizer that truncates at the head. What this leaves over
            is in `encoding.overflowing`, in pieces of the same length.
        truncation: which tokens to keep.
    """
    ids, special = encoding.ids, encoding.special_tokens_mask
    if truncation == "head" or 0 not in special or not encoding.overflowing:
        return ids
    start, room = special.index(0), special.count(0)
    head = min(len(ids) // 4, room)
    tail = room - head
    # The last piece may be shorter than the tail, but it is never longer than the piece before it.
    rest = [token for piece in _pieces(encoding)[-2:] for token in _of_text(piece)]
    return [*ids[: start + head], *rest[len(rest) - tail :], *ids[start + room :]]


def _pieces(encoding: Encoding) -> list[Encoding]:
    return [encoding, *encoding.overflowing]


def _of_text(piece: Encoding) -> list[int]:
    """Return the token ids of a piece without the special tokens at its ends."""
    mask = zip(piece.ids, piece.special_tokens_mask, strict=True)
    return [token for token, special in mask if not special]

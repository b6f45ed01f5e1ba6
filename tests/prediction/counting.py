"""A predictor whose label is the number of tokens, and a server of one that waits to be released.

`python -m tests.prediction.counting` serves it, and releases it at the end of its stdin.
"""

import sys
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from ordinal import Predictor
from ordinal.distributions.calibration import Calibration
from ordinal.distributions.conformal import IntervalRule
from ordinal.model.inference import Network
from tests.tiny import scores_of

LABELS = ["<i>poor</i>", "so-so", "good & cheap"]


def token_counter() -> Predictor:
    """A network whose label rises with the number of tokens."""

    def distributions(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        excess = mask.sum(axis=1, keepdims=True) - 4.0
        scores = np.exp(excess * np.array([-0.5, 0.0, 0.5]))
        return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    tokenizer.enable_truncation(16)
    calibration = Calibration(1.0, scores_of([0.1 * k for k in range(9)], 3))
    return Predictor(
        Network(3, 0, distributions), tokenizer, LABELS, "median", calibration, IntervalRule(0.8)
    )


@dataclass(frozen=True)
class Waiting:
    """A predictor that computes nothing until it is released."""

    predictor: Predictor = field(default_factory=token_counter)
    started: Event = field(default_factory=Event)
    release: Event = field(default_factory=Event)
    computed: list[Any] = field(default_factory=list)
    """The texts of each prediction."""

    def __call__(self) -> Predictor:
        tokenizer = self.predictor.tokenizer

        class Waits:
            def encode_batch_fast(_, texts: list[str]) -> Any:  # noqa: N805
                self.computed.append(texts)
                self.started.set()
                self.release.wait()
                return tokenizer.encode_batch_fast(texts)

        return replace(self.predictor, tokenizer=Waits())


def main() -> None:
    from ordinal.prediction import server

    waiting = Waiting()

    def release() -> None:
        sys.stdin.read()
        waiting.release.set()

    Thread(target=release, daemon=True).start()
    with server.listen("127.0.0.1", 0) as listener:
        print(listener.getsockname()[1], flush=True)
        server.serve(server.create_app(waiting()), listener, access_log=True)


if __name__ == "__main__":
    main()

"""The tutorial's training loop, rewritten without Lightning, to compare the speed with.

Every review is padded to the longest of its split. Batches of 12 in fp32 come from a DataLoader
over a `datasets` object (where that library is missing, a list, which is no slower). The loss is
coral-pytorch's CORN, and the optimiser is Adam.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coral_pytorch.dataset import corn_label_from_logits
from coral_pytorch.losses import corn_loss
from torch.utils.data import DataLoader
from torchmetrics import MeanAbsoluteError
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

from benchmarks.clock import now
from benchmarks.corpora import CLASSES
from ordinal.tokenization.tokens import Tokens

BATCH = 12


def tutorial_speed(device: torch.device, encoder: Path, tokens: Tokens, steps: int) -> float:
    """Samples per second over so many steps, after one step of warm-up."""
    logging.set_verbosity_error()
    model = AutoModelForSequenceClassification.from_pretrained(
        encoder, num_labels=CLASSES, dtype=torch.float32
    )
    model.to(device).train()
    ids, mask = tokens.pad(np.arange(len(tokens)), model.config.pad_token_id)
    columns = {"input_ids": ids, "attention_mask": mask, "label": tokens.labels}
    loader = DataLoader(
        _rows(columns), batch_size=BATCH, shuffle=True, drop_last=True, num_workers=1
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5)
    error = MeanAbsoluteError().to(device)
    for step, batch in enumerate(islice(_forever(loader), steps + 1)):
        if step == 1:
            start = now(device)
        ids, mask, labels = (batch[name].to(device) for name in columns)
        logits = model(input_ids=ids, attention_mask=mask, labels=labels).logits
        loss = corn_loss(logits, labels, CLASSES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        error(corn_label_from_logits(logits), labels)
    return steps * BATCH / (now(device) - start)


def _rows(columns: dict[str, np.ndarray]) -> Any:
    try:
        import datasets
    except ImportError:
        tensors = {name: torch.from_numpy(column) for name, column in columns.items()}
        rows = range(len(tensors["label"]))
        return [{name: column[row] for name, column in tensors.items()} for row in rows]
    datasets.disable_progress_bars()
    return datasets.Dataset.from_dict(columns).with_format("torch")


def _forever(loader: DataLoader) -> Iterator[dict[str, torch.Tensor]]:
    while True:
        yield from loader

"""Training on several devices: rows per rank, start and end of the processes.

Each batch is divided between the ranks. So the batches, the optimiser steps and the learning rate
schedule of a run are the same on any number of devices, and its losses add up to the same numbers.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, distributed
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel
from transformers.utils import logging

from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.common.types import Rows
from ordinal.model.architecture import layers


def rows_for_rank(batch: Rows, rank: int, ranks: int) -> Rows:
    """A rank's rows of a batch sorted by length: about as long as those of any other rank.

    A rank without rows has to compute with the others all the same. It gets the first row of the
    batch, whose weight is 0 by `weight_of_rows` and `is_counted`.
    """
    return batch[rank::ranks] if is_counted(batch, rank) else batch[:1]


def is_counted(batch: Rows, rank: int) -> bool:
    """Return whether a rank has rows of its own in a batch."""
    return rank < len(batch)


def weight_of_rows(batch: Rows, rank: int, ranks: int, row_weights: Tensor) -> float:
    """Factor of a rank's mean loss with which the mean over ranks is the mean loss of the batch.

    `row_weights`, shape (all rows,), is the weight of each row in the mean loss. With one rank the
    factor is exactly 1.
    """
    whole = row_weights[batch].sum()
    return float(ranks * row_weights[batch[rank::ranks]].sum() / whole)


def all_gather(values: Tensor) -> Tensor:
    """The values of each rank in the order of the ranks, shape (ranks, *values.shape)."""
    if not distributed.is_initialized():
        return values[None]
    gathered = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, values)
    return torch.stack(gathered)


def current_rank() -> int:
    """Number of this process among those that train together."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def choose_environment(recipe: Train, device: torch.device) -> ClusterEnvironment:
    """Return the environment that starts the processes: torchrun, SLURM or the first process.

    Raises:
        UserError: the recipe does not fit the hardware, the batch size or the started processes.
    """
    devices, nodes = recipe.devices, recipe.num_nodes
    if recipe.strategy == "fsdp" and devices * nodes == 1:
        raise UserError(
            "train.strategy is fsdp, which needs several devices: set it to ddp, or raise "
            "train.devices"
        )
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UserError(
            f"train.devices is {devices}, but torch finds {torch.cuda.device_count()} GPUs here: "
            "lower it"
        )
    if recipe.batch_size < devices * nodes:
        raise UserError(
            f"train.batch_size is {recipe.batch_size}, too few rows for {devices * nodes} devices, "
            "which divide each batch: raise it, or lower train.devices"
        )
    try:
        environment = _environment()
        environment.validate_settings(devices, nodes)
    except (RuntimeError, ValueError):
        raise UserError(
            f"train.devices is {devices} and train.num_nodes {nodes}, but torchrun or srun started "
            f"a different number of processes: start {devices} on each of {nodes} machines with "
            f"--ntasks-per-node={devices} or --nproc-per-node={devices}"
        ) from None
    if nodes > 1 and isinstance(environment, LightningEnvironment):
        raise UserError(
            f"train.num_nodes is {nodes}, but this process was started alone: start the stage on "
            "each machine with torchrun or srun, as docs/scaling.md shows"
        )
    return environment


def _environment() -> ClusterEnvironment:
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    # SLURM_NTASKS does not tell: it is also set in a job whose processes srun did not start.
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return SLURMEnvironment(auto_requeue=False)  # it would resume from its own checkpoints
    return LightningEnvironment()


def choose_strategy(recipe: Train) -> Strategy | str:
    """Lightning's strategy for a recipe; with one device, its simplest."""
    ranks = recipe.devices * recipe.num_nodes
    if ranks == 1:
        return "auto"
    if recipe.strategy == "fsdp":
        return ModelParallelStrategy(ranks, 1, save_distributed_checkpoint=False)
    return DDPStrategy(broadcast_buffers=False)  # no buffer changes


def shard_model(model: PreTrainedModel, mesh: DeviceMesh) -> None:
    """Divide the weights between the ranks: each layer of the encoder, then the rest."""
    for layer in layers(model):
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def start_together(trainer: Trainer, module: LightningModule) -> None:
    """Start the other processes, if this one has to, and wait until all can communicate.

    `fit` does the same, but too late for the ranks to agree on a checkpoint to resume from.
    """
    if trainer.world_size > 1:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.launch(lambda: None)
        trainer.strategy.connect(module)
        trainer.strategy.setup_environment()


@contextmanager
def end_together(trainer: Trainer) -> Iterator[None]:
    """End the processes that this one started if it fails, and report an error once."""
    try:
        yield
    except BaseException as error:
        stop_other_ranks(trainer)
        if isinstance(error, SIGTERMException):  # unhandled, it would end with status 0
            sys.exit(128 + signal.SIGTERM)
        if isinstance(error, UserError) and not is_rank_zero():
            sys.exit(1)  # rank 0 reports it
        raise


def stop_other_ranks(trainer: Trainer) -> None:
    """End the processes that this one started, which would wait for it forever."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        others = launcher.procs.copy()
        launcher.procs.clear()  # Lightning watches them, and would kill this process too
        for process in others:
            process.kill()
            process.wait()


def is_rank_zero() -> bool:
    """Return whether this process is rank 0, which logs and writes."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def silence_other_ranks() -> None:
    """Leave log lines and Ctrl-C to rank 0; other ranks still print their own errors."""
    if not is_rank_zero():
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        logging.set_verbosity_error()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

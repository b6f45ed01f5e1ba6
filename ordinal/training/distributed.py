"""One run on several devices: which rows a rank takes, who starts it, and who tells and writes.

Every batch is shared out between the ranks. So the batches, the steps and the schedule of a run are
the same on any number of devices, and its sums add up to the same figures.
"""

import os
import signal
import sys
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
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel
from transformers.utils import logging

from ordinal.common.errors import UserError
from ordinal.common.params import Train
from ordinal.common.types import Rows


def rows_for_rank(batch: Rows, rank: int, ranks: int) -> Rows:
    """A rank's rows of a batch sorted by length: about as long as those of any other rank.

    A rank for which none is left has to compute with the others all the same: it gets the first
    row of the batch, which `weight_of_rows` and `is_counted` count for nothing.
    """
    return batch[rank::ranks] if is_counted(batch, rank) else batch[:1]


def is_counted(batch: Rows, rank: int) -> bool:
    """Whether a rank has rows of its own in a batch."""
    return rank < len(batch)


def weight_of_rows(batch: Rows, rank: int, ranks: int, row_weights: Tensor) -> float:
    """What to multiply the mean loss of a share by: the mean over ranks is then the batch's loss.

    `row_weights`, shape (all rows,), is what each row counts for in the mean. With one rank it is 1
    exactly.
    """
    whole = row_weights[batch].sum()
    return float(ranks * row_weights[batch[rank::ranks]].sum() / whole)


def all_gather(sums: Tensor) -> Tensor:
    """What each rank has, shape (ranks, *sums.shape), in the order of the ranks on all of them."""
    if not distributed.is_initialized():
        return sums[None]
    every = [torch.empty_like(sums) for _ in range(distributed.get_world_size())]
    distributed.all_gather(every, sums)
    return torch.stack(every)


def choose_environment(recipe: Train, device: torch.device) -> ClusterEnvironment:
    """Who starts the processes of a run: torchrun, srun, or this one the others on its machine.

    Raises:
        UserError: the recipe asks for what is not there, was not started, or does not fit.
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
            "which share out each batch: raise it, or lower train.devices"
        )
    try:
        environment = _environment()
        environment.validate_settings(devices, nodes)
    except (RuntimeError, ValueError):
        raise UserError(
            f"train.devices is {devices} and train.num_nodes {nodes}, but torchrun or srun started "
            f"other processes than that: start {devices} on each of {nodes} machines with "
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
    # Not by SLURM_NTASKS: a job has it, too, where nothing was started with srun.
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return SLURMEnvironment(auto_requeue=False)  # that would be with checkpoints of its own
    return LightningEnvironment()


def choose_strategy(recipe: Train) -> Strategy | str:
    """Lightning's strategy for a recipe; with one device, its plainest."""
    ranks = recipe.devices * recipe.num_nodes
    if ranks == 1:
        return "auto"
    if recipe.strategy == "fsdp":
        return ModelParallelStrategy(ranks, 1, save_distributed_checkpoint=False)
    return DDPStrategy(broadcast_buffers=False)  # none of them changes


def shard_model(model: PreTrainedModel, mesh: DeviceMesh) -> None:
    """Spread the weights over the ranks: each layer of the encoder by itself, then what is left."""
    layers = model.config.num_hidden_layers
    for stack in model.modules():
        if isinstance(stack, nn.ModuleList) and len(stack) == layers:
            for layer in stack:
                fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)


def start_together(trainer: Trainer, module: LightningModule) -> None:
    """Start the other processes, if that is ours to do, and wait until all can speak to each other.

    `fit` would do so, but too late to agree on the checkpoint that it starts from.
    """
    if trainer.world_size > 1:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.launch(lambda: None)
        trainer.strategy.connect(module)
        trainer.strategy.setup_environment()


def stop_other_ranks(trainer: Trainer) -> None:
    """End the processes that this one started: without it they would wait for ever."""
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _SubprocessScriptLauncher):
        followers = launcher.procs.copy()
        launcher.procs.clear()  # Lightning watches them, and would kill this process too
        for follower in followers:
            follower.kill()
            follower.wait()


def is_rank_zero() -> bool:
    """Whether this process is the one, of those of a run, that tells and writes."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def silence_other_ranks() -> None:
    """Leave log lines and Ctrl-C to rank 0; what fails on another rank it says itself."""
    if not is_rank_zero():
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        logging.set_verbosity_error()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

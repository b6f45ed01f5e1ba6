"""Lightning's loggers, in which the curves of a run can be followed while it trains."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import (
    CSVLogger,
    Logger,
    MLFlowLogger,
    TensorBoardLogger,
    WandbLogger,
)

from ordinal.common.choices import LoggerName
from ordinal.common.errors import UserError, one_line
from ordinal.common.params import Train

PROJECT = "ordinal"  # the experiment of MLflow and the project of Weights & Biases
SERVER = "MLFLOW_TRACKING_URI"


def new_logger(recipe: Train, folder: Path, run: str) -> Logger | None:
    """Start the logger of a recipe and log its parameters, or return None if it names none.

    Args:
        recipe: the training recipe.
        folder: folder of all logs.
        run: name of this run.

    Raises:
        UserError: the package of the logger is missing, or it can't be used.
    """
    if recipe.logger == "none":
        return None
    try:
        logger = LOGGERS[recipe.logger](folder, run)
        logger.log_hyperparams(recipe.model_dump(exclude={"logger"}))
    except ModuleNotFoundError:
        raise UserError(
            f"train.logger is {recipe.logger}, whose package is missing: install it with "
            f"`pip install '.[{recipe.logger}]'`"
        ) from None
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"train.logger {recipe.logger} can't be used: {one_line(error)}") from error
    return logger


def _mlflow(folder: Path, run: str) -> Logger:
    if not (address := os.environ.get(SERVER)):
        raise UserError(
            f"train.logger is mlflow, which needs a server: set the environment variable {SERVER}"
        )
    return MLFlowLogger(PROJECT, run, address)


def _wandb(folder: Path, run: str) -> Logger:
    folder.mkdir(parents=True, exist_ok=True)  # otherwise it writes to the temporary folder
    return WandbLogger(run, folder, project=PROJECT)


def _dvclive(folder: Path, run: str) -> Logger:
    from dvclive.lightning import DVCLiveLogger

    # DVC saves the experiment itself, and dvc.yaml has the plots of the pipeline.
    settings: dict[str, Any] = {"save_dvc_exp": False, "dvcyaml": None}
    return DVCLiveLogger(dir=str(folder / "dvclive" / run), **settings)


LOGGERS: dict[LoggerName, Callable[[Path, str], Logger]] = {
    "csv": lambda folder, run: CSVLogger(folder / "csv", run),
    "tensorboard": lambda folder, run: TensorBoardLogger(
        folder / "tensorboard", run, default_hp_metric=False
    ),
    "mlflow": _mlflow,
    "wandb": _wandb,
    "dvclive": _dvclive,
}

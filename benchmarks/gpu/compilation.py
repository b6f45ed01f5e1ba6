"""Step 7: training with and without `torch.compile` of the encoder."""

from lightning.pytorch.callbacks import Callback

from benchmarks.gpu.record import Record, Sizes
from benchmarks.training import epoch_seconds
from ordinal.common.params import Train

EPOCHS = 3


class Compile(Callback):
    """Compile the encoder for batches of any width."""

    def on_train_start(self, trainer, module) -> None:
        module.model.base_model.compile(dynamic=True)


def run(sizes: Sizes, record: Record) -> None:
    tokens = sizes.tokens("hotel", sizes.rows, sizes.shape)
    recipe = Train(epochs=EPOCHS, precision=sizes.precision)
    given = (sizes.device, sizes.shape, tokens, recipe)
    plain = epoch_seconds(*given)
    record.add(f"without torch.compile, epochs of {_listed(plain)} s", plain=plain)
    compiled = epoch_seconds(*given, Compile())
    record.add(f"with torch.compile, epochs of {_listed(compiled)} s", compiled=compiled)
    saved = plain[-1] - compiled[-1]
    spent = compiled[0] - compiled[-1]
    rows = sizes.rows * spent / saved if saved > 0 else None
    pays = f"pays after {rows:,.0f} rows" if rows else "never pays"
    record.add(
        f"compiling takes {spent:.1f} s, saves {saved / plain[-1]:.1%} and {pays}",
        saved=saved / plain[-1],
        spent=spent,
        pays_after_rows=rows,
    )


def _listed(seconds: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)

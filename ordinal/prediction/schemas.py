"""Bodies and answers of the server's requests, as its OpenAPI description declares them."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    Discriminator,
    FailFast,
    Field,
    Tag,
    WithJsonSchema,
    create_model,
)

from ordinal.prediction.limits import MAX_BYTES
from ordinal.prediction.predictor import Prediction

MAX_TEXTS = 64
MAX_CHARACTERS = 10_000  # per text

Text = Annotated[
    str, Field(min_length=1, max_length=MAX_CHARACTERS, json_schema_extra={"pattern": r"\S"})
]


class Texts(BaseModel):
    """Texts to predict. Each must contain more than white space."""

    # Validation stops at the first error, because a body could contain millions.
    texts: Annotated[list[Text], Field(max_length=MAX_TEXTS), FailFast()]


class TextToExplain(BaseModel):
    """A text to explain, which must contain more than white space."""

    text: Text


def bodies(columns: Sequence[str]) -> tuple[type[Texts], type[TextToExplain]]:
    """Return the bodies for a model; if it has several text columns, a text may be a row of them.

    Args:
        columns: the text columns, if there are several.
    """
    if not columns:
        return Texts, TextToExplain
    either: Any = _text_or_row(columns)
    several: Any = Annotated[list[either], Field(max_length=MAX_TEXTS), FailFast()]
    return (
        create_model("Texts", __base__=Texts, texts=several),
        create_model("TextToExplain", __base__=TextToExplain, text=either),
    )


def _text_or_row(columns: Sequence[str]) -> Any:
    cell = {"anyOf": [{"type": "string", "maxLength": MAX_CHARACTERS}, {"type": "null"}]}
    filled = {"type": "string", "pattern": r"\S"}
    schema = {
        "type": "object",
        "properties": dict.fromkeys(columns, cell),
        "additionalProperties": False,
        "anyOf": [{"required": [name], "properties": {name: filled}} for name in columns],
    }
    # `Predictor.predict` checks the columns, too.
    cells = dict[str, Annotated[str, Field(max_length=MAX_CHARACTERS)] | None]
    row = Annotated[cells, WithJsonSchema(schema), Tag("row")]
    kind = Discriminator(lambda value: "row" if isinstance(value, dict) else "text")
    return Annotated[Annotated[Text, Tag("text")] | row, kind]


class Answer(BaseModel):
    """An answer with predictions."""

    labels: list[str]
    """All labels, lowest first."""
    coverage: float
    """Share of texts whose interval from `low` to `high` is expected to contain the true label."""


class Predictions(Answer):
    """One prediction per text, in the order of the texts."""

    predictions: list[Prediction]


class ExplainedWord(BaseModel):
    """A word of a text, and its effect."""

    word: str
    start: int
    """Its first character in the text, in Unicode code points."""
    end: int
    """The character after its last one."""
    effect: float
    """Labels by which it moved the expected label, up if it is positive."""


class ExplainedPrediction(Answer):
    """The prediction of a text, and the effects of its words. Words that were cut off have none."""

    prediction: Prediction
    text: str
    """The text; that of a row is its columns, joined."""
    expected: float
    """Expected label, where 1 is the lowest label."""
    baseline: float
    """Expected label of the same text with every word replaced by padding."""
    words: list[ExplainedWord]


class Health(BaseModel):
    """Answer of a running server."""

    status: str = "ok"


class Problem(BaseModel):
    """Reason why a request was refused."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in {
        400: "The body can't be read.",
        408: "The body took too long to arrive.",
        413: f"The body is larger than {MAX_BYTES} bytes.",
        415: "The body is not of type application/json.",
        422: "The body does not have the declared form.",
        500: "The request failed in a way that the server did not expect.",
        503: "Too many requests wait, or this one waited too long. Retry-After says when to retry.",
    }.items()
}

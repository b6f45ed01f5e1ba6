"""Plain sentences for what pydantic rejects in a YAML file."""

import json
import reprlib
from collections.abc import Sequence

from pydantic_core import ErrorDetails

from ordinal.common.errors import dotted_path

UNKNOWN_KEY = ("extra_forbidden", "invalid_key")
"""Pydantic's error types for a key that a model does not have."""
# By pydantic's error type; braces take a value from the error's context.
EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping of keys to values",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "greater than {gt:.10g}",
    "greater_than_equal": "at least {ge:.10g}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number",
    "less_than": "less than {lt:.10g}",
    "less_than_equal": "at most {le:.10g}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "model_type": "a mapping of keys to values",
    "string_pattern_mismatch": "of the form {pattern}",
    "string_type": "text",
    "string_unicode": "text",
    "too_short": "a list of {min_length} or more",
}


def describe(problem: ErrorDetails, location: Sequence[int | str]) -> str:
    """Return a sentence such as "train.lr is 'fast': it must be a number".

    Args:
        problem: one of `ValidationError.errors()`.
        location: the keys that lead to the value.
    """
    name = dotted_path(location)
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return f"{name} is missing"
    if kind in UNKNOWN_KEY:
        return f"{name} is not a known key"
    if kind == "value_error":  # raised by a validator of ours
        return f"{name}: {context['error']}"
    given = problem["input"]
    # As YAML spells it; other values may be huge, or contain themselves.
    shown = json.dumps(given) if given is None or isinstance(given, bool) else reprlib.repr(given)
    expected = EXPECTED.get(kind)
    reason = f"it must be {expected.format(**context)}" if expected else problem["msg"]
    return f"{name} is {shown}: {reason}"

"""The one way this project tells a user what is wrong."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake the user can mend: says what is wrong, where, and what to do, in one sentence."""


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Turn a `UserError` into one line on stderr and exit status 1, without a traceback."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)

"""The one way this project tells a user what is wrong."""

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

STOPPED: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}  # signals, exit statuses
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

CONTINUE = "run it again, and it goes on from what is done"
SHOWN = 40  # characters of a value from outside that are repeated in a sentence


class UserError(Exception):
    """A mistake the user can mend: says what is wrong, where, and what to do, in one sentence."""


@contextmanager
def report_user_errors(then: str = CONTINUE) -> Iterator[None]:
    """End with one line on stderr, without a traceback, where the user can do something about it.

    That is a `UserError` or what the operating system refuses, as a full disk (exit status 1),
    Ctrl-C (130) and SIGTERM (143); `then` is what the user can do about being stopped.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # a locale that lacks a character shows its code
        sys.stdout.reconfigure(errors="backslashreplace")
    handlers = {number: signal.signal(number, _stop) for number in STOPPED}
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads stdout, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except UserError as error:
        _fail(str(error))
    except SystemExit as stop:
        if stop.code in STOPPED.values():
            print(f"stopped: {then}", file=sys.stderr)
        raise
    except Exception as error:
        if _no_space(error):
            _fail(f"the disk is full: make room, then {then}")
        if not isinstance(error, OSError):
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}")
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _fail(reason: str) -> NoReturn:
    print(f"error: {_printable(reason)}", file=sys.stderr)
    sys.exit(1)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # Not KeyboardInterrupt: Lightning would make exit status 1 of it.
    sys.exit(STOPPED[number])


def _no_space(error: BaseException | None) -> bool:
    """Whether an error, or one that it arose from, says that nothing more can be written."""
    if error is None:
        return False
    told = re.search(r"\(os error (\d+)\)", str(error))  # safetensors has errors of its own
    number = int(told[1]) if told else getattr(error, "errno", None)
    return number in NO_SPACE or _no_space(error.__cause__ or error.__context__)


def quoted(value: object) -> str:
    """A value from outside as it may stand in a sentence: in quotes, short, and on one line."""
    text = str(value)
    quoted = repr(text[:SHOWN])
    whole = len(text) <= SHOWN and len(quoted) <= SHOWN + 2
    return quoted if whole else f"{quoted[:SHOWN]}…{quoted[0]}"


def dotted_path(location: Iterable[int | str]) -> str:
    """Where in a YAML file a value stands: its keys, shortened, with dots between them."""
    return ".".join(str(key)[:SHOWN] for key in location) or "the file"


def _printable(sentence: str) -> str:
    """Without what could break the line or steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in sentence
    )

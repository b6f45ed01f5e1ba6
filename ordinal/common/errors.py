"""Errors that a user can act on, and how a command reports them."""

import errno
import io
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

DEBUG = "ORDINAL_DEBUG"
"""Environment variable; 1 shows the traceback of every error."""
STOPPED: dict[int, int] = {signal.SIGINT: 130, signal.SIGTERM: 143}  # signals, exit statuses
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EBUSY,
    errno.EIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
}
WRONG_PATH = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}

CONTINUE = "run it again to continue where it stopped"
MAX_QUOTED = 40  # characters of a quoted value
MAX_MESSAGE = 300  # characters of an error of a library, which may quote a megabyte of a file


class UserError(Exception):
    """A mistake that the user can correct: what is wrong, where, and what to do, in a sentence."""


@contextmanager
def report_user_errors(then: str = CONTINUE) -> Iterator[None]:
    """End a command with one line on stderr for errors that the user can do something about.

    - A `UserError`, and what the operating system refuses: the sentence, exit status 1.
    - Ctrl-C and SIGTERM: `then`, which says how to go on; exit status 130 or 143.
    - A closed stdout, as of `ordinal … | head`: nothing, exit status 141.

    An `OSError` is a refusal of the operating system if its errno is one of

    - `DISK_FULL`;
    - `REFUSED`: permissions, limits of the machine, a failing or busy disk;
    - `WRONG_PATH`, such as a missing file, if the path is an argument of the command, above it or
      below it. Any other path was chosen by this program.

    All other errors are bugs and keep their traceback. `ORDINAL_DEBUG=1` shows every traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # for locales that lack a character
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _signals_stop():
            yield
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except SystemExit as stop:
        if stop.code in STOPPED.values():
            print(f"stopped: {then}", file=sys.stderr)
        raise
    except Exception as error:
        sentence = _sentence(error, then)
        if sentence is None or os.environ.get(DEBUG) == "1":
            raise
        print(f"error: {_printable(sentence)}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Exit with the status in `STOPPED` on Ctrl-C and SIGTERM."""
    handlers = {number: signal.signal(number, _stop) for number in STOPPED}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # Not KeyboardInterrupt: Lightning would turn it into exit status 1.
    sys.exit(STOPPED[number])


def _sentence(error: Exception, then: str) -> str | None:
    """Return what to tell the user, or None if the error is a bug."""
    if isinstance(error, UserError):
        return str(error)
    if _disk_is_full(error):
        return f"the disk is full: free some space, then {then}"
    if isinstance(error, OSError) and _is_refusal(error):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return None


def _is_refusal(error: OSError) -> bool:
    return error.errno in REFUSED or (error.errno in WRONG_PATH and _is_argument(error.filename))


def _is_argument(path: object) -> bool:
    """Return whether a path is an argument of the command, or above or below one."""
    if not isinstance(path, str | os.PathLike):
        return False
    failed = Path(path)
    arguments = [Path(argument) for argument in sys.argv[1:]]
    return any(
        failed.is_relative_to(argument) or argument.is_relative_to(failed)
        for argument in arguments
        if argument.parts and failed.parts  # every relative path is below "."
    )


def _disk_is_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that it arose from, says that the disk is full."""
    if error is None:
        return False
    found = re.search(r"\(os error (\d+)\)", str(error))  # in the errors of safetensors
    number = int(found[1]) if found else getattr(error, "errno", None)
    return number in DISK_FULL or _disk_is_full(error.__cause__ or error.__context__)


def one_line(error: BaseException) -> str:
    """Return an error's message on one line, shortened, or its type if it has no message."""
    return " ".join(str(error).split())[:MAX_MESSAGE] or type(error).__name__


def quoted(value: object) -> str:
    """Return a value from outside for a sentence: quoted, on one line, `MAX_QUOTED` characters."""
    text = str(value)
    quoted = repr(text[:MAX_QUOTED])
    whole = len(text) <= MAX_QUOTED and len(quoted) <= MAX_QUOTED + 2
    return quoted if whole else f"{quoted[:MAX_QUOTED]}…{quoted[0]}"


def dotted_path(location: Iterable[int | str]) -> str:
    """Return the place of a value in a YAML file: its keys, shortened and joined by dots."""
    return ".".join(str(key)[:MAX_QUOTED] for key in location) or "the file"


def _printable(sentence: str) -> str:
    """Escape what could break the line or control the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in sentence
    )

"""Files and folders by name: the path of a local one, or the URL of one in a bucket (s3, gs)."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from fsspec import AbstractFileSystem

from ordinal.common.errors import DISK_FULL, UserError
from ordinal.common.files import atomic_file, sha256
from ordinal.sources.data_files import FILESYSTEMS, OPTIONS, URL, is_url, object_failure, shown

FINGERPRINTS = ("ETag", "etag", "md5Hash", "LastModified", "mtime")
"""Facts of an object that change with its content; the first that a bucket has is used."""


def join(folder: str, name: str) -> str:
    """Return the name of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def files_below(folder: str) -> list[str]:
    """Return the files below a folder, by their paths in it; none if it is missing.

    Local folders below it that are hidden are left out, such as those of `written_whole`.
    """
    if is_url(folder):
        with _bucket(folder) as (bucket, path):
            return [name[len(path) :].lstrip("/") for name in bucket.find(path)]
    found = []
    # Not rglob, which fails if another process removes a temporary folder at that moment.
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [(Path(parent) / name).relative_to(folder).as_posix() for name in names]
    return found


def is_folder(name: str) -> bool:
    """Return whether a name is that of a folder."""
    if not is_url(name):
        return Path(name).is_dir()
    with _bucket(name) as (bucket, path):
        return bool(bucket.isdir(path))


def files_of(name: str) -> list[str]:
    """Return the file of this name, the files below a folder, or those that a pattern matches.

    A pattern has `*`, `?` or `[…]`.
    """
    if is_folder(name):
        return [_plain(join(name, file)) for file in files_below(name)]
    if not is_url(name):
        matches = [name] if Path(name).exists() else glob.glob(name, recursive=True)  # noqa: PTH207
        return [_plain(match) for match in matches if Path(match).is_file()]
    with _bucket(name) as (bucket, path):
        matches = [path] if bucket.isfile(path) else bucket.glob(path)
        return [str(bucket.unstrip_protocol(match)) for match in matches]


def _plain(name: str) -> str:
    """Return a path without `./` and repeated slashes; URLs stay as they are."""
    return name if is_url(name) else str(Path(name))


def place(name: str) -> str:
    """Return the same text for all names of a file or folder."""
    return name if is_url(name) else os.path.realpath(name)


def size_and_fingerprint(name: str) -> tuple[int, str]:
    """Return the size of a file, and a text that changes with its content."""
    if not is_url(name):
        return Path(name).stat().st_size, sha256(Path(name))
    with _bucket(name) as (bucket, path):
        info = bucket.info(path)
        return info["size"], str(next((info[fact] for fact in FINGERPRINTS if fact in info), ""))


def read_text(name: str) -> str | None:
    """Return the content of a file, or None if there is no such file."""
    if not is_url(name):
        return Path(name).read_text(encoding="utf-8") if Path(name).is_file() else None
    with _bucket(name) as (bucket, path):
        return bucket.cat_file(path).decode() if bucket.exists(path) else None


def rows_in(name: str) -> int:
    """Return the number of rows of a Parquet file."""
    return int(_metadata(name).num_rows)


def missing_in(name: str, column: str) -> int:
    """Return the number of missing values in a column of a Parquet file, by its statistics."""
    facts = _metadata(name)
    place = facts.schema.names.index(column)
    groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
    return sum(group.column(place).statistics.null_count for group in groups)


def _metadata(name: str) -> pq.FileMetaData:
    if not is_url(name):
        return pq.read_metadata(name)
    with _bucket(name) as (bucket, path), bucket.open(path) as file:
        return pq.read_metadata(file)


def remove(name: str) -> None:
    """Remove a file."""
    if not is_url(name):
        Path(name).unlink()
        return
    with _bucket(name) as (bucket, path):
        bucket.rm_file(path)


@contextmanager
def local_copy(name: str) -> Iterator[Path]:
    """Yield the path of a file: its own, or that of a temporary copy of an object."""
    if not is_url(name):
        yield Path(name)
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / name.rpartition("/")[2]  # the ending may decide on the format
        with _bucket(name) as (bucket, path):
            bucket.get_file(path, str(copy))
        yield copy


@contextmanager
def written_whole(name: str) -> Iterator[Path]:
    """Yield a temporary path to write to, which becomes the file or object if nothing raises."""
    if not is_url(name):
        with atomic_file(Path(name)) as draft:
            yield draft
        return
    with TemporaryDirectory() as folder:
        draft = Path(folder) / "draft"
        yield draft
        with _bucket(name) as (bucket, path):
            bucket.put_file(str(draft), path)


@contextmanager
def _bucket(url: str) -> Iterator[tuple[AbstractFileSystem, str]]:
    """Yield the filesystem of a URL, and the path in it.

    Raises:
        UserError: its package is missing, or the bucket can't be reached or refuses.
    """
    found = URL.match(url)
    scheme = found[1].lower() if found else ""
    if scheme not in FILESYSTEMS:
        raise UserError(f"{shown(url)}: {scheme}:// is not supported: use a path, s3:// or gs://")
    module, kind = FILESYSTEMS[scheme]
    try:
        bucket = getattr(import_module(module), kind)(**OPTIONS[scheme], use_listings_cache=False)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(
            f"{shown(url)}: {package} is missing: install it with `pip install '.[{scheme}]'`"
        ) from None
    try:
        yield bucket, bucket._strip_protocol(url)
    except Exception as error:
        if isinstance(error, UserError) or getattr(error, "errno", None) in DISK_FULL:
            raise
        failure = object_failure(scheme, error)
        raise UserError(f"{shown(url)}: {failure}: {failure.advice}") from None

"""Open a file as a stream of bytes, decompressed, and refuse decompression bombs."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

from ordinal.common.errors import quoted
from ordinal.common.formats import Compression

MAGIC: dict[bytes, Compression] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",
}
"""The first bytes of compressed files."""
# A compressed file may unpack to MAX_GROWTH times its size, but at least to FREE_GROWTH bytes.
MAX_GROWTH = 100
FREE_GROWTH = 64 << 20
BUFFER = 1 << 16  # bytes
ENCRYPTED = 1  # a flag of a file in a zip archive


def compression_of(start: bytes) -> Compression:
    """Return how a file is compressed, from its first bytes."""
    found = (compression for magic, compression in MAGIC.items() if start.startswith(magic))
    return next(found, "none")


def inner_name(path: Path, compression: Compression) -> str:
    """Return the lower-case name of the file that is compressed, or of the file itself."""
    if compression == "zip":
        with zipfile.ZipFile(path) as archive:
            return PurePosixPath(_only_file(archive).filename).name.lower()
    name = path.name.lower()
    return name if compression == "none" else name.rpartition(".")[0] or name


@contextmanager
def opened(path: Path, compression: Compression) -> Iterator[IO[bytes]]:
    """Yield the content of a file, decompressed."""
    if compression == "none":
        with path.open("rb") as file:
            yield file
        return
    if compression == "zip":
        with zipfile.ZipFile(path) as archive, archive.open(_only_file(archive)) as unpacked:
            yield io.BufferedReader(_Limited(unpacked, path), BUFFER)
        return
    with _unpacked(path, compression) as unpacked:
        yield io.BufferedReader(_Limited(unpacked, path), BUFFER)


def _unpacked(path: Path, compression: Compression) -> Any:
    if compression == "zstd":
        return pa.CompressedInputStream(str(path), "zstd")
    return {"gzip": gzip, "bzip2": bz2, "xz": lzma}[compression].open(path)


class _Limited(io.RawIOBase):
    """The content of a compressed file; raises a ValueError once it is too large."""

    def __init__(self, unpacked: Any, path: Path) -> None:
        self.unpacked = unpacked
        self.path = path
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self.unpacked.read(len(buffer))
        buffer[: len(block)] = block
        self.size += len(block)
        check_growth(self.path, self.size)
        return len(block)


def check_growth(path: Path, unpacked: int) -> None:
    """Pass if a file of this size may unpack to `unpacked` bytes.

    Raises:
        ValueError: it unpacks to far more than real data does.
    """
    if unpacked > max(FREE_GROWTH, MAX_GROWTH * path.stat().st_size):
        raise ValueError(
            f"it unpacks to more than {MAX_GROWTH} times its size and {FREE_GROWTH >> 20} MB, "
            "like a decompression bomb: unpack it first if this is intended"
        )


def _only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file of an archive, apart from those that systems add."""
    files = [file for file in archive.infolist() if not (file.is_dir() or _is_of_a_system(file))]
    if len(files) != 1:
        raise ValueError(
            f"it contains {len(files)} files{_some_names(files)}: put exactly one table in it"
        )
    (file,) = files
    path = _path_of(file)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"it contains {quoted(path)}, a path outside its folder")
    if file.flag_bits & ENCRYPTED:
        raise ValueError("it is encrypted: unpack it first")
    return file


def _path_of(file: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(file.filename.replace("\\", "/"))


def _is_of_a_system(file: zipfile.ZipInfo) -> bool:
    path = _path_of(file)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith(".")


def _some_names(files: Sequence[zipfile.ZipInfo]) -> str:
    if not files:
        return ""
    names = ", ".join(quoted(file.filename) for file in files[:5])
    return f" ({names}, …)" if len(files) > 5 else f" ({names})"

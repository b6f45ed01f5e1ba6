"""Take an encoder into the project: bring it, convert it if needed, check it, and pin it."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ordinal.common.errors import UserError, quoted
from ordinal.common.files import atomic_folder, sha256
from ordinal.model.conversion import convert
from ordinal.model.conversion_check import Loaded, check_encoder
from ordinal.sources.catalog import Encoder, FolderSource
from ordinal.sources.encoder_files import Published, bring_encoder
from ordinal.sources.encoders import problem_of


@dataclass(frozen=True)
class Intake:
    """A catalog entry for an encoder, and what the conversion changed, if anything."""

    entry: Encoder
    changes: list[str]


def take_in(name: str, revision: str | None, licence: str | None, folder: Path) -> Intake:
    """Bring and check an encoder, and return its entry for the catalog.

    A repository of the hub that the pipeline can read as it is stays the source. All else is
    written to `folder`, which is then the source.

    Args:
        name: a repository of the model hub, or a local folder.
        revision: a commit, branch or tag of the repository; None for the newest commit.
        licence: licence of the encoder; None for the one that the hub states.
        folder: folder for a converted encoder, relative to the project's root.

    Raises:
        UserError: it can't be brought, converted or loaded.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source, target = Path(temporary, "published"), Path(temporary, "converted")
        source.mkdir()
        target.mkdir()
        published = bring_encoder(name, revision, source)
        changes, loaded = _converted(name, source, target)
        entry = _entry(published, target, loaded, licence, changes, folder)
        if isinstance(entry.sources[0], FolderSource):
            with atomic_folder(folder) as out:
                for path in target.iterdir():
                    shutil.copyfile(path, out / path.name)
    return Intake(entry, changes)


def _converted(name: str, source: Path, target: Path) -> tuple[list[str], Loaded]:
    try:
        changes = convert(source, target)
        if problem := problem_of(target):
            raise ValueError(problem)
        return changes, check_encoder(source, target)
    except ValueError as error:
        raise UserError(f"encoder {quoted(name)} can't be used: {error}") from None


def _entry(
    published: Published,
    files: Path,
    loaded: Loaded,
    licence: str | None,
    changes: list[str],
    folder: Path,
) -> Encoder:
    source = published.source
    origin = published.name
    if source and changes:
        origin += f" at commit {source.revision}, converted"
    return Encoder(
        sources=[source if source and not changes else FolderSource(folder=folder.as_posix())],
        files={path.name: f"sha256:{sha256(path)}" for path in sorted(files.iterdir())},
        parameters=loaded.parameters,
        max_length=loaded.max_length,
        licence=licence or published.licence or "not stated",
        origin=origin,
    )

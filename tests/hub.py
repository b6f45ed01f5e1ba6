"""Data sets and models on a loopback server that stands in for the hub."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from tests.loopback import Answer, Loopback

Rows = Sequence[tuple[str, object]]
"""Texts and labels."""
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "fedcba9876543210fedcba9876543210fedcba98"
STORED_APART = (".parquet", ".gz", ".safetensors", ".bin", ".model")
"""Endings of the files that the hub keeps in its store of large files."""


@dataclass(frozen=True)
class DataSet:
    """A repository with data sets on the server."""

    kind: ClassVar[str] = "datasets"
    folder: ClassVar[str] = "/datasets"

    server: Loopback
    name: str
    token: str | None = None
    card: Mapping[str, str] = field(default_factory=dict)

    def publish(self, files: Mapping[str, bytes], commit: str, *names: str) -> None:
        """Serve files as a commit, and as what is given by the names of branches.

        Without names, the commit is the newest.
        """
        listed = [self._publish(file, content, commit) for file, content in files.items()]
        answer = Answer(
            body=json.dumps(
                {"id": self.name, "sha": commit, "siblings": listed, "cardData": dict(self.card)}
            ).encode(),
            token=self.token,
        )
        api = f"/api/{self.kind}/{self.name}"
        self.server.answer(f"{api}/revision/{commit}?blobs=true", answer)
        if not names:
            self.server.answer(f"{api}?blobs=true", answer)
        for name in names:
            self.server.answer(f"{api}/revision/{quote(name, safe='')}?blobs=true", answer)

    def path_of(self, file: str, commit: str = COMMIT) -> str:
        """Return the server's path of a file."""
        return f"{self.folder}/{self.name}/resolve/{commit}/{quote(file)}"

    def _publish(self, file: str, content: bytes, commit: str) -> dict[str, object]:
        listed: dict[str, object] = {"rfilename": file, "size": len(content)}
        path = self.path_of(file, commit)
        if file.endswith(STORED_APART):
            oid = hashlib.sha256(content).hexdigest()
            listed["lfs"] = {"sha256": oid, "size": len(content), "pointerSize": 130}
            store = self.server.answer(f"/store/{oid}", Answer(body=content))
            # Another host, which must not see the token.
            headers = {"Location": store.replace("127.0.0.1", "localhost")}
            self.server.answer(path, Answer(302, headers=headers, token=self.token))
        else:
            self.server.answer(path, Answer(body=content, token=self.token))
        blob = b"blob %d\0" % len(content) + content
        listed["blobId"] = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        return listed


class Model(DataSet):
    """A repository with a model on the server."""

    kind = "models"
    folder = ""


def as_parquet(given: Rows, class_names: Sequence[str] | None = None) -> bytes:
    """Write Parquet; with names of classes in its metadata, as `push_to_hub` writes it."""
    texts, labels = zip(*given, strict=True)
    table = pa.table({"text": texts, "label": labels})
    if class_names:
        types = {
            "text": {"dtype": "string", "_type": "Value"},
            "label": {"names": list(class_names), "_type": "ClassLabel"},
        }
        about = {"info": {"features": types}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
    out = pa.BufferOutputStream()
    pq.write_table(table, out)
    return out.getvalue().to_pybytes()

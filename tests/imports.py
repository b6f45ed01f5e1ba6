"""The packages of ours that a stage imports, read from the source and followed to the end."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def code_behind(stage: str) -> set[str]:
    """Return what `python -m stages.STAGE` runs: its file, and the packages of ordinal/."""
    found: set[str] = set()
    todo = [f"stages/{stage}.py"]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _direct_imports(ROOT / path)
    inits = {"ordinal/__init__.py", "stages/__init__.py"}
    return inits | {_dependency(path) for path in found}


def _dependency(path: str) -> str:
    """Return the package of a module of ordinal/; a module of its root and a stage are files."""
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "ordinal" else path


def _direct_imports(path: Path) -> list[str]:
    names = []
    for node in _run_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    candidates = [f"{name.replace('.', '/')}.py" for name in names if name]
    return [
        candidate
        for candidate in candidates
        if candidate.startswith(("ordinal/", "stages/")) and (ROOT / candidate).is_file()
    ]


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes except those for type checkers, which can change no result."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _run_nodes(node)

"""Which modules of ours a module imports, read from the source and followed to the end."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules_imported_by(stage: str) -> set[str]:
    """Paths, relative to the root, of all our modules behind `python -m stages.STAGE`."""
    found: set[str] = set()
    todo = [f"stages/{stage}.py"]
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += _direct_imports(ROOT / path)
    return found


def _direct_imports(path: Path) -> list[str]:
    names = []
    for node in _run_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    candidates = [f"{name.replace('.', '/')}.py" for name in names if name]
    packages = [f"{name.split('.')[0]}/__init__.py" for name in names if name]
    return [
        candidate
        for candidate in {*candidates, *packages}
        if candidate.startswith(("ordinal/", "stages/")) and _has_code(ROOT / candidate)
    ]


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those for type checkers alone, which can change no result."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _run_nodes(node)


def _has_code(path: Path) -> bool:
    """Whether a module does anything: a docstring alone can change no result."""
    if not path.is_file():
        return False
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(
        not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body
    )

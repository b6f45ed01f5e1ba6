"""The rules that keep the code readable."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from radon.complexity import add_inner_blocks, cc_visit
from radon.visitors import Class

from tests.conftest import ROOT

MODULES = sorted(path for folder in ("ordinal", "stages") for path in (ROOT / folder).rglob("*.py"))


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_ordinal_has_packages_and_at_most_three_modules() -> None:
    names = {path.name for path in (ROOT / "ordinal").iterdir()} - {"__pycache__", "py.typed"}
    files = {name for name in names if (ROOT / "ordinal" / name).is_file()}
    assert len(files) <= 3, files
    assert all((ROOT / "ordinal" / name / "__init__.py").is_file() for name in names - files)


def test_dvc_yaml_has_at_most_220_lines() -> None:
    assert length(ROOT / "dvc.yaml") <= 220


def test_a_module_has_at_most_300_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): length(path) for path in MODULES}
    assert {name: lines for name, lines in lengths.items() if lines > 300} == {}


def test_a_function_has_at_most_50_lines() -> None:
    """From `def` to the last line, with the docstring and without decorators."""
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}


def test_a_function_has_a_complexity_of_at_most_10() -> None:
    """As radon counts it: ruff, which has the same limit, counts no conditions and no loops in
    expressions."""
    complexities = {
        f"{path.relative_to(ROOT)}:{block.lineno} {block.fullname}": block.complexity
        for path in MODULES
        for block in add_inner_blocks(cc_visit(path.read_text(encoding="utf-8")))
        if not isinstance(block, Class)
    }
    assert {name: number for name, number in complexities.items() if number > 10} == {}


QUESTION = re.compile(r"\s*(Whether|What|How|Who|Where)\b")


def docstrings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each docstring of a module, class, function or attribute."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def test_docstrings_start_with_a_verb_or_a_noun() -> None:
    questions = {
        f"{path.relative_to(ROOT)}:{line}": text
        for path in MODULES
        for line, text in docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if QUESTION.match(text)
    }
    assert questions == {}

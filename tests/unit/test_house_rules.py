import ast
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "schemas": set(),
    "registry": {"schemas"},
    "bus": {"registry", "schemas"},
    "producers": {"bus", "registry", "schemas"},
    "consumers": {"bus", "registry", "schemas"},
    "deploy": {"producers", "consumers", "bus", "registry", "schemas"},
}
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
MODULES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


def name_of(path):
    return str(path.relative_to(ROOT))


def imported_rooms(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def body_lines(function):
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return function.end_lineno - first.lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_rooms_to_its_right(path):
    room = name_of(path).partition("/")[0]

    rooms = set(imported_rooms(ast.parse(path.read_text()))) & set(MAY_IMPORT)

    assert rooms <= MAY_IMPORT[room] | {room}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_stay_small(path):
    tree = ast.parse(path.read_text())

    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert len(path.read_text().splitlines()) <= MODULE_LINES_MAX
    assert {function.name for function in functions if body_lines(function) > FUNCTION_LINES_MAX} == set()


def test_no_other_distribution_brings_a_package_with_the_name_of_a_room():
    distributions = packages_distributions()

    for room in MAY_IMPORT:
        assert set(distributions.get(room, ())) <= {"yekbar"}


def test_tests_are_no_package_that_could_hide_a_room():
    assert list((ROOT / "tests").rglob("__init__.py")) == []

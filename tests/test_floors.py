"""The shape of the house: imports go down only, each rim has one importer, and there are no cycles."""

import ast
import graphlib
import re
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = {
    0: "errors config trial protocol stopping shipped recipe vocabulary history wish budget",
    1: "space training machine settings results",
    2: "planning progress worker depot export serving pictures report advice starting",
    3: "study cluster tracking ledger audit",
    4: "conductor referee handover remote terminal api check doctor differences plot replay",
    5: "cli __main__",
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms.split()}

RIMS = {
    "optuna": "study",
    "ray": "cluster",
    "mlflow": "tracking audit",  # an audit shares nothing with the writers of what it checks
    "sqlalchemy": "ledger audit",
    "alembic": "ledger",
    "matplotlib": "pictures",
    "sklearn": "advice",
    "jinja2": "report",
    "onnx": "serving",
    "onnxruntime": "serving",
    "torch_pruning": "serving",
    "pandas": "api handover results",
    "fsspec": "depot",
}

# What a room may import besides the standard library, where the design says so.
ALONE = {"space": {"omegaconf", "yaml"}, "training": {"torch", "safetensors"}}


def room(path: Path) -> str:
    return path.relative_to(ROOT / "hpo").parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [
        path for path in sorted((ROOT / "hpo").rglob("*.py")) if room(path) not in ("__init__", "shipped")
    ]


@cache
def imports(path: Path) -> frozenset[str]:
    """Everything that a module imports anywhere in it, also for type checking, by full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def rooms_used(path: Path) -> set[str]:
    used = {name.split(".")[1] for name in imports(path) if name.startswith("hpo.")}
    return {name for name in used if name in FLOOR_OF} - {room(path)}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_floor(path):
    assert room(path) in FLOOR_OF


def test_the_listing_of_the_floors_for_people_is_complete():
    listed, floor = defaultdict(set), 0
    for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines():
        entry = re.match(r" {6}([0-5]| ) {2}((?:\w+(?:\.py|/) )+)", line)
        if entry:
            floor = int(entry[1]) if entry[1].strip() else floor
            listed[floor] |= set(re.findall(r"\w+(?=\.py|/)", entry[2]))
    assert listed == {floor: set(rooms.split()) for floor, rooms in FLOORS.items()}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_never_go_up(path):
    here = FLOOR_OF[room(path)]
    assert {other for other in rooms_used(path) if FLOOR_OF[other] > here} == set()


def test_rooms_do_not_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {}
    for path in modules():
        graph.setdefault(room(path), set()).update(rooms_used(path))
    list(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(("library", "rim"), RIMS.items())
def test_a_rim_has_one_importer(library, rim):
    importers = {room(path) for path in modules() for name in imports(path) if name.split(".")[0] == library}
    assert importers == set(rim.split())


@pytest.mark.parametrize(("name", "allowed"), ALONE.items())
def test_inner_rooms_know_few_libraries(name, allowed):
    paths = [path for path in modules() if room(path) == name]
    foreign = {imported.split(".")[0] for path in paths for imported in imports(path)}
    assert foreign - set(sys.stdlib_module_names) - {"hpo"} <= allowed


def test_the_words_of_training_do_not_know_torch():
    paths = (ROOT / "hpo" / "training" / "words").glob("*.py")
    assert {name for path in paths for name in imports(path) if name.split(".")[0] == "torch"} == set()


def test_an_audit_shares_no_code_with_the_writers():
    paths = [path for path in modules() if room(path) == "audit"]
    assert set.union(*(rooms_used(path) for path in paths)) == {"errors"}


def test_the_ground_floor_knows_the_standard_library_only():
    paths = [path for path in modules() if FLOOR_OF[room(path)] == 0]
    foreign = {imported.split(".")[0] for path in paths for imported in imports(path)}
    assert foreign - set(sys.stdlib_module_names) == {"hpo"}


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.py")), ids=lambda path: path.stem)
def test_recipes_import_nothing_of_hpo(path):
    assert not {name for name in imports(path) if name.split(".")[0] == "hpo"}

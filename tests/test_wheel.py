"""The wheel holds all that is needed: installed alone, `hpo search recipe=cnn` works in an empty folder."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, *build, str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A venv with the wheel in it, which borrows the libraries of this one."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    site.joinpath("borrowed.pth").write_text(sysconfig.get_path("purelib"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return folder / "bin" / "python"


def test_recipes_and_spaces_are_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for kind, suffix in (("recipes", "py"), ("search_spaces", "yaml")):
        for path in (ROOT / kind).glob(f"*.{suffix}"):
            assert f"hpo/shipped/{kind}/{path.name}" in names


def test_what_brings_old_ledgers_up_to_date_is_in_it(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    folder = ROOT / "hpo" / "ledger" / "migrations"
    for path in folder.rglob("*.py"):
        assert f"hpo/ledger/migrations/{path.relative_to(folder)}" in names


def test_tests_are_not(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if any(part.startswith("test") for part in Path(name).parts)]


@pytest.mark.slow
def test_a_search_runs_in_an_empty_folder(installed, tmp_path):
    run = [str(installed), "-m", "hpo"]
    where = subprocess.run(
        [str(installed), "-c", "import hpo; print(hpo.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parent.parent)
    searched = subprocess.run(
        [*run, "search", "recipe=cnn", "trials=2", "epochs=1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert searched.returncode == 0, searched.stderr
    assert "baseline" in searched.stdout

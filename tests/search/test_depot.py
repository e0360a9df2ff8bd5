"""Where checkpoints lie: a folder and the stores of others keep the same promises."""

import sys
import uuid

import pytest
from bucket import names

from hpo import depot
from hpo.check import check
from hpo.errors import InputError

S3 = pytest.param("s3", marks=[pytest.mark.slow, pytest.mark.xdist_group("s3")])


@pytest.fixture(params=["folder", "memory", S3])
def place(request, tmp_path):
    """Where a depot may come to lie, in something that is there."""
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('s3').bucket()}/runs/cnn-1"
    return str(tmp_path / "cnn-1") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/cnn-1"


@pytest.fixture
def made(place):
    found = depot.of(place)
    found.prepare()
    return found


def test_what_was_never_written_to_is_empty(place):
    found = depot.of(place)
    assert found.names() == []
    found.remove(["7-1.safetensors"])
    found.clear()
    with pytest.raises(OSError, match="7-1"):
        found.read("7-1.safetensors")


def test_what_is_written_is_read_and_written_over(made):
    made.write("7-1.safetensors", b"first")
    made.write("7-2.safetensors", bytes(range(256)) * 1000)
    made.write("7-1.safetensors", b"again")
    assert {it for it in made.names() if it[0].isdigit()} == {"7-1.safetensors", "7-2.safetensors"}
    assert made.read("7-1.safetensors") == b"again"
    assert made.read("7-2.safetensors") == bytes(range(256)) * 1000


def test_what_another_machine_writes_is_seen_at_once(made, place):
    assert "7-1.safetensors" not in made.names()
    depot.of(place).write("7-1.safetensors", b"theirs")
    assert "7-1.safetensors" in made.names()


def test_what_is_removed_is_gone(made):
    made.write("7-1.safetensors", b"first")
    made.write("7-2.safetensors", b"second")
    made.remove(["7-1.safetensors", "7-1.safetensors"])
    assert {it for it in made.names() if it[0].isdigit()} == {"7-2.safetensors"}


def test_who_is_cleared_takes_nobody_along(made, place):
    beside = depot.of(f"{place}1")
    beside.prepare()
    for one in (made, beside):
        one.write("7-1.safetensors", b"first")
    made.clear()
    assert made.names() == []
    assert beside.read("7-1.safetensors") == b"first"


def test_an_address_is_tried_before_anything_starts_and_nothing_is_left(place):
    around = place.rpartition("/")[0]
    depot.demand(around)
    assert names(around) == []


def test_a_store_that_cannot_be_written_is_refused():
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:1/here\n    Cannot keep anything there: "):
        depot.demand("http://127.0.0.1:1/here")


@pytest.mark.slow
@pytest.mark.xdist_group("s3")
def test_no_bucket_is_made_that_was_not_asked_for(s3):
    bucket = s3.bucket()
    with pytest.raises(InputError, match=r"Cannot keep anything there: The specified bucket does not exist"):
        depot.demand(f"s3://{bucket}x/runs")
    assert names(f"s3://{bucket}") == []


def complaint(*words):
    with pytest.raises(InputError) as caught:
        check(["recipe=mlp", *words])
    return str(caught.value)


def test_a_store_whose_package_is_missing_is_refused_with_its_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    told = complaint("checkpoints=gs://bucket/path", "trials=0")
    assert "checkpoints=gs://bucket/path\n    Please install gcsfs to access" in told
    assert ", here and on each machine that trains." in told
    assert "trials=0" in told


def test_a_store_that_nobody_knows_is_refused_with_one_that_is_like_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = complaint("checkpoints=sfpt://host/path")
    assert "Nothing is known of stores such as sfpt. Did you mean sftp?" in told

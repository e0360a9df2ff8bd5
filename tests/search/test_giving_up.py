"""A search that gives up says what it found, why it gave up, and that it failed."""

import re
from contextlib import nullcontext

import pytest
from simulation import measured

import hpo
from hpo import cli, cluster
from hpo.conductor import upload
from hpo.history import State
from hpo.ledger import Ledger
from hpo.trial import Ending, Outcome

EPOCHS = 2
REASON = "cnn-1: Trial after trial failed: RuntimeError: no such disk"


def work(make, *_):
    """Train the baseline to its end, and fail with whatever comes after it."""
    judge = make()
    for number in range(99):
        for trial in judge.ask(f"cohort-{number}", 1):
            judge.attempt(f"cohort-{number}", [trial.number], "worker", {})
            if trial.number:
                judge.tell([Ending(trial.number, Outcome.FAILED, "RuntimeError: no such disk")])
                continue
            judge.report([measured(0, trial.config, epoch) for epoch in range(1, EPOCHS + 1)])
            judge.tell([Ending(0, Outcome.FINISHED)])
    judge.flush()


@pytest.fixture(autouse=True)
def failing(tmp_path, monkeypatch):
    """A folder where all trials fail but the baseline."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_STORE", raising=False)
    monkeypatch.setattr(upload.Upload, "start", lambda _: None)
    monkeypatch.setattr(cluster, "local", lambda _: nullcontext())
    monkeypatch.setattr(cluster, "train", work)
    return tmp_path


def test_the_page_is_told_and_then_the_reason(failing, capsys):
    words = ("search", "recipe=cnn", f"epochs={EPOCHS}", "trials=20", "workers=1", "junit=hpo.xml")
    assert cli.main(words) == 1
    page, error = capsys.readouterr()
    assert page.startswith("cnn-1  failed  Trial after trial failed: RuntimeError: no such disk")
    assert "4 of 20 trials: 1 finished · 3 failed" in page
    assert error.endswith(f"hpo: {REASON}\n")
    assert f'<failure message="{REASON}"' in (failing / "hpo.xml").read_text()


def test_resumed_it_fails_again_as_long_as_nothing_is_mended(failing, capsys):
    cli.main(["search", "recipe=cnn", f"epochs={EPOCHS}", "trials=20", "workers=1"])
    before = capsys.readouterr().out
    assert cli.main(["resume", "cnn-1"]) == 1
    page, error = capsys.readouterr()
    assert timeless(page) == timeless(before)
    assert error.endswith(f"hpo: {REASON}\n")


def timeless(page):
    return re.sub(r"epochs in .*", "epochs", page)


def test_in_python_it_raises(failing):
    with pytest.raises(hpo.SearchError, match=REASON):
        hpo.search("cnn", epochs=EPOCHS, trials=20, workers=1, show=False)
    ledger = Ledger("sqlite:///hpo.db")
    assert ledger.search("cnn-1").state is State.FAILED
    ledger.close()

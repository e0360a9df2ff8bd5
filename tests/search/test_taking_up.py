"""A trial whose training broke off goes on where it was saved, and its curve is what it would have been."""

import os
import platform
import re
import stat
import uuid
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest
import torch

from hpo import depot
from hpo.conductor import conductor
from hpo.errors import InputError
from hpo.handover.chosen import chosen, trained
from hpo.history import State
from hpo.ledger import Ledger
from hpo.planning.ordering import order
from hpo.planning.plan import Plan
from hpo.protocol import Stopped
from hpo.referee import Referee
from hpo.settings import NameSettings, ResumeSettings, SearchSettings
from hpo.trial import WARNING, Outcome
from hpo.worker import cohort, keeper
from hpo.worker.job import Job
from hpo.worker.line import Line
from hpo.worker.shelf import Shelf

TINY = Path(__file__).parent.parent / "training" / "tiny.py"
EPOCHS = 6


class DeathError(BaseException):
    """What no worker survives."""


class Bench:
    """One search and one worker, who can be made to break off at a report."""

    def __init__(self, folder, at_once, checkpoints=""):
        self.url, self.at_once = f"sqlite:///{folder}/hpo.db", at_once
        few = ("space=sgd", f"epochs={EPOCHS}", f"trials={at_once}", "sampler=random", "pruner=none")
        settings = SearchSettings.from_words([f"recipe={TINY}", f"store={self.url}", *few])
        self.ledger = Ledger(self.url)
        ordered = order(settings)
        decided = {**ordered.settings, "threads": 1, "device": "cpu"}
        self.search = self.ledger.create_search(replace(ordered, settings=decided))
        plan = Plan.of(self.search)
        self.shelf = replace(Shelf.of(plan, self.url), every=0.0)
        if checkpoints:
            self.shelf = replace(self.shelf, folder=f"{checkpoints}/{self.shelf.search}")
        self.job = replace(Job.of(plan, self.shelf), at_once=at_once)
        self.cohorts = 0

    def work(self, reports=99, durable=99, error=DeathError, before=None):
        """Train until so many reports are made, of which the ledger gets only some, or until such a call."""
        session = self.ledger.open_session(self.ledger.search(self.search.name))
        judge, made = Referee(self.url, self.search.name, session), 0
        judge.requeue()

        def call(method, *arguments):
            nonlocal made
            if method == before:
                raise error
            answer = getattr(judge, method)(*arguments)
            made += method == "report"
            if made <= durable:
                judge.flush()
            if made == reports and method == "report":
                raise error
            return answer

        self.cohorts += 1
        try:
            cohort.train(self.job, f"cohort {self.cohorts}", Line(call))
        except error:
            return made
        return made

    @property
    def history(self):
        return self.ledger.history(self.search)

    @property
    def curves(self):
        return {
            number: [replace(point, at=0, seq=0, seconds=0) for point in trial.points]
            for number, trial in self.history.trials.items()
            if not trial.proposal.proves
        }

    @property
    def begun(self):
        """The epoch after which each trial was taken up last."""
        return [trial.attempts[-1].notes.get("from", {}) for trial in self.history.trials.values()]

    @property
    def files(self):
        return sorted(it for it in self.depot.names() if re.fullmatch(r"\d.*\.safetensors", it))

    @property
    def depot(self):
        return depot.of(self.shelf.folder)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper, "_SHARE", float("inf"))  # save after each epoch, however long that takes
    made = []

    def make(at_once=1, checkpoints=""):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Bench(folder, at_once, checkpoints))
        return made[-1]

    yield make
    for one in made:
        one.ledger.close()


@pytest.mark.parametrize("at_once", [1, 3])
def test_it_goes_on_from_the_last_epoch_that_was_saved(bench, at_once):
    whole, broken = bench(at_once), bench(at_once)
    whole.work()
    broken.work(reports=4)
    broken.work()
    assert broken.begun[0] == {str(number): 3 for number in range(at_once)}
    assert broken.curves == whole.curves
    assert {trial.outcome for trial in broken.history.trials.values()} == {Outcome.FINISHED}
    assert broken.files == []


@pytest.mark.parametrize("at_once", [1, 3])
def test_one_that_was_saved_after_its_last_epoch_trains_no_other(bench, at_once):
    """Its worker died when all was trained and saved, and nothing was left but to say so."""
    whole, broken = bench(at_once), bench(at_once)
    whole.work()
    broken.work(before="tell")
    assert len(broken.history.running) == at_once
    assert f"0-{EPOCHS}.safetensors" in broken.files
    broken.work()
    assert broken.curves == whole.curves
    assert all(trial.outcome is Outcome.FINISHED for trial in broken.history.searched)


def test_a_checkpoint_that_is_ahead_of_the_ledger_makes_no_hole(bench):
    whole, broken = bench(), bench()
    whole.work()
    broken.work(reports=5, durable=2)
    assert len(broken.history.trials[0].points) == 2
    broken.work()
    assert broken.begun == [{"0": 4}]
    assert broken.curves == whole.curves


def test_who_was_saved_in_one_company_goes_on_in_another(bench):
    """Two workers' trials meet; they are at different epochs, and one is new."""
    whole, broken = bench(3), bench(3)
    whole.work()
    broken.job = replace(broken.job, at_once=2)
    broken.work(reports=3)
    broken.job = replace(broken.job, at_once=3)
    broken.work()
    assert [trial.attempts[-1].notes["from"] for trial in broken.history.searched] == [{"0": 2, "1": 2}] * 3
    for number, curve in broken.curves.items():
        assert [it.epoch for it in curve] == [it.epoch for it in whole.curves[number]]
        assert [it.loss for it in curve] == pytest.approx([it.loss for it in whole.curves[number]], rel=1e-4)


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("damaged", "begun"), [(1, {"0": 3}), (2, {})])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(bench, damaged, begun):
    whole, broken = bench(), bench()
    whole.work()
    broken.work(reports=5)
    assert broken.files == ["0-3.safetensors", "0-4.safetensors"]
    for name in broken.files[-damaged:]:
        damage(Path(broken.shelf.folder, name))
    broken.work()
    assert broken.begun == [begun]
    (warning,) = broken.history.warnings
    assert warning.count("its checksum does not fit") == damaged
    assert broken.curves == whole.curves


def test_who_could_use_none_of_its_checkpoints_is_saved_again(bench):
    broken = bench()
    broken.work(reports=5)
    for name in broken.files:
        damage(Path(broken.shelf.folder, name))
    Path(broken.shelf.folder, ".0-5.safetensors.4711").touch()  # whose writer was killed
    broken.work(reports=3)
    assert broken.files == ["0-1.safetensors", "0-2.safetensors"]
    assert not list(Path(broken.shelf.folder).glob(".0-*"))
    broken.work()
    assert broken.begun == [{"0": 2}]


S3 = pytest.param("s3", marks=[pytest.mark.slow, pytest.mark.xdist_group("s3")])


class TestInAStore:
    """What lies at an address is kept, found, checked and dropped as what lies in a folder is."""

    @pytest.fixture(params=["memory", S3])
    def address(self, request):
        if request.param == "s3":
            return f"s3://{request.getfixturevalue('s3').bucket()}/runs"
        return f"memory://{uuid.uuid4().hex}"

    def test_it_goes_on_from_the_last_epoch_that_was_saved(self, bench, address):
        whole, broken = bench(2), bench(2, address)
        whole.work()
        broken.work(reports=4)
        assert [name[:3] for name in broken.files] == ["0-2", "0-3", "1-2", "1-3"]
        broken.work()
        assert broken.begun[0] == {"0": 3, "1": 3}
        assert broken.curves == whole.curves
        assert broken.files == []

    @pytest.mark.parametrize(("damaged", "begun"), [(1, {"0": 3}), (2, {})])
    def test_a_damaged_one_is_told_and_the_one_before_is_used(self, bench, address, damaged, begun):
        broken = bench(1, address)
        broken.work(reports=5)
        for name in broken.files[-damaged:]:
            whole = broken.depot.read(name)
            broken.depot.write(name, whole[:-1] + bytes([whole[-1] ^ 1]))
        broken.work()
        assert broken.begun == [begun]
        assert broken.history.warnings[0].count("its checksum does not fit") == damaged

    def test_the_winners_proof_alone_stays_until_it_is_let_go(self, bench, address):
        done = bench(3, address)
        done.work()
        done.work()
        done.shelf.close(done.history.proof.proposal)
        assert done.files == [f"3-{EPOCHS}.safetensors"]
        kept, complaints = done.shelf.find(done.history.proof.proposal)
        assert (kept.snapshot.epoch, complaints) == (EPOCHS, [])
        done.shelf.close(None)
        assert done.depot.names() == []

    def test_one_that_is_out_of_reach_stops_no_training_and_is_told(self, bench, address, monkeypatch):
        whole, broken = bench(), bench(1, address)
        whole.work()
        broken.work(reports=3)

        def cut(*_, **__):
            raise ConnectionResetError("the line is cut")

        monkeypatch.setattr(fsspec.core, "url_to_fs", cut)
        broken.work()
        assert broken.curves == whole.curves
        found, kept = broken.history.warnings
        assert found == f"{broken.shelf.folder}: cannot be read: the line is cut."
        assert re.search(r"cannot be written: the line is cut\. It takes [0-9,]+ bytes\.$", kept)


def test_a_checkpoint_of_another_trial_is_told_and_not_used(bench):
    broken = bench(2)
    broken.work(reports=2)
    folder = Path(broken.shelf.folder)
    (folder / "0-1.safetensors").replace(folder / "1-1.safetensors")
    broken.work()
    assert broken.begun[0] == {}
    assert "1-1.safetensors: its trial is 0, not 1." in broken.history.warnings[0]


def test_a_full_disk_stops_no_training_and_is_told_once(bench, monkeypatch):
    whole, broken = bench(2), bench(2)
    whole.work()
    fsync, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) > 4:
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    kept = []
    monkeypatch.setattr(broken.shelf.__class__, "clear", lambda *_: kept.append(broken.files))
    broken.work()
    assert broken.curves == whole.curves
    assert kept[-1] == ["0-1.safetensors", "0-2.safetensors", "1-1.safetensors", "1-2.safetensors"]
    (warning,) = broken.history.warnings
    assert warning.startswith("Trial 0 is not saved, and trains on: ")
    assert re.search(r"No space left on device\. It takes [0-9,]+ bytes, and [0-9,]+ are free in ", warning)
    assert warning.endswith(f"{broken.shelf.folder}.")
    assert len([it for it in broken.history.trials[0].attempts if WARNING in it.notes]) == 1


def test_a_machine_that_does_not_see_a_shared_folder_makes_none_and_says_so(bench):
    whole, broken = bench(2), bench(2)
    whole.work()
    broken.job = replace(broken.job, shelf=replace(broken.shelf, shared=True))
    broken.work()
    assert broken.curves == whole.curves
    assert not Path(broken.shelf.folder).exists()
    (warning,) = broken.history.warnings
    assert f"{broken.shelf.folder} is not to be seen on {platform.node()}. Give checkpoints= " in warning


def test_one_that_sees_it_saves_there(bench):
    broken = bench(2)
    broken.job = replace(broken.job, shelf=broken.shelf.share())
    broken.work(reports=2)
    assert broken.files == ["0-1.safetensors", "1-1.safetensors"]
    assert not broken.history.warnings


def test_who_is_to_stop_is_saved_first_however_short_it_trained(bench):
    broken = bench(2)
    broken.job = replace(broken.job, shelf=replace(broken.shelf, every=1000.0))
    assert broken.work(reports=3, error=Stopped) == 3
    assert broken.files == ["0-3.safetensors", "1-3.safetensors"]
    broken.work()
    assert broken.begun[0] == {"0": 3, "1": 3}


class TestKeptElsewhereFromNowOn:
    """`hpo resume NAME checkpoints=ELSEWHERE` takes along what is saved, or says what is lost."""

    @pytest.fixture
    def move(self, monkeypatch):
        """Go on with checkpoints elsewhere, up to where workers would be started; return what is told."""

        class GoingOnError(Exception):
            """It begins to train."""

        def view(plan):
            raise GoingOnError

        def moved(broken, place):
            it = broken.ledger.search(broken.search.name)
            broken.ledger.close_session(it.session, State.INTERRUPTED)
            told = []
            given = ResumeSettings.from_words([it.name, f"store={broken.url}", f"checkpoints={place}"])
            with pytest.raises(GoingOnError):
                conductor.resume(given, view, hear=told.append)
            plan = Plan.of(broken.ledger.search(it.name))
            broken.shelf = replace(Shelf.of(plan, broken.url), every=0.0)
            broken.job = replace(broken.job, shelf=broken.shelf)
            return told

        return moved

    @pytest.mark.parametrize("kind", ["folder", S3])
    def test_it_goes_on_from_where_it_was_saved(self, bench, move, tmp_path, kind, request):
        s3 = kind == "s3" and request.getfixturevalue("s3")
        whole, broken = bench(2), bench(2)
        whole.work()
        broken.work(reports=4)
        former = Path(broken.shelf.folder)
        assert move(broken, f"s3://{s3.bucket()}/runs" if s3 else tmp_path / "elsewhere") == []
        assert not former.exists()
        assert [name[:3] for name in broken.files] == ["0-2", "0-3", "1-2", "1-3"]
        broken.work()
        assert broken.begun[0] == {"0": 3, "1": 3}
        assert broken.curves == whole.curves

    def test_who_comes_second_at_the_same_moment_changes_nothing(self, bench, move, tmp_path, monkeypatch):
        broken, look = bench(), conductor.demand_open
        broken.work(reports=4)

        def overtaken(*given):
            look(*given)
            monkeypatch.setattr(conductor, "demand_open", look)
            move(broken, tmp_path / "first")

        monkeypatch.setattr(conductor, "demand_open", overtaken)
        with pytest.raises(InputError, match=r"Process \d+ on .* has just gone on with it\. Nothing was ch"):
            move(broken, tmp_path / "second")
        assert not (tmp_path / "second").exists()
        assert Plan.of(broken.ledger.search(broken.search.name)).setting("checkpoints").endswith("first")
        broken.work()
        assert broken.begun == [{"0": 3}]

    def test_by_another_name_of_the_same_folder_nothing_is_dropped(self, bench, move, tmp_path):
        broken = bench()
        broken.work(reports=4)
        (tmp_path / "link").symlink_to(Path(broken.shelf.folder).parent)
        assert move(broken, tmp_path / "link") == []
        broken.work()
        assert broken.begun == [{"0": 3}]

    def test_what_is_gone_is_told(self, bench, move, tmp_path):
        broken = bench(2)
        broken.work(reports=4)
        former = Path(broken.shelf.folder)
        former.joinpath("1-2.safetensors").unlink()
        former.joinpath("1-3.safetensors").unlink()
        (told,) = move(broken, tmp_path / "elsewhere")
        assert (
            told
            == f"Nothing is saved of trial 1, which began: it begins anew. It was looked for in {former}."
        )

    def test_where_there_is_no_room_for_it_nothing_is_started(self, bench, move, tmp_path):
        broken = bench()
        broken.work(reports=4)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / broken.shelf.search).symlink_to("/proc/none")
        with pytest.raises(
            InputError, match=r"checkpoints=.*elsewhere\n    What is saved cannot be copied there"
        ):
            move(broken, tmp_path / "elsewhere")
        assert [name[:3] for name in broken.files] == ["0-2", "0-3"]
        assert Plan.of(broken.ledger.search(broken.search.name)).setting("checkpoints") == ""
        assert broken.ledger.search(broken.search.name).state is State.INTERRUPTED


def test_a_short_trial_is_never_saved(bench):
    once = bench()
    once.job = replace(once.job, shelf=replace(once.shelf, every=10.0))
    once.work()
    assert not Path(once.shelf.folder).exists()


def test_the_folder_is_for_its_owner_and_not_for_git(bench):
    broken = bench()
    broken.work(reports=3)
    assert stat.S_IMODE(os.stat(broken.shelf.folder).st_mode) == 0o700
    assert Path(broken.shelf.folder, ".gitignore").read_text() == "*\n"
    broken.shelf.close(None)
    assert not Path(broken.shelf.folder).parent.exists()


def test_saving_takes_a_hundredth_of_the_time_at_most(bench, monkeypatch):
    monkeypatch.setattr(keeper, "_SHARE", 0.01)
    own, now = replace(bench().shelf, every=10.0), iter([0.0, 11.0, 11.0, 12.0, 100.0, 112.0])
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: next(now)))
    saving = keeper.Keeper(own, [], {})
    assert saving.due
    saving.save()  # takes a second
    assert not saving.due
    assert saving.due


class TestTheWinner:
    """Its proof is kept when the search is over, so that nobody trains it again for its weights."""

    @pytest.fixture
    def over(self, bench):
        done = bench(at_once=3)
        done.work()
        done.work()
        assert done.history.proof.outcome is Outcome.FINISHED
        done.shelf.close(done.history.proof.proposal)
        return done

    @staticmethod
    def weights(done, said, trial=None):
        found = chosen(NameSettings.from_words([done.search.name, f"store={done.url}"]), trial)
        return trained(found, said.append).model.state_dict()

    def test_its_last_checkpoint_alone_stays(self, over):
        assert over.files == [f"3-{EPOCHS}.safetensors"]

    def test_what_a_worker_that_was_killed_left_half_written_goes(self, over):
        torn = Path(over.shelf.folder, ".1-4.safetensors.4711")
        torn.write_bytes(b"half")
        over.shelf.close(over.history.proof.proposal)
        assert not torn.exists()
        assert over.files == [f"3-{EPOCHS}.safetensors"]

    def test_its_weights_are_there_and_are_those_of_training_it_again(self, over):
        said, again = [], []
        kept = self.weights(over, said)
        over.shelf.close(None)
        assert not Path(over.shelf.folder).exists()
        anew = self.weights(over, again)
        assert said == []
        assert len(again) == 1 + EPOCHS
        assert all(torch.equal(kept[name], anew[name]) for name in anew)

    def test_a_damaged_one_is_trained_again(self, over):
        path = Path(over.shelf.folder, over.files[0])
        path.write_bytes(path.read_bytes()[:-1])
        said = []
        self.weights(over, said)
        assert said[0].startswith("Training trial")

    def test_another_trial_is_trained_again(self, over):
        other = next(it for it in range(3) if it != over.history.best.number)
        said = []
        self.weights(over, said, other)
        assert said[0] == f"Training trial {other} once more, for the weights."

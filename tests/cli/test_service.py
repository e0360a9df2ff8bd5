"""What the verbs of a service say and refuse; none of it takes a service."""

from pathlib import Path

import pytest

from hpo import cli, shipped
from hpo.cluster.jobs import Job
from hpo.errors import InputError, Problem
from hpo.planning.ordering import order
from hpo.remote import submission
from hpo.remote.submission import others
from hpo.settings import UNHEARD_THERE, ResumeSettings, SearchSettings, ServiceSettings, SubmitSettings


@pytest.mark.parametrize(
    "verb", [["status"], ["stop", "one"], ["resume", "one"], ["submit", "recipe=linear"]]
)
@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("127.0.0.1:8265", "got '127.0.0.1:8265'. Write http://127.0.0.1:8265."),
        ("team", "got 'team'. Write http://team."),
        ("ray://me:secret@team:10001", "got 'ray://me:***@team:10001'."),
        ("http://", "got 'http://'."),
        ("http://team:door", "got 'http://team:door'."),
    ],
)
def test_an_address_of_a_service_in_another_form_is_refused(verb, given, hint, capsys):
    assert cli.main([*verb, f"service={given}"]) == 2
    told = capsys.readouterr().err
    assert f"Must be an address such as http://127.0.0.1:8265, {hint}\n" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:8265", "https://team/ray", "http://[::1]:8265", "https://me:p?w@team.example"],
)
def test_addresses_of_services_are_taken(address):
    assert ServiceSettings.from_words([f"service={address}"]).service == address


def test_another_recipe_and_space_of_a_search_travel_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, name, text in (("recipes", "linear.py", "# mine\n"), ("search_spaces", "mine.yaml", "")):
        (tmp_path / kind).mkdir()
        shipped_one = shipped.folders(kind)[-1] / name.replace("mine", "sgd")
        (tmp_path / kind / name).write_text(shipped_one.read_text() + text)
    given = ResumeSettings.from_words(["one", "recipe=linear", "space=mine"])
    assert others(given) == {
        "recipe": ("recipes/linear.py", Path("recipes/linear.py").read_text()),
        "space": ("search_spaces/mine.yaml", Path("search_spaces/mine.yaml").read_text()),
    }
    assert others(ResumeSettings.from_words(["one", "trials=9"])) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=nowhere"], "There is no recipe of this name."),
        (["space=nowhere"], "There is no search space of this name."),
        (["recipe=linear", "space=wrong.yaml"], "wrong.yaml:1"),
    ],
)
def test_a_wrong_recipe_or_space_of_a_search_is_told_before_anything_is_sent(
    words, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("learning_speed: 1\n")
    assert cli.main(["resume", "one", "service=http://127.0.0.1:9", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", [["submit", "recipe=linear"], ["resume", "one", "service=http://127.0.0.1:9"]]
)
def test_words_that_mean_nothing_at_a_service_are_refused_all_at_once(verb, capsys, monkeypatch):
    monkeypatch.setenv("HPO_SERVICE", "http://127.0.0.1:9")
    words = ["store=sqlite:///mine.db", "cluster=auto", "junit=hpo.xml"]
    assert cli.main([*verb, *words]) == 2
    told = capsys.readouterr().err
    assert "3 problems" in told
    assert all(word in told for word in words)
    assert "The service has a ledger of its own" in told


def test_words_that_mean_nothing_at_a_service_are_not_offered(capsys):
    assert cli.main(["submit", "--help"]) == 0
    page = capsys.readouterr().out
    assert "recipe=" in page
    assert not any(f"  {key}=" in page for key in UNHEARD_THERE)


def test_a_store_that_is_named_is_where_a_search_is_stopped(capsys, monkeypatch):
    monkeypatch.setenv("HPO_SERVICE", "http://127.0.0.1:9")
    store = "store=sqlite:///mine.db"
    assert cli.main(["stop", "one", store]) == 2
    assert "There is no search" in capsys.readouterr().err
    assert cli.main(["stop", "one", store, "service=http://127.0.0.1:9"]) == 2
    assert "The service has a ledger of its own" in capsys.readouterr().err


def test_the_ledger_and_cluster_of_this_machine_do_not_keep_a_search_from_a_service(capsys, monkeypatch):
    monkeypatch.setenv("HPO_STORE", "sqlite:///mine.db")
    monkeypatch.setenv("HPO_CLUSTER", "auto")
    assert cli.main(["submit", "recipe=linear", "service=http://127.0.0.1:9"]) == 2
    assert "The service refused: Failed to connect" in capsys.readouterr().err


def test_a_service_that_does_not_answer_is_said_without_its_password(capsys):
    assert cli.main(["status", "service=http://me:secret@127.0.0.1:9"]) == 2
    assert "service=http://me:***@127.0.0.1:9" in (told := capsys.readouterr().err)
    assert "secret" not in told


class Ray:
    """Keeps the names of jobs, of which each is taken once; `refusal` is what it says to all others."""

    def __init__(self, refusal=""):
        self.names, self.refusal = [], refusal

    def jobs(self):
        return [Job(name, "waiting", "", 0.0, name) for name in self.names]

    def submit(self, name, *_):
        if self.refusal or name in self.names:
            raise InputError(Problem(name, self.refusal or "A search of this name was submitted."))
        self.names.append(name)


def test_searches_without_a_name_that_are_submitted_in_one_second_get_one_each(monkeypatch):
    ray, given = Ray(), SubmitSettings.from_words(["recipe=linear", "service=http://team"])
    monkeypatch.setattr(submission, "Service", lambda _: ray)
    monkeypatch.setattr(submission.time, "time", lambda: 59.0)
    assert [submission.submit(given) for _ in range(2)] == [
        "linear-19700101-000059",
        "linear-19700101-000100",
    ]
    with pytest.raises(InputError, match="was submitted"):
        submission.submit(SubmitSettings.from_words(["recipe=linear", f"name={ray.names[0]}"]))
    monkeypatch.setattr(submission, "Service", lambda _: Ray("The service refused: it is full."))
    with pytest.raises(InputError, match="it is full"):
        submission.submit(given)


NOBODY = "service=http://127.0.0.1:9"
START = "A file of this machine does not travel to a service. Put it where the service's machines see it"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["submit", "recipe=linear", "checkpoints=saved"],
            "Must be a whole path there, or an address such as",
        ),
        (
            ["resume", "one", "checkpoints=saved", "junit=hpo.xml"],
            "Must be a whole path there, or an address",
        ),
        (["submit", "recipe=cnn", "space.start=mine.safetensors"], START),
        (["submit", "recipe=cnn", "space.start={choice: [null, mine.safetensors]}"], START),
        (["resume", "one", "recipe=cnn", "space=default", "space.start=mine.safetensors"], START),
    ],
)
def test_files_and_folders_of_this_machine_are_none_of_a_service(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.safetensors").touch()
    assert cli.main([*words, NOBODY]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert ("junit" in said) == ("junit=hpo.xml" in words)


@pytest.mark.parametrize("place", ["/shared/saved", "file:///shared/saved", "s3://bucket/path", __file__])
def test_files_and_folders_of_a_service_are_looked_for_there(place, capsys):
    words = ["recipe=cnn", "space.start=/nowhere/mine.safetensors", f"checkpoints={place}"]
    assert cli.main(["submit", *words, NOBODY]) == 2
    assert "The service refused: Failed to connect" in capsys.readouterr().err


def test_a_search_here_remembers_where_its_checkpoints_lie_whatever_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for typed, kept in (("saved", str(tmp_path / "saved")), ("s3://bucket/path", "s3://bucket/path")):
        ordered = order(SearchSettings.from_words(["recipe=linear", f"checkpoints={typed}"]))
        assert ordered.settings["checkpoints"] == kept

"""What the verbs of a service say and refuse; none of it takes a service."""

import pytest

from hpo import cli
from hpo.settings import ServiceSettings


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


def test_a_service_that_does_not_answer_is_said_without_its_password(capsys):
    assert cli.main(["status", "service=http://me:secret@127.0.0.1:9"]) == 2
    assert "service=http://me:***@127.0.0.1:9" in (told := capsys.readouterr().err)
    assert "secret" not in told

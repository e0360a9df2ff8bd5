"""What the verbs of a service say and refuse; none of it takes a service."""

from hpo import cli


def test_a_service_that_does_not_answer_is_said_without_its_password(capsys):
    assert cli.main(["status", "service=http://me:secret@127.0.0.1:9"]) == 2
    assert "service=http://me:***@127.0.0.1:9" in (told := capsys.readouterr().err)
    assert "secret" not in told

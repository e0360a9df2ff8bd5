"""No message shows a password, whatever the address it stands in looks like."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.errors import HpoError, InputError, Problem, without_password

ODD = "aZ7é@?#&=%+*'\"()[]{}|~$,;!\\"
USERS = st.text(ODD)
PASSWORDS = st.text(f"{ODD}:/") | st.text(f"{ODD}/ ".replace("@", ""))  # blanks, or any number of @


@given(USERS, PASSWORDS)
def test_a_password_of_any_characters_is_hidden_and_nothing_else(user, password):
    for shown in (
        "postgresql+psycopg://{}:{}@127.0.0.1:5432/db?connect_timeout=1",
        "API request to https://{}:{}@team/api failed",
    ):
        assert without_password(shown.format(user, password)) == shown.format(user, "***")


@pytest.mark.parametrize("key", ["password", "sslpassword", "passwd", "keypasswd"])
def test_a_password_in_a_query_is_hidden(key):
    address = f"postgresql://host/db?user=me&{key}={{}}&connect_timeout=1"
    assert without_password(address.format("se?c:r@et")) == address.format("***")


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/me/hpo.db",
        "http://127.0.0.1:5000",
        "postgresql://me@host:5432/db",
        "s3://bucket/a:b@c",
        "/home/me:you/a@b.db",
        "C:/Users/me@home/hpo.db",
        "from http://127.0.0.1:5000 to postgresql://me@host/db",
        "learning_rate: 1e-3 at host@team",
    ],
)
def test_what_holds_no_password_stays(text):
    assert without_password(text) == text


def test_both_passwords_of_two_addresses_are_hidden():
    text = "from http://me:{0}@team to postgresql://hpo:{0}@host/db?sslpassword={0}"
    assert without_password(text.format("secret")) == text.format("***")


def test_no_error_shows_a_password():
    told = "service=https://me:secret@team"
    assert str(HpoError(told)) == "service=https://me:***@team"
    assert "secret" not in str(InputError(Problem(told, f"Stop it: hpo stop one {told}")))

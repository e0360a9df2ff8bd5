"""Make the passwords and tokens of the service, each in a file for its owner alone: make secrets."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

AUTH = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = postgresql+psycopg://hpo@postgres/mlflow_auth
admin_username = admin
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
CREDENTIALS = """[mlflow]
mlflow_tracking_username = admin
mlflow_tracking_password = {password}
"""


class Owner(NamedTuple):
    """Whose the secrets are, and as whom the service's parts run: a user and a group, by their numbers."""

    user: int
    group: int


def owner(maker: Owner, environment: Mapping[str, str]) -> Owner:
    """Return who has asked for secrets: the maker, or who has become root by sudo.

    Raises:
        SystemExit: it is root itself, as whom no part may run.
    """
    if maker.user:
        return maker
    asking = Owner(int(environment.get("SUDO_UID", 0)), int(environment.get("SUDO_GID", 0)))
    if not asking.user:
        raise SystemExit(
            "make secrets: no secret was made. The service's parts run as whoever makes their secrets, "
            "and none may run as root.\nBecome another user, or type it there with sudo: sudo make secrets"
        )
    return asking


def main(root: Path, keeper: Owner) -> None:
    """Write what is missing, for its owner alone; what is there stays as it is."""
    folder = root / "secrets"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        os.chown(folder, *keeper)
    database, mlflow = _of(folder, "postgres_password", keeper), _of(folder, "mlflow_password", keeper)
    _of(folder, "ray_token", keeper)
    _of(folder, "mlflow_key", keeper)
    _write(folder / "pgpass", f"postgres:5432:*:hpo:{database}\n", keeper)
    _write(folder / "mlflow_auth.ini", AUTH.format(password=mlflow), keeper)
    _write(folder / "mlflow_credentials", CREDENTIALS.format(password=mlflow), keeper)
    _complete(root / ".env", {"HPO_UID": keeper.user, "HPO_GID": keeper.group}, keeper)
    print(f"{folder} is ready. MLflow's user is admin, its password is in {folder / 'mlflow_password'}.")


def _of(folder: Path, name: str, keeper: Owner) -> str:
    """Return a secret, a new one if there is none yet."""
    path = folder / name
    _write(path, secrets.token_hex(32), keeper)
    return path.read_text(encoding="ascii")


def _complete(path: Path, settings: Mapping[str, int], keeper: Owner) -> None:
    """Add to a file of settings, which may hold others, those that it lacks."""
    _write(path, "", keeper)
    told = path.read_text(encoding="utf-8")
    known = {line.partition("=")[0].strip() for line in told.splitlines()}
    lacking = [f"{name}={value}\n" for name, value in settings.items() if name not in known]
    ended = "" if told.endswith("\n") or not told else "\n"
    if lacking:
        with path.open("a", encoding="utf-8") as file:
            file.write(ended + "".join(lacking))


def _write(path: Path, text: str, keeper: Owner) -> None:
    if not path.exists():
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            os.fchown(file.fileno(), *keeper)
            file.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."), owner(Owner(os.getuid(), os.getgid()), os.environ))

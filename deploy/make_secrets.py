"""Make the passwords and tokens of the service, each in a file for its owner alone: make secrets."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

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


def main(root: Path) -> None:
    """Write what is missing; what is there stays as it is."""
    folder = root / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    database, mlflow = _of(folder, "postgres_password"), _of(folder, "mlflow_password")
    _of(folder, "ray_token")
    _of(folder, "mlflow_key")
    _write(folder / "pgpass", f"postgres:5432:*:hpo:{database}\n")
    _write(folder / "mlflow_auth.ini", AUTH.format(password=mlflow))
    _write(folder / "mlflow_credentials", CREDENTIALS.format(password=mlflow))
    _write(root / ".env", f"HPO_UID={os.getuid()}\nHPO_GID={os.getgid()}\n")
    print(f"{folder} is ready. MLflow's user is admin, its password is in {folder / 'mlflow_password'}.")


def _of(folder: Path, name: str) -> str:
    """Return a secret, a new one if there is none yet."""
    path = folder / name
    if not path.exists():
        _write(path, secrets.token_hex(32))
    return path.read_text(encoding="ascii")


def _write(path: Path, text: str) -> None:
    if not path.exists():
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(text)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

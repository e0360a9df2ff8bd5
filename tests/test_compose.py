"""The service's parts as docker-compose.yml has them: what is open, what is secret, what each part may do."""

import importlib.util
import os
import re
import stat
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
_SPEC = importlib.util.spec_from_file_location("make_secrets", ROOT / "deploy" / "make_secrets.py")
make_secrets = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make_secrets)
ROOT_USER, TEAM = make_secrets.Owner(0, 0), make_secrets.Owner(10001, 10002)
KEEPER = make_secrets.Owner(os.getuid(), os.getgid()) if os.getuid() else TEAM
OURS = [name for name, part in SERVICES.items() if "build" in part]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    make(folder)
    return folder


def make(folder):
    make_secrets.main(folder, KEEPER)


def test_ports_are_open_on_this_machine_only():
    ports = [port for part in SERVICES.values() for port in part.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:5000:5000", "127.0.0.1:8265:8265"]


def test_the_database_is_not_to_be_reached_from_outside():
    assert SERVICES["postgres"]["networks"] == ["backend"]
    assert COMPOSE["networks"]["backend"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_each_part_has_no_more_rights_than_it_needs(name):
    part = SERVICES[name]
    assert part["user"].startswith("${HPO_UID:?")
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert part["read_only"] is True
    assert part["healthcheck"]["test"][0] == "CMD"
    assert part["logging"]["options"]["max-size"]
    assert not {"privileged", "cap_add", "network_mode", "pid"} & part.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_of_one_version(name):
    image, _, version = SERVICES[name]["image"].partition(":")
    assert image
    assert re.match(r"\d+\.\d+", version), "pinned by an exact version"


def test_our_image_takes_its_version_from_the_project():
    project = (ROOT / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.*)"', project, re.M)[1]
    assert {SERVICES[name]["image"] for name in OURS} == {f"hpo:{version}"}


def test_the_name_of_a_reverse_proxy_reaches_mlflow_which_else_refuses_its_requests():
    assert SERVICES["mlflow"]["environment"]["HPO_ALLOWED_HOSTS"] == "${HPO_ALLOWED_HOSTS:-}"
    assert '--allowed-hosts "${HPO_ALLOWED_HOSTS:-mlflow:5000' in (ROOT / "deploy" / "start").read_text()


def test_several_workers_on_one_machine_can_each_have_a_part_of_it():
    worker = SERVICES["worker"]
    assert worker["cpus"] == "${HPO_WORKER_CPUS:-0}"
    assert worker["mem_limit"] == "${HPO_WORKER_MEMORY:-0}"


def test_no_secret_is_written_down(secrets):
    known = {path.read_text() for path in (secrets / "secrets").iterdir()}
    shipped = (ROOT / "docker-compose.yml").read_text() + (ROOT / "deploy" / "start").read_text()
    assert not any(secret in shipped for secret in known)
    assert not re.search(r"(?i)(password|token|secret|key)\w*\s*[:=]\s*['\"]?[0-9a-f]{16,}", shipped)
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", shipped), "no password in an address"


def test_every_secret_that_is_asked_for_is_made_for_its_owner_alone(secrets):
    assert stat.S_IMODE((secrets / "secrets").stat().st_mode) == 0o700
    for secret in COMPOSE["secrets"].values():
        path = secrets / secret["file"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text().strip()
    wanted = {name for part in SERVICES.values() for name in part.get("secrets", [])}
    assert wanted == COMPOSE["secrets"].keys()


def test_secrets_that_are_there_stay(secrets):
    before = {path: path.read_text() for path in (secrets / "secrets").iterdir()}
    make(secrets)
    assert {path: path.read_text() for path in (secrets / "secrets").iterdir()} == before


def test_secrets_and_parts_belong_to_who_has_made_them(secrets):
    made = [secrets / ".env", secrets / "secrets", *(secrets / "secrets").iterdir()]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {KEEPER}
    assert (secrets / ".env").read_text() == f"HPO_UID={KEEPER.user}\nHPO_GID={KEEPER.group}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("HPO_WORKER_CPUS=4", "HPO_WORKER_CPUS=4\nHPO_UID={0.user}\nHPO_GID={0.group}\n"),
        ("# HPO_UID=1\nHPO_UID = 7\n", "# HPO_UID=1\nHPO_UID = 7\nHPO_GID={0.group}\n"),
        ("HPO_UID=7\nHPO_GID=8\n", "HPO_UID=7\nHPO_GID=8\n"),
    ],
)
def test_settings_that_are_there_stay_and_what_they_lack_is_added(before, after, tmp_path):
    (tmp_path / ".env").write_text(before)
    make(tmp_path)
    assert (tmp_path / ".env").read_text() == after.format(KEEPER)


def test_root_makes_secrets_for_who_asks_by_sudo_and_none_for_itself():
    assert make_secrets.owner(TEAM, {"SUDO_UID": "1", "SUDO_GID": "1"}) == TEAM
    assert make_secrets.owner(ROOT_USER, {"SUDO_UID": "10001", "SUDO_GID": "10002"}) == TEAM
    for environment in ({}, {"SUDO_UID": "0", "SUDO_GID": "0"}):
        with pytest.raises(SystemExit, match="none may run as root"):
            make_secrets.owner(ROOT_USER, environment)


def test_the_lock_has_a_hash_for_everything_and_no_address():
    lock = (ROOT / "deploy" / "requirements.lock").read_text()
    pins = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==[^\s;]+.*?(?=^\S|\Z)", lock, re.M | re.S)
    assert len(pins) > 100
    for pin in re.split(r"^(?=[\w.-]+)", lock, flags=re.M)[1:]:
        assert "--hash=sha256:" in pin, pin.splitlines()[0]
    assert "://" not in lock


def test_the_lock_fits_what_is_declared():
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "deploy" / "requirements.lock").read_text(), re.M)
    lock = {canonicalize_name(name): version for name, version in pins}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = declared["project"]
    needed = [
        *project["dependencies"],
        *project["optional-dependencies"]["service"],
        *declared["build-system"]["requires"],
    ]
    for need in map(Requirement, needed):
        name = canonicalize_name(need.name)
        assert name in lock, f"{name} is not installed in the image"
        assert need.specifier.contains(lock[name]), f"{need}, but the image has {lock[name]}"


def test_images_install_nothing_when_they_start():
    text = (ROOT / "deploy" / "start").read_text()
    assert "pip" not in text
    docker = (ROOT / "deploy" / "Dockerfile").read_text()
    assert "--require-hashes" in docker
    assert re.search(r"^USER hpo$", docker, re.M)
    assert all(
        re.match(r"FROM python:\d+\.\d+\.\d+-", line) for line in docker.splitlines() if "FROM " in line
    )

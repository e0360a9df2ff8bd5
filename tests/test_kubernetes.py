"""The service as deploy/kubernetes.yaml has it: it fits the schema, and may do no more than in compose."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

ROOT = Path(__file__).parent.parent
SCHEMA = yaml.safe_load((ROOT / "tests" / "assets" / "kuberay.yaml").read_text())
FILES = ("kubernetes.yaml", "kubernetes_search.yaml")
OBJECTS = [it for name in FILES for it in yaml.safe_load_all((ROOT / "deploy" / name).read_text())]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
VERSIONS = {
    "RayCluster": "ray.io/v1",
    "RayJob": "ray.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
}


def of_kind(kind):
    (found,) = (it for it in OBJECTS if it["kind"] == kind)
    return found


CLUSTER = of_kind("RayCluster")
GROUPS = [CLUSTER["spec"]["headGroupSpec"], *CLUSTER["spec"]["workerGroupSpecs"]]
PODS = {group.get("groupName", "head"): group["template"]["spec"] for group in GROUPS}
SETTINGS = of_kind("ConfigMap")["data"]


@pytest.mark.parametrize("item", OBJECTS, ids=lambda it: it["kind"])
def test_each_object_fits_the_schema(item):
    kind = item["kind"]
    assert item["apiVersion"] == VERSIONS[kind]
    assert item.keys() == {"apiVersion", "kind", "metadata", "data" if kind == "ConfigMap" else "spec"}
    for part, rule in (("metadata", SCHEMA["$defs"]["metadata"]), *spec_of(item)):
        faults = Draft202012Validator({**rule, "$defs": SCHEMA["$defs"]}).iter_errors(item[part])
        assert [f"{it.json_path}: {it.message}" for it in faults] == []


def spec_of(item):
    yield ("data" if "data" in item else "spec"), SCHEMA[item["kind"]]


def pod_of(group):
    """The pod that the operator makes of a group's template, but for what it adds itself."""
    template = group["template"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": template["spec"]}


@pytest.mark.parametrize(
    "item", [*(it for it in OBJECTS if "ray.io" not in it["apiVersion"]), *map(pod_of, GROUPS)]
)
def test_what_is_kubernetes_own_fits_its_own_schema(item):
    kubernetes_validate.validate(item, "1.34", strict=True)  # strict: it takes no field that it does not know
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**item, "unheard_of": 1}, "1.34", strict=True)


@pytest.mark.parametrize("name", PODS)
def test_no_part_runs_as_root_or_may_become_it(name):
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("name", PODS)
def test_each_part_has_limits_and_probes_and_time_to_save(name):
    pod = PODS[name]
    (container,) = pod["containers"]
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert {"cpu", "memory"} <= resources["limits"].keys()
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    assert pod["terminationGracePeriodSeconds"] > int(SETTINGS["RAY_JOB_STOP_WAIT_TIME_S"])


@pytest.mark.parametrize("name", PODS)
def test_what_is_mounted_is_there_and_all_machines_see_the_checkpoints(name):
    pod = PODS[name]
    (container,) = pod["containers"]
    volumes = {it["name"]: it for it in pod["volumes"]}
    mounted = {it["mountPath"]: volumes[it["name"]] for it in container["volumeMounts"]}
    claim = mounted[SETTINGS["HPO_CHECKPOINTS"]]["persistentVolumeClaim"]["claimName"]
    assert claim == of_kind("PersistentVolumeClaim")["metadata"]["name"]
    assert of_kind("PersistentVolumeClaim")["spec"]["accessModes"] == ["ReadWriteMany"]
    assert {"/tmp", "/work", "/dev/shm"} <= mounted.keys(), "all else is read-only"


@pytest.mark.parametrize("name", PODS)
def test_it_is_the_image_and_the_environment_of_compose(name):
    (container,) = PODS[name]["containers"]
    node = COMPOSE["services"]["worker"]
    assert container["image"] == node["image"]
    elsewhere = {"PGPASSFILE", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"}  # Kubernetes hands secrets over itself
    assert node["environment"].keys() - elsewhere <= SETTINGS.keys()
    assert SETTINGS["HPO_STORE"] == node["environment"]["HPO_STORE"]


def test_passwords_come_from_secrets_and_are_written_nowhere():
    assert CLUSTER["spec"]["authOptions"] == {"mode": "token", "secretName": "hpo-token"}
    for pod in PODS.values():
        secret = {it["name"]: it["valueFrom"]["secretKeyRef"] for it in pod["containers"][0]["env"]}
        assert {it["key"] for it in secret.values()} == {"postgres_password", "mlflow_password"}
    assert not {name for name in SETTINGS if re.search("PASSWORD|TOKEN$|SECRET", name)}
    assert not any(re.search(r"://[^/\s:@]+:[^/\s@]+@", value) for value in SETTINGS.values())


def test_only_the_door_for_searches_is_open_to_others():
    rules = of_kind("NetworkPolicy")["spec"]
    selected = {"matchLabels": {"ray.io/cluster": CLUSTER["metadata"]["name"]}}
    assert rules["podSelector"] == selected
    among, door = rules["ingress"]
    assert among == {"from": [{"podSelector": selected}]}
    assert door == {"ports": [{"protocol": "TCP", "port": 8265}]}
    assert CLUSTER["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_ray_is_of_the_version_in_the_image():
    lock = (ROOT / "deploy" / "requirements.lock").read_text()
    assert CLUSTER["spec"]["rayVersion"] == re.search(r"^ray(?:\[\w+\])?==(\S+)", lock, re.M)[1]


def test_the_job_runs_on_the_cluster_and_is_a_search_that_can_be_ordered():
    from hpo.planning.ordering import order
    from hpo.settings import SearchSettings

    job = of_kind("RayJob")["spec"]
    assert job["clusterSelector"] == {"ray.io/cluster": CLUSTER["metadata"]["name"]}
    program, verb, *words = job["entrypoint"].split()
    assert (program, verb) == ("hpo", "search")
    assert order(SearchSettings.from_words(words)).name == "first"

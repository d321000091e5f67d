"""The Kubernetes manifests: what their schemas cannot say."""

import re
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any

import pytest
import yaml

from configuration import EncodeConfig, UploadConfig
from embedded.home import REPOSITORY
from tests.unit.deployment.reading import SETTINGS, Manifest, manifests, stages

K8S = REPOSITORY / "k8s"
EVERY = list(manifests())
DEPLOYMENTS = {each["metadata"]["name"]: each for each in EVERY if each["kind"] == "Deployment"}
ENCODERS = ["worker-cpu", "worker-gpu"]
WORKERS = [*ENCODERS, "worker-transfer"]


def of_kind(kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in EVERY if each["kind"] == kind}


def pods() -> dict[str, Any]:
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in EVERY
        if each["kind"] in {"Deployment", "Job"}
    }


def container(name: str) -> Any:  # noqa: ANN401 - a manifest
    return pods()[name]["containers"][0]


@pytest.mark.parametrize("folder", ["base", "overlays/gpu", "components/live"])
def test_a_kustomization_names_every_file_beside_it_and_only_files_that_exist(folder: str) -> None:
    kustomization = yaml.safe_load((K8S / folder / "kustomization.yaml").read_text())
    named = set(kustomization["resources"])
    assert all((K8S / folder / name).exists() for name in named)
    assert named >= {path.name for path in (K8S / folder).glob("*.yaml")} - {"kustomization.yaml"}
    assert "patches" not in kustomization  # then each file checked by itself is all of it
    images = {image["name"] for image in kustomization.get("images", [])}
    assert images == {pod["containers"][0]["image"] for pod in pods().values()} & images
    assert images <= {f"vodmill/{target}" for target in stages()}


def test_everything_that_runs_has_an_image_that_is_built() -> None:
    for pod in pods().values():
        for each in [*pod.get("initContainers", []), *pod["containers"]]:
            assert each["image"].removeprefix("vodmill/") in stages()


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_is_nobody_important(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for each in [*pod.get("initContainers", []), *pod["containers"]]:
        context = each["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        for kind in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= set(each["resources"][kind])


def test_settings_are_ones_and_none_is_secret() -> None:
    names = set(settings())
    written = {variable["name"] for pod in pods().values() for variable in pod["containers"][0].get("env", [])}
    assert names | written <= SETTINGS | {"POD_IP"}  # of which a setting is made
    assert not any(name.endswith(("_KEY", "_TOKEN", "DATABASE_URL", "BROKER_URL", "CACHE_URL")) for name in names)


def settings() -> dict[str, str]:
    lines = (K8S / "base" / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def setting(name: str) -> str:
    return settings()[name]


def test_nobody_is_believed_about_addresses_until_an_overlay_names_them() -> None:
    assert setting("TRANSCODER_TRUSTED_PROXIES") == ""


@pytest.mark.parametrize("name", ["dispatcher", *WORKERS])
def test_what_was_counted_can_be_read(name: str) -> None:
    assert {"name": "metrics", "containerPort": int(setting("TRANSCODER_METRICS_PORT"))} in container(name)["ports"]
    policy = of_kind("NetworkPolicy")["metrics"]["spec"]
    assert name in policy["podSelector"]["matchExpressions"][0]["values"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": "metrics"}]}]


def test_probes_prove_that_work_is_consumed() -> None:
    for name in WORKERS:
        assert container(name)["livenessProbe"]["exec"]["command"] == ["python", "manage.py", "worker_alive"]
    assert container("dispatcher")["livenessProbe"]["exec"]["command"][-1] == "dispatcher_alive"
    for name in ("dispatcher", *WORKERS):
        probe = container(name)["readinessProbe"]["exec"]
        assert f"127.0.0.1:{setting('TRANSCODER_METRICS_PORT')}/healthz" in probe["command"][-1]
        assert container(name)["startupProbe"]["exec"] == probe
    for name in ("api", "relay"):
        assert container(name)["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container(name)["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}


@pytest.mark.parametrize("deployment", sorted(DEPLOYMENTS))
def test_new_code_waits_for_its_tables(deployment: str) -> None:
    (waiting,) = pods()[deployment]["initContainers"]
    assert waiting["command"] == ["python", "manage.py", "migrations_wait"]


@pytest.mark.parametrize("name", [*WORKERS, "relay"])
def test_what_is_ended_has_time_to_finish_or_release(name: str) -> None:
    grace = float(setting("TRANSCODER_DRAIN_GRACE_SECONDS"))
    assert grace > EncodeConfig().chunk_work_seconds, "a chunk that has just started is finished, too"
    assert pods()[name]["terminationGracePeriodSeconds"] >= grace + 15


@pytest.mark.parametrize("name", WORKERS)
def test_workers_are_scaled_by_what_waits_and_runs(name: str) -> None:
    scaled = of_kind("ScaledObject")[name]["spec"]
    assert scaled["scaleTargetRef"] == {"name": name}
    assert "replicas" not in DEPLOYMENTS[name]["spec"]  # two would fight over it
    (trigger,) = scaled["triggers"]
    slots = {variable["name"]: variable.get("value") for variable in container(name)["env"]}["TRANSCODER_WORKER_SLOTS"]
    assert (trigger["type"], trigger["metadata"]["targetQueryValue"]) == ("postgresql", slots)
    authentication = of_kind("TriggerAuthentication")[trigger["authenticationRef"]["name"]]["spec"]
    assert authentication["secretTargetRef"] == [
        {"parameter": "connection", "name": "vodmill", "key": "TRANSCODER_DATABASE_URL"}
    ]


GIB = 1 << 30


@pytest.mark.parametrize("name", ENCODERS)
def test_the_largest_upload_fits_into_the_scratch_of_every_slot(name: str) -> None:
    (scratch,) = (volume for volume in pods()[name]["volumes"] if volume["name"] == "scratch")
    claimed = scratch["ephemeral"]["volumeClaimTemplate"]["spec"]["resources"]["requests"]["storage"]
    slots = next(int(each["value"]) for each in container(name)["env"] if each["name"] == "TRANSCODER_WORKER_SLOTS")
    source_and_remux = 2 * UploadConfig().max_upload_bytes
    assert int(claimed.removesuffix("Gi")) * GIB >= slots * source_and_remux + 10 * GIB


@pytest.mark.parametrize("name", ENCODERS)
def test_ffmpeg_starts_as_many_threads_as_the_limit_allows(name: str) -> None:
    (threads,) = (each for each in container(name)["env"] if each["name"] == "TRANSCODER_FFMPEG_THREADS")
    assert threads["valueFrom"] == {"resourceFieldRef": {"resource": "limits.cpu"}}
    assert container(name)["resources"]["limits"]["cpu"].isdecimal()


def test_gpu_workers_go_where_gpus_are() -> None:
    pod = pods()["worker-gpu"]
    assert container("worker-gpu")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert of_kind("ScaledObject")["worker-gpu"]["spec"]["minReplicaCount"] >= 1


def test_each_deployment_survives_the_draining_of_a_machine() -> None:
    budgets = {
        each["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]: each
        for each in EVERY
        if each["kind"] == "PodDisruptionBudget"
    }
    assert set(budgets) == set(DEPLOYMENTS)


def test_nothing_is_reached_that_no_policy_names() -> None:
    policies = of_kind("NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert ports(policies["servers"]) == SERVERS
    assert selected(policies["servers"]) == {"api", "dispatcher", "prepare"}


SERVERS = [5432, 6379, 443]
NOBODYS = IPv4Network("192.0.2.0/24")
"""Addresses of documentation."""


def ports(policy: Manifest) -> list[int]:
    return [each["port"] for rule in policy["spec"]["egress"] for each in rule["ports"]]


def selected(policy: Manifest) -> set[str]:
    (expression,) = policy["spec"]["podSelector"]["matchExpressions"]
    assert (expression["key"], expression["operator"]) == ("app.kubernetes.io/name", "In")
    return set(expression["values"])


def test_workers_reach_only_servers_that_an_overlay_names() -> None:
    policy = of_kind("NetworkPolicy")["workers"]
    assert selected(policy) == set(WORKERS)
    assert ports(policy) == SERVERS
    for rule in policy["spec"]["egress"]:
        assert [IPv4Network(each["ipBlock"]["cidr"]).subnet_of(NOBODYS) for each in rule["to"]] == [True]
    wide = {
        name
        for name, each in of_kind("NetworkPolicy").items()
        if any("to" not in rule for rule in each["spec"].get("egress", []))
    }
    assert wide == {"servers"}


ADDRESSES_INSIDE = [
    "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.31.255.1", "192.168.1.1", "0.0.0.0",  # noqa: S104
    "224.0.0.1", "255.255.255.255", "::1", "fd00::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1",
]  # fmt: skip


@pytest.mark.parametrize(("policy", "pod", "port"), [("transfers", "worker-transfer", 443), ("relay", "relay", 80)])
def test_what_fetches_reaches_the_internet_and_no_address_inside(policy: str, pod: str, port: int) -> None:
    spec = of_kind("NetworkPolicy")[policy]["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": pod}}
    *servers, rule = spec["egress"]
    assert all(ip_network(to["ipBlock"]["cidr"]).overlaps(NOBODYS) for each in servers for to in each["to"])
    assert all(reached(rule, address) for address in ("198.51.100.7", "8.8.8.8", "2a00:1450::1"))
    assert [address for address in ADDRESSES_INSIDE if reached(rule, address)] == []
    assert 22 not in {each["port"] for each in rule["ports"]}
    assert min(each["port"] for each in rule["ports"]) == port


def reached(rule: Manifest, text: str) -> bool:
    """Return whether a rule of egress allows an address."""
    address = ip_address(text)
    return any(
        address in ip_network(each["ipBlock"]["cidr"])
        and not any(address in ip_network(network) for network in each["ipBlock"]["except"])
        for each in rule["to"]
    )


def test_the_relay_listens_where_its_service_and_its_probes_look() -> None:
    environ = {each["name"]: each.get("value") for each in container("relay")["env"]}
    assert environ["TRANSCODER_RELAY_HOST"] == "0.0.0.0"  # noqa: S104 - of the pod
    assert container("relay")["ports"] == [{"name": "http", "containerPort": int(environ["TRANSCODER_RELAY_PORT"])}]
    assert of_kind("Service")["relay"]["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http"}]


@pytest.mark.parametrize("name", ["api", "relay"])
def test_what_clients_reach_is_reached_by_the_ingress_controller_and_prometheus(name: str) -> None:
    (rule,) = of_kind("NetworkPolicy")[name]["spec"]["ingress"]
    ingress, prometheus = rule["from"]
    assert ingress == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    assert set(prometheus) == {"namespaceSelector", "podSelector"}
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]


def documented_overlay(page: str = "deployment.md") -> Manifest:
    text = (REPOSITORY / "docs" / page).read_text()
    (block,) = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    loaded: Manifest = yaml.safe_load(block)
    return loaded


def test_the_overlay_of_the_documentation_replaces_what_is_there() -> None:
    overlay = documented_overlay()
    assert all((K8S / "overlays" / "ours" / folder).resolve().is_dir() for folder in overlay["resources"])
    policies = of_kind("NetworkPolicy")
    replaced = {(each["target"]["name"], change["path"]) for each in overlay["patches"] for change in changes(each)}
    for name, path in replaced:
        found: Any = policies[name]
        for part in path.removeprefix("/").split("/"):
            found = found[int(part) if part.isdecimal() else part.replace("~1", "/")]
    assert {path for name, path in replaced if name == "workers"} == {f"/spec/egress/{at}/to" for at in range(3)}
    literals = dict(literal.split("=", 1) for literal in overlay["configMapGenerator"][0]["literals"])
    assert literals["TRANSCODER_TRUSTED_PROXIES"]
    assert set(literals) <= SETTINGS


def test_the_overlay_of_the_relay_adds_it_and_names_whom_it_reaches() -> None:
    overlay = documented_overlay("live.md")
    (component,) = overlay["components"]
    assert (K8S / "overlays" / "ours" / component).resolve() == K8S / "components" / "live"
    (patch,) = overlay["patches"]
    rules = of_kind("NetworkPolicy")[patch["target"]["name"]]["spec"]["egress"]
    ports = [rules[int(change["path"].split("/")[3])]["ports"][0]["port"] for change in changes(patch)[:2]]
    assert ports == [5432, 6379]


def changes(patch: Manifest) -> Any:  # noqa: ANN401 - a part of a manifest
    return yaml.safe_load(patch["patch"])

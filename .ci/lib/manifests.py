"""Policy on rendered Kubernetes manifests: what a schema cannot say.

usage: manifests.py RENDERED.yaml...

Every rendered file is one installation. Prints each breach as `file: kind/name: why`.
"""

import re
import subprocess
import sys
from pathlib import Path

import yaml

WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
SETTING = re.compile(r"\bKEFU_[A-Z0-9_]+\b")


def pod_of(resource):
    """The pod template of a workload: its metadata and spec."""
    spec = resource["spec"]
    if resource["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]


def containers_of(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def check_pod(pod, drain):
    """What holds for each pod, whoever is in it."""
    spec = pod["spec"]
    security = spec.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "runs as root: set runAsNonRoot"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile: set RuntimeDefault"
    if spec.get("automountServiceAccountToken") is not False:
        yield "is handed a token of the cluster's API, which it never calls"
    if spec.get("serviceAccountName", "default") == "default":
        yield "shares the default service account"
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(forbidden):
            yield f"uses {forbidden}"
    for volume in spec.get("volumes", []):
        if "hostPath" in volume:
            yield f"mounts {volume['hostPath']['path']} of its node"
    if any("grpc" in c.get("readinessProbe", {}) for c in spec["containers"]):
        grace = spec.get("terminationGracePeriodSeconds", 30)
        pause = max(pause_before_stop(c) for c in spec["containers"])
        # Running calls may take KEFU_DRAIN_TIMEOUT to finish, and then the workers as long again.
        if grace <= pause + 2 * drain:
            yield (
                f"is killed after {grace} s, while it may pause {pause} s, drain calls {drain} s"
                f" and then workers {drain} s"
            )
    for spread in spec.get("topologySpreadConstraints", []):
        if not matches(spread["labelSelector"]["matchLabels"], pod["metadata"]["labels"]):
            yield "spreads pods that are not its own"


def pause_before_stop(container):
    return container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)


def check_container(container, serves):
    """What holds for each container; `serves` is false for init containers and jobs."""
    image = container["image"]
    tag = image.rpartition("/")[2].partition(":")[2]
    if "@sha256:" not in image and tag in ("", "latest"):
        yield f"image {image} changes under our feet: name a version or a digest"
    security = container.get("securityContext", {})
    if security.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"
    if security.get("privileged"):
        yield "is privileged"
    capabilities = security.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "keeps capabilities"
    resources = container.get("resources", {})
    for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if name not in resources.get(kind, {}):
            yield f"has no resources.{kind}.{name}"
    for variable in container.get("env", []):
        if "value" in variable and re.search(r"://[^/@]*:[^/@]+@", variable["value"]):
            yield f"{variable['name']} has a password in plain sight: take it from a Secret"
    if not serves:
        return
    if missing := [probe for probe in PROBES if probe not in container]:
        yield f"has no {', '.join(missing)}"
    elif "grpc" in container["readinessProbe"]:
        ports = {port["containerPort"] for port in container.get("ports", [])}
        for probe in PROBES:
            if container[probe].get("grpc", {}).get("port") not in ports:
                yield f"{probe} asks a port that is not served"
        # Readiness follows Postgres; a restart would not bring Postgres back.
        if container["livenessProbe"]["grpc"].get("service", "") == container["readinessProbe"]["grpc"].get("service", ""):
            yield "is restarted whenever it is not ready"


def check_references(resources):
    """Names and labels that must lead somewhere."""
    names = {(r["kind"], r["metadata"]["name"]) for r in resources}
    pods = [pod_of(r) for r in resources if r["kind"] in WORKLOADS]
    for resource in resources:
        kind, spec = resource["kind"], resource.get("spec", {})
        selector = {
            "Service": lambda s: s.get("selector"),
            "PodDisruptionBudget": lambda s: s["selector"].get("matchLabels"),
            "NetworkPolicy": lambda s: s["podSelector"].get("matchLabels"),
        }.get(kind, lambda s: None)(spec)
        chosen = [pod for pod in pods if selector and matches(selector, pod["metadata"]["labels"])]
        if selector and not chosen:
            yield resource, f"selects no pod: {selector}"
        if kind == "Service":
            offered = {p.get("name") for pod in chosen for c in pod["spec"]["containers"] for p in c.get("ports", [])}
            for port in spec["ports"]:
                if port["targetPort"] not in offered:
                    yield resource, f"leads to port {port['targetPort']}, which no container names"
        if kind == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            if (target["kind"], target["name"]) not in names:
                yield resource, f"scales {target['kind']}/{target['name']}, which does not exist"
        if kind not in WORKLOADS:
            continue
        pod = pod_of(resource)
        if ("ServiceAccount", pod["spec"].get("serviceAccountName")) not in names:
            yield resource, "uses a service account that does not exist"
        for needed in config_maps(pod):
            if ("ConfigMap", needed) not in names:
                yield resource, f"uses the ConfigMap {needed}, which does not exist"
        if kind == "Deployment" and not covered(resources, "PodDisruptionBudget", pod):
            yield resource, "has no PodDisruptionBudget"
        if not covered(resources, "NetworkPolicy", pod):
            yield resource, "has no NetworkPolicy"


def config_maps(pod):
    for container in containers_of(pod):
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                yield source["configMapRef"]["name"]
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("configMapKeyRef")
            if reference and not reference.get("optional"):
                yield reference["name"]
    for volume in pod["spec"].get("volumes", []):
        if "configMap" in volume and not volume["configMap"].get("optional"):
            yield volume["configMap"]["name"]


def covered(resources, kind, pod):
    field = "selector" if kind == "PodDisruptionBudget" else "podSelector"
    return any(
        resource["kind"] == kind
        and matches(resource["spec"][field].get("matchLabels", {}), pod["metadata"]["labels"])
        for resource in resources
    )


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)?", text).groups()
    return int(number) * {"ms": 0.001, "m": 60}.get(unit, 1)


def check_installation(resources):
    settings = {}
    for resource in resources:
        if resource["kind"] == "ConfigMap":
            settings |= resource.get("data", {})
    drain = seconds(settings.get("KEFU_DRAIN_TIMEOUT", "30s"))
    seen = set()
    for resource in resources:
        identity = (resource["kind"], resource["metadata"]["name"])
        if identity in seen:
            yield resource, "exists twice"
        seen.add(identity)
        if "namespace" in resource["metadata"]:
            yield resource, "names a namespace: where it runs is said when it is applied"
        if resource["kind"] == "Secret" and any(
            re.search(r"(?i)password|private", f"{key}") for key in resource.get("stringData", {}) | resource.get("data", {})
        ):
            yield resource, "is a secret in the repository"
        if resource["kind"] not in WORKLOADS:
            continue
        pod = pod_of(resource)
        for why in check_pod(pod, drain):
            yield resource, why
        serving = pod["spec"]["containers"] if resource["kind"] in ("Deployment", "StatefulSet") else []
        for container in containers_of(pod):
            for why in check_container(container, container in serving):
                yield resource, f"{container['name']}: {why}"
    yield from check_references(resources)


def check_settings(text):
    """A setting that no program reads is a typing error that nobody would notice."""
    command = ["git", "grep", "--untracked", "-hoE", r"KEFU_[A-Z0-9_]+", "--", "services/*.rs", "shared/*.rs"]
    known = set(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split())
    return sorted(set(SETTING.findall(text)) - known)


def main(paths):
    breaches = 0
    for path in map(Path, paths):
        text = path.read_text(encoding="utf-8")
        resources = [resource for resource in yaml.safe_load_all(text) if resource]
        for resource, why in check_installation(resources):
            breaches += 1
            print(f"{path.stem}: {resource['kind']}/{resource['metadata']['name']}: {why}")
        for setting in check_settings(text):
            breaches += 1
            print(f"{path.stem}: {setting} is read by no program")
        print(f"{path.stem}: {len(resources)} resources")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

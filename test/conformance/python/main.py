"""Judges an API server with the Python client: typed and dynamic, lists, watches, patches, custom resources.

Takes any KUBECONFIG of an administrator, works in a random namespace and API group and removes both.
"""

import base64
import datetime
import json
import secrets
import sys
import threading
import time
import traceback

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError

# Only against a wait in vain: other suites may have the machine meanwhile.
TIMEOUT_SECONDS = 120
CHECKS = []


def check(name):
    """Registers a check under the name that is printed."""

    def register(function):
        CHECKS.append((name, function))
        return function

    return register


def eventually(what, probe):
    """Repeats until the probe neither raises nor returns False."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    cause = None
    while time.monotonic() < deadline:
        try:
            answer = probe()
            if answer is not False:
                return answer
        except (ApiException, dynamic.exceptions.ResourceNotFoundError) as error:
            cause = error
        time.sleep(0.05)
    raise AssertionError(f"not within {TIMEOUT_SECONDS} s: {what}: {cause}")


def refused(code, reason, call):
    """The call must fail with this code and a Status of this reason."""
    try:
        call()
    except ApiException as error:
        status = json.loads(error.body)
        assert (error.status, status["kind"], status["reason"]) == (code, "Status", reason), status
        return status
    raise AssertionError(f"answered, not refused with {code}")


def config_map(name, data=None, labels=None):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


class Suite:
    """Clients, and a namespace and an API group of its own."""

    def __init__(self):
        config.load_kube_config()
        self.namespace = f"conformance-{secrets.token_hex(4)}"
        self.group = f"{self.namespace}.example.com"
        self.core = client.CoreV1Api()
        self.apps = client.AppsV1Api()
        self.custom = client.CustomObjectsApi()
        self.definitions = client.ApiextensionsV1Api()

    def widgets(self):
        return {"group": self.group, "version": "v1", "namespace": self.namespace, "plural": "widgets"}

    def widget(self, name, spec):
        return {"apiVersion": f"{self.group}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}

    def define(self):
        schema = {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "size": {"type": "integer", "default": 3, "maximum": 10},
                        "when": {"type": "string", "format": "date-time"},
                        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    },
                },
                "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
            },
        }
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wd"]}
        self.definitions.create_custom_resource_definition({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"widgets.{self.group}"},
            "spec": {
                "group": self.group, "scope": "Namespaced", "names": names,
                "versions": [{**version, "subresources": {"status": {}}}],
            },
        })
        eventually("the definition is served", lambda: self.custom.list_namespaced_custom_object(**self.widgets()))


@check("ConfigMap: create, read, replace, stale replace, delete")
def config_maps(s):
    body = config_map("plain", {"key": "välue\n"}, {"a": "b"})
    body.binary_data = {"bytes": base64.b64encode(bytes([0, 255, 128])).decode()}
    created = s.core.create_namespaced_config_map(s.namespace, body)
    assert isinstance(created.metadata.creation_timestamp, datetime.datetime)
    read = s.core.read_namespaced_config_map("plain", s.namespace)
    assert (read.data, read.binary_data) == (body.data, body.binary_data), read
    stale = s.core.read_namespaced_config_map("plain", s.namespace)
    read.data = {"key": "other"}
    replaced = s.core.replace_namespaced_config_map("plain", s.namespace, read)
    assert replaced.metadata.uid == created.metadata.uid and replaced.data == {"key": "other"}, replaced
    stale.data = {}
    refused(409, "Conflict", lambda: s.core.replace_namespaced_config_map("plain", s.namespace, stale))
    refused(409, "AlreadyExists", lambda: s.core.create_namespaced_config_map(s.namespace, body))
    assert s.core.delete_namespaced_config_map("plain", s.namespace)["status"] == "Success"
    refused(404, "NotFound", lambda: s.core.read_namespaced_config_map("plain", s.namespace))


@check("Secret and Service: defaults, and what is invalid")
def defaults(s):
    secret = s.core.create_namespaced_secret(s.namespace, client.V1Secret(
        metadata=client.V1ObjectMeta(name="secret"), string_data={"a": "text"}))
    assert secret.type == "Opaque" and base64.b64decode(secret.data["a"]) == b"text", secret
    service = s.core.create_namespaced_service(s.namespace, client.V1Service(
        metadata=client.V1ObjectMeta(name="service"),
        spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)])))
    port = service.spec.ports[0]
    assert (service.spec.type, port.protocol, port.target_port) == ("ClusterIP", "TCP", 80), service
    status = refused(422, "Invalid", lambda: s.core.create_namespaced_service(s.namespace, client.V1Service(
        metadata=client.V1ObjectMeta(name="service-2"),
        spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80_000)]))))
    assert status["details"]["causes"][0]["field"] == "spec.ports[0].port", status


@check("Deployment: create, scale, patch by container name")
def deployments(s):
    labels = {"app": "web"}
    container = client.V1Container(name="main", image="example.com/image:1")
    created = s.apps.create_namespaced_deployment(s.namespace, client.V1Deployment(
        metadata=client.V1ObjectMeta(name="web"),
        spec=client.V1DeploymentSpec(
            paused=True, selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container])))))
    assert created.spec.replicas == 1 and created.spec.strategy.rolling_update.max_surge == "25%", created
    scale = s.apps.patch_namespaced_deployment_scale("web", s.namespace, {"spec": {"replicas": 2}})
    assert scale.spec.replicas == 2, scale
    side = {"name": "side", "image": "example.com/side:1"}
    patched = s.apps.patch_namespaced_deployment(
        "web", s.namespace, {"spec": {"template": {"spec": {"containers": [side]}}}})
    assert sorted(c.name for c in patched.spec.template.spec.containers) == ["main", "side"], patched


@check("patch: a list is a JSON patch, a map a strategic merge")
def patches(s):
    s.core.create_namespaced_config_map(s.namespace, config_map("patched", {"a": "1"}))
    added = s.core.patch_namespaced_config_map("patched", s.namespace, [{"op": "add", "path": "/data/b", "value": "2"}])
    assert added.data == {"a": "1", "b": "2"}, added
    merged = s.core.patch_namespaced_config_map("patched", s.namespace, {"data": {"a": None, "c": "3"}})
    assert merged.data == {"b": "2", "c": "3"}, merged
    refused(422, "Invalid", lambda: s.core.patch_namespaced_config_map(
        "patched", s.namespace, [{"op": "test", "path": "/data/b", "value": "9"}]))


@check("list: pages, selectors, and a collection deleted by label")
def lists(s):
    for i in range(7):
        s.core.create_namespaced_config_map(s.namespace, config_map(f"page-{i}", labels={"page": "yes"}))
    names, token = [], None
    while token != "":
        page = s.core.list_namespaced_config_map(s.namespace, label_selector="page=yes", limit=3, _continue=token)
        assert len(page.items) <= 3
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue or ""
    assert names == [f"page-{i}" for i in range(7)], names
    one = s.core.list_namespaced_config_map(s.namespace, field_selector="metadata.name=page-3")
    assert len(one.items) == 1
    s.core.delete_collection_namespaced_config_map(s.namespace, label_selector="page=yes")
    assert s.core.list_namespaced_config_map(s.namespace, label_selector="page=yes").items == []


@check("watch: initial objects, then changes in order, resumed by the library")
def watches(s):
    labels = {"watched": "yes"}
    s.core.create_namespaced_config_map(s.namespace, config_map("watched-0", labels=labels))

    def write():
        s.core.create_namespaced_config_map(s.namespace, config_map("watched-1", labels=labels))
        s.core.patch_namespaced_config_map("watched-1", s.namespace, {"data": {"a": "b"}})
        time.sleep(1.5)  # the first watch ends meanwhile
        s.core.delete_namespaced_config_map("watched-0", s.namespace)

    stream, seen = watch.Watch(), []
    writer = threading.Thread(target=write)
    resource_version = None
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while len(seen) < 4 and time.monotonic() < deadline:
        options = {"label_selector": "watched=yes", "timeout_seconds": 1, "resource_version": resource_version}
        for event in stream.stream(s.core.list_namespaced_config_map, s.namespace, **options):
            seen.append(f"{event['type']} {event['object'].metadata.name}")
            if len(seen) == 1:
                writer.start()
            if len(seen) == 4:
                stream.stop()
        resource_version = stream.resource_version
    writer.join()
    assert seen == ["ADDED watched-0", "ADDED watched-1", "MODIFIED watched-1", "DELETED watched-0"], seen


@check("custom resource: default, prune, validate, keep free fields, status")
def custom_resources(s):
    target = s.widgets()
    free = {"list": [1, 2.5, None, "x"], "deep": {"a": {"b": True}}}
    created = s.custom.create_namespaced_custom_object(
        **target, body=s.widget("w", {"unknown": 1, "free": free, "when": "2024-01-02T03:04:05Z"}))
    assert created["spec"] == {"size": 3, "free": free, "when": "2024-01-02T03:04:05Z"}, created
    refused(422, "Invalid", lambda: s.custom.create_namespaced_custom_object(**target, body=s.widget("big", {"size": 11})))
    refused(422, "Invalid", lambda: s.custom.create_namespaced_custom_object(**target, body=s.widget("odd", {"when": "now"})))
    created["status"] = {"phase": "Ready"}
    created["spec"]["size"] = 9
    status = s.custom.replace_namespaced_custom_object_status(**target, name="w", body=created)
    assert (status["spec"]["size"], status["status"]) == (3, {"phase": "Ready"}), status
    patched = s.custom.patch_namespaced_custom_object(**target, name="w", body={"spec": {"size": 4}})
    assert patched["metadata"]["generation"] == 2, patched
    s.custom.delete_namespaced_custom_object(**target, name="w")
    assert s.custom.list_namespaced_custom_object(**target)["items"] == []


@check("dynamic client: discovery, CRUD, server-side apply with conflict and force, watch")
def dynamics(s):
    found = dynamic.DynamicClient(client.ApiClient())
    widgets = eventually("discovery shows widgets", lambda: found.resources.get(api_version=f"{s.group}/v1", kind="Widget"))
    assert widgets.namespaced and widgets.name == "widgets" and widgets.short_names == ["wd"], widgets
    created = widgets.create(body=s.widget("dyn", {"size": 1}), namespace=s.namespace)
    assert created.spec.size == 1
    applied = widgets.server_side_apply(body=s.widget("applied", {"size": 1}), namespace=s.namespace, field_manager="one")
    assert applied.metadata.managedFields[0].operation == "Apply"

    def apply(**options):
        return widgets.server_side_apply(
            body=s.widget("applied", {"size": 2}), namespace=s.namespace, field_manager="two", **options)

    try:
        apply()
        raise AssertionError("no conflict")
    except ConflictError as error:
        assert "one" in json.loads(error.body)["message"], error.body
    assert apply(force_conflicts=True).spec.size == 2
    watcher, names = watch.Watch(), []
    for event in widgets.watch(namespace=s.namespace, timeout=TIMEOUT_SECONDS, watcher=watcher):
        names.append(event["object"].metadata.name)
        if len(names) == 2:
            watcher.stop()
    assert sorted(names) == ["applied", "dyn"], names
    widgets.delete(name="dyn", namespace=s.namespace)
    try:
        widgets.get(name="dyn", namespace=s.namespace)
        raise AssertionError("still there")
    except NotFoundError:
        pass


@check("ServiceAccount: a token's bearer is known and may nothing")
def service_accounts(s):
    s.core.create_namespaced_service_account(s.namespace, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="robot")))
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(expiration_seconds=600, audiences=[]))
    token = s.core.create_namespaced_service_account_token("robot", s.namespace, request).status.token
    configuration = client.Configuration.get_default_copy()
    configuration.cert_file = configuration.key_file = None
    configuration.api_key = {"authorization": f"Bearer {token}"}
    robot = client.ApiClient(configuration)
    review = client.AuthenticationV1Api(robot).create_self_subject_review({"kind": "SelfSubjectReview"})
    assert review.status.user_info.username == f"system:serviceaccount:{s.namespace}:robot", review
    status = refused(403, "Forbidden", lambda: client.CoreV1Api(robot).list_namespaced_config_map(s.namespace))
    assert "cannot list resource" in status["message"], status


def main():
    s = Suite()
    failed = 0
    s.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=s.namespace)))
    try:
        s.define()
        for name, function in CHECKS:
            started = time.monotonic()
            try:
                function(s)
                print(f"ok   {name} ({(time.monotonic() - started) * 1000:.0f} ms)", flush=True)
            except Exception:  # any failure of a check is reported, and the next one runs
                failed += 1
                print(f"FAIL {name}: {traceback.format_exc()}", flush=True)
    finally:
        s.definitions.delete_custom_resource_definition(f"widgets.{s.group}")
        s.core.delete_namespace(s.namespace)
    print(f"python: {len(CHECKS)} checks, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

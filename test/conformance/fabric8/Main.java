// Judges an API server with fabric8's Java client: CRUD, patches, watches, informers, custom resources, leader election.
// Takes any KUBECONFIG of an administrator, works in a random namespace and API group and removes both.

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.ListOptionsBuilder;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.ServiceBuilder;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.MixedOperation;
import io.fabric8.kubernetes.client.dsl.base.PatchContext;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.dsl.base.ResourceDefinitionContext;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

public class Main {
  private static final long TIMEOUT_SECONDS = 30;
  private static final String DEFINITION = """
      apiVersion: apiextensions.k8s.io/v1
      kind: CustomResourceDefinition
      metadata: {name: widgets.GROUP}
      spec:
        group: GROUP
        scope: Namespaced
        names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
        versions:
        - name: v1
          served: true
          storage: true
          subresources: {status: {}}
          schema:
            openAPIV3Schema:
              type: object
              properties:
                spec: {type: object, properties: {size: {type: integer, default: 3, maximum: 10}}}
                status: {type: object, properties: {phase: {type: string}}}
      """;

  private interface Check {
    void run() throws Exception;
  }

  private final KubernetesClient client;
  private final String namespace;
  private final String group;

  private Main(KubernetesClient client, String namespace) {
    this.client = client;
    this.namespace = namespace;
    this.group = namespace + ".example.com";
  }

  public static void main(String[] args) {
    String namespace = "conformance-" + UUID.randomUUID().toString().substring(0, 8);
    int failed;
    try (KubernetesClient client = new KubernetesClientBuilder().build()) {
      failed = new Main(client, namespace).judge();
    }
    System.exit(failed == 0 ? 0 : 1);
  }

  private int judge() {
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("ConfigMap: create, get, replace, stale replace, delete", this::configMaps);
    checks.put("Service and Deployment: defaults and scale", this::workloads);
    checks.put("patch: JSON, merge, strategic; apply with conflict and force", this::patches);
    checks.put("list: pages, and a collection deleted by label", this::lists);
    checks.put("watch: events in order over a WebSocket", this::watches);
    checks.put("informer: list, then events", this::informs);
    checks.put("custom resource: definition, default, validation, status", this::customResources);
    checks.put("leader election with a Lease", this::elects);
    client.resource(new NamespaceBuilder().withNewMetadata().withName(namespace).endMetadata().build()).create();
    int failed = 0;
    try {
      for (Map.Entry<String, Check> check : checks.entrySet()) {
        long started = System.nanoTime();
        try {
          check.getValue().run();
          long ms = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started);
          System.out.println("ok   " + check.getKey() + " (" + ms + " ms)");
        } catch (Exception | AssertionError error) {
          failed++;
          System.out.println("FAIL " + check.getKey() + ": " + error);
        }
      }
    } finally {
      client.apiextensions().v1().customResourceDefinitions().withName("widgets." + group).delete();
      client.namespaces().withName(namespace).delete();
    }
    System.out.println("fabric8: " + checks.size() + " checks, " + failed + " failed");
    return failed;
  }

  private static void expect(boolean holds, Object what) {
    if (!holds) {
      throw new AssertionError(String.valueOf(what));
    }
  }

  private static void refused(int code, Check call) throws Exception {
    try {
      call.run();
    } catch (KubernetesClientException error) {
      expect(error.getCode() == code && error.getStatus() != null, error);
      return;
    }
    throw new AssertionError("answered, not refused with " + code);
  }

  private static void eventually(Object what, BooleanSupplier probe) throws InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(TIMEOUT_SECONDS);
    while (!probe.getAsBoolean()) {
      expect(System.nanoTime() < deadline, "not in time: " + what);
      Thread.sleep(50);
    }
  }

  private ConfigMap configMap(String name, Map<String, String> labels, Map<String, String> data) {
    return new ConfigMapBuilder().withNewMetadata().withName(name).withNamespace(namespace).withLabels(labels)
        .endMetadata().withData(data).build();
  }

  private void configMaps() throws Exception {
    ConfigMap created = client.resource(configMap("plain", Map.of(), Map.of("key", "välue\n"))).create();
    ConfigMap read = client.configMaps().inNamespace(namespace).withName("plain").get();
    expect(read.getData().equals(Map.of("key", "välue\n")), read);
    ConfigMap changed = new ConfigMapBuilder(read).withData(Map.of("key", "other")).build();
    ConfigMap replaced = client.resource(changed).update();
    expect(replaced.getMetadata().getUid().equals(created.getMetadata().getUid()), replaced);
    refused(409, () -> client.resource(changed).lockResourceVersion(read.getMetadata().getResourceVersion()).update());
    refused(409, () -> client.resource(configMap("plain", Map.of(), Map.of())).create());
    client.configMaps().inNamespace(namespace).withName("plain").delete();
    expect(client.configMaps().inNamespace(namespace).withName("plain").get() == null, "still there");
  }

  private void workloads() {
    var service = client.resource(new ServiceBuilder().withNewMetadata().withName("service").withNamespace(namespace)
        .endMetadata().withNewSpec().addNewPort().withPort(80).endPort().endSpec().build()).create();
    expect(service.getSpec().getPorts().get(0).getTargetPort().getIntVal() == 80, service);
    var deployment = client.resource(new DeploymentBuilder().withNewMetadata().withName("web").withNamespace(namespace)
        .endMetadata().withNewSpec().withPaused(true).withNewSelector().addToMatchLabels("app", "web").endSelector()
        .withNewTemplate().withNewMetadata().addToLabels("app", "web").endMetadata().withNewSpec().addNewContainer()
        .withName("main").withImage("example.com/image:1").endContainer().endSpec().endTemplate().endSpec().build()).create();
    expect(deployment.getSpec().getStrategy().getRollingUpdate().getMaxSurge().getStrVal().equals("25%"), deployment);
    var scale = client.apps().deployments().inNamespace(namespace).withName("web").scale();
    scale.getSpec().setReplicas(2);
    expect(client.apps().deployments().inNamespace(namespace).withName("web").scale(scale).getSpec().getReplicas() == 2, scale);
  }

  private void patches() throws Exception {
    client.resource(configMap("patched", Map.of(), Map.of("a", "1"))).create();
    var target = client.configMaps().inNamespace(namespace).withName("patched");
    var json = target.patch(PatchContext.of(PatchType.JSON), "[{\"op\":\"add\",\"path\":\"/data/b\",\"value\":\"2\"}]");
    expect(json.getData().equals(Map.of("a", "1", "b", "2")), json);
    var merge = target.patch(PatchContext.of(PatchType.JSON_MERGE), "{\"data\":{\"a\":null}}");
    expect(merge.getData().equals(Map.of("b", "2")), merge);
    var strategic = target.patch(PatchContext.of(PatchType.STRATEGIC_MERGE), "{\"data\":{\"c\":\"3\"}}");
    expect(strategic.getData().equals(Map.of("b", "2", "c", "3")), strategic);
    var edited = target.edit(object -> new ConfigMapBuilder(object).addToData("d", "4").build());
    expect(edited.getData().size() == 3, edited);
    client.resource(configMap("applied", null, Map.of("a", "1"))).fieldManager("one").serverSideApply();
    ConfigMap other = configMap("applied", null, Map.of("a", "2"));
    refused(409, () -> client.resource(other).fieldManager("two").serverSideApply());
    var forced = client.resource(other).fieldManager("two").forceConflicts().serverSideApply();
    expect(forced.getData().equals(Map.of("a", "2")), forced);
  }

  private void lists() {
    for (int i = 0; i < 5; i++) {
      client.resource(configMap("page-" + i, Map.of("page", "yes"), null)).create();
    }
    var selected = client.configMaps().inNamespace(namespace).withLabel("page", "yes");
    List<String> names = new ArrayList<>();
    String token = null;
    do {
      var page = selected.list(new ListOptionsBuilder().withLimit(2L).withContinue(token).build());
      page.getItems().forEach(item -> names.add(item.getMetadata().getName()));
      token = page.getMetadata().getContinue();
    } while (token != null && !token.isEmpty());
    expect(names.equals(List.of("page-0", "page-1", "page-2", "page-3", "page-4")), names);
    selected.delete();
    expect(selected.list().getItems().isEmpty(), "some are left");
  }

  private void watches() throws Exception {
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    var selected = client.configMaps().inNamespace(namespace).withLabel("watched", "yes");
    try (var watch = selected.watch(new Watcher<ConfigMap>() {
      @Override
      public void eventReceived(Action action, ConfigMap object) {
        seen.add(action + " " + object.getMetadata().getName());
      }

      @Override
      public void onClose(WatcherException cause) {
        seen.add("closed by " + cause);
      }
    })) {
      client.resource(configMap("watched", Map.of("watched", "yes"), null)).create();
      client.configMaps().inNamespace(namespace).withName("watched").patch(PatchContext.of(PatchType.JSON_MERGE), "{\"data\":{\"a\":\"b\"}}");
      client.configMaps().inNamespace(namespace).withName("watched").delete();
      eventually(seen, () -> seen.size() >= 3);
      expect(seen.equals(List.of("ADDED watched", "MODIFIED watched", "DELETED watched")), seen);
    }
  }

  private static <T extends HasMetadata> ResourceEventHandler<T> noting(List<String> seen) {
    return new ResourceEventHandler<>() {
      @Override
      public void onAdd(T object) {
        seen.add("add " + object.getMetadata().getName());
      }

      @Override
      public void onUpdate(T before, T object) {
        seen.add("update " + object.getMetadata().getName());
      }

      @Override
      public void onDelete(T object, boolean unknown) {
        seen.add("delete " + object.getMetadata().getName());
      }
    };
  }

  private void informs() throws Exception {
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    client.resource(configMap("before", Map.of("informed", "yes"), null)).create();
    var selected = client.configMaps().inNamespace(namespace).withLabel("informed", "yes");
    try (var informer = selected.inform(noting(seen))) {
      client.resource(configMap("after", Map.of("informed", "yes"), null)).create();
      client.configMaps().inNamespace(namespace).withName("before").delete();
      eventually(seen, () -> seen.size() >= 3);
      expect(seen.equals(List.of("add before", "add after", "delete before")), seen);
      expect(informer.getStore().list().size() == 1, informer.getStore().list());
    }
  }

  private void customResources() throws Exception {
    var yaml = DEFINITION.replace("GROUP", group).getBytes(StandardCharsets.UTF_8);
    client.load(new ByteArrayInputStream(yaml)).create();
    client.apiextensions().v1().customResourceDefinitions().withName("widgets." + group)
        .waitUntilCondition(crd -> crd != null && crd.getStatus() != null && crd.getStatus().getConditions().stream()
            .anyMatch(c -> c.getType().equals("Established") && c.getStatus().equals("True")), TIMEOUT_SECONDS, TimeUnit.SECONDS);
    var context = new ResourceDefinitionContext.Builder().withGroup(group).withVersion("v1").withKind("Widget")
        .withPlural("widgets").withNamespaced(true).build();
    MixedOperation<GenericKubernetesResource, ?, ?> all = client.genericKubernetesResources(context);
    var widgets = client.genericKubernetesResources(context).inNamespace(namespace);
    eventually("the definition is served", () -> {
      try {
        return widgets.list().getItems().isEmpty();
      } catch (KubernetesClientException error) {
        return false;
      }
    });
    expect(all != null, "no operation");
    var created = widgets.resource(widget("w", Map.of())).create();
    expect(Integer.valueOf(3).equals(created.get("spec", "size")), created);
    refused(422, () -> widgets.resource(widget("large", Map.of("size", 11))).create());
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    try (var informer = widgets.inform(noting(seen))) {
      created.setAdditionalProperty("status", Map.of("phase", "Ready"));
      created.setAdditionalProperty("spec", Map.of("size", 9));
      var status = widgets.resource(created).updateStatus();
      expect(Integer.valueOf(3).equals(status.get("spec", "size")) && "Ready".equals(status.get("status", "phase")), status);
      eventually(seen, () -> seen.equals(List.of("add w", "update w")));
    }
    widgets.withName("w").delete();
    expect(widgets.list().getItems().isEmpty(), "still there");
  }

  private GenericKubernetesResource widget(String name, Map<String, Object> spec) {
    GenericKubernetesResource widget = new GenericKubernetesResource();
    widget.setApiVersion(group + "/v1");
    widget.setKind("Widget");
    widget.setMetadata(new io.fabric8.kubernetes.api.model.ObjectMetaBuilder().withName(name).withNamespace(namespace).build());
    widget.setAdditionalProperty("spec", spec);
    return widget;
  }

  private void elects() throws Exception {
    CompletableFuture<Void> leading = new CompletableFuture<>();
    CompletableFuture<Void> stopped = new CompletableFuture<>();
    var election = client.leaderElector().withConfig(new LeaderElectionConfigBuilder().withName("election")
        .withLock(new LeaseLock(namespace, "election", "me")).withReleaseOnCancel(true)
        .withLeaseDuration(Duration.ofSeconds(6)).withRenewDeadline(Duration.ofSeconds(4)).withRetryPeriod(Duration.ofMillis(200))
        .withLeaderCallbacks(new LeaderCallbacks(() -> leading.complete(null), () -> stopped.complete(null), leader -> { }))
        .build()).build().start();
    leading.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    election.cancel(true);
    stopped.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    eventually("the lease is released", () -> {
      var lease = client.leases().inNamespace(namespace).withName("election").get();
      String holder = lease.getSpec().getHolderIdentity();
      return holder == null || holder.isEmpty();
    });
  }
}

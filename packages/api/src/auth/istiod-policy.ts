// The rights of an istiod that serves a mesh of VMs: what it lists, watches and writes, and nothing else.
// Bootstrapped with RBAC's own policy and bound to the group in the kubeconfig that `podless kubeconfig istiod` prints.
// Ref: istio/manifests/charts/istio-control/istio-discovery/templates/{clusterrole,role}.yaml

import type { JsonObject, KubeObject } from '@podless/apimachinery'

export const ISTIOD_GROUP = 'podless:istiod'
const NAME = 'podless:istiod'
const READ = ['get', 'list', 'watch']
const WRITE = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete']

/** group -> resources -> verbs */
const RULES: readonly [group: string, resources: readonly string[], verbs: readonly string[]][] = [
  [
    '',
    ['namespaces', 'services', 'pods', 'nodes', 'endpoints', 'secrets', 'serviceaccounts'],
    READ,
  ],
  ['', ['configmaps'], WRITE],
  ['', ['secrets'], ['create', 'update']],
  ['', ['services/status', 'serviceaccounts/token'], ['create', 'patch', 'update']],
  ['discovery.k8s.io', ['endpointslices'], READ],
  ['networking.k8s.io', ['ingresses', 'ingressclasses'], READ],
  ['networking.k8s.io', ['ingresses/status'], ['*']],
  [
    'admissionregistration.k8s.io',
    ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'],
    [...READ, 'update', 'patch'],
  ],
  ['apiextensions.k8s.io', ['customresourcedefinitions'], READ],
  ['networking.istio.io', ['*'], WRITE],
  ['security.istio.io', ['*'], [...READ, 'update', 'patch']],
  ['telemetry.istio.io', ['*'], [...READ, 'update', 'patch']],
  ['extensions.istio.io', ['*'], [...READ, 'update', 'patch']],
  ['gateway.networking.k8s.io', ['*'], [...READ, 'update', 'patch', 'create']],
  ['gateway.networking.x-k8s.io', ['*'], [...READ, 'update', 'patch']],
  ['inference.networking.k8s.io', ['*'], [...READ, 'update', 'patch']],
  ['coordination.k8s.io', ['leases'], WRITE],
  [
    'certificates.k8s.io',
    [
      'certificatesigningrequests',
      'certificatesigningrequests/approval',
      'certificatesigningrequests/status',
    ],
    ['*'],
  ],
  ['authentication.k8s.io', ['tokenreviews'], ['create']],
  ['authorization.k8s.io', ['subjectaccessreviews'], ['create']],
  ['apps', ['deployments'], READ],
  ['autoscaling', ['horizontalpodautoscalers'], READ],
  ['policy', ['poddisruptionbudgets'], READ],
]

const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
const ANNOTATIONS = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' }

export function istiodPolicy(): KubeObject[] {
  const meta = (): JsonObject => ({ name: NAME, labels: LABELS, annotations: ANNOTATIONS })
  const api = 'rbac.authorization.k8s.io'
  return [
    {
      apiVersion: `${api}/v1`,
      kind: 'ClusterRole',
      metadata: meta(),
      rules: RULES.map(([group, resources, verbs]) => ({
        verbs: [...verbs],
        apiGroups: [group],
        resources: [...resources],
      })),
    },
    {
      apiVersion: `${api}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: meta(),
      subjects: [{ kind: 'Group', apiGroup: api, name: ISTIOD_GROUP }],
      roleRef: { apiGroup: api, kind: 'ClusterRole', name: NAME },
    },
  ]
}

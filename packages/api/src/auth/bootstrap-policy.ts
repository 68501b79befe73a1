// The roles and bindings every cluster starts with, as data, and how they are kept up to date across versions.
// Called by the server once the cache is warm; pure.
// Ref: kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/{policy,namespace_policy}.go

import {
  cloneJson,
  equalJson,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import { readRules, uncovered } from './policy-rule.ts'

const GROUP = 'rbac.authorization.k8s.io'
const AUTO_UPDATE = 'rbac.authorization.kubernetes.io/autoupdate'
const AGGREGATE = 'rbac.authorization.k8s.io/aggregate-to-'

const READ = ['get', 'list', 'watch']
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update']
const READ_WRITE = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
]
const READ_UPDATE = ['get', 'list', 'patch', 'update', 'watch']
const CREATE = ['create']
const REPORT = ['create', 'patch', 'update']

type Rule = JsonObject

/** A rule on resources, spelled `resource resource/subresource ...`. */
function on(
  group: string | readonly string[],
  resources: string,
  verbs: readonly string[],
  names?: string,
): Rule {
  return {
    apiGroups: typeof group === 'string' ? [group] : [...group],
    ...(names === undefined ? {} : { resourceNames: names.split(' ') }),
    resources: resources.split(' '),
    verbs: [...verbs],
  }
}

const urls = (paths: string): Rule => ({ nonResourceURLs: paths.split(' '), verbs: ['get'] })

const EVENTS = on(['', 'events.k8s.io'], 'events', REPORT)
const REVIEW_TOKENS = on('authentication.k8s.io', 'tokenreviews', CREATE)
const REVIEW_ACCESS = on('authorization.k8s.io', 'subjectaccessreviews', CREATE)
const CSR = 'certificates.k8s.io'
const LEASES = 'coordination.k8s.io'

const AGGREGATE_TO_ADMIN: readonly Rule[] = [
  on('authorization.k8s.io', 'localsubjectaccessreviews', CREATE),
  on(GROUP, 'rolebindings roles', READ_WRITE),
]

const AGGREGATE_TO_EDIT: readonly Rule[] = [
  on('', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy', READ),
  on('', 'serviceaccounts', ['impersonate']),
  on('', 'pods pods/attach pods/exec pods/portforward pods/proxy', WRITE),
  on('', 'pods/eviction', CREATE),
  on(
    '',
    'configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
    WRITE,
  ),
  on('', 'serviceaccounts/token', CREATE),
  on(
    'apps',
    'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
    WRITE,
  ),
  on('autoscaling', 'horizontalpodautoscalers', WRITE),
  on('batch', 'cronjobs jobs', WRITE),
  on(
    'extensions',
    'daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale',
    WRITE,
  ),
  on('policy', 'poddisruptionbudgets', WRITE),
  on('networking.k8s.io', 'ingresses networkpolicies', WRITE),
  on(LEASES, 'leases', READ_WRITE),
  on('resource.k8s.io', 'resourceclaims resourceclaimtemplates', WRITE),
]

const AGGREGATE_TO_VIEW: readonly Rule[] = [
  on(
    '',
    'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
    READ,
  ),
  on(
    '',
    'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
    READ,
  ),
  on('', 'namespaces', READ),
  on('discovery.k8s.io', 'endpointslices', READ),
  on(
    'apps',
    'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
    READ,
  ),
  on('autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status', READ),
  on('batch', 'cronjobs cronjobs/status jobs jobs/status', READ),
  on(
    'extensions',
    'daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale',
    READ,
  ),
  on('policy', 'poddisruptionbudgets poddisruptionbudgets/status', READ),
  on('networking.k8s.io', 'ingresses ingresses/status networkpolicies', READ),
  on('resource.k8s.io', 'resourceclaims resourceclaims/status resourceclaimtemplates', READ),
]

const CONTROLLER_MANAGER: readonly Rule[] = [
  EVENTS,
  on(LEASES, 'leases', CREATE),
  on(LEASES, 'leases', ['get', 'update'], 'kube-controller-manager'),
  on('', 'secrets serviceaccounts', CREATE),
  on('', 'secrets', ['delete']),
  on('', 'configmaps namespaces secrets serviceaccounts', ['get']),
  on('', 'secrets serviceaccounts', ['update']),
  REVIEW_TOKENS,
  REVIEW_ACCESS,
  on('*', '*', ['list', 'watch']),
  on('', 'serviceaccounts/token', CREATE),
]

const SCHEDULER: readonly Rule[] = [
  EVENTS,
  on(LEASES, 'leases', CREATE),
  on(LEASES, 'leases', ['get', 'list', 'update', 'watch'], 'kube-scheduler'),
  on(LEASES, 'leasecandidates', READ_WRITE),
  on('', 'nodes', READ),
  on('', 'pods', ['delete', ...READ]),
  on('', 'bindings pods/binding', CREATE),
  on('', 'pods/status', ['patch', 'update']),
  on('', 'replicationcontrollers services', READ),
  on(['apps', 'extensions'], 'replicasets', READ),
  on('apps', 'statefulsets', READ),
  on('policy', 'poddisruptionbudgets', READ),
  on('', 'persistentvolumeclaims persistentvolumes', READ),
  REVIEW_TOKENS,
  REVIEW_ACCESS,
  on('storage.k8s.io', 'csinodes', READ),
  on('storage.k8s.io', 'volumeattachments', READ),
  on('', 'namespaces', READ),
  on('storage.k8s.io', 'csidrivers', READ),
  on('storage.k8s.io', 'csistoragecapacities', READ),
  on('resource.k8s.io', 'deviceclasses', READ),
  on('resource.k8s.io', 'resourceclaims', READ_UPDATE),
  on('resource.k8s.io', 'resourceclaims/status', READ_UPDATE),
  on('', 'pods/finalizers', ['update']),
  on('resource.k8s.io', 'resourceslices', READ),
  on('resource.k8s.io', 'resourceclaims', ['create', 'delete']),
  on('resource.k8s.io', 'resourceclaims/binding', ['patch', 'update']),
]

const NODE: readonly Rule[] = [
  REVIEW_TOKENS,
  on('authorization.k8s.io', 'localsubjectaccessreviews subjectaccessreviews', CREATE),
  on('', 'services', READ),
  on('', 'nodes', ['create', ...READ]),
  on('', 'nodes/status', ['patch', 'update']),
  on('', 'nodes', ['patch', 'update']),
  on('', 'events', REPORT),
  on('', 'pods', READ),
  on('', 'pods', ['create', 'delete']),
  on('', 'pods/status', ['patch', 'update']),
  on('', 'pods/eviction', CREATE),
  on('', 'configmaps secrets', READ),
  on('', 'persistentvolumeclaims persistentvolumes', ['get']),
  on('', 'endpoints', ['get']),
  on(CSR, 'certificatesigningrequests', ['create', ...READ]),
  on(LEASES, 'leases', ['create', 'delete', 'get', 'patch', 'update']),
  on('storage.k8s.io', 'volumeattachments', ['get']),
  on('', 'serviceaccounts/token', CREATE),
  on('', 'persistentvolumeclaims/status', ['get', 'patch', 'update']),
  on('storage.k8s.io', 'csidrivers', READ),
  on('storage.k8s.io', 'csinodes', ['create', 'delete', 'get', 'patch', 'update']),
  on('node.k8s.io', 'runtimeclasses', READ),
  on('resource.k8s.io', 'resourceclaims', ['get']),
  on('resource.k8s.io', 'resourceslices', ['deletecollection']),
]

/** The right to approve certificates of one of Kubernetes' own signers. */
const approver = (signer: string): readonly Rule[] => [
  on(CSR, 'signers', ['approve'], `kubernetes.io/${signer}`),
]

const CLUSTER_ROLES: Readonly<Record<string, readonly Rule[]>> = {
  'cluster-admin': [on('*', '*', ['*']), { nonResourceURLs: ['*'], verbs: ['*'] }],
  'system:aggregate-to-admin': AGGREGATE_TO_ADMIN,
  'system:aggregate-to-edit': AGGREGATE_TO_EDIT,
  'system:aggregate-to-view': AGGREGATE_TO_VIEW,
  'system:auth-delegator': [REVIEW_TOKENS, REVIEW_ACCESS],
  'system:basic-user': [
    on('authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews', CREATE),
    on('authentication.k8s.io', 'selfsubjectreviews', CREATE),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': [
    on(CSR, 'certificatesigningrequests/nodeclient', CREATE),
  ],
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': [
    on(CSR, 'certificatesigningrequests/selfnodeclient', CREATE),
  ],
  'system:certificates.k8s.io:kube-apiserver-client-approver': approver('kube-apiserver-client'),
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': approver(
    'kube-apiserver-client-kubelet',
  ),
  'system:certificates.k8s.io:kubelet-serving-approver': approver('kubelet-serving'),
  'system:certificates.k8s.io:legacy-unknown-approver': approver('legacy-unknown'),
  'system:discovery': [
    urls(
      '/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/',
    ),
  ],
  'system:heapster': [
    on('', 'events namespaces nodes pods', READ),
    on('extensions', 'deployments', READ),
  ],
  'system:kube-aggregator': [on('', 'endpoints services', READ)],
  'system:kube-controller-manager': CONTROLLER_MANAGER,
  'system:kube-dns': [on('', 'endpoints services', ['list', 'watch'])],
  'system:kube-scheduler': SCHEDULER,
  'system:kubelet-api-admin': [
    on('', 'nodes', READ),
    on('', 'nodes', ['proxy']),
    on('', 'nodes/log nodes/metrics nodes/proxy nodes/stats', ['*']),
  ],
  'system:monitoring': [
    urls('/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*'),
  ],
  'system:node': NODE,
  'system:node-bootstrapper': [on(CSR, 'certificatesigningrequests', ['create', ...READ])],
  'system:node-problem-detector': [
    on('', 'nodes', ['get']),
    on('', 'nodes/status', ['patch']),
    EVENTS,
  ],
  'system:node-proxier': [
    on('', 'endpoints services', ['list', 'watch']),
    on('', 'nodes', READ),
    EVENTS,
    on('discovery.k8s.io', 'endpointslices', ['list', 'watch']),
  ],
  'system:persistent-volume-provisioner': [
    on('', 'persistentvolumes', ['create', 'delete', ...READ]),
    on('', 'persistentvolumeclaims', ['get', 'list', 'update', 'watch']),
    on('storage.k8s.io', 'storageclasses', READ),
    on('', 'events', ['watch']),
    EVENTS,
  ],
  'system:public-info-viewer': [urls('/healthz /livez /readyz /version /version/')],
  'system:service-account-issuer-discovery': [
    urls(
      '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
    ),
  ],
  'system:volume-scheduler': [
    on('', 'persistentvolumes', READ_UPDATE),
    on('storage.k8s.io', 'storageclasses', READ),
    on('', 'persistentvolumeclaims', READ_UPDATE),
  ],
}

/** Roles that are the sum of others, and the sum each of them adds to in turn. */
const AGGREGATED_ROLES: Readonly<Record<string, string | undefined>> = {
  admin: undefined,
  edit: 'admin',
  view: 'edit',
}

const AUTHENTICATED = subject('Group', 'system:authenticated')
const UNAUTHENTICATED = subject('Group', 'system:unauthenticated')
const user = (name: string): JsonObject => subject('User', name)

/** Who gets a ClusterRole of the same name as the binding. */
const CLUSTER_ROLE_BINDINGS: Readonly<Record<string, readonly JsonObject[]>> = {
  'cluster-admin': [subject('Group', 'system:masters')],
  'system:basic-user': [AUTHENTICATED],
  'system:discovery': [AUTHENTICATED],
  'system:kube-controller-manager': [user('system:kube-controller-manager')],
  'system:kube-dns': [account('kube-system', 'kube-dns')],
  'system:kube-scheduler': [user('system:kube-scheduler')],
  'system:monitoring': [subject('Group', 'system:monitoring')],
  'system:node': [],
  'system:node-proxier': [user('system:kube-proxy')],
  'system:public-info-viewer': [AUTHENTICATED, UNAUTHENTICATED],
  'system:service-account-issuer-discovery': [subject('Group', 'system:serviceaccounts')],
  'system:volume-scheduler': [user('system:kube-scheduler')],
}

const LEADER_RULES: readonly Rule[] = [
  on(LEASES, 'leases', ['create', 'get', 'list', 'update', 'watch']),
  on(LEASES, 'leasecandidates', ['create', 'get', 'list', 'update', 'watch']),
]

/** Roles of kube-system. */
const ROLES: Readonly<Record<string, readonly Rule[]>> = {
  'extension-apiserver-authentication-reader': [
    on('', 'configmaps', READ, 'extension-apiserver-authentication'),
  ],
  'system::leader-locking-kube-controller-manager': LEADER_RULES,
  'system::leader-locking-kube-scheduler': LEADER_RULES,
}

const ROLE_BINDINGS: readonly { name: string; role: string; subjects: readonly JsonObject[] }[] = [
  {
    name: 'system::extension-apiserver-authentication-reader',
    role: 'extension-apiserver-authentication-reader',
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
  },
  ...['kube-controller-manager', 'kube-scheduler'].map(name => ({
    name: `system::leader-locking-${name}`,
    role: `system::leader-locking-${name}`,
    subjects: [user(`system:${name}`), account('kube-system', name)],
  })),
]

function subject(kind: string, name: string): JsonObject {
  return { apiGroup: GROUP, kind, name }
}

function account(namespace: string, name: string): JsonObject {
  return { kind: 'ServiceAccount', name, namespace }
}

interface Identity {
  readonly kind: string
  readonly name: string
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
}

function object({ kind, labels, name, namespace }: Identity, fields: JsonObject): KubeObject {
  return {
    apiVersion: `${GROUP}/v1`,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
      annotations: { [AUTO_UPDATE]: 'true' },
    },
    ...fields,
  }
}

const aggregateLabel = (to: string): Record<string, string> => ({ [`${AGGREGATE}${to}`]: 'true' })

/**
 * Every bootstrap object, roles before the bindings that name them. Those in kube-system need that namespace.
 * The rules of admin, edit and view are left to aggregation. Each call makes new objects.
 */
export function bootstrapPolicy(): KubeObject[] {
  const clusterRoles = Object.entries(CLUSTER_ROLES).map(([name, rules]) => {
    const [, to] = /^system:aggregate-to-(\w+)$/.exec(name) ?? []
    const labels = to === undefined ? {} : aggregateLabel(to)
    return object({ kind: 'ClusterRole', name, labels }, { rules: copy(rules) })
  })
  const aggregated = Object.entries(AGGREGATED_ROLES).map(([name, to]) => {
    const labels = to === undefined ? {} : aggregateLabel(to)
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: aggregateLabel(name) }] }
    return object({ kind: 'ClusterRole', name, labels }, { aggregationRule, rules: null })
  })
  const namespace = 'kube-system'
  const roles = Object.entries(ROLES).map(([name, rules]) =>
    object({ kind: 'Role', name, namespace }, { rules: copy(rules) }),
  )
  const clusterRoleBindings = Object.entries(CLUSTER_ROLE_BINDINGS).map(([name, subjects]) =>
    object({ kind: 'ClusterRoleBinding', name }, binding('ClusterRole', name, subjects)),
  )
  const roleBindings = ROLE_BINDINGS.map(({ name, role, subjects }) =>
    object({ kind: 'RoleBinding', name, namespace }, binding('Role', role, subjects)),
  )
  return [...clusterRoles, ...aggregated, ...roles, ...clusterRoleBindings, ...roleBindings]
}

function binding(kind: string, name: string, subjects: readonly JsonObject[]): JsonObject {
  const named = subjects.length === 0 ? {} : { subjects: copy(subjects) }
  return { roleRef: { apiGroup: GROUP, kind, name }, ...named }
}

const copy = (values: readonly JsonObject[]): JsonValue[] => values.map(value => cloneJson(value))

/**
 * What the stored object must become so that it grants at least what `expected` does: undefined when it does already,
 * or when its owner has turned autoupdate off. What was added by hand stays.
 * Ref: component-helpers/auth/rbac/reconciliation
 */
export function reconcileBootstrap(
  existing: KubeObject,
  expected: KubeObject,
): KubeObject | undefined {
  if (existing.metadata.annotations?.[AUTO_UPDATE] === 'false') return undefined
  const { annotations, labels } = expected.metadata
  const next = cloneJson(existing)
  next.metadata.labels = { ...labels, ...existing.metadata.labels }
  next.metadata.annotations = { ...annotations, ...existing.metadata.annotations }
  if (Array.isArray(expected.rules)) {
    const missing = uncovered(readRules(existing.rules), readRules(expected.rules))
    const added = missing.map(rule =>
      Object.fromEntries(
        Object.entries(rule)
          .filter(([, values]) => values.length > 0)
          .map(([field, values]) => [field, [...values]]),
      ),
    )
    if (added.length > 0) next.rules = [...list(existing.rules), ...added]
  }
  if (isObject(expected.aggregationRule)) next.aggregationRule = expected.aggregationRule
  const absent = list(expected.subjects).filter(
    wanted => !list(existing.subjects).some(held => equalJson(held, wanted)),
  )
  if (absent.length > 0) next.subjects = [...list(existing.subjects), ...absent]
  return equalJson(next, existing) ? undefined : next
}

const list = (value: JsonValue | undefined): JsonValue[] => (Array.isArray(value) ? value : [])

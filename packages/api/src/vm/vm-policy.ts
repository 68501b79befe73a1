// Who a VM is to this server and what it may do: join once, renew its own credentials, read its own bundle. Nothing else.
// Bootstrapped with RBAC's own policy; the names come from vm-authenticator.ts.

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { UserInfo } from '../resource.ts'

/** Everything for VMs is below this path, and their credentials hold nowhere else. */
export const VM_PATH = '/podless/v1/'
/** VMs that show their credential. Their users are not in system:authenticated, so no other rule gives them anything. */
export const VM_GROUP = 'podless:vms'
/** Whoever shows something that looks like a join token; join itself checks it. */
export const JOINING_GROUP = 'podless:joining'
/** NAMESPACE/NAME of the VM, in a VM user's extra fields. */
export const VM_EXTRA = 'podless.dev/vm'
/** The audience of a VM's credential: no API server accepts it as its own. */
export const VM_AUDIENCE = 'podless.dev/vm'

export function vmUser(namespace: string, name: string): UserInfo {
  return {
    name: `podless:vm:${namespace}:${name}`,
    groups: [VM_GROUP],
    extra: { [VM_EXTRA]: [`${namespace}/${name}`] },
  }
}

const API = 'rbac.authorization.k8s.io'
const ROLES = [
  { name: 'podless:vm', group: VM_GROUP, verbs: ['get', 'post'], paths: ['renew/*', 'bundle/*'] },
  { name: 'podless:join', group: JOINING_GROUP, verbs: ['post'], paths: ['join'] },
]

export function vmPolicy(): KubeObject[] {
  return ROLES.flatMap(({ name, group, verbs, paths }): KubeObject[] => {
    const meta = (): JsonObject => ({
      name,
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    })
    return [
      {
        apiVersion: `${API}/v1`,
        kind: 'ClusterRole',
        metadata: meta(),
        rules: [{ verbs, nonResourceURLs: paths.map(path => `${VM_PATH}${path}`) }],
      },
      {
        apiVersion: `${API}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: meta(),
        subjects: [{ kind: 'Group', apiGroup: API, name: group }],
        roleRef: { apiGroup: API, kind: 'ClusterRole', name },
      },
    ]
  })
}

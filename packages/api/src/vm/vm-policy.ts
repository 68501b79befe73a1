// Who a VM is to this server and what it may do: join once, renew its own credentials, read its own bundle. Nothing else.
// Bootstrapped with RBAC's own policy; the names come from vm-authenticator.ts, or from a certificate that the signer
// podless.dev/vm made.

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import type { UserInfo } from '../resource.ts'

/** Everything for VMs is below this path, and their credentials hold nowhere else. */
export const VM_PATH = '/podless/v1/'
/** VMs that show their credential. Their users are not in system:authenticated, so no other rule gives them anything. */
export const VM_GROUP = 'podless:vms'
/** Whoever shows something that looks like a join token; join itself checks it. */
export const JOINING_GROUP = 'podless:joining'
/** The audience of a VM's credential: no API server accepts it as its own. */
export const VM_AUDIENCE = 'podless.dev/vm'

const USER = /^podless:vm:([^:]+):([^:]+)$/

/** `uid` is that of the VM's Secret. */
export function vmUser(namespace: string, name: string, uid: string): UserInfo {
  return { name: `podless:vm:${namespace}:${name}`, uid, groups: [VM_GROUP] }
}

/** Which VM the user is; undefined for everybody else. */
export function vmOf({ name, groups }: UserInfo): { namespace: string; name: string } | undefined {
  const [, namespace, vm] = USER.exec(name) ?? []
  if (namespace === undefined || vm === undefined || !groups.includes(VM_GROUP)) return undefined
  return { namespace, name: vm }
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

// What the server remembers of a VM: a Secret of a type of its own in the VM's namespace. Every token of the VM is bound
// to it, so deleting it revokes them all. Written by the cli and vm-pages.ts; docs/vm.md lists its fields.

import type { JsonObject, KubeObject, ObjectMeta } from '@podless/apimachinery'

export const VM_SECRET_TYPE = 'podless.dev/vm'
export const JOIN_TOKEN_SECRET_TYPE = 'podless.dev/join-token'
/** On the VM's Secrets, and on the WorkloadEntry it registers. */
export const VM_LABEL = 'podless.dev/vm'

/** Annotations of a VM's Secret. */
export const VM = {
  group: 'podless.dev/group',
  address: 'podless.dev/address',
  server: 'podless.dev/server',
  revision: 'podless.dev/revision',
  istiodAddress: 'podless.dev/istiod-address',
  tokenSeconds: 'podless.dev/token-seconds',
  joined: 'podless.dev/joined',
  renewed: 'podless.dev/renewed',
  tokenExpires: 'podless.dev/token-expires',
  certificateExpires: 'podless.dev/certificate-expires',
} as const

export const TOKEN_SECONDS_DEFAULT = 24 * 60 * 60

export interface VmRecord {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly secretName: string
  readonly group: string
  /** URL the VM reaches this server at. */
  readonly server: string
  readonly revision: string
  readonly tokenSeconds: number
  readonly address?: string
  readonly istiodAddress?: string
  readonly joined?: string
  readonly renewed?: string
  readonly tokenExpires?: string
  readonly certificateExpires?: string
}

export const vmSecretName = (vm: string): string => `podless-vm-${vm}`

/** Undefined for a Secret that is no VM's. */
export function vmRecord({ metadata, type }: VmSecret): VmRecord | undefined {
  const {
    name: secretName = '',
    namespace = '',
    uid = '',
    annotations = {},
    labels = {},
  } = metadata
  const name = labels[VM_LABEL]
  const group = annotations[VM.group]
  if (type !== VM_SECRET_TYPE || name === undefined || group === undefined) return undefined
  const seconds = Number(annotations[VM.tokenSeconds])
  const optional = [
    'address',
    'istiodAddress',
    'joined',
    'renewed',
    'tokenExpires',
    'certificateExpires',
  ] as const
  const present = optional.flatMap(key => {
    const value = annotations[VM[key]]
    return value === undefined ? [] : [[key, value]]
  })
  return {
    name,
    namespace,
    uid,
    secretName,
    group,
    server: annotations[VM.server] ?? '',
    revision: annotations[VM.revision] ?? 'default',
    tokenSeconds: Number.isInteger(seconds) && seconds > 0 ? seconds : TOKEN_SECONDS_DEFAULT,
    ...Object.fromEntries(present),
  }
}

interface VmSecret {
  readonly metadata: ObjectMeta
  readonly type?: unknown
}

/** The Secret of a new VM. */
export function vmSecret(vm: {
  readonly name: string
  readonly namespace: string
  readonly annotations: Readonly<Record<string, string>>
}): KubeObject & JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: vmSecretName(vm.name),
      namespace: vm.namespace,
      labels: { [VM_LABEL]: vm.name },
      annotations: { ...vm.annotations },
    },
    type: VM_SECRET_TYPE,
  }
}

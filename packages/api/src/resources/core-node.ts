// Nodes: what somebody says of machines, as no kubelet does it here. Part of core.ts.
// Ref: kubernetes/pkg/registry/core/node

import type { KubeObject } from '@podless/apimachinery'
import { builtin, nodeOnly } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import { nodeErrors } from './node-rules.ts'
import { ensureObject, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const WIDE = { priority: 1 }
const orNone = (text: string): string => (text === '' ? '<none>' : text)

function nodeStatus(obj: KubeObject): string {
  const ready = objectsAt(obj, 'status.conditions').find(entry => textAt(entry, 'type') === 'Ready')
  const words = [
    ready === undefined ? 'Unknown' : textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady',
  ]
  if (valueAt(obj, 'spec.unschedulable') === true) words.push('SchedulingDisabled')
  return words.join(',')
}

const ROLE_PREFIX = 'node-role.kubernetes.io/'

function nodeRoles(obj: KubeObject): string {
  const roles = Object.entries(obj.metadata.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length) {
      return [key.slice(ROLE_PREFIX.length)]
    }
    return key === 'kubernetes.io/role' && value !== '' ? [value] : []
  })
  return roles.length === 0 ? '<none>' : roles.sort().join(',')
}

const nodeAddress = (type: string) => (obj: KubeObject) => {
  const found = objectsAt(obj, 'status.addresses').find(entry => textAt(entry, 'type') === type)
  return orNone(textAt(found, 'address'))
}
const nodeInfo = (field: string) => (obj: KubeObject) => {
  const text = textAt(obj, `status.nodeInfo.${field}`)
  return text === '' ? '<unknown>' : text
}

/** podCIDR is the first of podCIDRs, and the one that counts where they differ. */
function joinPodRanges(obj: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  const [first] = textsAt(spec, 'podCIDRs')
  const single = textAt(spec, 'podCIDR')
  if (single === '' && first !== undefined) spec.podCIDR = first
  else if (single !== '' && first !== single) spec.podCIDRs = [single]
}

export const nodes = builtin({
  group: '',
  kind: 'Node',
  plural: 'nodes',
  shortNames: ['no'],
  namespaced: false,
  keyPrefix: '/registry/minions',
  strategy: { default: joinPodRanges, validate: nodeErrors, validateUpdate: nodeErrors },
  status: true,
  subresources: {
    proxy: nodeOnly(['create', 'delete', 'get', 'patch', 'update'], {
      group: '',
      version: 'v1',
      kind: 'NodeProxyOptions',
    }),
  },
  selectableFields: {
    'spec.unschedulable': obj => String(valueAt(obj, 'spec.unschedulable') === true),
  },
  columns: [
    NAME,
    column('Status', 'The status of the node', nodeStatus),
    column('Roles', 'The roles of the node', nodeRoles),
    AGE,
    textColumn('Version', 'status.nodeInfo.kubeletVersion', 'The version its kubelet reports.'),
    column('Internal-IP', 'Its address inside.', nodeAddress('InternalIP'), WIDE),
    column('External-IP', 'Its address outside.', nodeAddress('ExternalIP'), WIDE),
    column('OS-Image', 'Its operating system.', nodeInfo('osImage'), WIDE),
    column('Kernel-Version', 'Its kernel.', nodeInfo('kernelVersion'), WIDE),
    column(
      'Container-Runtime',
      'What runs its containers.',
      nodeInfo('containerRuntimeVersion'),
      WIDE,
    ),
  ],
})

// The group storage.k8s.io: classes of volumes and what drivers say about themselves. Read by resources/index.ts.
// Nothing provisions volumes here. Ref: kubernetes/pkg/apis/storage/validation, kubernetes/pkg/apis/storage/v1/defaults.go

import {
  equalJson,
  type FieldError,
  forbiddenField,
  immutableField,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, flagColumn, NAME, textColumn } from './columns.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  listAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const GROUP = 'storage.k8s.io'
const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class'
const RECLAIM_POLICIES = ['Delete', 'Retain']
const BINDING_MODES = ['Immediate', 'WaitForFirstConsumer']
const FROZEN = 'updates to parameters are forbidden.'

const needs = (obj: KubeObject, path: string): FieldError[] =>
  textAt(obj, path) === '' ? [required(path)] : []

// --- StorageClass

function classErrors(obj: KubeObject): FieldError[] {
  const errors = needs(obj, 'provisioner')
  for (const [field, allowed] of [
    ['reclaimPolicy', RECLAIM_POLICIES],
    ['volumeBindingMode', BINDING_MODES],
  ] as const) {
    const value = textAt(obj, field)
    if (value !== '' && !allowed.includes(value)) errors.push(notSupported(field, value, allowed))
  }
  return errors
}

function classUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  for (const field of ['parameters', 'provisioner', 'reclaimPolicy']) {
    if (equalJson(obj[field] ?? null, old[field] ?? null)) continue
    errors.push(forbiddenField(field, FROZEN.replace('parameters', field)))
  }
  const mode = immutableField(obj.volumeBindingMode, old.volumeBindingMode, 'volumeBindingMode')
  return [...classErrors(obj), ...errors, ...mode]
}

const storageClasses = builtin({
  group: GROUP,
  kind: 'StorageClass',
  plural: 'storageclasses',
  shortNames: ['sc'],
  namespaced: false,
  strategy: {
    default: obj => fillEmpty(obj, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
    validate: classErrors,
    validateUpdate: classUpdateErrors,
  },
  columns: [
    column(NAME.name, NAME.description, obj => {
      const name = obj.metadata.name ?? ''
      return obj.metadata.annotations?.[DEFAULT_CLASS] === 'true' ? `${name} (default)` : name
    }),
    textColumn('Provisioner', 'provisioner', 'What makes its volumes.'),
    textColumn('ReclaimPolicy', 'reclaimPolicy', 'What becomes of a volume.'),
    textColumn('VolumeBindingMode', 'volumeBindingMode', 'When a volume is made.'),
    flagColumn('AllowVolumeExpansion', 'allowVolumeExpansion', 'Whether volumes may grow.'),
    AGE,
  ].map((entry, index) => (index === 0 ? { ...entry, format: 'name' } : entry)),
})

// --- VolumeAttributesClass

const attributesClasses = builtin({
  group: GROUP,
  kind: 'VolumeAttributesClass',
  plural: 'volumeattributesclasses',
  shortNames: ['vac'],
  namespaced: false,
  strategy: {
    validate: obj => needs(obj, 'driverName'),
    validateUpdate: (obj, old) =>
      ['driverName', 'parameters'].flatMap(field =>
        equalJson(obj[field] ?? null, old[field] ?? null)
          ? []
          : [forbiddenField(field, FROZEN.replace('parameters', field))],
      ),
  },
  columns: [NAME, textColumn('DriverName', 'driverName', 'What applies it.'), AGE],
})

// --- what drivers and attachments say

const driverErrors = (obj: KubeObject): FieldError[] => {
  const policy = textAt(obj, 'spec.fsGroupPolicy')
  const policies = ['ReadWriteOnceWithFSType', 'File', 'None']
  if (policy === '' || policies.includes(policy)) return []
  return [notSupported('spec.fsGroupPolicy', policy, policies)]
}

const drivers = builtin({
  group: GROUP,
  kind: 'CSIDriver',
  plural: 'csidrivers',
  namespaced: false,
  strategy: {
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillDefaults(spec, {
        attachRequired: true,
        podInfoOnMount: false,
        storageCapacity: false,
        requiresRepublish: false,
        seLinuxMount: false,
      })
      fillEmpty(spec, { fsGroupPolicy: 'ReadWriteOnceWithFSType' })
      if (listAt(spec, 'volumeLifecycleModes').length === 0) {
        spec.volumeLifecycleModes = ['Persistent']
      }
    },
    validate: driverErrors,
    validateUpdate: (obj, old) => [
      ...driverErrors(obj),
      ...['spec.attachRequired', 'spec.volumeLifecycleModes'].flatMap(path =>
        immutableField(valueAt(obj, path), valueAt(old, path), path),
      ),
    ],
  },
  columns: [
    NAME,
    flagColumn('AttachRequired', 'spec.attachRequired', 'Whether volumes are attached first.'),
    flagColumn('PodInfoOnMount', 'spec.podInfoOnMount', 'Whether it wants to know the pod.'),
    flagColumn('StorageCapacity', 'spec.storageCapacity', 'Whether it reports capacity.'),
    column('TokenRequests', 'The audiences of tokens it wants.', obj => {
      const audiences = objectsAt(obj, 'spec.tokenRequests').map(entry => textAt(entry, 'audience'))
      return audiences.length === 0 ? '<unset>' : audiences.join(',')
    }),
    flagColumn('RequiresRepublish', 'spec.requiresRepublish', 'Whether mounts are refreshed.'),
    column('Modes', 'The kinds of volumes it has.', obj => {
      const modes = textsAt(obj, 'spec.volumeLifecycleModes')
      return modes.length === 0 ? '<none>' : modes.join(',')
    }),
    AGE,
  ],
})

const csiNodes = builtin({
  group: GROUP,
  kind: 'CSINode',
  plural: 'csinodes',
  namespaced: false,
  strategy: { allowUnconditionalUpdate: false },
  columns: [
    NAME,
    column('Drivers', 'How many drivers the node has.', obj => listAt(obj, 'spec.drivers').length, {
      type: 'integer',
    }),
    AGE,
  ],
})

const capacities = builtin({
  group: GROUP,
  kind: 'CSIStorageCapacity',
  plural: 'csistoragecapacities',
  strategy: {
    allowUnconditionalUpdate: false,
    validate: obj => needs(obj, 'storageClassName'),
    validateUpdate: (obj, old) =>
      ['nodeTopology', 'storageClassName'].flatMap(field =>
        immutableField(obj[field] ?? null, old[field] ?? null, field),
      ),
  },
  columns: [
    NAME,
    textColumn('StorageClassName', 'storageClassName', 'The class it is about.'),
    textColumn('Capacity', 'capacity', 'How much there is.'),
  ],
})

const attachments = builtin({
  group: GROUP,
  kind: 'VolumeAttachment',
  plural: 'volumeattachments',
  namespaced: false,
  strategy: {
    allowUnconditionalUpdate: false,
    validate: obj => [...needs(obj, 'spec.attacher'), ...needs(obj, 'spec.nodeName')],
    validateUpdate: (obj, old) => immutableField(obj.spec, old.spec, 'spec'),
  },
  status: true,
  columns: [
    NAME,
    textColumn('Attacher', 'spec.attacher', 'The driver.'),
    textColumn('PV', 'spec.source.persistentVolumeName', 'The volume.'),
    textColumn('Node', 'spec.nodeName', 'The node.'),
    flagColumn('Attached', 'status.attached', 'Whether it is done.'),
    AGE,
  ],
})

export const storageResources: readonly Resource[] = [
  drivers,
  csiNodes,
  capacities,
  storageClasses,
  attachments,
  attributesClasses,
]

// The group storage.k8s.io: classes of volumes and what drivers say about themselves. Read by resources/index.ts.
// Nothing provisions volumes here. Ref: kubernetes/pkg/apis/storage/validation, kubernetes/pkg/apis/storage/v1/defaults.go

import { addInt64, equalJson, type KubeObject } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, CREATED_AT, column, flagColumn, NAME, textColumn } from './columns.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  listAt,
  objectsAt,
  textAt,
  textsAt,
} from './reading.ts'
import {
  attributesErrors,
  attributesUpdateErrors,
  classErrors,
  classUpdateErrors,
} from './storage-class-rules.ts'
import {
  attachmentErrors,
  attachmentUpdateErrors,
  capacityErrors,
  capacityUpdateErrors,
  driverErrors,
  driverUpdateErrors,
  driverWarnings,
  nodeErrors,
  nodeUpdateErrors,
} from './storage-driver-rules.ts'

const GROUP = 'storage.k8s.io'
const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class'
const returnsDeleted = { returnsDeleted: true }

// --- StorageClass

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
  more: returnsDeleted,
  columns: [
    column(NAME.name, NAME.description, obj => {
      const name = obj.metadata.name ?? ''
      return obj.metadata.annotations?.[DEFAULT_CLASS] === 'true' ? `${name} (default)` : name
    }),
    textColumn('Provisioner', 'provisioner', 'What makes its volumes.'),
    textColumn('ReclaimPolicy', 'reclaimPolicy', 'What becomes of a volume.'),
    textColumn('VolumeBindingMode', 'volumeBindingMode', 'When a volume is made.'),
    column(
      'AllowVolumeExpansion',
      'Whether volumes may grow.',
      obj => obj.allowVolumeExpansion === true,
    ),
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
  // NOTE: upstream adds kubernetes.io/vac-protection, which its controller-manager takes off; nothing here would.
  strategy: { validate: attributesErrors, validateUpdate: attributesUpdateErrors },
  more: returnsDeleted,
  columns: [NAME, textColumn('DriverName', 'driverName', 'What applies it.'), AGE],
})

// --- what drivers and attachments say

/** A new driver has no generation; it counts what changes from then on. */
function raiseGeneration(obj: KubeObject, old: KubeObject): void {
  if (equalJson(obj.spec, old.spec)) return
  obj.metadata.generation = addInt64(old.metadata.generation ?? 0, 1)
}

const drivers = builtin({
  group: GROUP,
  kind: 'CSIDriver',
  plural: 'csidrivers',
  namespaced: false,
  more: returnsDeleted,
  strategy: {
    allowUnconditionalUpdate: false,
    prepareForUpdate: raiseGeneration,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillDefaults(spec, {
        attachRequired: true,
        podInfoOnMount: false,
        storageCapacity: false,
        requiresRepublish: false,
        seLinuxMount: false,
        fsGroupPolicy: 'ReadWriteOnceWithFSType',
      })
      if (listAt(spec, 'volumeLifecycleModes').length === 0) {
        spec.volumeLifecycleModes = ['Persistent']
      }
    },
    validate: driverErrors,
    validateUpdate: driverUpdateErrors,
    warnings: driverWarnings,
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
  more: returnsDeleted,
  strategy: {
    allowUnconditionalUpdate: false,
    default: obj => {
      delete obj.status
    },
    validate: nodeErrors,
    validateUpdate: nodeUpdateErrors,
  },
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
    validate: capacityErrors,
    validateUpdate: capacityUpdateErrors,
  },
  columns: [NAME, CREATED_AT],
})

const attachments = builtin({
  group: GROUP,
  kind: 'VolumeAttachment',
  plural: 'volumeattachments',
  namespaced: false,
  strategy: {
    allowUnconditionalUpdate: false,
    validate: attachmentErrors,
    validateUpdate: attachmentUpdateErrors,
  },
  more: returnsDeleted,
  status: true,
  columns: [
    NAME,
    { ...textColumn('Attacher', 'spec.attacher', 'The driver.'), format: 'name' },
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

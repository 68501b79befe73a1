// PersistentVolumes and their claims: kept for tools that write them; nothing binds or provisions. Part of core.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidatePersistentVolume, ValidatePersistentVolumeClaim

import {
  equalJson,
  type FieldError,
  forbiddenField,
  isObject,
  type JsonObject,
  type KubeObject,
} from '@podless/apimachinery'
import type { Column, Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import { claimErrors, joinOrigins, volumeErrors } from './core-volume-rules.ts'
import { ensureObject, fillDefaults, fillEmpty, objectAt, textAt, textsAt } from './reading.ts'

const SHORT_MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}
const CLAIM_FROZEN =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'

/** What a claim cannot change any more: once it is bound it may grow, and what it left open may be said. */
function claimChangeErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const [now, before] = [{ ...objectAt(obj, 'spec') }, { ...objectAt(old, 'spec') }]
  if (textAt(old, 'status.phase') === 'Bound') {
    for (const spec of [now, before]) {
      delete spec.resources
      delete spec.volumeAttributesClassName
    }
  }
  for (const field of ['volumeName', 'storageClassName']) {
    if (textAt(before, field) === '') delete now[field]
    if (textAt(before, field) === '') delete before[field]
  }
  return equalJson(now, before) ? [] : [forbiddenField('spec', CLAIM_FROZEN)]
}

/** Ref: kubernetes/pkg/api/persistentvolumeclaim/util.go GetWarningsForPersistentVolumeClaim */
function claimWarnings(obj: KubeObject): string[] {
  const key = 'volume.beta.kubernetes.io/storage-class'
  if (obj.metadata.annotations?.[key] === undefined) return []
  return [
    `metadata.annotations[${key}]: deprecated since v1.8; use "storageClassName" attribute instead`,
  ]
}

/** Ref: kubernetes/pkg/api/persistentvolume/util.go GetWarningsForPersistentVolume */
function volumeWarnings(obj: KubeObject): string[] {
  if (textAt(obj, 'spec.persistentVolumeReclaimPolicy') !== 'Recycle') return []
  return [
    'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
  ]
}

const modes = (path: string): Column =>
  column('Access Modes', 'How the volume may be mounted.', obj =>
    textsAt(obj, path)
      .map(mode => SHORT_MODES[mode] ?? mode)
      .join(','),
  )
const volumeMode = column(
  'VolumeMode',
  'Whether it is a file system or a block device.',
  obj => textAt(obj, 'spec.volumeMode') || '<unset>',
  { priority: 1 },
)
const storageClass = textColumn('StorageClass', 'spec.storageClassName', 'Its class.')
const attributesClass = column(
  'VolumeAttributesClass',
  'Its class of attributes.',
  obj => textAt(obj, 'spec.volumeAttributesClassName') || '<unset>',
)

const secondsOf = (date: Date): string => `${date.toISOString().slice(0, 19)}Z`

/** Ref: kubernetes/pkg/apis/core/v1/defaults.go */
const SOURCE_DEFAULTS: Readonly<Record<string, JsonObject>> = {
  azureDisk: { cachingMode: 'ReadWrite', fsType: 'ext4', kind: 'Shared', readOnly: false },
  hostPath: { type: '' },
  iscsi: { iscsiInterface: 'default' },
  rbd: { keyring: '/etc/ceph/keyring', pool: 'rbd', user: 'admin' },
  scaleIO: { fsType: 'xfs', storageMode: 'ThinProvisioned' },
}

const volumes = builtin({
  group: '',
  kind: 'PersistentVolume',
  plural: 'persistentvolumes',
  shortNames: ['pv'],
  namespaced: false,
  strategy: {
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillEmpty(spec, { persistentVolumeReclaimPolicy: 'Retain', volumeMode: 'Filesystem' })
      fillEmpty(ensureObject(obj, 'status'), { phase: 'Pending' })
      for (const [source, defaults] of Object.entries(SOURCE_DEFAULTS)) {
        if (isObject(spec[source])) fillDefaults(spec[source], defaults)
      }
    },
    prepareForCreate: (obj, ctx) => {
      obj.status = { phase: 'Pending', lastPhaseTransitionTime: secondsOf(ctx.now()) }
    },
    prepareForUpdate: (obj, old, ctx) => {
      // A writer of the phase may say when it changed; else the server does.
      const before = textAt(old, 'status.lastPhaseTransitionTime')
      const said = textAt(obj, 'status.lastPhaseTransitionTime')
      if (said !== '' && said !== before) return
      const changed = textAt(obj, 'status.phase') !== textAt(old, 'status.phase')
      const since = changed ? secondsOf(ctx.now()) : before
      if (since !== '') ensureObject(obj, 'status').lastPhaseTransitionTime = since
    },
    validate: volumeErrors,
    validateUpdate: volumeErrors,
    warnings: volumeWarnings,
  },
  status: true,
  columns: [
    NAME,
    textColumn('Capacity', 'spec.capacity.storage', 'How much it holds.'),
    modes('spec.accessModes'),
    textColumn('Reclaim Policy', 'spec.persistentVolumeReclaimPolicy', 'What becomes of it.'),
    column('Status', 'Its phase.', obj =>
      obj.metadata.deletionTimestamp === undefined ? textAt(obj, 'status.phase') : 'Terminating',
    ),
    column('Claim', 'The claim it is bound to.', obj => {
      const name = textAt(obj, 'spec.claimRef.name')
      return name === '' ? '' : `${textAt(obj, 'spec.claimRef.namespace')}/${name}`
    }),
    storageClass,
    attributesClass,
    textColumn('Reason', 'status.reason', 'Why it is in its phase.'),
    AGE,
    volumeMode,
  ],
  selectableFields: { name: obj => obj.metadata.name ?? '' },
  more: { returnsDeleted: true },
})

const claims = builtin({
  group: '',
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  shortNames: ['pvc'],
  strategy: {
    default: obj => {
      fillEmpty(ensureObject(obj, 'spec'), { volumeMode: 'Filesystem' })
      fillEmpty(ensureObject(obj, 'status'), { phase: 'Pending' })
    },
    prepareForCreate: obj => {
      obj.status = { phase: 'Pending' }
      joinOrigins(obj)
    },
    prepareForUpdate: joinOrigins,
    validate: claimErrors,
    validateUpdate: (obj, old) => [...claimErrors(obj), ...claimChangeErrors(obj, old)],
    warnings: claimWarnings,
  },
  status: true,
  columns: [
    NAME,
    column('Status', 'Its phase.', obj =>
      obj.metadata.deletionTimestamp === undefined ? textAt(obj, 'status.phase') : 'Terminating',
    ),
    textColumn('Volume', 'spec.volumeName', 'The volume it is bound to.'),
    textColumn('Capacity', 'status.capacity.storage', 'How much the volume holds.'),
    modes('status.accessModes'),
    storageClass,
    attributesClass,
    AGE,
    volumeMode,
  ],
  selectableFields: { name: obj => obj.metadata.name ?? '' },
  more: { returnsDeleted: true },
})

export const volumeResources: readonly Resource[] = [claims, volumes]

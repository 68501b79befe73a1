// PersistentVolumes and their claims: kept for tools that write them; nothing binds or provisions. Part of core.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidatePersistentVolume, ValidatePersistentVolumeClaim

import {
  equalJson,
  type FieldError,
  forbiddenField,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Column, Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import { ensureObject, fillDefaults, fillEmpty, objectAt, textAt, textsAt } from './reading.ts'

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']
const SHORT_MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}
const RECLAIM_POLICIES = ['Delete', 'Recycle', 'Retain']
const VOLUME_MODES = ['Block', 'Filesystem']

function modeErrors(obj: KubeObject): FieldError[] {
  const modes = textsAt(obj, 'spec.accessModes')
  if (modes.length === 0) return [required('spec.accessModes')]
  const errors = modes
    .filter(mode => !ACCESS_MODES.includes(mode))
    .map(mode => notSupported('spec.accessModes', mode, ACCESS_MODES))
  const mode = textAt(obj, 'spec.volumeMode')
  if (mode === '' || VOLUME_MODES.includes(mode)) return errors
  return [...errors, notSupported('spec.volumeMode', mode, VOLUME_MODES)]
}

/** Where the bytes are: exactly one of these. Ref: kubernetes/pkg/apis/core/types.go PersistentVolumeSource */
const SOURCES = [
  ...['awsElasticBlockStore', 'azureDisk', 'azureFile', 'cephfs', 'cinder', 'csi', 'fc'],
  ...['flexVolume', 'flocker', 'gcePersistentDisk', 'glusterfs', 'hostPath', 'iscsi', 'local'],
  ...['nfs', 'photonPersistentDisk', 'portworxVolume', 'quobyte', 'rbd', 'scaleIO', 'storageos'],
  'vsphereVolume',
]

function sourceErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const [first, ...others] = SOURCES.filter(name => isObject(spec[name]))
  if (first === undefined) return [required('spec', 'must specify a volume type')]
  const more = others.map(name =>
    forbiddenField(`spec.${name}`, 'may not specify more than 1 volume type'),
  )
  const path = textAt(spec, 'hostPath.path')
  return first === 'hostPath' && path === '' ? [required('spec.hostPath.path'), ...more] : more
}

function volumeErrors(obj: KubeObject): FieldError[] {
  const errors = [...modeErrors(obj), ...sourceErrors(obj)]
  if (textAt(obj, 'spec.capacity.storage') === '') errors.push(required('spec.capacity'))
  const policy = textAt(obj, 'spec.persistentVolumeReclaimPolicy')
  if (policy !== '' && !RECLAIM_POLICIES.includes(policy)) {
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, RECLAIM_POLICIES))
  }
  return errors
}

function claimErrors(obj: KubeObject): FieldError[] {
  const errors = modeErrors(obj)
  if (textAt(obj, 'spec.resources.requests.storage') === '') {
    errors.push(required('spec.resources[storage]'))
  }
  return errors
}

const CLAIM_FROZEN =
  'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims'

/** All of a claim's spec but what may grow or be filled in later. */
function fixedClaim(obj: KubeObject) {
  const {
    resources: _r,
    volumeName: _v,
    volumeAttributesClassName: _a,
    ...rest
  } = objectAt(obj, 'spec')
  return rest
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
    },
    validate: claimErrors,
    validateUpdate: (obj, old) =>
      equalJson(fixedClaim(obj), fixedClaim(old))
        ? claimErrors(obj)
        : [...claimErrors(obj), forbiddenField('spec', CLAIM_FROZEN)],
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

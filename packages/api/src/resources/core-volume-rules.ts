// What must hold of PersistentVolumes and their claims. Called by core-volume.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidatePersistentVolumeSpec, ValidatePersistentVolumeClaimSpec

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  parseQuantity,
  required,
  validateLabelSelector,
} from '@podless/apimachinery'
import { nodeSelectorErrors } from './pod-scheduling-rules.ts'
import { backstepErrors } from './pod-volume-rules.ts'
import { objectAt, textAt, textsAt, valueAt } from './reading.ts'

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']
const RECLAIM_POLICIES = ['Delete', 'Recycle', 'Retain']
const VOLUME_MODES = ['Block', 'Filesystem']

/** Where the bytes are: exactly one of these. Ref: kubernetes/pkg/apis/core/types.go PersistentVolumeSource */
const SOURCES = [
  ...['hostPath', 'gcePersistentDisk', 'awsElasticBlockStore', 'glusterfs', 'flocker', 'nfs'],
  ...['rbd', 'quobyte', 'cephfs', 'iscsi', 'cinder', 'fc', 'flexVolume', 'azureFile'],
  ...['vsphereVolume', 'photonPersistentDisk', 'portworxVolume', 'azureDisk', 'scaleIO', 'local'],
  ...['storageos', 'csi'],
]
/** Text fields that a source cannot be without. */
const NEEDED: Readonly<Record<string, readonly string[]>> = {
  csi: ['driver', 'volumeHandle'],
  hostPath: ['path'],
  local: ['path'],
  nfs: ['server', 'path'],
}

function modeErrors(obj: KubeObject, absent: string): FieldError[] {
  const modes = textsAt(obj, 'spec.accessModes')
  const path = 'spec.accessModes'
  const errors: FieldError[] = modes.length === 0 ? [required(path, absent)] : []
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(mode)) errors.push(notSupported(path, mode, ACCESS_MODES))
  }
  if (modes.includes('ReadWriteOncePod') && new Set(modes).size > 1) {
    errors.push(forbiddenField(path, 'may not use ReadWriteOncePod with other access modes'))
  }
  const mode = textAt(obj, 'spec.volumeMode')
  if (mode !== '' && !VOLUME_MODES.includes(mode)) {
    errors.push(notSupported('spec.volumeMode', mode, VOLUME_MODES))
  }
  return errors
}

function nameErrors(obj: KubeObject, field: string): FieldError[] {
  const name = textAt(obj, ['spec', field])
  if (name === '') return []
  return isDns1123Subdomain(name).map(text => invalidValue(`spec.${field}`, name, text))
}

function positiveErrors(list: JsonObject, name: string, path: string): FieldError[] {
  const text = String(list[name] ?? '')
  const parsed = parseQuantity(text)
  if (!parsed.ok || parsed.quantity.unscaled > 0n) return []
  return [invalidValue(`${path}[${name}]`, text, 'must be greater than zero')]
}

/** What is wrong with a PersistentVolume. */
export function volumeErrors(obj: KubeObject): FieldError[] {
  const capacity = objectAt(obj, 'spec.capacity')
  const names = Object.keys(capacity)
  const errors = [
    ...modeErrors(obj, ''),
    ...(names.length === 0 ? [required('spec.capacity')] : []),
    ...(names.length === 1 && names[0] === 'storage'
      ? []
      : [notSupported('spec.capacity', valueAt(obj, 'spec.capacity') ?? null, ['storage'])]),
    ...names.flatMap(name => positiveErrors(capacity, name, 'spec.capacity')),
    ...sourceErrors(objectAt(obj, 'spec')),
    ...nameErrors(obj, 'storageClassName'),
    ...nameErrors(obj, 'volumeAttributesClassName'),
  ]
  const affinity = valueAt(obj, 'spec.nodeAffinity.required')
  const where = 'spec.nodeAffinity.required'
  if (isObject(affinity)) errors.push(...nodeSelectorErrors(affinity, where))
  const policy = textAt(obj, 'spec.persistentVolumeReclaimPolicy')
  const path = 'spec.persistentVolumeReclaimPolicy'
  if (policy !== '' && !RECLAIM_POLICIES.includes(policy)) {
    errors.push(notSupported(path, policy, RECLAIM_POLICIES))
  }
  if (policy === 'Recycle' && /^\/+$/.test(textAt(obj, 'spec.hostPath.path'))) {
    errors.push(forbiddenField(path, "may not be 'recycle' for a hostPath mount of '/'"))
  }
  return errors
}

function sourceErrors(spec: JsonObject): FieldError[] {
  const [first, ...others] = SOURCES.filter(name => isObject(spec[name]))
  if (first === undefined) return [required('spec', 'must specify a volume type')]
  const source = objectAt(spec, first)
  const missing = (NEEDED[first] ?? []).filter(field => textAt(source, field) === '')
  const place = textAt(source, 'path')
  const errors = [
    ...missing.map(field => required(`spec.${first}.${field}`)),
    ...others.map(name =>
      forbiddenField(`spec.${name}`, 'may not specify more than 1 volume type'),
    ),
  ]
  if (first === 'nfs' && !place.startsWith('/')) {
    errors.push(invalidValue('spec.nfs.path', place, 'must be an absolute path'))
  }
  if (first === 'hostPath' || first === 'local') {
    errors.push(...backstepErrors(place, `spec.${first}.path`))
  }
  if (first === 'local' && !isObject(valueAt(spec, 'nodeAffinity'))) {
    errors.push(required('spec.nodeAffinity', 'Local volume requires node affinity'))
  }
  return errors
}

/** What is wrong with a PersistentVolumeClaim. */
export function claimErrors(obj: KubeObject): FieldError[] {
  const requests = objectAt(obj, 'spec.resources.requests')
  const selector = valueAt(obj, 'spec.selector')
  return [
    ...(isObject(selector) ? validateLabelSelector(selector, 'spec.selector') : []),
    ...modeErrors(obj, 'at least 1 access mode is required'),
    ...(requests.storage === undefined
      ? [required('spec.resources[storage]')]
      : positiveErrors(requests, 'storage', 'spec.resources')),
    ...nameErrors(obj, 'storageClassName'),
    ...nameErrors(obj, 'volumeAttributesClassName'),
    ...['dataSource', 'dataSourceRef'].flatMap(field => originErrors(obj, field)),
  ]
}

/** What a new volume is a copy of. */
function originErrors(obj: KubeObject, field: string): FieldError[] {
  const origin = valueAt(obj, ['spec', field])
  if (!isObject(origin)) return []
  const path = `spec.${field}`
  const errors = ['name', 'kind']
    .filter(part => textAt(origin, part) === '')
    .map(part => required(`${path}.${part}`))
  const kind = textAt(origin, 'kind')
  if (textAt(origin, 'apiGroup') !== '' || kind === 'PersistentVolumeClaim') return errors
  const detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
  return [...errors, invalidValue(path, kind, detail)]
}

/**
 * The two names of what a volume is a copy of are one. The older one forgets what it cannot say.
 * Ref: kubernetes/pkg/registry/core/persistentvolumeclaim/strategy.go, kubernetes/pkg/api/persistentvolumeclaim/util.go
 */
export function joinOrigins(obj: KubeObject): void {
  const spec = obj.spec
  if (!isObject(spec)) return
  const isOld = (origin: JsonObject): boolean => {
    const place = `${textAt(origin, 'apiGroup')}/${textAt(origin, 'kind')}`
    return place === '/PersistentVolumeClaim' || place === 'snapshot.storage.k8s.io/VolumeSnapshot'
  }
  if (isObject(spec.dataSource) && !isOld(spec.dataSource) && !isObject(spec.dataSourceRef)) {
    delete spec.dataSource
  }
  if (isObject(spec.dataSource) && !isObject(spec.dataSourceRef)) {
    spec.dataSourceRef = { ...spec.dataSource }
  } else if (isObject(spec.dataSourceRef) && !isObject(spec.dataSource)) {
    if (textAt(spec.dataSourceRef, 'namespace') === '') spec.dataSource = { ...spec.dataSourceRef }
  }
}

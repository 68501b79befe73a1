// What must hold of what CSI drivers say about themselves, their nodes, capacity and attachments. Called by storage.ts.
// Ref: kubernetes/pkg/apis/storage/validation

import {
  duplicate,
  equalJson,
  type FieldError,
  forbiddenField,
  immutableField,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  isQualifiedName,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  nonNegative,
  notSupported,
  parseQuantity,
  required,
  tooLong,
  validateLabelSelector,
} from '@podless/apimachinery'
import { listAt, numberAt, objectAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const DRIVER_NAME_MAX = 63
const NODE_ID_MAX = 256
const GROUP_POLICIES = ['File', 'None', 'ReadWriteOnceWithFSType']
const LIFECYCLE_MODES = ['Persistent', 'Ephemeral']
const ALLOCATABLE_SECONDS_MIN = 10
const TOKEN_SECONDS_MIN = 600
const TOKEN_SECONDS_MAX = 2 ** 32

/** What is wrong with the name of a driver. */
export function driverNameErrors(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  return [
    ...(name.length > DRIVER_NAME_MAX ? [tooLong(path, DRIVER_NAME_MAX)] : []),
    ...isDns1123Subdomain(name.toLowerCase()).map(text => invalidValue(path, name, text)),
  ]
}

// --- CSIDriver

/** Everything wrong with a CSIDriver. */
export function driverErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const policy = valueAt(obj, 'spec.fsGroupPolicy')
  if (typeof policy === 'string' && !GROUP_POLICIES.includes(policy)) {
    errors.push(notSupported('spec.fsGroupPolicy', policy, GROUP_POLICIES))
  }
  errors.push(...tokenErrors(obj))
  for (const mode of textsAt(obj, 'spec.volumeLifecycleModes')) {
    if (LIFECYCLE_MODES.includes(mode)) continue
    errors.push(notSupported('spec.volumeLifecycleModes', mode, LIFECYCLE_MODES))
  }
  const period = numberAt(obj, 'spec.nodeAllocatableUpdatePeriodSeconds')
  if (period !== undefined && period < ALLOCATABLE_SECONDS_MIN) {
    const detail = `must be greater than or equal to ${ALLOCATABLE_SECONDS_MIN} seconds`
    errors.push(invalidValue('spec.nodeAllocatableUpdatePeriodSeconds', period, detail))
  }
  const inSecrets = valueAt(obj, 'spec.serviceAccountTokenInSecrets')
  if (typeof inSecrets === 'boolean' && listAt(obj, 'spec.tokenRequests').length === 0) {
    const detail = 'serviceAccountTokenInSecrets is set but no tokenRequests are specified'
    errors.push(invalidValue('spec.serviceAccountTokenInSecrets', inSecrets, detail))
  }
  return errors
}

function tokenErrors(obj: KubeObject): FieldError[] {
  const audiences = new Set<string>()
  return objectsAt(obj, 'spec.tokenRequests').flatMap((request, index) => {
    const path = `spec.tokenRequests[${index}]`
    const audience = textAt(request, 'audience')
    if (audiences.has(audience)) return [duplicate(`${path}.audience`, audience)]
    audiences.add(audience)
    const seconds = numberAt(request, 'expirationSeconds')
    if (seconds === undefined) return []
    const at = `${path}.expirationSeconds`
    if (seconds < TOKEN_SECONDS_MIN) {
      return [invalidValue(at, seconds, 'may not specify a duration less than 10 minutes')]
    }
    if (seconds <= TOKEN_SECONDS_MAX) return []
    return [invalidValue(at, seconds, 'may not specify a duration larger than 2^32 seconds')]
  })
}

/** Everything wrong with a changed CSIDriver. */
export function driverUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const frozen = [
    ['attachRequired', 'attachedRequired'],
    ['volumeLifecycleModes', 'volumeLifecycleModes'],
  ] as const
  const changed = frozen.flatMap(([field, shown]) =>
    immutableField(valueAt(obj, ['spec', field]), valueAt(old, ['spec', field]), `spec.${shown}`),
  )
  return [...driverErrors(obj), ...changed]
}

/** A driver that wants tokens should say that it takes them as secrets. */
export function driverWarnings(obj: KubeObject, old: KubeObject | undefined): string[] {
  const requests = valueAt(obj, 'spec.tokenRequests')
  if (!Array.isArray(requests) || requests.length === 0) return []
  const isUnset = valueAt(obj, 'spec.serviceAccountTokenInSecrets') === undefined
  if (!isUnset || equalJson(requests, valueAt(old, 'spec.tokenRequests') ?? null)) return []
  return [
    'spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging of tokens in volume attributes',
  ]
}

// --- CSINode

/** Everything wrong with a CSINode. */
export function nodeErrors(obj: KubeObject): FieldError[] {
  const names = new Set<string>()
  return objectsAt(obj, 'spec.drivers').flatMap((driver, index) => {
    const path = `spec.drivers[${index}]`
    const name = textAt(driver, 'name')
    const errors = [
      ...driverNameErrors(name, `${path}.name`),
      ...nodeIdErrors(textAt(driver, 'nodeID'), `${path}.nodeID`),
    ]
    const count = numberAt(driver, 'allocatable.count')
    if (count !== undefined) errors.push(...nonNegative(count, `${path}.allocatable.count`))
    if (names.has(name)) errors.push(duplicate(`${path}.name`, name))
    names.add(name)
    return [...errors, ...topologyKeyErrors(textsAt(driver, 'topologyKeys'), path)]
  })
}

function nodeIdErrors(id: string, path: string): FieldError[] {
  if (id === '') return [required(path)]
  if (Buffer.byteLength(id) <= NODE_ID_MAX) return []
  return [invalidValue(path, id, `must be ${NODE_ID_MAX} characters or less`)]
}

function topologyKeyErrors(keys: readonly string[], path: string): FieldError[] {
  return keys.flatMap((key, index) => [
    ...(key === '' ? [required(path)] : []),
    ...(keys.indexOf(key) < index ? [duplicate(path, key)] : []),
    ...isQualifiedName(key).map(text => invalidValue(path, key, text)),
  ])
}

/** A driver's entry may change in how many volumes it takes, and in nothing else. */
export function nodeUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const before = objectsAt(old, 'spec.drivers')
  const changed = before.flatMap(known =>
    objectsAt(obj, 'spec.drivers')
      .filter(driver => driver.name === known.name)
      .flatMap(driver => immutableField(shownDriver(driver), shownDriver(known), 'spec.drivers')),
  )
  return [...nodeErrors(obj), ...changed]
}

/** As Go prints a CSINodeDriver. */
function shownDriver(driver: JsonObject): JsonValue {
  return {
    Name: textAt(driver, 'name'),
    NodeID: textAt(driver, 'nodeID'),
    TopologyKeys: Array.isArray(driver.topologyKeys) ? driver.topologyKeys : null,
    Allocatable: null,
  }
}

// --- CSIStorageCapacity

/** Everything wrong with a CSIStorageCapacity. */
export function capacityErrors(obj: KubeObject): FieldError[] {
  const name = textAt(obj, 'storageClassName')
  const errors = [
    ...validateLabelSelector(obj.nodeTopology, 'nodeTopology'),
    ...isDns1123Subdomain(name).map(text => invalidValue('storageClassName', name, text)),
  ]
  const capacity = textAt(obj, 'capacity')
  const parsed = parseQuantity(capacity)
  if (!capacity.startsWith('-') || !parsed.ok) return errors
  const detail = 'must be greater than or equal to 0'
  return [...errors, invalidValue('capacity', capacity, detail)]
}

/** What may not change about a CSIStorageCapacity. */
export function capacityUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  return ['nodeTopology', 'storageClassName'].flatMap(field =>
    immutableField(obj[field] ?? null, old[field] ?? null, field),
  )
}

// --- VolumeAttachment

const ONE_SOURCE = 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'

/** Everything wrong with a VolumeAttachment. */
export function attachmentErrors(obj: KubeObject): FieldError[] {
  const node = textAt(obj, 'spec.nodeName')
  const volume = valueAt(obj, 'spec.source.persistentVolumeName')
  const path = 'spec.source.persistentVolumeName'
  return [
    ...driverNameErrors(textAt(obj, 'spec.attacher'), 'spec.attacher'),
    ...sourceErrors(objectAt(obj, 'spec.source')),
    ...isDns1123Subdomain(node).map(text => invalidValue('spec.nodeName', node, text)),
    ...(typeof volume === 'string'
      ? isDns1123Subdomain(volume).map(text => invalidValue(path, volume, text))
      : []),
  ]
}

function sourceErrors({ inlineVolumeSpec, persistentVolumeName }: JsonObject): FieldError[] {
  const isNamed = typeof persistentVolumeName === 'string'
  const path = 'spec.source'
  if (!isNamed && !isObject(inlineVolumeSpec)) return [required(path, ONE_SOURCE)]
  if (isNamed && isObject(inlineVolumeSpec)) return [forbiddenField(path, ONE_SOURCE)]
  if (persistentVolumeName !== '') return []
  return [required(`${path}.persistentVolumeName`, 'must specify non empty persistentVolumeName')]
}

/** An attachment's spec does not change. */
export function attachmentUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  if (equalJson(obj.spec, old.spec)) return attachmentErrors(obj)
  return [
    ...attachmentErrors(obj),
    invalidValue('spec', shownAttachment(obj), 'field is immutable'),
  ]
}

/** As Go prints a VolumeAttachmentSpec. */
function shownAttachment(obj: KubeObject): JsonValue {
  const source = objectAt(obj, 'spec.source')
  return {
    Attacher: textAt(obj, 'spec.attacher'),
    Source: {
      PersistentVolumeName: source.persistentVolumeName ?? null,
      InlineVolumeSpec: source.inlineVolumeSpec ?? null,
    },
    NodeName: textAt(obj, 'spec.nodeName'),
  }
}

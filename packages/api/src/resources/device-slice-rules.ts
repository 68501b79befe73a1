// What must hold of a ResourceSlice: what a driver says of a node's devices, or of those that many nodes reach.
// Called by dynamic-resources.ts. Ref: kubernetes/pkg/apis/resource/validation ValidateResourceSlice

import {
  builtinTypeSchema,
  equalJson,
  type FieldError,
  immutableField,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  required,
  tooLong,
  tooMany,
} from '@podless/apimachinery'
import { capacityErrors } from './device-capacity-rules.ts'
import {
  labelErrors,
  listErrors,
  poolNameErrors,
  qualifiedNameErrors,
} from './device-name-rules.ts'
import { bindingConditionErrors, taintErrors } from './device-selector-rules.ts'
import { internalForm } from './internal-form.ts'
import { nodeSelectorErrors } from './pod-scheduling-rules.ts'
import { listAt, numberAt, objectAt, objectsAt, textAt, valueAt } from './reading.ts'
import { driverNameErrors } from './storage-driver-rules.ts'

const DEVICES_MAX = 128
/** Devices that are more work to choose from. */
const ADVANCED_DEVICES_MAX = 64
const COUNTER_SETS_MAX = 8
const COUNTERS_MAX = 32
const CONSUMED_SETS_MAX = 2
const TAINTS_MAX = 16
const PROPERTIES_MAX = 32
const VALUE_BYTES_MAX = 64
const VALUES = ['bool', 'int', 'string', 'version']
const SEMVER =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?$/
const SLICE_NODES =
  'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required'
const DEVICE_NODES =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec'
const NO_DEVICE_NODES =
  '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec'
const UNSET_OR = 'must be either unset or set to'

/** Everything wrong with a slice. */
export function resourceSliceErrors(obj: KubeObject, old?: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const frozen = ['pool.name', 'driver', 'nodeName'].flatMap(field =>
    old === undefined
      ? []
      : immutableField(
          valueAt(spec, field) ?? null,
          valueAt(old, `spec.${field}`) ?? null,
          `spec.${field}`,
        ),
  )
  const isBoth = isSet(spec.sharedCounters) && isSet(spec.devices)
  return [
    ...driverNameErrors(textAt(spec, 'driver'), 'spec.driver'),
    ...poolErrors(objectAt(spec, 'pool'), 'spec.pool'),
    ...frozen,
    ...nodesOfSliceErrors(spec),
    ...(isBoth
      ? [invalidValue('spec', '', 'only one of `sharedCounters` or `devices` is allowed')]
      : []),
    ...devicesErrors(spec, objectAt(old, 'spec')),
    ...counterSetErrors(spec),
  ]
}

const isSet = (value: JsonValue | undefined): boolean => value !== undefined && value !== null

function poolErrors(pool: JsonObject, path: string): FieldError[] {
  const count = numberAt(pool, 'resourceSliceCount') ?? 0
  const generation = numberAt(pool, 'generation') ?? 0
  const negative = 'must be greater than or equal to zero'
  return [
    ...poolNameErrors(textAt(pool, 'name'), `${path}.name`),
    ...(count > 0
      ? []
      : [invalidValue(`${path}.resourceSliceCount`, count, 'must be greater than zero')]),
    ...(generation < 0 ? [invalidValue(`${path}.generation`, generation, negative)] : []),
  ]
}

// --- on which nodes

interface NodeChoice {
  readonly path: string
  /** Fields that are true or not there. */
  readonly flags: readonly string[]
  readonly emptyName: string
  /** What is said when none is set, and when several are. */
  readonly one: string
  readonly several: string
}

/** The one way in which nodes are chosen. */
function nodeChoiceErrors(holder: JsonObject, choice: NodeChoice): FieldError[] {
  const { path, flags, emptyName, one, several } = choice
  const { nodeName, nodeSelector } = holder
  const errors: FieldError[] = []
  const chosen: string[] = []
  if (typeof nodeName === 'string' && nodeName !== '') {
    chosen.push('`nodeName`')
    const problems = isDns1123Subdomain(nodeName)
    errors.push(...problems.map(text => invalidValue(`${path}.nodeName`, nodeName, text)))
  } else if (nodeName === '') errors.push(invalidValue(`${path}.nodeName`, '', emptyName))
  if (isObject(nodeSelector)) {
    chosen.push('`nodeSelector`')
    errors.push(...nodeSelectorErrors(nodeSelector, `${path}.nodeSelector`))
  }
  for (const flag of flags) {
    if (holder[flag] === true) chosen.push(`\`${flag}\``)
    else if (holder[flag] === false) {
      errors.push(invalidValue(`${path}.${flag}`, false, `${UNSET_OR} true`))
    }
  }
  if (chosen.length === 0) errors.push(required(path, one))
  if (chosen.length > 1) errors.push(invalidValue(path, `{${chosen.join(', ')}}`, several))
  return errors
}

function nodesOfSliceErrors(spec: JsonObject): FieldError[] {
  const errors = nodeChoiceErrors(spec, {
    path: 'spec',
    flags: ['allNodes', 'perDeviceNodeSelection'],
    emptyName: `${UNSET_OR} a non-empty string`,
    one: SLICE_NODES,
    several: `${SLICE_NODES}, but multiple fields are set`,
  })
  const terms = listAt(spec, 'nodeSelector.nodeSelectorTerms')
  if (!isObject(spec.nodeSelector) || terms.length === 1) return errors
  const detail = 'must have exactly one node selector term'
  const node = builtinTypeSchema('io.k8s.api.core.v1.NodeSelector')?.properties
  const shown = internalForm([...terms], node?.get('nodeSelectorTerms'))
  return [...errors, invalidValue('spec.nodeSelector.nodeSelectorTerms', shown, detail)]
}

function nodesOfDeviceErrors(device: JsonObject, isPerDevice: boolean, path: string): FieldError[] {
  if (isPerDevice) {
    return nodeChoiceErrors(device, {
      path,
      flags: ['allNodes'],
      emptyName: 'must not be empty',
      one: DEVICE_NODES,
      several: DEVICE_NODES,
    })
  }
  const chosen = ['nodeName', 'nodeSelector', 'allNodes'].filter(field => isSet(device[field]))
  return chosen.length === 0 ? [] : [invalidValue(path, null, NO_DEVICE_NODES)]
}

// --- devices

function devicesErrors(spec: JsonObject, old: JsonObject): FieldError[] {
  const devices = objectsAt(spec, 'devices')
  const isAdvanced = devices.some(
    device => listAt(device, 'taints').length + listAt(device, 'consumesCounters').length > 0,
  )
  const rules = { max: isAdvanced ? ADVANCED_DEVICES_MAX : DEVICES_MAX, keyOf: nameOf }
  const isPerDevice = spec.perDeviceNodeSelection === true
  return listErrors(devices, 'spec.devices', rules, (device, path) => {
    const before = objectsAt(old, 'devices').find(known => nameOf(known) === nameOf(device))
    const isTaintKept = before !== undefined && equalJson(before.taints, device.taints)
    return [
      ...labelErrors(nameOf(device), `${path}.name`),
      ...propertyErrors(device, path),
      ...(isTaintKept
        ? []
        : listErrors(
            objectsAt(device, 'taints'),
            `${path}.taints`,
            { max: TAINTS_MAX },
            taintErrors,
          )),
      ...consumedErrors(device, path),
      ...nodesOfDeviceErrors(device, isPerDevice, path),
      ...bindingConditionErrors(device, path),
    ]
  })
}

const nameOf = (holder: JsonObject): string => textAt(holder, 'name')

function propertyErrors(device: JsonObject, path: string): FieldError[] {
  const attributes = Object.entries(objectAt(device, 'attributes'))
  const capacities = Object.entries(objectAt(device, 'capacity'))
  const count = attributes.length + capacities.length
  const detail = `the total number of attributes and capacities must not exceed ${PROPERTIES_MAX}`
  const isShared = device.allowMultipleAllocations === true
  return [
    ...(count > PROPERTIES_MAX ? [invalidValue(path, count, detail)] : []),
    ...attributes.flatMap(([name, value]) => [
      ...qualifiedNameErrors(name, `${path}.attributes`),
      ...attributeErrors(isObject(value) ? value : {}, `${path}.attributes[${name}]`),
    ]),
    ...capacities.flatMap(([name, value]) => [
      ...qualifiedNameErrors(name, `${path}.capacity`),
      ...capacityErrors(isObject(value) ? value : {}, isShared, `${path}.capacity[${name}]`),
    ]),
  ]
}

function attributeErrors(attribute: JsonObject, path: string): FieldError[] {
  const given = VALUES.filter(field => isSet(attribute[field]))
  const { string: text, version } = attribute
  const errors: FieldError[] = typeof text === 'string' ? lengthErrors(text, `${path}.string`) : []
  if (typeof version === 'string') {
    const detail = 'must be a string compatible with semver.org spec 2.0.0'
    if (!SEMVER.test(version)) errors.push(invalidValue(`${path}.version`, version, detail))
    errors.push(...lengthErrors(version, `${path}.version`))
  }
  if (given.length === 1) return errors
  const shown = given.length === 0 ? '' : shownAttribute(attribute)
  return [...errors, invalidValue(path, shown, 'exactly one value must be specified')]
}

function lengthErrors(text: string, path: string): FieldError[] {
  return Buffer.byteLength(text) > VALUE_BYTES_MAX ? [tooLong(path, VALUE_BYTES_MAX)] : []
}

/** As Go prints a DeviceAttribute. */
function shownAttribute({ int, bool, string, version }: JsonObject): JsonValue {
  return {
    IntValue: int ?? null,
    BoolValue: bool ?? null,
    StringValue: string ?? null,
    VersionValue: version ?? null,
    IntValues: null,
    BoolValues: null,
    StringValues: null,
    VersionValues: null,
  }
}

// --- counters

function counterErrors(holder: JsonObject, path: string): FieldError[] {
  const names = Object.keys(objectAt(holder, 'counters'))
  const at = `${path}.counters`
  if (names.length === 0) return [required(at)]
  if (names.length > COUNTERS_MAX) return [tooMany(at, names.length, COUNTERS_MAX)]
  return names.flatMap(name => labelErrors(name, at))
}

const namedErrors = (name: string, path: string): FieldError[] =>
  name === '' ? [required(path)] : labelErrors(name, path)

function counterSetErrors(spec: JsonObject): FieldError[] {
  const rules = { max: COUNTER_SETS_MAX, keyOf: nameOf }
  return listErrors(
    objectsAt(spec, 'sharedCounters'),
    'spec.sharedCounters',
    rules,
    (set, path) => [...namedErrors(nameOf(set), `${path}.name`), ...counterErrors(set, path)],
  )
}

function consumedErrors(device: JsonObject, path: string): FieldError[] {
  const setOf = (consumed: JsonObject) => textAt(consumed, 'counterSet')
  const rules = { max: CONSUMED_SETS_MAX, keyOf: setOf }
  const at = `${path}.consumesCounters`
  return listErrors(objectsAt(device, 'consumesCounters'), at, rules, (consumed, where) => [
    ...namedErrors(setOf(consumed), `${where}.counterSet`),
    ...counterErrors(consumed, where),
  ])
}

// What must hold of a ResourceClaim's status, and who may change which part of it. Called by dynamic-resources.ts.
// Ref: kubernetes/pkg/apis/resource/validation ValidateResourceClaimStatusUpdate, kubernetes/pkg/registry/resource

import {
  equalJson,
  type FieldError,
  forbiddenField,
  invalidValue,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  notSupported,
  required,
  type SchemaNode,
  tooLong,
  tooMany,
} from '@podless/apimachinery'
import { authorizationError } from '../auth/authorize.ts'
import type { RuleContext } from '../resource.ts'
import { interfaceAddressProblems } from './address-rules.ts'
import { conditionErrors } from './condition-rules.ts'
import { markedNamespaceErrors, requestReference, requestReferences } from './device-claim-rules.ts'
import { labelErrors, listErrors, poolNameErrors, shareIdErrors } from './device-name-rules.ts'
import {
  bindingConditionErrors,
  configurationErrors,
  rawObjectErrors,
} from './device-selector-rules.ts'
import { internalForm } from './internal-form.ts'
import { nodeSelectorErrors } from './pod-scheduling-rules.ts'
import { listAt, objectAt, objectsAt, textAt, textsAt } from './reading.ts'
import { driverNameErrors } from './storage-driver-rules.ts'

const RESULTS_MAX = 32
const CONFIGS_MAX = 64
const USERS_MAX = 256
const CONDITIONS_MAX = 8
const DATA_BYTES_MAX = 10 * 1024
const ADDRESSES_MAX = 16
const INTERFACE_NAME_MAX = 256
const HARDWARE_ADDRESS_MAX = 128
const SOURCES = ['FromClaim', 'FromClass']
const NODE_CLAIM = 'authentication.kubernetes.io/node-name'
const ACCOUNT = 'system:serviceaccount:'
const ALLOCATION = 'status.allocation'
const DEVICES = 'status.devices'
const USERS = 'status.reservedFor'

const resultsOf = (claim: KubeObject) => objectsAt(claim, `${ALLOCATION}.devices.results`)
const devicesOf = (claim: KubeObject) => objectsAt(claim, DEVICES)
const isAllocated = (claim: KubeObject): boolean => isObject(objectAt(claim, 'status').allocation)

/** What tells devices apart: driver, pool, device and share. */
function deviceKey(device: JsonObject): string {
  const shown = ['driver', 'pool', 'device'].map(field => textAt(device, field)).join('/')
  const share = textAt(device, 'shareID')
  return share === '' ? shown : `${shown}/${share}`
}

/** Takes what is said of devices off a status from which they have gone. */
export function dropDeallocatedDevices(claim: KubeObject, old: KubeObject): void {
  const { status } = claim
  if (!isObject(status)) return
  const kept = new Set(resultsOf(claim).map(deviceKey))
  const gone = new Set(
    resultsOf(old)
      .map(deviceKey)
      .filter(key => !kept.has(key)),
  )
  const devices = devicesOf(claim).filter(device => !gone.has(deviceKey(device)))
  if (devices.length === 0) delete status.devices
  else status.devices = [...devices]
}

/** Everything wrong with a changed status, and with who changes it. `schema` is the claim's. */
export function statusErrors(
  claim: KubeObject,
  old: KubeObject,
  ctx: RuleContext,
  schema: SchemaNode,
): FieldError[] {
  return [
    ...adminStatusErrors(claim, old, ctx),
    ...bindingPermissionErrors(claim, old, ctx),
    ...(isAllocated(claim) ? driverPermissionErrors(claim, old, ctx) : []),
    ...userErrors(claim),
    ...deviceErrors(claim),
    ...reservationErrors(claim, old),
    ...allocationErrors(claim, old, schema),
  ]
}

// --- who may change it

function adminStatusErrors(claim: KubeObject, old: KubeObject, ctx: RuleContext): FieldError[] {
  if (resultsOf(old).some(result => result.adminAccess === true)) return []
  const index = resultsOf(claim).findIndex(result => result.adminAccess === true)
  if (index < 0) return []
  return markedNamespaceErrors(ctx, `${ALLOCATION}.devices.results[${index}].adminAccess`)
}

interface Permission {
  readonly verb: string
  readonly subresource: string
  readonly namespace?: string
  readonly name?: string
}

/** Why the user has not got a permission; undefined when they have. */
function denial(permission: Permission, { user, services }: RuleContext): string | undefined {
  const place = { group: 'resource.k8s.io', version: 'v1', resource: 'resourceclaims' }
  const request = { user, ...place, ...permission }
  const { allowed, reason } = services.authorizer.authorize(request)
  return allowed ? undefined : authorizationError(request, reason).message
}

function bindingPermissionErrors(
  claim: KubeObject,
  old: KubeObject,
  ctx: RuleContext,
): FieldError[] {
  const parts = ({ status }: KubeObject): JsonValue[] =>
    isObject(status) ? [status.allocation ?? null, status.reservedFor ?? []] : [null, []]
  if (equalJson(parts(claim), parts(old))) return []
  const why = denial({ verb: ctx.verb, subresource: 'binding' }, ctx)
  if (why === undefined) return []
  const detail = `changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="${ctx.verb}" permission: ${why}`
  return [forbiddenField(ALLOCATION, detail)]
}

function driverPermissionErrors(
  claim: KubeObject,
  old: KubeObject,
  ctx: RuleContext,
): FieldError[] {
  const isLocal = isOnAllocatedNode(claim, ctx)
  const verbs = [...(isLocal ? ['associated-node:'] : []), 'arbitrary-node:'].map(
    prefix => `${prefix}${ctx.verb}`,
  )
  return changedDrivers(claim, old).flatMap(name => {
    const [first] = denials(verbs, name, ctx)
    if (first === undefined) return []
    const detail = `changing status.devices requires resource="resourceclaims/driver", verb="[${verbs.join(' ')}]" permission: ${first}`
    return [forbiddenField(DEVICES, detail)]
  })
}

/** Why each verb is not allowed; empty when one is. */
function denials(verbs: readonly string[], name: string, ctx: RuleContext): string[] {
  const { namespace } = ctx
  const all = verbs.map(verb => denial({ verb, subresource: 'driver', namespace, name }, ctx))
  return all.includes(undefined) ? [] : all.filter(why => why !== undefined)
}

function changedDrivers(claim: KubeObject, old: KubeObject): string[] {
  const [now, before] = [claim, old].map(
    obj => new Map(devicesOf(obj).map(device => [deviceKey(device), device])),
  )
  const drivers = new Set<string>()
  for (const [one, other] of [
    [now, before],
    [before, now],
  ]) {
    for (const [key, device] of one ?? []) {
      if (!equalJson(device, other?.get(key))) drivers.add(textAt(device, 'driver'))
    }
  }
  return [...drivers].sort()
}

/** Whether a ServiceAccount asks whose pod is on the node that the claim is allocated for. */
function isOnAllocatedNode(claim: KubeObject, { user }: RuleContext): boolean {
  const terms = objectsAt(claim, `${ALLOCATION}.nodeSelector.nodeSelectorTerms`)
  const [term = {}] = terms
  const fields = objectsAt(term, 'matchFields')
  const [field = {}] = fields
  const isOne =
    terms.length === 1 && fields.length === 1 && listAt(term, 'matchExpressions').length === 0
  const isName = textAt(field, 'key') === 'metadata.name' && textAt(field, 'operator') === 'In'
  const names = textsAt(field, 'values')
  const own = user.extra?.[NODE_CLAIM] ?? []
  if (!isOne || !isName || names.length !== 1 || own.length !== 1) return false
  return user.name.startsWith(ACCOUNT) && own[0] === names[0]
}

// --- what it says

function userErrors(claim: KubeObject): FieldError[] {
  const rules = { max: USERS_MAX, keyOf: (user: JsonObject) => textAt(user, 'uid') }
  return listErrors(objectsAt(claim, USERS), USERS, rules, (user, path) =>
    ['resource', 'name', 'uid'].flatMap(field =>
      textAt(user, field) === '' ? [required(`${path}.${field}`)] : [],
    ),
  )
}

function deviceErrors(claim: KubeObject): FieldError[] {
  const allocated = new Set(resultsOf(claim).map(deviceKey))
  const rules = { max: Number.POSITIVE_INFINITY, keyOf: deviceKey, shown: shownDevice }
  return listErrors(devicesOf(claim), DEVICES, rules, (device, path) => {
    const conditions = objectsAt(device, 'conditions')
    const at = `${path}.conditions`
    const isKnown = allocated.has(deviceKey(device))
    const detail = 'must be an allocated device in the claim'
    return [
      ...placeErrors(device, path),
      ...(isKnown ? [] : [invalidValue(path, shownDevice(device), detail)]),
      ...(conditions.length > CONDITIONS_MAX
        ? [tooMany(at, conditions.length, CONDITIONS_MAX)]
        : []),
      ...conditionErrors(conditions, at),
      ...(device.data === undefined || device.data === null
        ? []
        : rawObjectErrors(device.data, `${path}.data`, DATA_BYTES_MAX)),
      ...networkErrors(objectAt(device, 'networkData'), `${path}.networkData`),
    ]
  })
}

/** Where a device is found. */
function placeErrors(device: JsonObject, path: string): FieldError[] {
  const { shareID } = device
  return [
    ...driverNameErrors(textAt(device, 'driver'), `${path}.driver`),
    ...poolNameErrors(textAt(device, 'pool'), `${path}.pool`),
    ...labelErrors(textAt(device, 'device'), `${path}.device`),
    ...(typeof shareID === 'string' ? shareIdErrors(shareID, `${path}.shareID`) : []),
  ]
}

/** As Go prints the identity of a device. */
function shownDevice(device: JsonObject): JsonValue {
  return {
    Driver: textAt(device, 'driver'),
    Pool: textAt(device, 'pool'),
    Device: textAt(device, 'device'),
    ShareID: textAt(device, 'shareID'),
  }
}

function networkErrors(network: JsonObject, path: string): FieldError[] {
  const limits = [
    ['interfaceName', INTERFACE_NAME_MAX],
    ['hardwareAddress', HARDWARE_ADDRESS_MAX],
  ] as const
  const rules = { max: ADDRESSES_MAX, keyOf: (address: string) => address }
  return [
    ...limits.flatMap(([field, max]) =>
      Buffer.byteLength(textAt(network, field)) > max ? [tooLong(`${path}.${field}`, max)] : [],
    ),
    ...listErrors(textsAt(network, 'ips'), `${path}.ips`, rules, (address, at) =>
      interfaceAddressProblems(address).map(text => invalidValue(at, address, text)),
    ),
  ]
}

function reservationErrors(claim: KubeObject, old: KubeObject): FieldError[] {
  const users = objectsAt(claim, USERS)
  if (users.length === 0) return []
  if (!isAllocated(claim)) {
    return [forbiddenField(USERS, 'may not be specified when `allocated` is not set')]
  }
  if (claim.metadata.deletionTimestamp === undefined) return []
  const before = objectsAt(old, USERS)
  if (users.every(user => before.some(known => equalJson(known, user)))) return []
  const detail =
    'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set'
  return [forbiddenField(USERS, detail)]
}

/** An allocation is made or taken back, and never changed. */
function allocationErrors(claim: KubeObject, old: KubeObject, schema: SchemaNode): FieldError[] {
  if (!isAllocated(claim)) return []
  const allocation = objectAt(claim, ALLOCATION)
  if (isAllocated(old)) {
    if (equalJson(allocation, objectAt(old, ALLOCATION))) return []
    const node = schema.properties?.get('status')?.properties?.get('allocation')
    return [invalidValue(ALLOCATION, internalForm(allocation, node), 'field is immutable')]
  }
  const spec = objectAt(claim, 'spec')
  const [refer, referAll] = [requestReference(spec), requestReferences(spec)]
  const devices = objectAt(allocation, 'devices')
  const at = `${ALLOCATION}.devices`
  const selector = allocation.nodeSelector
  return [
    ...listErrors(
      objectsAt(devices, 'results'),
      `${at}.results`,
      { max: RESULTS_MAX },
      (result, path) => [
        ...refer(textAt(result, 'request'), `${path}.request`),
        ...placeErrors(result, path),
        ...bindingConditionErrors(result, path),
      ],
    ),
    ...listErrors(
      objectsAt(devices, 'config'),
      `${at}.config`,
      { max: CONFIGS_MAX },
      (config, path) => [
        ...sourceErrors(textAt(config, 'source'), `${path}.source`),
        ...referAll(config, path),
        ...configurationErrors(config, path),
      ],
    ),
    ...(isObject(selector) ? nodeSelectorErrors(selector, `${ALLOCATION}.nodeSelector`) : []),
  ]
}

function sourceErrors(source: string, path: string): FieldError[] {
  if (source === '') return [required(path)]
  return SOURCES.includes(source) ? [] : [notSupported(path, source, SOURCES)]
}

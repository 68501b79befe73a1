// The group resource.k8s.io: classes of devices, claims on them, templates of claims, and what drivers say they have.
// Nothing allocates devices here. Read by resources/index.ts.
// Ref: kubernetes/pkg/registry/resource, kubernetes/pkg/apis/resource/{v1/defaults.go,validation}

import {
  equalJson,
  type FieldError,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
} from '@podless/apimachinery'
import type { Resource, RuleContext, StoredSubresource } from '../resource.ts'
import { builtin, schemaOf } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import {
  adminAccessErrors,
  claimSpecErrors,
  classErrors,
  templateErrors,
} from './device-claim-rules.ts'
import { dropDeallocatedDevices, statusErrors } from './device-claim-status-rules.ts'
import { resourceSliceErrors } from './device-slice-rules.ts'
import { internalForm } from './internal-form.ts'
import { fillEmpty, listAt, numberAt, objectAt, objectsAt, textAt } from './reading.ts'

const GROUP = 'resource.k8s.io'
const VERSION = 'v1'
/** Fields of features that Kubernetes 1.36 has not got, or not switched on. */
const OFF = {
  spec: ['partitionTypeAttribute', 'skipNodeOperations'],
  device: ['nodeAllocatableResources'],
  attribute: ['bools', 'ints', 'strings', 'versions'],
  wish: ['derivedAttributes'],
}

function dropFields(holder: JsonObject, fields: readonly string[]): void {
  for (const field of fields) delete holder[field]
}

// --- claims

/** Requests and their alternatives, which say what devices they want. */
function wishesOf(spec: JsonObject): JsonObject[] {
  return objectsAt(spec, 'devices.requests').flatMap(({ exactly, firstAvailable }) => [
    ...(isObject(exactly) ? [exactly] : []),
    ...objectsAt({ firstAvailable: firstAvailable ?? null }, 'firstAvailable'),
  ])
}

function defaultTolerations(holder: JsonObject): void {
  for (const toleration of objectsAt(holder, 'tolerations')) {
    fillEmpty(toleration, { operator: 'Equal' })
  }
}

/** One device unless more are asked for. */
function defaultClaim(spec: JsonObject): void {
  for (const wish of wishesOf(spec)) {
    defaultTolerations(wish)
    fillEmpty(wish, { allocationMode: 'ExactCount' })
    const isCounted = wish.allocationMode === 'ExactCount'
    if (isCounted && (numberAt(wish, 'count') ?? 0) === 0) wish.count = 1
  }
}

function dropOffFields(spec: JsonObject): void {
  for (const wish of wishesOf(spec)) dropFields(wish, OFF.wish)
}

function frozenSpecErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  if (equalJson(obj.spec, old.spec)) return []
  const node = schemaOf({ group: GROUP, version: VERSION, kind: obj.kind }).properties?.get('spec')
  return [invalidValue('spec', internalForm(obj.spec, node), 'field is immutable')]
}

/** Metadata that only the main door changes. Ref: apimachinery/pkg/apis/meta/v1 ResetObjectMetaForStatus */
const KEPT_METADATA = ['annotations', 'finalizers', 'labels', 'ownerReferences'] as const

const claimStatus = {
  resetFields: [['metadata'], ['spec']],
  merge: (sent: KubeObject, live: KubeObject): KubeObject => {
    const metadata: JsonObject = { ...sent.metadata } as JsonObject
    const kept = live.metadata as JsonObject
    for (const field of KEPT_METADATA) {
      if (kept[field] === undefined) delete metadata[field]
      else metadata[field] = kept[field]
    }
    const merged: KubeObject = { ...live, metadata: metadata as KubeObject['metadata'] }
    if (sent.status === undefined) delete merged.status
    else merged.status = sent.status
    return merged
  },
  validateUpdate: (obj: KubeObject, old: KubeObject, ctx: RuleContext) =>
    statusErrors(obj, old, ctx, schemaOf({ group: GROUP, version: VERSION, kind: obj.kind })),
} satisfies Partial<StoredSubresource>

function stateOf(claim: KubeObject): string {
  const isDeleted = claim.metadata.deletionTimestamp !== undefined
  const states = isDeleted ? ['deleted'] : []
  if (!isObject(objectAt(claim, 'status').allocation)) {
    return [...states, ...(isDeleted ? [] : ['pending'])].join(',')
  }
  const isReserved = listAt(claim, 'status.reservedFor').length > 0
  return [...states, 'allocated', ...(isReserved ? ['reserved'] : [])].join(',')
}

const claims = builtin({
  group: GROUP,
  kind: 'ResourceClaim',
  plural: 'resourceclaims',
  strategy: {
    default: obj => {
      defaultClaim(objectAt(obj, 'spec'))
      for (const result of objectsAt(obj, 'status.allocation.devices.results')) {
        defaultTolerations(result)
      }
    },
    prepareForCreate: obj => dropOffFields(objectAt(obj, 'spec')),
    prepareForUpdate: (obj, old) => {
      dropOffFields(objectAt(obj, 'spec'))
      dropDeallocatedDevices(obj, old)
    },
    validate: (obj, ctx) => [
      ...adminAccessErrors(objectAt(obj, 'spec'), ctx),
      ...claimSpecErrors(objectAt(obj, 'spec'), 'spec'),
    ],
    validateUpdate: frozenSpecErrors,
  },
  status: claimStatus,
  more: { returnsDeleted: true },
  columns: [NAME, column('State', 'Whether devices are allocated, and reserved.', stateOf), AGE],
})

const templates = builtin({
  group: GROUP,
  kind: 'ResourceClaimTemplate',
  plural: 'resourceclaimtemplates',
  strategy: {
    default: obj => defaultClaim(objectAt(obj, 'spec.spec')),
    prepareForCreate: obj => dropOffFields(objectAt(obj, 'spec.spec')),
    prepareForUpdate: obj => dropOffFields(objectAt(obj, 'spec.spec')),
    validate: (obj, ctx) => [
      ...adminAccessErrors(objectAt(obj, 'spec.spec'), ctx),
      ...templateErrors(obj),
    ],
    validateUpdate: (obj, old) => [...templateErrors(obj), ...frozenSpecErrors(obj, old)],
  },
  more: { returnsDeleted: true },
})

// --- classes and slices

const classes = builtin({
  group: GROUP,
  kind: 'DeviceClass',
  plural: 'deviceclasses',
  namespaced: false,
  strategy: { hasGeneration: true, validate: obj => classErrors(obj), validateUpdate: classErrors },
  more: { returnsDeleted: true },
})

/** Taints get their time from the server where the client leaves it out. */
function fillTaintTimes(slice: KubeObject, now: Date): void {
  const timeAdded = `${now.toISOString().slice(0, 19)}Z`
  for (const device of objectsAt(slice, 'spec.devices')) {
    for (const taint of objectsAt(device, 'taints')) taint.timeAdded ??= timeAdded
  }
}

function prepareSlice(slice: KubeObject, now: Date): void {
  dropFields(objectAt(slice, 'spec'), OFF.spec)
  for (const device of objectsAt(slice, 'spec.devices')) {
    dropFields(device, OFF.device)
    for (const attribute of Object.values(objectAt(device, 'attributes'))) {
      if (isObject(attribute)) dropFields(attribute, OFF.attribute)
    }
  }
  fillTaintTimes(slice, now)
}

function sliceWarnings(slice: KubeObject): string[] {
  const driver = textAt(slice, 'spec.driver')
  if (driver === driver.toLowerCase()) return []
  return [
    `spec.driver: driver names should be lowercase; ${JSON.stringify(driver)} contains uppercase characters`,
  ]
}

const slices = builtin({
  group: GROUP,
  kind: 'ResourceSlice',
  plural: 'resourceslices',
  namespaced: false,
  strategy: {
    hasGeneration: true,
    prepareForCreate: (obj, ctx) => prepareSlice(obj, ctx.now()),
    prepareForUpdate: (obj, _old, ctx) => prepareSlice(obj, ctx.now()),
    validate: obj => resourceSliceErrors(obj),
    validateUpdate: resourceSliceErrors,
    warnings: sliceWarnings,
  },
  more: { returnsDeleted: true },
  selectableFields: {
    'spec.nodeName': obj => textAt(obj, 'spec.nodeName'),
    'spec.driver': obj => textAt(obj, 'spec.driver'),
  },
  columns: [
    NAME,
    textColumn('Node', 'spec.nodeName', 'The node that has the devices.'),
    textColumn('Driver', 'spec.driver', 'The driver that reports them.'),
    textColumn('Pool', 'spec.pool.name', 'The pool they belong to.'),
    AGE,
  ],
})

export const dynamicResources: readonly Resource[] = [classes, claims, templates, slices]

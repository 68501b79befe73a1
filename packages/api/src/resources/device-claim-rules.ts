// What must hold of a ResourceClaim's spec, also where a template has it, and of a DeviceClass.
// Called by dynamic-resources.ts. Ref: kubernetes/pkg/apis/resource/validation, kubernetes/pkg/registry/resource

import {
  equalJson,
  type FieldError,
  forbiddenField,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
  validateAnnotations,
  validateLabels,
} from '@podless/apimachinery'
import type { RuleContext } from '../resource.ts'
import { isExtendedResourceName } from './container-resource-rules.ts'
import {
  classNameErrors,
  fullyQualifiedNameErrors,
  labelErrors,
  listErrors,
} from './device-name-rules.ts'
import { configurationErrors, selectorErrors, tolerationErrors } from './device-selector-rules.ts'
import { mapAt, numberAt, objectAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const LIST_MAX = 32
const ALTERNATIVES_MAX = 8
const MODES = ['All', 'ExactCount']
const ADMIN_LABEL = 'resource.kubernetes.io/admin-access'
const NAMESPACES = { group: '', version: 'v1', resource: 'namespaces' }
const ONE_KIND = 'exactly one of `exactly` or `firstAvailable` is required'
const ONE_ATTRIBUTE =
  'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
const A_REQUEST =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"

// --- requests

/** Everything wrong with the spec of a claim at `path`. */
export function claimSpecErrors(spec: JsonObject, path: string): FieldError[] {
  const devices = objectAt(spec, 'devices')
  const at = `${path}.devices`
  const refer = requestReferences(spec)
  const keyOf = (request: JsonObject) => textAt(request, 'name')
  return [
    ...listErrors(
      objectsAt(devices, 'requests'),
      `${at}.requests`,
      { max: LIST_MAX, keyOf },
      requestErrors,
    ),
    ...listErrors(
      objectsAt(devices, 'constraints'),
      `${at}.constraints`,
      { max: LIST_MAX },
      (constraint, where) => [...refer(constraint, where), ...attributeErrors(constraint, where)],
    ),
    ...listErrors(
      objectsAt(devices, 'config'),
      `${at}.config`,
      { max: LIST_MAX },
      (config, where) => [...refer(config, where), ...configurationErrors(config, where)],
    ),
  ]
}

function requestErrors(request: JsonObject, path: string): FieldError[] {
  const named = labelErrors(textAt(request, 'name'), `${path}.name`)
  const alternatives = objectsAt(request, 'firstAvailable')
  const { exactly } = request
  const isExact = isObject(exactly)
  if (!isExact && alternatives.length === 0) return [...named, required(path, ONE_KIND)]
  if (isExact && alternatives.length > 0) {
    return [...named, invalidValue(path, null, `${ONE_KIND}, but multiple fields are set`)]
  }
  if (isExact) return [...named, ...wishErrors(exactly, `${path}.exactly`)]
  const rules = { max: ALTERNATIVES_MAX, keyOf: (entry: JsonObject) => textAt(entry, 'name') }
  return [
    ...named,
    ...listErrors(alternatives, `${path}.firstAvailable`, rules, (entry, at) => [
      ...labelErrors(textAt(entry, 'name'), `${at}.name`),
      ...wishErrors(entry, at),
    ]),
  ]
}

/** What a request and each of its alternatives say about the devices they want. */
function wishErrors(wish: JsonObject, path: string): FieldError[] {
  return [
    ...classNameErrors(textAt(wish, 'deviceClassName'), `${path}.deviceClassName`),
    ...selectorErrors(wish, path),
    ...countErrors(wish, path),
    ...tolerationErrors(wish, path),
  ]
}

function countErrors(wish: JsonObject, path: string): FieldError[] {
  const mode = textAt(wish, 'allocationMode')
  const count = numberAt(wish, 'count') ?? 0
  if (mode === 'All') {
    const detail = "must not be specified when allocationMode is 'All'"
    return count === 0 ? [] : [invalidValue(`${path}.count`, count, detail)]
  }
  if (mode !== 'ExactCount') return [notSupported(`${path}.allocationMode`, mode, MODES)]
  return count > 0 ? [] : [invalidValue(`${path}.count`, count, 'must be greater than zero')]
}

function attributeErrors(constraint: JsonObject, path: string): FieldError[] {
  for (const field of ['matchAttribute', 'distinctAttribute']) {
    const name = constraint[field]
    if (typeof name === 'string') return fullyQualifiedNameErrors(name, `${path}.${field}`)
  }
  return [required(path, ONE_ATTRIBUTE)]
}

// --- references to requests

/** Checks `requests` of anything in a claim or its status: each is a request of the claim, or one of its alternatives. */
export function requestReferences(
  spec: JsonObject,
): (holder: JsonObject, path: string) => FieldError[] {
  const refer = requestReference(spec)
  return (holder, path) =>
    listErrors(
      textsAt(holder, 'requests'),
      `${path}.requests`,
      { max: LIST_MAX, keyOf: name => name },
      refer,
    )
}

/** Checks one such name. */
export function requestReference(spec: JsonObject): (name: string, path: string) => FieldError[] {
  const known = new Map(
    objectsAt(spec, 'devices.requests').map(request => [
      textAt(request, 'name'),
      objectsAt(request, 'firstAvailable').map(entry => textAt(entry, 'name')),
    ]),
  )
  return (name, path) => {
    const [request = '', alternative, ...more] = name.split('/')
    if (more.length > 0) return [invalidValue(path, name, A_REQUEST)]
    const parts = alternative === undefined ? [request] : [request, alternative]
    const alternatives = known.get(request)
    const isKnown =
      alternatives !== undefined &&
      (alternative === undefined || alternatives.includes(alternative))
    return [
      ...parts.flatMap(part => labelErrors(part, path)),
      ...(isKnown ? [] : [invalidValue(path, name, A_REQUEST)]),
    ]
  }
}

// --- templates and classes

/** Everything wrong with a ResourceClaimTemplate; the claims that are made of it have labels and annotations only. */
export function templateErrors(obj: KubeObject): FieldError[] {
  const { labels: _labels, annotations: _annotations, ...more } = objectAt(obj, 'spec.metadata')
  return [
    ...validateAnnotations(mapAt(obj, 'spec.metadata.annotations'), 'spec.metadata.annotations'),
    ...validateLabels(mapAt(obj, 'spec.metadata.labels'), 'spec.metadata.labels'),
    ...Object.keys(more).map(field =>
      // NOTE: upstream makes the name of the field of Go's.
      forbiddenField(`spec.metadata.${field === 'uid' ? 'uID' : field}`, 'cannot be set'),
    ),
    ...claimSpecErrors(objectAt(obj, 'spec.spec'), 'spec.spec'),
  ]
}

/** Everything wrong with a DeviceClass; what an update leaves alone may stay as it is. */
export function classErrors(obj: KubeObject, old?: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const isKept = (field: string) =>
    old !== undefined && equalJson(spec[field], valueAt(old, ['spec', field]))
  const name = spec.extendedResourceName
  const path = 'spec.extendedResourceName'
  const isBad = typeof name === 'string' && !isExtendedResourceName(name)
  return [
    ...(isKept('selectors') ? [] : selectorErrors(spec, 'spec')),
    ...(isKept('config')
      ? []
      : listErrors(
          objectsAt(spec, 'config'),
          'spec.config',
          { max: LIST_MAX },
          configurationErrors,
        )),
    ...(isBad ? [invalidValue(path, name, 'must be a valid extended resource name')] : []),
  ]
}

// --- admin access

/** Access to devices that others use is for namespaces that are marked for it. */
export function adminAccessErrors(spec: JsonObject, ctx: RuleContext): FieldError[] {
  const requests = objectsAt(spec, 'devices.requests')
  const index = requests.findIndex(request => valueAt(request, 'exactly.adminAccess') === true)
  if (index < 0) return []
  return markedNamespaceErrors(ctx, `spec.devices.requests[${index}].adminAccess`)
}

/** One error when the namespace of a request is not marked. */
export function markedNamespaceErrors(
  { namespace, services }: RuleContext,
  path: string,
): FieldError[] {
  const labels = services.lookup(NAMESPACES, '', namespace)?.metadata.labels ?? {}
  if (labels[ADMIN_LABEL] === 'true') return []
  const detail = `admin access to devices requires the \`${ADMIN_LABEL}: true\` label on the containing namespace`
  return [forbiddenField(path, detail)]
}

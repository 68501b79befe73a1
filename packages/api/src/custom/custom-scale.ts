// The scale subresource of a custom resource: an autoscaling/v1 Scale over the paths its CRD names, and what must hold
// there. Pure; called by resource-from-crd.ts.
// Ref: apiextensions-apiserver/pkg/registry/customresource/{etcd,validator}.go

import {
  badRequest,
  builtinSchema,
  type FieldError,
  goTypeName,
  internalError,
  invalidValue,
  isInt64,
  isObject,
  type JsonNumber,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  printGo,
  type ReplicasPaths,
  type SchemaNode,
  setOwn,
} from '@podless/apimachinery'
import type { VirtualSubresource } from '../resource.ts'
import { SCALE_COLUMNS } from '../resources/scale.ts'

export interface ScalePaths extends JsonObject {
  specReplicasPath: string
  statusReplicasPath: string
  labelSelectorPath?: string
}

const GVK = { group: 'autoscaling', version: 'v1', kind: 'Scale' }
const INT32_MAX = 2 ** 31 - 1
/** Stands for replicas that were never set, so that a patch can tell. */
const UNSET = -(2 ** 31)

type Read<T> = { readonly value: T | undefined } | { readonly error: string }

const namesOf = (path: string): readonly string[] => path.replace(/^\./, '').split('.')

/** The value at a path, or why it can not be there, in the words of unstructured.NestedInt64 and NestedString. */
function read(obj: JsonObject, path: string): Read<JsonValue> {
  const names = namesOf(path)
  let value: JsonValue | undefined = obj
  for (const [i, name] of names.entries()) {
    if (value === undefined || value === null) return { value: undefined }
    if (!isObject(value)) return wrongType(names.slice(0, i), value, 'map[string]interface{}')
    value = Object.hasOwn(value, name) ? value[name] : undefined
  }
  return { value }
}

function wrongType(
  names: readonly string[],
  value: JsonValue,
  expected: string,
): { readonly error: string } {
  const at = `.${names.join('.')}`
  return {
    error: `${at} accessor error: ${printGo(value)} is of the type ${goTypeName(value)}, expected ${expected}`,
  }
}

function readInteger(obj: JsonObject, path: string): Read<JsonNumber> {
  const found = read(obj, path)
  if ('error' in found || found.value === undefined) return found as Read<JsonNumber>
  if (isInt64(found.value)) return { value: found.value }
  return wrongType(namesOf(path), found.value, 'int64')
}

function readText(obj: JsonObject, path: string): Read<string> {
  const found = read(obj, path)
  if ('error' in found || found.value === undefined) return found as Read<string>
  return typeof found.value === 'string'
    ? { value: found.value }
    : wrongType(namesOf(path), found.value, 'string')
}

/** What is wrong with an object's replicas and selector; `part` is 'status' when only the status is new. */
export function scaleErrors(
  paths: ScalePaths | undefined,
  obj: KubeObject,
  part: 'object' | 'status',
): FieldError[] {
  if (paths === undefined) return []
  const errors = part === 'object' ? replicaErrors(obj, paths.specReplicasPath) : []
  errors.push(...replicaErrors(obj, paths.statusReplicasPath))
  const { labelSelectorPath } = paths
  const text = labelSelectorPath === undefined ? undefined : readText(obj, labelSelectorPath)
  if (text !== undefined && 'error' in text)
    errors.push(invalidValue(labelSelectorPath ?? '', '', text.error))
  return errors
}

function replicaErrors(obj: KubeObject, path: string): FieldError[] {
  const found = readInteger(obj, path)
  if ('error' in found) return [invalidValue(path, 0, found.error)]
  const { value = 0 } = found
  if (value < 0) return [invalidValue(path, value, 'should be a non-negative integer')]
  if (value <= INT32_MAX) return []
  return [invalidValue(path, value, `should be less than or equal to ${INT32_MAX}`)]
}

/** Where each version of a kind has its replicas: undefined for one without a scale. */
export function replicasPathsOf(
  group: string,
  versions: readonly { readonly name: string; readonly subresources?: { scale?: ScalePaths } }[],
): ReplicasPaths {
  return new Map(
    versions.map(({ name, subresources }) => {
      const path = subresources?.scale?.specReplicasPath
      return [`${group}/${name}`, path === undefined ? undefined : namesOf(path)]
    }),
  )
}

/**
 * The door itself. Throws 400 where the object does not hold what the paths promise.
 * `replicasPaths`: where each version of the kind has its replicas.
 */
export function scaleDoor(paths: ScalePaths, replicasPaths: ReplicasPaths): VirtualSubresource {
  return {
    type: 'virtual',
    gvk: GVK,
    verbs: ['get', 'patch', 'update'],
    get schema(): SchemaNode {
      return builtinSchema(GVK)!
    },
    columns: SCALE_COLUMNS,
    get: parent => shownScale(paths, parent),
    before: parent => scaleOf(paths, parent, replicasOf(paths, parent) ?? UNSET),
    replicasPaths,
    update: (body, parent) => applyScale(paths, body, parent),
  }
}

function orRefuse<T>(found: Read<T>): T | undefined {
  if ('error' in found) throw badRequest(found.error)
  return found.value
}

const replicasOf = (paths: ScalePaths, parent: KubeObject): JsonNumber | undefined =>
  orRefuse(readInteger(parent, paths.specReplicasPath))

/** Throws 500 where no replicas are set, as upstream does. */
function shownScale(paths: ScalePaths, parent: KubeObject): KubeObject {
  const wanted = replicasOf(paths, parent)
  if (wanted !== undefined) return scaleOf(paths, parent, wanted)
  const at = JSON.stringify(paths.specReplicasPath)
  throw internalError(`the spec replicas field ${at} does not exist`)
}

function scaleOf(paths: ScalePaths, parent: KubeObject, wanted: JsonNumber): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata
  const { labelSelectorPath } = paths
  const text = labelSelectorPath === undefined ? '' : orRefuse(readText(parent, labelSelectorPath))
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: wanted === 0 ? {} : { replicas: wanted },
    status: {
      replicas: orRefuse(readInteger(parent, paths.statusReplicasPath)) ?? 0,
      ...(text === undefined || text === '' ? {} : { selector: text }),
    },
  } as KubeObject
}

function applyScale(paths: ScalePaths, body: KubeObject, parent: KubeObject): KubeObject {
  const replicas = isObject(body.spec) ? body.spec.replicas : undefined
  const wanted = typeof replicas === 'number' ? replicas : 0
  if (wanted === UNSET) {
    const at = JSON.stringify(paths.specReplicasPath)
    throw badRequest(`the spec replicas field ${at} cannot be empty`)
  }
  setPath(parent, paths.specReplicasPath, wanted)
  const { resourceVersion } = body.metadata
  if (resourceVersion !== undefined) parent.metadata.resourceVersion = resourceVersion
  return parent
}

function setPath(target: JsonObject, path: string, value: JsonValue): void {
  const names = [...namesOf(path)]
  const last = names.pop() ?? ''
  let parent = target
  for (const name of names) {
    const child = Object.hasOwn(parent, name) ? parent[name] : undefined
    if (isObject(child)) parent = child
    else {
      const made: JsonObject = {}
      setOwn(parent, name, made)
      parent = made
    }
  }
  setOwn(parent, last, value)
}

// Makes the Resource of a built-in kind out of what is special about it; the rest follows one convention.
// Called by resources/*; calls the built-in schemas, lazily. Ref: kubernetes/pkg/registry/*/rest/storage_*.go

import {
  assert,
  builtinSchema,
  type GroupVersionKind,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  type SchemaNode,
} from '@podless/apimachinery'
import type {
  Column,
  NodeSubresource,
  Resource,
  ResourceVerb,
  StoredSubresource,
  Strategy,
  Subresource,
} from '../resource.ts'
import { AGE, NAME } from './columns.ts'

/** What discovery lists for a resource that can do everything. */
export const ALL_VERBS: readonly ResourceVerb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
]
const DOOR_VERBS: readonly ResourceVerb[] = ['get', 'patch', 'update']

type StatusRules = Partial<Pick<StoredSubresource, 'validateUpdate' | 'merge' | 'resetFields'>>

export interface BuiltinSpec {
  readonly group: string
  /** v1 unless given. */
  readonly version?: string
  readonly kind: string
  readonly plural: string
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  /** True unless given. */
  readonly namespaced?: boolean
  readonly verbs?: readonly ResourceVerb[]
  /** `/registry/<plural>` unless given. */
  readonly keyPrefix?: string
  readonly storageVersion?: string
  /** True when /status is a door of its own; an object to refine that door. */
  readonly status?: boolean | StatusRules
  readonly strategy?: Strategy
  /** Name and Age unless given. */
  readonly columns?: readonly Column[]
  readonly selectableFields?: Readonly<Record<string, (obj: KubeObject) => string>>
  readonly subresources?: Readonly<Record<string, Subresource>>
  /** What a PUT of the main resource may not change; keeps status when `status` is set and this is not. */
  readonly merge?: Resource['merge']
  readonly more?: Pick<
    Resource,
    | 'onRead'
    | 'onStore'
    | 'ttlSeconds'
    | 'returnsDeleted'
    | 'resetFields'
    | 'errorGroup'
    | 'deprecationWarning'
  >
}

/** A Resource of a kind in the built-in field table. */
export function builtin(spec: BuiltinSpec): Resource {
  const { group, version = 'v1', kind, plural, status = false } = spec
  const gvk = { group, version, kind }
  const subresources = new Map(Object.entries(spec.subresources ?? {}))
  if (status !== false) subresources.set('status', statusDoor(status === true ? {} : status))
  const merge = spec.merge ?? (status === false ? undefined : keepStatus)
  return {
    gvr: { group, version, resource: plural },
    names: {
      plural,
      singular: kind.toLowerCase(),
      kind,
      listKind: `${kind}List`,
      ...(spec.shortNames === undefined ? {} : { shortNames: spec.shortNames }),
      ...(spec.categories === undefined ? {} : { categories: spec.categories }),
    },
    namespaced: spec.namespaced ?? true,
    verbs: spec.verbs ?? ALL_VERBS,
    storageVersion: spec.storageVersion ?? version,
    keyPrefix: spec.keyPrefix ?? `/registry/${plural}`,
    get schema(): SchemaNode {
      return schemaOf(gvk)
    },
    strategy: { allowUnconditionalUpdate: true, ...spec.strategy },
    subresources,
    columns: spec.columns ?? [NAME, AGE],
    selectableFields: new Map(Object.entries(spec.selectableFields ?? {})),
    ...(merge === undefined ? {} : { merge }),
    ...(status === false ? {} : { dropStatusOnCreate: (obj: KubeObject) => emptyStatus(obj, gvk) }),
    ...spec.more,
  }
}

/** The schema of a built-in kind, which must exist. */
export function schemaOf(gvk: GroupVersionKind): SchemaNode {
  const schema = builtinSchema(gvk)
  assert(schema !== undefined, `no schema for ${gvk.group}/${gvk.version} ${gvk.kind}`)
  return schema
}

/** /status: everything but metadata and status stays as it is. */
export function statusDoor(refined: StatusRules = {}): StoredSubresource {
  return { type: 'stored', verbs: DOOR_VERBS, merge: onlyFields('status'), ...refined }
}

/** A door that takes metadata and these fields from what was sent, and the rest from what is stored. */
export function onlyFields(...fields: readonly string[]): StoredSubresource['merge'] {
  return (sent, live) => copyFields({ ...live, metadata: sent.metadata }, sent, fields)
}

/** A main door that takes everything from what was sent but these fields. */
export function allButFields(...fields: readonly string[]): NonNullable<Resource['merge']> {
  return (sent, live) => copyFields({ ...sent }, live, fields)
}

const keepStatus = allButFields('status')

function copyFields(target: KubeObject, source: KubeObject, fields: readonly string[]): KubeObject {
  for (const field of fields) {
    if (source[field] === undefined) delete target[field]
    else target[field] = source[field]
  }
  return target
}

/** What Go writes for a status that nobody has set: nothing, or the fields that are never left out. */
function emptyStatus(obj: KubeObject, gvk: GroupVersionKind): void {
  const node = schemaOf(gvk).properties?.get('status')
  delete obj.status
  if (node?.presence === 'always') obj.status = zeroOf(node)
}

/** The zero value of a built-in field, with the fields that Go never leaves out. */
export function zeroOf(node: SchemaNode): JsonValue {
  if (node.nullable === true) return null
  if (node.type === 'string' || node.intOrString === true) return ''
  if (node.type === 'boolean') return false
  if (node.type === 'integer' || node.type === 'number') return 0
  if (node.type === 'array') return []
  const zero: JsonObject = {}
  for (const [name, field] of node.properties ?? []) {
    if (field.presence === 'always') zero[name] = zeroOf(field)
  }
  return zero
}

/** A subresource that only an agent on a node could serve. */
export function nodeOnly(verbs: readonly ResourceVerb[], gvk?: GroupVersionKind): NodeSubresource {
  return { type: 'node', verbs, ...(gvk === undefined ? {} : { gvk }) }
}

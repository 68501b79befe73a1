// An object between its stored form and its served form: storage version on write, served version on read, bytes spliced
// instead of parsed wherever nothing but the apiVersion differs. Used by write.ts, respond.ts and the controllers.

import { apiVersionOf, cloneJson, type KubeObject } from '@podless/apimachinery'
import type { StoredObject } from '@podless/storage'
import type { Resource } from './resource.ts'

/** The key an object of this resource is stored under. */
export function keyOf(resource: Resource, namespace: string, name: string): string {
  return resource.namespaced
    ? `${resource.keyPrefix}/${namespace}/${name}`
    : `${resource.keyPrefix}/${name}`
}

/** The prefix of a collection; all namespaces when `namespace` is empty. */
export function prefixOf(resource: Resource, namespace: string): string {
  return namespace === '' || !resource.namespaced
    ? `${resource.keyPrefix}/`
    : `${resource.keyPrefix}/${namespace}/`
}

const headOf = (apiVersion: string, kind: string): string =>
  `{"apiVersion":${JSON.stringify(apiVersion)},"kind":${JSON.stringify(kind)},`

/** The bytes to store: wire order, the storage version's apiVersion, no resourceVersion. */
export function encodeForStorage(obj: KubeObject, resource: Resource): Buffer {
  const form = storedForm(obj, resource)
  const { apiVersion, kind: _kind, metadata, ...rest } = form
  const { resourceVersion: _revision, ...meta } = metadata
  return Buffer.from(
    JSON.stringify({ apiVersion, kind: resource.names.kind, metadata: meta, ...rest }),
  )
}

function storedForm(obj: KubeObject, resource: Resource): KubeObject {
  const { group } = resource.gvr
  const form = resource.onStore === undefined ? { ...obj } : cloneJson(obj)
  form.apiVersion = apiVersionOf({ group, version: resource.storageVersion })
  resource.onStore?.(form)
  return form
}

/** The object as this resource's version serves it; the caller owns it. */
export function decodeStored(stored: StoredObject, resource: Resource): KubeObject {
  const obj = JSON.parse(stored.bytes.toString()) as KubeObject
  const storedAs = obj.apiVersion
  obj.apiVersion = apiVersionOf(resource.gvr)
  resource.onRead?.(obj, storedAs)
  return obj
}

/** Names the form in which a resource shows stored objects: the key of whatever is kept beside one. */
export const servedForm = ({ gvr, edition = '' }: Resource): string =>
  `${gvr.group}/${gvr.version}/${edition}`

/** The object's JSON as this resource's version serves it, shared between all who ask for it. */
export function servedBytes(stored: StoredObject, resource: Resource): Buffer {
  if (resource.onRead === undefined && storedAsServed(stored, resource)) return stored.bytes
  const memoKey = `json:${servedForm(resource)}`
  const known = stored.memo.get(memoKey)
  if (known !== undefined) return known as Buffer
  const bytes = convertBytes(stored, resource)
  stored.memo.set(memoKey, bytes)
  return bytes
}

const storedAsServed = (stored: StoredObject, resource: Resource): boolean =>
  stored.header.apiVersion === apiVersionOf(resource.gvr)

function convertBytes(stored: StoredObject, resource: Resource): Buffer {
  const tail = resource.onRead === undefined ? tailOf(stored) : undefined
  if (tail === undefined) return Buffer.from(JSON.stringify(decodeStored(stored, resource)))
  return Buffer.concat([Buffer.from(headOf(apiVersionOf(resource.gvr), resource.names.kind)), tail])
}

/** Everything after apiVersion and kind, or undefined when the bytes do not begin with them. */
function tailOf(stored: StoredObject): Buffer | undefined {
  const head = headOf(stored.header.apiVersion, stored.header.kind)
  const { bytes } = stored
  return bytes.toString('latin1', 0, head.length) === head ? bytes.subarray(head.length) : undefined
}

const OPEN_BRACE = Buffer.from('{')

/**
 * The chunks of one list item. Built-in items carry no apiVersion and kind, custom resources do.
 * Ref: apiserver/pkg/endpoints/handlers: typed lists lose the TypeMeta of their items.
 */
export function listItemChunks(stored: StoredObject, resource: Resource): readonly Buffer[] {
  if (resource.crd !== undefined) return [servedBytes(stored, resource)]
  const tail = resource.onRead === undefined ? tailOf(stored) : undefined
  if (tail !== undefined) return [OPEN_BRACE, tail]
  const { apiVersion: _version, kind: _kind, ...rest } = decodeStored(stored, resource)
  return [Buffer.from(JSON.stringify(rest))]
}

// An object between its stored form and its served form: storage version on write, served version on read, bytes spliced
// instead of parsed wherever nothing but the apiVersion differs. Used by writing/*, respond.ts and the controllers.

import { apiVersionOf, assert, cloneJson, type KubeObject, parseExact } from '@podless/apimachinery'
import { encodeObject, parseObject, type StoredObject } from '@podless/storage'
import type { Conversion, Resource } from '../resource.ts'
import { forget, recall, remember } from './served-memo.ts'

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
  return encode(storedForm(obj, resource), resource)
}

function encode(form: KubeObject, resource: Resource): Buffer {
  return encodeObject({ ...form, kind: resource.names.kind })
}

/** encodeForStorage where a webhook may have to convert the object first. Throws 500. */
export async function convertForStorage(obj: KubeObject, resource: Resource): Promise<Buffer> {
  const { conversion, gvr, storageVersion } = resource
  if (conversion === undefined || gvr.version === storageVersion)
    return encodeForStorage(obj, resource)
  return encode(await conversion.toStored(obj), resource)
}

/** Whether another write would store the object in another version than it is in. */
export function isStoredAnew({ header }: StoredObject, resource: Resource): boolean {
  const { crd, gvr, storageVersion } = resource
  return (
    crd !== undefined &&
    header.apiVersion !== apiVersionOf({ group: gvr.group, version: storageVersion })
  )
}

function storedForm(obj: KubeObject, resource: Resource): KubeObject {
  const { group } = resource.gvr
  const form = resource.onStore === undefined ? { ...obj } : cloneJson(obj)
  form.apiVersion = apiVersionOf({ group, version: resource.storageVersion })
  resource.onStore?.(form)
  return form
}

/**
 * The object as this resource's version serves it; the caller owns it. Where a webhook converts, convertStored comes
 * first.
 */
export function decodeStored(stored: StoredObject, resource: Resource): KubeObject {
  if (isConverted(stored, resource))
    return parseExact(convertedBytes(stored, resource).toString()) as KubeObject
  const obj = parseExact(stored.bytes.toString()) as KubeObject
  const storedAs = obj.apiVersion
  obj.apiVersion = apiVersionOf(resource.gvr)
  resource.onRead?.(obj, storedAs)
  return obj
}

/** The object's JSON as this resource's version serves it, shared between all who ask for it. */
export function servedBytes(stored: StoredObject, resource: Resource): Buffer {
  if (resource.onRead === undefined && storedAsServed(stored, resource)) return stored.bytes
  if (isConverted(stored, resource)) return convertedBytes(stored, resource)
  const known = recall(stored, 'json', resource)
  if (known !== undefined) return known as Buffer
  const bytes = convertBytes(stored, resource)
  remember(stored, 'json', resource, bytes)
  return bytes
}

const storedAsServed = (stored: StoredObject, resource: Resource): boolean =>
  stored.header.apiVersion === apiVersionOf(resource.gvr)

const isConverted = (stored: StoredObject, resource: Resource): boolean =>
  resource.conversion !== undefined && !storedAsServed(stored, resource)

function convertedBytes(stored: StoredObject, resource: Resource): Buffer {
  const bytes = recall(stored, 'converted', resource)
  assert(bytes !== undefined, `${stored.key} was read before it was converted`)
  return bytes as Buffer
}

/** False while only its webhook could say how this version shows the object. */
export const isReadable = (stored: StoredObject, resource: Resource): boolean =>
  !isConverted(stored, resource) || recall(stored, 'converted', resource) !== undefined

/**
 * Has a webhook convert what this version cannot show otherwise, once for each object and version. Undefined when there
 * is nothing to wait for, which is always so without a webhook. Rejects with 500.
 */
export function convertStored(
  items: readonly StoredObject[],
  resource: Resource,
): Promise<void> | undefined {
  const { conversion } = resource
  if (conversion === undefined) return undefined
  const missing = items.filter(stored => !isReadable(stored, resource))
  return missing.length === 0 ? undefined : convertMissing(missing, resource, conversion)
}

/** Webhooks get about this much in one review. */
const REVIEW_OBJECTS_MAX = 250
const REVIEW_BYTES_MAX = 1024 * 1024

async function convertMissing(
  missing: readonly StoredObject[],
  resource: Resource,
  conversion: Conversion,
): Promise<void> {
  const rest = [...missing]
  while (rest.length > 0) {
    const underWay = new Set<Promise<void>>()
    const batch: StoredObject[] = []
    let bytes = 0
    while (rest.length > 0 && batch.length < REVIEW_OBJECTS_MAX && bytes < REVIEW_BYTES_MAX) {
      const stored = rest.shift()!
      const pending = recall(stored, 'converting', resource) as Promise<void> | undefined
      if (pending !== undefined) underWay.add(pending)
      else if (!isReadable(stored, resource)) {
        batch.push(stored)
        bytes += stored.bytes.length
      }
    }
    const made = convertBatch(batch, resource, conversion)
    for (const stored of batch) remember(stored, 'converting', resource, made)
    try {
      await Promise.all([...underWay, made])
    } finally {
      for (const stored of batch) forget(stored, 'converting', resource)
    }
  }
}

async function convertBatch(
  batch: readonly StoredObject[],
  resource: Resource,
  conversion: Conversion,
): Promise<void> {
  if (batch.length === 0) return
  const objects = await conversion.fromStored(batch.map(parseObject))
  for (const [i, stored] of batch.entries())
    remember(stored, 'converted', resource, Buffer.from(JSON.stringify(objects[i])))
}

/** decodeStored where a webhook may have to convert the object first. Throws 500. */
export async function readStored(stored: StoredObject, resource: Resource): Promise<KubeObject> {
  await convertStored([stored], resource)
  return decodeStored(stored, resource)
}

/** The object for those who care for its metadata only: no webhook is asked, it stays in the version it is stored in. */
export function decodeUnconverted(stored: StoredObject, resource: Resource): KubeObject {
  return resource.conversion === undefined ? decodeStored(stored, resource) : parseObject(stored)
}

/** The way back of decodeUnconverted. */
export function encodeUnconverted(obj: KubeObject, resource: Resource): Buffer {
  return resource.conversion === undefined ? encodeForStorage(obj, resource) : encode(obj, resource)
}

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

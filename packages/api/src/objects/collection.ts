// What list, watch and deletecollection share: which objects of a collection a request is about.
// Called by verbs/list, watch, delete-collection.

import {
  checkFieldLabels,
  type FieldSelector,
  type ListOptions,
  parseListOptions,
} from '@podless/apimachinery'
import type { Predicate, StoredObject } from '@podless/storage'
import type { RequestContext } from '../context.ts'
import type { Resource } from '../resource.ts'
import { recall, remember } from './served-memo.ts'
import { decodeStored, decodeUnconverted, isReadable, keyOf, prefixOf } from './stored-form.ts'

export interface Collection {
  /** With trailing slash. */
  readonly prefix: string
  /** Set when the request can only be about this one object. */
  readonly key: string | undefined
  /** Undefined when every object under the prefix belongs. */
  readonly predicate: Predicate | undefined
}

/** List options of a request; throws 400 and 422. A legacy watch path watches whatever the query says. */
export function collectionOptions(ctx: RequestContext): ListOptions {
  if (ctx.info.verb !== 'watch') return parseListOptions(ctx.query)
  const query = new URLSearchParams(ctx.query)
  query.set('watch', 'true')
  return parseListOptions(query)
}

/** Throws 400 for a field that cannot be selected by. */
export function collectionOf(ctx: RequestContext, options: ListOptions): Collection {
  const { resource, info } = ctx
  const { labelSelector, fieldSelector } = options
  const custom = resource.crd === undefined ? undefined : resource
  checkFieldLabels(fieldSelector, resource.selectableFields, custom)
  const single = info.name === '' ? singleName(fieldSelector) : info.name
  const namespace =
    info.namespace === '' ? singleNamespace(resource, fieldSelector) : info.namespace
  const located = !resource.namespaced || namespace !== ''
  const prefix = prefixOf(resource, namespace)
  const key = single !== undefined && located ? keyOf(resource, namespace, single) : undefined
  if (labelSelector.empty && fieldSelector.empty) return { prefix, key, predicate: undefined }
  return {
    prefix,
    key,
    predicate: stored =>
      (labelSelector.empty || labelSelector.matches(stored.header.labels)) &&
      (fieldSelector.empty || fieldSelector.matches(field => fieldOf(stored, resource, field))),
  }
}

const equals = (selector: FieldSelector, field: string): string | undefined =>
  selector.requirements.find(
    item => item.field === field && item.op === '=' && isSegment(item.value),
  )?.value

const isSegment = (value: string): boolean => value !== '' && !value.includes('/')
const singleName = (selector: FieldSelector): string | undefined =>
  equals(selector, 'metadata.name')
const singleNamespace = (resource: Resource, selector: FieldSelector): string =>
  resource.namespaced ? (equals(selector, 'metadata.namespace') ?? '') : ''

/** A selectable field's value, kept beside the object once asked for. */
function fieldOf(stored: StoredObject, resource: Resource, field: string): string {
  if (field === 'metadata.name') return stored.header.name
  if (field === 'metadata.namespace') return stored.header.namespace
  // Who selects among converted objects converts them first; this cannot wait, and must not fail inside the cache.
  if (!isReadable(stored, resource))
    return resource.selectableFields.get(field)?.(decodeUnconverted(stored, resource)) ?? ''
  let fields = recall(stored, 'fields', resource) as Map<string, string> | undefined
  if (fields === undefined) {
    const obj = decodeStored(stored, resource)
    fields = new Map([...resource.selectableFields].map(([name, read]) => [name, read(obj)]))
    remember(stored, 'fields', resource, fields)
  }
  return fields.get(field) ?? ''
}

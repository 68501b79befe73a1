// Chooses how an answer is written (JSON, YAML, protobuf, Table, PartialObjectMetadata) and writes it around bytes that
// are already encoded. Called by verbs. Ref: apiserver/pkg/endpoints/handlers/response.go

import {
  apiVersionOf,
  encodeProtobuf,
  encodeYaml,
  failure,
  type JsonObject,
  type KubeObject,
  type MediaChoice,
  negotiate,
} from '@podless/apimachinery'
import type { StoredObject } from '@podless/storage'
import type { RequestContext } from '../context.ts'
import { partialMetadata, partialMetadataList } from '../discovery/partial-metadata.ts'
import { checkIncludeObject, tableOf } from '../discovery/table.ts'
import type { Column, Resource } from '../resource.ts'
import type { Reply } from '../serving/exchange.ts'
import { convertStored, decodeStored, listItemChunks, servedBytes } from './stored-form.ts'

export interface ListAnswer {
  readonly items: readonly StoredObject[]
  readonly revision: number
  readonly continue?: string
  readonly remainingItemCount?: number
}

/** The representation a request accepts. Throws 406. `stream` is set for watches. */
export function chooseMedia(ctx: RequestContext, options: { stream?: boolean } = {}): MediaChoice {
  const { request, resource, info, query } = ctx
  const media = negotiate(request.header('accept'), {
    protobuf: resource.crd === undefined,
    pretty: query.get('pretty'),
    userAgent: request.header('user-agent'),
    stream: options.stream === true,
    tables: columnsOf(ctx) !== undefined,
    collection: info.name === '' && (info.verb === 'list' || info.verb === 'watch'),
  })
  if (media.as === 'Table' && options.stream === true) checkIncludeObject(includeObjectOf(ctx))
  return media
}

/** Undefined for what is answered and never stored, as reviews and tokens: they have no Table. */
function columnsOf({ resource, subresource }: RequestContext): readonly Column[] | undefined {
  if (subresource?.type === 'virtual') return subresource.columns
  return resource.create === undefined ? resource.columns : undefined
}

/** Table only: what of the object rides along in each row. */
export function includeObjectOf({ query }: RequestContext): string {
  return query.get('includeObject') ?? ''
}

/** Answers an object that the cache or a write gave us. */
export function respondStored(
  ctx: RequestContext,
  stored: StoredObject,
  code = 200,
): Reply | Promise<Reply> {
  const wait = convertStored([stored], ctx.resource)
  if (wait === undefined) return storedReply(ctx, stored, code)
  return wait.then(() => storedReply(ctx, stored, code))
}

function storedReply(ctx: RequestContext, stored: StoredObject, code: number): Reply {
  const media = chooseMedia(ctx)
  if (media.format === 'json' && media.as === undefined && !media.pretty) {
    return bytesReply(code, media, Buffer.concat([servedBytes(stored, ctx.resource), NEWLINE]))
  }
  return respondObject(ctx, decodeStored(stored, ctx.resource), code)
}

/** Answers an object that is not stored: dry runs and virtual resources. */
export function respondObject(ctx: RequestContext, obj: KubeObject, code = 200): Reply {
  const media = chooseMedia(ctx)
  return bytesReply(code, media, encodeValue(shapeOne(ctx, media, obj), media))
}

function shapeOne(ctx: RequestContext, media: MediaChoice, obj: KubeObject): JsonObject {
  if (media.as === 'Table') {
    return tableOf(
      columnsOf(ctx) ?? [],
      [obj],
      tableOptions(ctx, media, { resourceVersion: obj.metadata.resourceVersion }),
    )
  }
  if (media.as === 'PartialObjectMetadataList') throw notAList(ctx)
  return media.as === 'PartialObjectMetadata' ? partialMetadata(obj, media.asVersion) : obj
}

/** The type of the answer as upstream's texts name it: built-ins by their internal Go type. */
function goTypeOf({ resource }: RequestContext, suffix: '' | 'List'): string {
  if (resource.crd !== undefined) return `*unstructured.Unstructured${suffix}`
  const [first = ''] = resource.gvr.group.split('.')
  const goPackage = first === '' || first === 'events' ? 'core' : first
  return `*${goPackage}.${resource.names.kind}${suffix}`
}

function notAList(ctx: RequestContext): Error {
  // A custom resource passes for a list until its items are asked for.
  if (ctx.resource.crd !== undefined)
    return failure({ code: 500, message: 'content is not a list' })
  return wrongShape(
    `you requested PartialObjectMetadataList, but the requested object is not a list (${goTypeOf(ctx, '')})`,
  )
}

const wrongShape = (message: string): Error =>
  failure({ code: 406, reason: 'NotAcceptable', message })

/** Answers a list; plain JSON is written item by item around the encoded objects. */
export function respondList(ctx: RequestContext, answer: ListAnswer): Reply | Promise<Reply> {
  const wait = convertStored(answer.items, ctx.resource)
  return wait === undefined ? listReply(ctx, answer) : wait.then(() => listReply(ctx, answer))
}

function listReply(ctx: RequestContext, answer: ListAnswer): Reply {
  const media = chooseMedia(ctx)
  if (media.format === 'json' && media.as === undefined && !media.pretty) {
    return {
      code: 200,
      contentType: media.contentType,
      body: { type: 'chunks', chunks: listChunks(ctx.resource, answer) },
    }
  }
  return bytesReply(200, media, encodeValue(shapeList(ctx, media, answer), media))
}

function shapeList(ctx: RequestContext, media: MediaChoice, answer: ListAnswer): JsonObject {
  const { resource } = ctx
  const objects = answer.items.map(stored => decodeStored(stored, resource))
  const metadata = listMetadata(answer)
  if (media.as === 'Table')
    return tableOf(resource.columns, objects, tableOptions(ctx, media, metadata))
  if (media.as === 'PartialObjectMetadataList')
    return partialMetadataList(objects, metadata, media.asVersion)
  if (media.as === 'PartialObjectMetadata') {
    throw wrongShape(
      `you requested PartialObjectMetadata, but the requested object is a list (${goTypeOf(ctx, 'List')})`,
    )
  }
  const items = resource.crd === undefined ? objects.map(withoutTypeMeta) : objects
  return { kind: resource.names.listKind, apiVersion: apiVersionOf(resource.gvr), metadata, items }
}

function withoutTypeMeta({
  apiVersion: _apiVersion,
  kind: _kind,
  ...rest
}: KubeObject): JsonObject {
  return rest
}

function tableOptions(
  ctx: RequestContext,
  media: MediaChoice,
  metadata: JsonObject,
): Parameters<typeof tableOf>[2] {
  return {
    metadata,
    includeObject: includeObjectOf(ctx),
    now: ctx.server.now(),
    version: media.asVersion,
  }
}

export function listMetadata(answer: Omit<ListAnswer, 'items'>): JsonObject {
  return {
    resourceVersion: String(answer.revision),
    ...(answer.continue === undefined ? {} : { continue: answer.continue }),
    ...(answer.remainingItemCount === undefined
      ? {}
      : { remainingItemCount: answer.remainingItemCount }),
  }
}

/** Chunks are joined to about this size, so that a list of small objects is few writes. */
const CHUNK_BYTES = 64 * 1024

function* listChunks(resource: Resource, answer: ListAnswer): Generator<Buffer> {
  const { listKind: kind } = resource.names
  const head = JSON.stringify({
    kind,
    apiVersion: apiVersionOf(resource.gvr),
    metadata: listMetadata(answer),
  })
  let pending: Buffer[] = [Buffer.from(`${head.slice(0, -1)},"items":[`)]
  let size = pending[0]!.length
  let first = true
  for (const stored of answer.items) {
    if (!first) pending.push(COMMA)
    first = false
    for (const chunk of listItemChunks(stored, resource)) {
      pending.push(chunk)
      size += chunk.length
    }
    if (size < CHUNK_BYTES) continue
    yield Buffer.concat(pending)
    pending = []
    size = 0
  }
  pending.push(END_OF_LIST)
  yield Buffer.concat(pending)
}

const COMMA = Buffer.from(',')
const NEWLINE = Buffer.from('\n')
const END_OF_LIST = Buffer.from(']}\n')

function bytesReply(code: number, media: MediaChoice, bytes: Buffer | string): Reply {
  return { code, contentType: media.contentType, body: { type: 'bytes', bytes } }
}

/**
 * Encodes any API object in the chosen format. JSON ends its line unless it is indented.
 * Ref: apimachinery/pkg/runtime/serializer/json/json.go doEncode
 */
export function encodeValue(value: JsonObject, media: MediaChoice): Buffer | string {
  if (media.format === 'protobuf') return encodeProtobuf(value)
  if (media.format === 'yaml') return encodeYaml(value)
  return media.pretty ? JSON.stringify(value, undefined, 2) : `${JSON.stringify(value)}\n`
}

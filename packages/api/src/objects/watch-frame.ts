// One watch event as bytes on the wire. JSON frames of an object are made once and shared by every watcher of it.
// Called by verbs/watch.ts. Ref: apiserver/pkg/endpoints/handlers/watch.go, apimachinery/pkg/apis/meta/v1/watch.go

import {
  apiVersionOf,
  encodeProtobuf,
  encodeWatchFrame,
  type JsonObject,
  type MediaChoice,
} from '@podless/apimachinery'
import type { CacheEvent, StoredObject } from '@podless/storage'
import { partialMetadata } from '../discovery/partial-metadata.ts'
import { tableOf } from '../discovery/table.ts'
import type { Resource } from '../resource.ts'
import { recall, remember } from './served-memo.ts'
import { decodeStored, servedBytes } from './stored-form.ts'

/** How one watch's frames look. */
export interface FrameShape {
  readonly resource: Resource
  readonly media: MediaChoice
  /** Table only: whether metadata or whole objects ride along. */
  readonly includeObject: string
  readonly now: () => Date
}

export type WatchEventType = CacheEvent['type'] | 'BOOKMARK' | 'ERROR'

const JSON_END = Buffer.from('}\n')

/** The frame of a change. `withColumns` is true for the first event of a Table watch. */
export function eventFrame(shape: FrameShape, event: CacheEvent, withColumns: boolean): Buffer {
  const { media, resource } = shape
  if (media.as === 'Table')
    return encodeFrame(shape, event.type, tableObject(shape, event.object, withColumns))
  const what = `watch:${event.type}:${media.format}:${media.as ?? ''}:${media.asVersion ?? ''}`
  const known = recall(event.object, what, resource)
  if (known !== undefined) return known as Buffer
  const frame = makeFrame(shape, event)
  remember(event.object, what, resource, frame)
  return frame
}

function makeFrame(shape: FrameShape, { type, object }: CacheEvent): Buffer {
  const { media, resource } = shape
  if (media.format === 'json' && media.as === undefined) {
    return Buffer.concat([
      Buffer.from(`{"type":"${type}","object":`),
      servedBytes(object, resource),
      JSON_END,
    ])
  }
  const obj = decodeStored(object, resource)
  const shown = media.as === 'PartialObjectMetadata' ? partialMetadata(obj, media.asVersion) : obj
  return encodeFrame(shape, type, shown)
}

function tableObject(shape: FrameShape, stored: StoredObject, withColumns: boolean): JsonObject {
  const { resource, media, includeObject, now } = shape
  const table = tableOf(resource.columns, [decodeStored(stored, resource)], {
    metadata: { resourceVersion: String(stored.revision) },
    includeObject,
    now: now(),
    version: media.asVersion,
  })
  return withColumns ? table : { ...table, columnDefinitions: null }
}

/** A bookmark: nothing up to `revision` is missing. `initialEnd` ends a streaming list. */
export function bookmarkFrame(shape: FrameShape, revision: number, initialEnd: boolean): Buffer {
  const { resource, media } = shape
  const partial = media.as === 'PartialObjectMetadata'
  const metaVersion = `meta.k8s.io/${media.asVersion ?? 'v1'}`
  const metadata: JsonObject = {
    resourceVersion: String(revision),
    ...(initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  }
  const object: JsonObject = {
    kind: partial ? 'PartialObjectMetadata' : resource.names.kind,
    apiVersion: partial ? metaVersion : apiVersionOf(resource.gvr),
    metadata,
  }
  if (media.as !== 'Table') return encodeFrame(shape, 'BOOKMARK', object)
  const rows = [{ cells: [], object }]
  return encodeFrame(shape, 'BOOKMARK', {
    kind: 'Table',
    apiVersion: metaVersion,
    metadata,
    columnDefinitions: null,
    rows,
  })
}

/** What went wrong after the first byte: the last frame of a watch. */
export function statusFrame(shape: FrameShape, status: JsonObject): Buffer {
  return encodeFrame(shape, 'ERROR', status)
}

function encodeFrame({ media }: FrameShape, type: WatchEventType, object: JsonObject): Buffer {
  if (media.format === 'protobuf') return encodeWatchFrame(type, encodeProtobuf(object))
  return Buffer.from(`${JSON.stringify({ type, object })}\n`)
}

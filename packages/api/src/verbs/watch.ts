// GET with watch=true: one CacheWatcher written into one Sink, as frames that all watchers share.
// Fan-out: storage/src/cacher.ts (+ cache-watcher.ts); source: storage/src/embedded.ts or etcd.ts.
// Ref: apiserver/pkg/endpoints/handlers/watch.go

import { expired, internalError, type ListOptions, type StatusError } from '@podless/apimachinery'
import {
  type CacheWatcher,
  type Predicate,
  StorageError,
  type StoredObject,
  type WatchEnd,
  type WatchItem,
  type WatchSink,
  watchStart,
  withRevision,
} from '@podless/storage'
import {
  BOOKMARK_INTERVAL_MS,
  LAST_BOOKMARK_MS,
  WATCH_QUEUE_BYTES_MAX,
  WATCH_TIMEOUT_MIN_MS,
} from '../config.ts'
import type { RequestContext } from '../context.ts'
import { statusOf, toStatus } from '../errors.ts'
import { collectionOf, collectionOptions } from '../objects/collection.ts'
import { chooseMedia, includeObjectOf } from '../objects/respond.ts'
import { convertStored } from '../objects/stored-form.ts'
import { bookmarkFrame, eventFrame, type FrameShape, statusFrame } from '../objects/watch-frame.ts'
import type { Reply, Sink } from '../serving/exchange.ts'

export async function watch(ctx: RequestContext): Promise<Reply> {
  const { server, resource } = ctx
  const media = chooseMedia(ctx, { stream: true })
  const options = collectionOptions(ctx)
  const { prefix, key, predicate } = collectionOf(ctx, options)
  const includeObject = includeObjectOf(ctx)
  const shape = { resource, media, includeObject, now: server.now }
  // What a webhook converts can be selected only once it is converted, which the cache does not wait for.
  const late = resource.conversion === undefined ? undefined : predicate
  const stream = new WatchStream(shape, options, late)
  try {
    stream.watcher = await server.storage.watch({
      prefix: key ?? prefix,
      start: watchStart(options),
      sink: stream,
      queueBytesMax: WATCH_QUEUE_BYTES_MAX,
      ...(predicate === undefined || late !== undefined ? {} : { predicate }),
    })
  } catch (error) {
    // A resourceVersion older than the history is told in the stream, as upstream's watch cache does.
    if (!(error instanceof StorageError && error.code === 'compacted')) {
      throw toStatus(error, { gr: resource.gvr, name: '', verb: 'watch' })
    }
    stream.refuse(tooOld(options, error.revision))
  }
  const timeoutMs = timeoutOf(options, server.random)
  return {
    code: 200,
    contentType: media.streamContentType,
    body: {
      type: 'stream',
      start: sink => {
        const closed = server.metrics.openWatch(resource.gvr)
        stream.onFinish = closed
        stream.open(sink, timeoutMs)
        if (resource.crd === undefined || stream.ended) return
        // What it shows is the old schema's; the client comes back and sees the new one's.
        const forget = server.registry.onRetired(resource, () => stream.end())
        stream.onFinish = () => {
          forget()
          closed()
        }
      },
    },
  }
}

function tooOld(options: ListOptions, oldest: number): StatusError {
  return expired(`too old resource version: ${options.resourceVersion} (${oldest})`)
}

/** Seconds in the largest Go duration: upstream's product with a larger number wraps round to below zero. */
const GO_SECONDS_MAX = 9_223_372_036
/** The longest that a timer of Node's runs: 24 days. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Without timeoutSeconds watches end at random times, so that a fleet of clients does not come back at once. */
function timeoutOf(options: ListOptions, random: (below: number) => number): number {
  const asked = options.timeoutSeconds ?? 0
  if (asked === 0) return WATCH_TIMEOUT_MIN_MS + random(WATCH_TIMEOUT_MIN_MS)
  return asked < 0 || asked > GO_SECONDS_MAX ? 0 : Math.min(asked * 1000, TIMER_MS_MAX)
}

function objectsOf(items: readonly WatchItem[], withPrevious: boolean): StoredObject[] {
  return items.flatMap(item => {
    if (item.type === 'INITIAL_EVENTS_END') return []
    return withPrevious && item.previous !== undefined ? [item.object, item.previous] : item.object
  })
}

/** The change as a watch that selects sees it; undefined when it sees none. */
function selected(item: WatchItem, predicate: Predicate | undefined): WatchItem | undefined {
  if (predicate === undefined || item.type === 'INITIAL_EVENTS_END') return item
  const { type, object, previous, revision } = item
  const matches = predicate(object)
  if (type !== 'MODIFIED' || previous === undefined) return matches ? item : undefined
  const matched = predicate(previous)
  if (matches) return matched ? item : { type: 'ADDED', object, previous, revision }
  const left = { type: 'DELETED', previous, revision } as const
  return matched ? { ...left, object: withRevision(previous, revision) } : undefined
}

/** Between the watcher and the sink: holds what comes before the sink is open, then writes frames as events come. */
class WatchStream implements WatchSink {
  watcher: CacheWatcher | undefined
  /** Called once, when a stream that was opened has ended. */
  onFinish = (): void => {}
  readonly #shape: FrameShape
  readonly #options: ListOptions
  readonly #late: Predicate | undefined
  #sink: Sink | undefined
  #early: Buffer[] = []
  #sentColumns = false
  #ended = false
  /** True while events that were handed over wait for a webhook to convert their objects. */
  #converting = false
  #timers: NodeJS.Timeout[] = []

  /** `late` selects among events here instead of in the cache. */
  constructor(shape: FrameShape, options: ListOptions, late: Predicate | undefined) {
    this.#shape = shape
    this.#options = options
    this.#late = late
  }

  /** The watch never began: the stream will carry just this error. */
  refuse(error: StatusError): void {
    this.#early.push(statusFrame(this.#shape, error.body))
    this.#ended = true
  }

  open(sink: Sink, timeoutMs: number): void {
    this.#sink = sink
    for (const frame of this.#early) sink.write(frame)
    this.#early = []
    if (this.#ended) {
      this.onFinish()
      sink.end()
      return
    }
    sink.signal.addEventListener('abort', () => this.#finish(), { once: true })
    if (sink.signal.aborted) {
      this.#finish()
      return
    }
    this.#timers.push(setTimeout(() => this.#finish(), timeoutMs))
    if (this.#options.allowWatchBookmarks) {
      this.#timers.push(setInterval(() => this.#bookmark(), BOOKMARK_INTERVAL_MS))
      // Ref: apiserver/pkg/storage/cacher/cache_watcher.go nextBookmarkTime: who resumes starts close to now
      const last = timeoutMs - LAST_BOOKMARK_MS
      if (last > 0) this.#timers.push(setTimeout(() => this.#bookmark(), last))
    }
    for (const timer of this.#timers) timer.unref()
    if (!this.#converting) this.watcher?.resume()
  }

  get ended(): boolean {
    return this.#ended
  }

  end(): void {
    this.#finish()
  }

  onEvents(items: readonly WatchItem[]): false | undefined {
    const { resource } = this.#shape
    if (resource.conversion === undefined) return this.#write(items)
    const wait = convertStored(objectsOf(items, this.#late !== undefined), resource)
    if (wait === undefined && this.#late === undefined) return this.#write(items)
    void this.#writeConverted(wait, [...items])
    return false
  }

  /** The watcher stands still until the webhook has answered: its queue, bounded as ever, keeps the order. */
  async #writeConverted(
    wait: Promise<void> | undefined,
    items: readonly WatchItem[],
  ): Promise<void> {
    this.#converting = true
    try {
      await wait
      const shown = items.flatMap(item => selected(item, this.#late) ?? [])
      await convertStored(objectsOf(shown, false), this.#shape.resource)
      this.#converting = false
      if (this.#ended) return
      // Before the sink is open, open() resumes.
      if (shown.length === 0 ? this.#sink !== undefined : this.#write(shown) !== false)
        this.watcher?.resume()
    } catch (error) {
      this.#converting = false
      if (this.#ended) return
      this.#last(statusOf(error))
      this.#finish()
    }
  }

  #write(items: readonly WatchItem[]): false | undefined {
    const frames = items.map(item => this.#frame(item))
    if (this.#sink === undefined) {
      this.#early.push(...frames)
      return false
    }
    this.#sink.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))
    // The socket's own buffer counts as queue: a client that does not read is cut here, never waited for.
    if (this.#sink.pendingBytes > WATCH_QUEUE_BYTES_MAX) this.#finish()
    return undefined
  }

  onEnd(reason: WatchEnd, error: unknown): void {
    if (this.#ended) return
    if (reason === 'expired') this.#last(expired('the watch history was lost; list again'))
    if (reason === 'failed')
      this.#last(
        statusOf(error instanceof StorageError ? internalError('the watch failed', error) : error),
      )
    this.#finish()
  }

  #last(error: StatusError): void {
    const frame = statusFrame(this.#shape, error.body)
    if (this.#sink === undefined) this.#early.push(frame)
    else this.#sink.write(frame)
  }

  #frame(item: WatchItem): Buffer {
    if (item.type === 'INITIAL_EVENTS_END') return bookmarkFrame(this.#shape, item.revision, true)
    const withColumns = !this.#sentColumns
    this.#sentColumns = true
    return eventFrame(this.#shape, item, withColumns)
  }

  #bookmark(): void {
    const revision = this.#converting ? undefined : this.watcher?.bookmark()
    if (revision !== undefined) this.#sink?.write(bookmarkFrame(this.#shape, revision, false))
  }

  #finish(): void {
    if (this.#ended) return
    this.#ended = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.watcher?.close()
    if (this.#sink !== undefined) this.onFinish()
    this.#sink?.end()
  }
}

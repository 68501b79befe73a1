// A request and its answer without sockets: what server.ts hands to the handler chain and gets back.
// Verbs are functions from the one to the other, so a unit test needs no HTTP.

import type { Readable } from 'node:stream'
import { failure } from '@podless/apimachinery'

/**
 * What work is abandoned with when nobody waits for it any more. Nobody sees it but the metrics and the audit log, which
 * know the code from other servers. One for all: to make one for each request costs more than to route it.
 */
export const CLIENT_GONE = failure({ code: 499, message: 'the client is gone' })

export interface Incoming {
  readonly method: string
  /** Raw request target: path and query as sent. */
  readonly target: string
  /** Lower-case names; a repeated header is joined by ", ". */
  readonly header: (name: string) => string | undefined
  /** Every header that starts with the lower-case prefix, values unjoined and their bytes as Latin-1, as Node reads them. */
  readonly headersWithPrefix: (prefix: string) => ReadonlyMap<string, readonly string[]>
  /** The whole body; throws StatusError 413 over the limit. */
  readonly body: () => Promise<Buffer>
  /** The client's certificate as DER when one was sent, and whether our CA signed it. */
  readonly peer: PeerCertificate | undefined
  readonly remoteAddress: string
  /** Undefined when the client had left before anybody asked. */
  readonly connection?: Connection | undefined
  /** Aborted when the client is gone (CLIENT_GONE), or with the reason that `abort` gave. */
  readonly signal: AbortSignal
  /** Stops what still works for this request. */
  readonly abort: (reason: Error) => void
}

/** What the requests of one connection have in common; the same object for all of them. */
export interface Connection {
  readonly peer: PeerCertificate | undefined
  /** Runs it once the connection is closed; at once when it is. */
  readonly onClose: (run: () => void) => void
}

export interface PeerCertificate {
  readonly der: Buffer
  readonly trusted: boolean
}

/** What a watch writes into: chunked HTTP or WebSocket messages. */
export interface Sink {
  /** Queues a frame. False when the peer is slow and `drained` should be awaited. */
  write(frame: Buffer): boolean
  /** Bytes accepted but not yet taken by the peer. */
  readonly pendingBytes: number
  /** Ends the stream cleanly. */
  end(): void
  readonly signal: AbortSignal
}

export type ReplyBody =
  | { readonly type: 'bytes'; readonly bytes: Buffer | string }
  /** Chunks of one long answer, written with back-pressure. */
  | { readonly type: 'chunks'; readonly chunks: Iterable<Buffer> }
  /** The answer of another server, passed on as it comes, with back-pressure. */
  | { readonly type: 'piped'; readonly source: Readable }
  /** An endless answer; `start` returns once the stream is set up. */
  | { readonly type: 'stream'; readonly start: (sink: Sink) => void }

export interface Reply {
  readonly code: number
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
  readonly warnings?: readonly string[]
  /** The connection takes no request after this one. */
  readonly isLast?: boolean
  readonly body: ReplyBody
}

/** Lets go of an answer that nobody will read: what a stream holds open is closed. */
export function abandon({ body }: Reply): void {
  if (body.type === 'piped') body.source.destroy()
  if (body.type !== 'stream') return
  body.start({ write: () => false, end: () => {}, pendingBytes: 0, signal: AbortSignal.abort() })
}

/** A plain text answer, as health pages give. */
export function textReply(code: number, text: string): Reply {
  return { code, contentType: 'text/plain; charset=utf-8', body: { type: 'bytes', bytes: text } }
}

/** What answers a path that nothing serves. */
export const NOT_FOUND: Reply = textReply(404, '404 page not found\n')

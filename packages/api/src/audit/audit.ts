// Follows a request through the handler chain and records it as its policy says. handler-chain.ts calls it, when there is
// an audit log at all; calls audit-policy.ts and audit-event.ts. Bodies of Secrets and tokens are never recorded.
// Ref: apiserver/pkg/endpoints/filters/audit.go

import {
  DecodeError,
  decodeProtobuf,
  type GroupVersionKind,
  isObject,
  type JsonObject,
  type JsonValue,
  parseJson,
  parseYaml,
  StatusError,
} from '@podless/apimachinery'
import type { RequestInfo } from '../request/request-info.ts'
import type { UserInfo } from '../resource.ts'
import type { Incoming, Reply, Sink } from '../serving/exchange.ts'
import { type AuditedResponse, auditEvent } from './audit-event.ts'
import {
  type AuditPolicy,
  type AuditStage,
  type AuditVerdict,
  auditVerdict,
  holdsSecrets,
} from './audit-policy.ts'

/** An object larger than this is left out of its event, which says so. */
const OBJECT_BYTES_MAX = 1024 * 1024
/** What failed is in the server's log, with its stack; the two are joined by the audit id. */
const PANIC: JsonObject = {
  status: 'Failure',
  message: "APIServer panic'd",
  reason: 'InternalError',
}
const TRUNCATED = 'audit.k8s.io/truncated'

export interface AuditOptions {
  readonly policy: AuditPolicy
  /** Takes one event as a line with its end. */
  readonly write: (line: string) => void
  readonly now: () => Date
  /** The kind that is served there, to read protobuf. */
  readonly kindOf: (info: RequestInfo) => GroupVersionKind | undefined
}

export class Audit {
  readonly options: AuditOptions
  readonly keepsBodies: boolean

  constructor(options: AuditOptions) {
    this.options = options
    const { rules } = options.policy
    this.keepsBodies = rules.some(({ level }) => level !== 'None' && level !== 'Metadata')
  }

  begin(request: Incoming, info: RequestInfo, auditId: string): AuditedRequest {
    return new AuditedRequest(this, request, info, auditId)
  }
}

/** One request on its way. */
export class AuditedRequest {
  /** What the chain goes on with: as it came, with an eye on its body. */
  readonly request: Incoming
  readonly #audit: Audit
  readonly #info: RequestInfo
  readonly #auditId: string
  readonly #received: Date
  readonly #annotations: Record<string, string> = {}
  #hasFailed = false
  #user: UserInfo | undefined
  #impersonated: UserInfo | undefined
  #body: Buffer | undefined

  constructor(audit: Audit, request: Incoming, info: RequestInfo, auditId: string) {
    this.#audit = audit
    this.#info = info
    this.#auditId = auditId
    this.#received = audit.options.now()
    const isKept = audit.keepsBodies && info.isResource && !holdsSecrets(info)
    this.request = isKept ? this.#watched(request) : request
  }

  /** Who sent it. Recorded as received from here on, as its user may decide how. */
  authenticated(user: UserInfo): void {
    this.#user = user
    const verdict = this.#verdict()
    if (verdict.level !== 'None') this.#record('RequestReceived', verdict, undefined, undefined)
  }

  /** The server itself failed: what the client is answered is recorded as the stage Panic, and as no other. */
  failed(): void {
    this.#hasFailed = true
  }

  /** Who it acts as, and what RBAC said to it. */
  decided(user: UserInfo, allowed: boolean, reason: string): void {
    if (user !== this.#user) this.#impersonated = user
    this.#annotations['authorization.k8s.io/decision'] = allowed ? 'allow' : 'forbid'
    this.#annotations['authorization.k8s.io/reason'] = reason
  }

  /** What admission found out besides its answer. */
  annotate(key: string, value: string): void {
    this.#annotations[key] = value
  }

  /** Records the answer. Returns the reply to give instead: the same to the client, but a watch's end is seen. */
  answered(reply: Reply): Reply {
    const verdict = this.#verdict()
    if (verdict.level === 'None') return reply
    const { body } = reply
    if (this.#hasFailed) {
      this.#record('Panic', verdict, reply, undefined)
      return reply
    }
    if (body.type === 'stream') {
      this.#record('ResponseStarted', verdict, reply, undefined)
      const start = (sink: Sink): void => {
        const onEnd = (): void => this.#record('ResponseComplete', verdict, reply, undefined)
        if (sink.signal.aborted) onEnd()
        else sink.signal.addEventListener('abort', onEnd, { once: true })
        body.start(sink)
      }
      return { ...reply, body: { type: 'stream', start } }
    }
    if (body.type === 'piped') {
      const onEnd = (): void => this.#record('ResponseComplete', verdict, reply, undefined)
      body.source.once('close', onEnd)
      return reply
    }
    if (body.type === 'bytes') {
      this.#record('ResponseComplete', verdict, reply, Buffer.from(body.bytes))
      return reply
    }
    if (verdict.level !== 'RequestResponse') {
      this.#record('ResponseComplete', verdict, reply, undefined)
      return reply
    }
    const { bytes, chunks } = readAhead(body.chunks)
    if (bytes === undefined) this.#annotations[TRUNCATED] = 'true'
    this.#record('ResponseComplete', verdict, reply, bytes)
    return { ...reply, body: { type: 'chunks', chunks } }
  }

  #verdict(): AuditVerdict {
    return auditVerdict(this.#audit.options.policy, this.#info, this.#user)
  }

  #watched(request: Incoming): Incoming {
    const body = async (): Promise<Buffer> => {
      this.#body = await request.body()
      return this.#body
    }
    return Object.create(request, { body: { value: body } }) as Incoming
  }

  /** Without a reply there is no answer yet. */
  #record(
    stage: AuditStage,
    verdict: AuditVerdict,
    reply: Reply | undefined,
    bytes: Buffer | undefined,
  ): void {
    if (verdict.omitStages.has(stage)) return
    const { now, write } = this.#audit.options
    const isKept = this.#info.isResource && !holdsSecrets(this.#info)
    const { level } = verdict
    const sent = isKept && level !== 'Metadata' ? this.#sent() : undefined
    const answer =
      isKept && level === 'RequestResponse' && reply !== undefined
        ? this.#object(bytes, reply.contentType)
        : undefined
    const made = this.#info.verb === 'create' ? (answer ?? this.#named(bytes, reply)) : undefined
    const event = auditEvent({
      level,
      auditId: this.#auditId,
      stage,
      request: this.request,
      info: this.#info,
      user: this.#user,
      impersonated: this.#impersonated,
      response: reply === undefined ? undefined : this.#response(stage, reply, bytes),
      requestObject: trimmed(sent, verdict),
      responseObject: trimmed(answer, verdict),
      created: made,
      annotations: this.#annotations,
      received: this.#received,
      now: now(),
    })
    write(`${JSON.stringify(event)}\n`)
  }

  #sent(): JsonValue | undefined {
    const type = this.request.header('content-type') ?? 'application/json'
    return this.#object(this.#body, type)
  }

  /** The name of what was created, also where its body is not to be recorded. */
  #named(bytes: Buffer | undefined, reply: Reply | undefined): JsonValue | undefined {
    return reply?.code === 201 ? this.#object(bytes, reply.contentType) : undefined
  }

  #response(stage: AuditStage, { code }: Reply, bytes: Buffer | undefined): AuditedResponse {
    if (stage === 'Panic') return { code, status: PANIC }
    return { code, status: code < 400 ? undefined : refusal(bytes, holdsSecrets(this.#info)) }
  }

  #object(bytes: Buffer | undefined, contentType: string): JsonValue | undefined {
    if (bytes === undefined || bytes.length === 0) return undefined
    if (bytes.length > OBJECT_BYTES_MAX) {
      this.#annotations[TRUNCATED] = 'true'
      return undefined
    }
    try {
      if (contentType.includes('json')) return parseJson(bytes)
      if (contentType.includes('yaml')) return parseYaml(bytes, { strict: false }).value
      const kind = this.#audit.options.kindOf(this.#info)
      return kind === undefined ? undefined : decodeProtobuf(bytes, kind)
    } catch (error) {
      // What cannot be read was refused, or is of another kind; the event goes without it.
      if (error instanceof DecodeError || error instanceof StatusError) return undefined
      throw error
    }
  }
}

/** The chunks as one, when they are not too many, and in any case all of them for the client. */
function readAhead(chunks: Iterable<Buffer>): {
  bytes: Buffer | undefined
  chunks: Iterable<Buffer>
} {
  const rest = chunks[Symbol.iterator]()
  const read: Buffer[] = []
  let size = 0
  for (let next = rest.next(); next.done !== true; next = rest.next()) {
    read.push(next.value)
    size += next.value.length
    if (size > OBJECT_BYTES_MAX) return { bytes: undefined, chunks: joined(read, rest) }
  }
  return { bytes: Buffer.concat(read), chunks: read }
}

function* joined(read: readonly Buffer[], rest: Iterator<Buffer>): Generator<Buffer> {
  yield* read
  for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value
}

/** A Status without details. Messages about secrets may quote them, so those are left out. */
function refusal(bytes: Buffer | undefined, isSecret: boolean): JsonObject | undefined {
  if (bytes === undefined || bytes[0] !== 0x7b) return undefined
  const status = parseJson(bytes)
  if (!isObject(status) || status.kind !== 'Status') return undefined
  const { reason = '', message = '' } = status
  return { status: 'Failure', ...(isSecret ? {} : { message }), reason }
}

/** Without managedFields where the policy wants none; they are most of an object's bytes. */
function trimmed(value: JsonValue | undefined, verdict: AuditVerdict): JsonValue | undefined {
  if (!verdict.omitManagedFields || !isObject(value)) return value
  const items = Array.isArray(value.items) ? { items: value.items.map(withoutManagers) } : {}
  return { ...(withoutManagers(value) as JsonObject), ...items }
}

function withoutManagers(value: JsonValue): JsonValue {
  if (!isObject(value) || !isObject(value.metadata)) return value
  const { managedFields: _dropped, ...metadata } = value.metadata
  return { ...value, metadata }
}

// Content negotiation: Accept and Content-Type headers to a choice of format, or the 406 and 415 upstream answers.
// Called by respond.ts and decode.ts of the api package. Ref: apiserver/pkg/endpoints/handlers/negotiation,
// munnerz/goautoneg (order of clauses), go-restful (the first check, for built-ins only)

import { failure, notAcceptable, type StatusError, unsupportedMediaType } from '../status.ts'

export type MediaFormat = 'json' | 'yaml' | 'protobuf'
export type MediaTransform = 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList'

export interface MediaChoice {
  readonly format: MediaFormat
  /** The Content-Type of the answer. */
  readonly contentType: string
  /** The Content-Type of a watch in this format. */
  readonly streamContentType: string
  /** The kind of meta.k8s.io to transform the answer to. */
  readonly as?: MediaTransform
  /** That kind's version. */
  readonly asVersion?: 'v1' | 'v1beta1'
  /** Indent JSON for a person. */
  readonly pretty: boolean
}

export interface NegotiationOptions {
  /** The resource can be written as protobuf: true for built-ins, false for custom resources. */
  readonly protobuf: boolean
  /** The `pretty` query parameter. */
  readonly pretty?: string | null | undefined
  /** The User-Agent header: browsers and curl get indented JSON. */
  readonly userAgent?: string | undefined
  /** The answer is a watch. */
  readonly stream?: boolean
  /** The answer is a list (or a watch), which names more types in one refusal. */
  readonly collection?: boolean
  /** False for a Status, which has no other shape: clauses that ask for one are passed over. */
  readonly transforms?: boolean
  /** False for what has no columns: clauses that ask for a Table are passed over. */
  readonly tables?: boolean
}

const MEDIA_TYPES: Record<MediaFormat, string> = {
  json: 'application/json',
  yaml: 'application/yaml',
  protobuf: 'application/vnd.kubernetes.protobuf',
}
const FORMATS: readonly MediaFormat[] = ['json', 'yaml', 'protobuf']
const STREAM_TYPES = [`${MEDIA_TYPES.json};stream=watch`, `${MEDIA_TYPES.protobuf};stream=watch`]
const ALL_TYPES = FORMATS.map(format => MEDIA_TYPES[format])

interface Clause {
  readonly type: string
  readonly subtype: string
  readonly q: number
  readonly params: ReadonlyMap<string, string>
}

/**
 * The representation to answer with. An absent or empty Accept means JSON.
 * Throws a 406 StatusError with upstream's text when nothing the client accepts can be served.
 */
export function negotiate(accept: string | undefined, options: NegotiationOptions): MediaChoice {
  const pretty = wantsPretty(options)
  if (accept === undefined || accept === '') return choiceOf('json', new Map(), pretty)
  if (options.protobuf) checkProduces(accept, options)
  for (const clause of acceptClauses(accept)) {
    for (const format of FORMATS) {
      if (!matches(clause, format) || !acceptable(clause.params, format, options)) continue
      return choiceOf(format, clause.params, pretty || clause.params.get('pretty') === '1')
    }
  }
  const types = options.stream === true ? STREAM_TYPES : ALL_TYPES
  throw notAcceptable(`only the following media types are accepted: ${types.join(', ')}`)
}

function choiceOf(
  format: MediaFormat,
  params: ReadonlyMap<string, string>,
  pretty: boolean,
): MediaChoice {
  const contentType = MEDIA_TYPES[format]
  const as = params.get('as') as MediaTransform | undefined
  return {
    format,
    contentType,
    streamContentType: format === 'json' ? contentType : `${contentType};stream=watch`,
    ...(as === undefined
      ? {}
      : { as, asVersion: params.get('v') === 'v1beta1' ? 'v1beta1' : 'v1' }),
    pretty: pretty && format === 'json',
  }
}

function matches(clause: Clause, format: MediaFormat): boolean {
  if (clause.type === '*') return clause.subtype === '*'
  if (clause.type !== 'application') return false
  return clause.subtype === '*' || `application/${clause.subtype}` === MEDIA_TYPES[format]
}

function acceptable(
  params: ReadonlyMap<string, string>,
  format: MediaFormat,
  options: NegotiationOptions,
): boolean {
  if (options.stream === true && format === 'yaml') return false
  const stream = params.get('stream') ?? ''
  if (stream !== '' && (format === 'yaml' || stream !== 'watch')) return false
  const version = params.get('sv') ?? ''
  if (version !== '' && version !== 'v1') return false
  const transforms = ['as', 'g', 'v'].some(key => params.has(key))
  if (!transforms) return format !== 'protobuf' || options.protobuf
  if (options.transforms === false) return false
  if (params.get('g') !== 'meta.k8s.io') return false
  if (params.get('v') !== 'v1' && params.get('v') !== 'v1beta1') return false
  const as = params.get('as')
  if (as === 'Table') return format !== 'protobuf' && options.tables !== false
  return as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList'
}

/** Built-ins are first checked by bare type, with wildcards only as a whole, and refused in other words. */
function checkProduces(accept: string, options: NegotiationOptions): void {
  const isList = options.stream === true || options.collection === true
  const produced = isList ? [...ALL_TYPES, ...STREAM_TYPES] : ALL_TYPES
  const isServed = accept.split(',').some(part => {
    const type = (part.split(';', 1)[0] ?? '').trim()
    return type === '*/*' || produced.includes(type)
  })
  if (isServed) return
  throw failure({
    code: 406,
    reason: 'NotAcceptable',
    message: `406: Not Acceptable\n\nAvailable representations: ${produced.join(', ')}`,
    details: {},
  })
}

function wantsPretty({ pretty, userAgent = '' }: NegotiationOptions): boolean {
  if (pretty !== undefined && pretty !== null && pretty !== '') {
    return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(pretty)
  }
  return ['curl', 'Wget', 'Mozilla/5.0'].some(prefix => userAgent.startsWith(prefix))
}

/** What clients send is a handful of headers, each of them for every request. Emptied when it grows large. */
const known = new Map<string, readonly Clause[]>()
const KNOWN_MAX = 256
const KNOWN_LENGTH_MAX = 512

/** The media ranges of an Accept header, most wanted first. */
export function acceptClauses(header: string): readonly Clause[] {
  const seen = known.get(header)
  if (seen !== undefined) return seen
  const clauses = parseAccept(header)
  if (header.length > KNOWN_LENGTH_MAX) return clauses
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(header, clauses)
  return clauses
}

/** Clauses by q, then the less wild first; what is no media range is left out. */
function parseAccept(header: string): Clause[] {
  const clauses = header.split(',').flatMap(part => {
    const [range = '', ...params] = part.split(';')
    const clause = parseRange(range.trim())
    return clause === undefined ? [] : [{ ...clause, ...parseParams(params) }]
  })
  const wildness = ({ type, subtype }: Clause): number =>
    (type === '*' ? 2 : 0) + (subtype === '*' ? 1 : 0)
  return clauses.sort((a, b) => b.q - a.q || wildness(a) - wildness(b))
}

function parseRange(range: string): { type: string; subtype: string } | undefined {
  const [type = '', subtype = '', ...rest] = range.split('/').map(part => part.trim())
  if (rest.length > 0) return undefined
  if (subtype !== '') return { type, subtype }
  return type === '*' ? { type, subtype: '*' } : undefined
}

function parseParams(parts: readonly string[]): Pick<Clause, 'q' | 'params'> {
  let q = 1
  const params = new Map<string, string>()
  for (const part of parts) {
    const [key = '', value = '', ...rest] = part.split('=')
    if (value === '' || rest.length > 0) continue
    if (key.trim() === 'q') q = Number(value) || 0
    else params.set(key.trim(), value.trim())
  }
  return { q, params }
}

/**
 * The format of a request body. No Content-Type means JSON.
 * Throws 415 with upstream's text; custom resources take no protobuf.
 */
export function bodyFormat(
  contentType: string | undefined,
  options: { readonly protobuf: boolean },
): MediaFormat {
  const type = contentType === undefined || contentType === '' ? MEDIA_TYPES.json : contentType
  const bare = bareMediaType(type)
  const formats = FORMATS.filter(format => options.protobuf || format !== 'protobuf')
  const format = formats.find(candidate => MEDIA_TYPES[candidate] === bare)
  if (format !== undefined) return format
  throw unsupportedBody(formats.map(candidate => MEDIA_TYPES[candidate]))
}

/** 415 for a body in none of the media types, which are listed in the order given. */
export function unsupportedBody(accepted: readonly string[]): StatusError {
  return unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  )
}

/** `type/subtype` of a Content-Type, in lower case and without parameters. */
export function bareMediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
}

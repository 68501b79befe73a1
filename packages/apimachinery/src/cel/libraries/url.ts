// URLs as Go reads them. Called by registry.ts and named-format.ts.
// Ref: apiserver/pkg/cel/library/urls.go, Go net/url Parse and ParseRequestURI

import { isIPv6 } from 'node:net'
import { type CelType, URL } from '../cel-type.ts'
import type { Library } from '../function.ts'
import { ArrayList, CelError, CelOpaque, type CelValue, ValueMap } from '../value.ts'

interface Parts {
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string
  /** The rest, which equality looks at as well. */
  readonly other: string
}

class CelUrl extends CelOpaque {
  readonly type: CelType = URL
  readonly parts: Parts

  constructor(parts: Parts) {
    super()
    this.parts = parts
  }

  equals(other: CelOpaque): boolean {
    if (!(other instanceof CelUrl)) return false
    const [a, b] = [this.parts, other.parts]
    return (Object.keys(a) as (keyof Parts)[]).every(part => a[part] === b[part])
  }
}

class Malformed extends Error {
  override readonly name = 'Malformed'
}

/** An absolute URI or path as it may stand in a request; a text says why it is none. */
export function readRequestUri(text: string): Parts | string {
  try {
    return readParts(text)
  } catch (error) {
    if (error instanceof Malformed) return `parse ${JSON.stringify(text)}: ${error.message}`
    throw error
  }
}

function readParts(text: string): Parts {
  if (/[\x00-\x1f\x7f]/.test(text)) {
    throw new Malformed('net/url: invalid control character in URL')
  }
  if (text === '') throw new Malformed('empty url')
  if (text === '*') return { scheme: '', host: '', path: '*', query: '', other: '' }
  if (text.startsWith(':')) throw new Malformed('missing protocol scheme')
  const scheme = (/^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1] ?? '').toLowerCase()
  const rest = scheme === '' ? text : text.slice(scheme.length + 1)
  const question = rest.indexOf('?')
  const before = question < 0 ? rest : rest.slice(0, question)
  const query = question < 0 ? '' : rest.slice(question + 1)
  if (!before.startsWith('/')) {
    if (scheme === '') throw new Malformed('invalid URI for request')
    return { scheme, host: '', path: '', query, other: before }
  }
  if (scheme === '' || !before.startsWith('//')) {
    return { scheme, host: '', path: escapePath(before), query, other: '' }
  }
  const slash = before.indexOf('/', 2)
  const authority = before.slice(2, slash < 0 ? undefined : slash)
  const at = authority.lastIndexOf('@')
  if (at >= 0) checkUser(authority.slice(0, at))
  const host = readHost(authority.slice(at + 1), scheme)
  const path = slash < 0 ? '' : escapePath(before.slice(slash))
  return { scheme, host, path, query, other: authority.slice(0, Math.max(0, at)) }
}

function checkUser(user: string): void {
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) {
    throw new Malformed('net/url: invalid userinfo')
  }
  checkEscapes(user)
}

function readHost(host: string, scheme: string): string {
  const open = host.lastIndexOf('[')
  if (open > 0) throw new Malformed('invalid IP-literal')
  if (open === 0) {
    const close = host.lastIndexOf(']')
    if (close < 0) throw new Malformed(`missing ']' in host`)
    checkPort(host.slice(close + 1))
    const literal = host.slice(1, close).replace(/%25/, '%')
    if (!isIPv6(literal)) throw new Malformed('invalid host: unable to parse IP')
    return `[${literal}]${host.slice(close + 1)}`
  }
  const strict = scheme === 'http' || scheme === 'https'
  const colon = strict ? host.indexOf(':') : host.lastIndexOf(':')
  if (colon >= 0) checkPort(host.slice(colon))
  return unescapeHost(host)
}

function checkPort(port: string): void {
  if (!/^(:[0-9]*)?$/.test(port)) {
    throw new Malformed(`invalid port ${JSON.stringify(port)} after host`)
  }
}

/**
 * Only bytes outside of ASCII may be escaped in a host, and some characters must not stand there.
 */
function unescapeHost(host: string): string {
  const odd = /[ "<>\\^`{|}]/.exec(host)?.[0]
  if (odd === '"' || odd === '<' || odd === '>') return host
  if (odd !== undefined) {
    throw new Malformed(`invalid character ${JSON.stringify(odd)} in host name`)
  }
  const escaped = /%(?![89A-Fa-f][0-9A-Fa-f]).{0,2}/.exec(host)?.[0]
  if (escaped !== undefined) throw new Malformed(`invalid URL escape ${JSON.stringify(escaped)}`)
  return host.includes('%') ? Buffer.from(decodePercent(host)).toString() : host
}

function checkEscapes(text: string): void {
  const bad = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(text)?.[0]
  if (bad !== undefined) throw new Malformed(`invalid URL escape ${JSON.stringify(bad)}`)
}

/** A path that needs no escaping stays as it is written; any other is escaped anew. */
function escapePath(path: string): string {
  checkEscapes(path)
  if (/^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/[\]]|%[0-9A-Fa-f]{2})*$/.test(path)) return path
  return Array.from(decodePercent(path), byte => {
    const char = String.fromCharCode(byte)
    const plain = /[A-Za-z0-9\-._~$&+,/:;=@]/.test(char)
    return plain ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

function decodePercent(text: string): Uint8Array {
  const bytes: number[] = []
  const raw = Buffer.from(text)
  for (let i = 0; i < raw.length; i++) {
    const isEscape = raw[i] === 0x25
    bytes.push(
      isEscape ? Number.parseInt(raw.toString('latin1', i + 1, i + 3), 16) : (raw[i] as number),
    )
    if (isEscape) i += 2
  }
  return Uint8Array.from(bytes)
}

function read(text: string): CelValue {
  const parts = readRequestUri(text)
  if (typeof parts !== 'string') return new CelUrl(withoutFragment(parts))
  return new CelError(`URL parse error during conversion from string: ${parts}`)
}

/** isURL() takes a fragment for a part of what it stands in, url() cuts it off. */
function withoutFragment(parts: Parts): Parts {
  const cut = (text: string) => text.split('%23')[0] ?? ''
  const hash = parts.query.indexOf('#')
  if (hash >= 0) return { ...parts, query: parts.query.slice(0, hash) }
  return { ...parts, path: parts.path.includes('#') ? cut(parts.path) : parts.path }
}

function hostname({ parts }: CelUrl): string {
  const { host } = parts
  const bracket = host.lastIndexOf(']')
  if (host.startsWith('[') && bracket > 0) return host.slice(1, bracket)
  const colon = host.lastIndexOf(':')
  return colon < 0 ? host : host.slice(0, colon)
}

function port({ parts }: CelUrl): string {
  return /:([0-9]*)$/.exec(parts.host)?.[1] ?? ''
}

/** Parameters as lists by name; ones that can not be read are left out. */
function query({ parts }: CelUrl): CelValue {
  const values = new Map<string, CelValue[]>()
  for (const pair of parts.query.split('&')) {
    if (pair === '' || pair.includes(';')) continue
    const equals = pair.indexOf('=')
    const name = unescapeQuery(equals < 0 ? pair : pair.slice(0, equals))
    const value = unescapeQuery(equals < 0 ? '' : pair.slice(equals + 1))
    if (name === undefined || value === undefined) continue
    values.set(name, [...(values.get(name) ?? []), value])
  }
  const map = new ValueMap()
  for (const [name, list] of values) map.set(name, new ArrayList(list))
  return map
}

function unescapeQuery(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined
  return Buffer.from(decodePercent(text.replaceAll('+', ' '))).toString()
}

const isUrl = (text: string) => typeof readRequestUri(text) !== 'string'

export const URLS: Library = {
  url: { string_to_url: ['(string) -> kubernetes.URL', read] },
  isURL: { is_url_string: ['(string) -> bool', isUrl] },
  getScheme: { url_get_scheme: ['kubernetes.URL.() -> string', (url: CelUrl) => url.parts.scheme] },
  getHost: { url_get_host: ['kubernetes.URL.() -> string', (url: CelUrl) => url.parts.host] },
  getHostname: { url_get_hostname: ['kubernetes.URL.() -> string', hostname] },
  getPort: { url_get_port: ['kubernetes.URL.() -> string', port] },
  getEscapedPath: {
    url_get_escaped_path: ['kubernetes.URL.() -> string', (url: CelUrl) => url.parts.path],
  },
  getQuery: { url_get_query: ['kubernetes.URL.() -> map(string, list(string))', query] },
}

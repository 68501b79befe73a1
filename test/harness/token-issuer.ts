// An OpenID Connect provider for tests: a real HTTPS server with an authority of its own, its discovery document and keys,
// and tokens signed by it. Used by the tests of identity, api and cli.

import { generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import {
  createAuthorityCertificate,
  createServingCertificate,
} from '../../packages/identity/src/index.ts'

const DAY_SECONDS = 86_400

export interface IssuerKey {
  readonly id: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export function issuerKey(): IssuerKey {
  return { id: randomUUID(), ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) }
}

export interface TokenIssuer {
  readonly url: string
  /** PEM to verify it with. */
  readonly ca: string
  /** Paths that were asked for. */
  readonly requests: string[]
  /** What it publishes; tests change it. */
  keys: IssuerKey[]
  /** Answers by path that stand in for its own; a number is a status without a body, 0 no answer at all. */
  readonly answers: Map<string, string | number>
  /** A token for `podless` of an hour, unless the claims say otherwise, signed with the first key. */
  token(claims: Record<string, unknown>, header?: Record<string, unknown>): string
  close(): Promise<void>
}

/** Listens on a free loopback port. */
export async function startTokenIssuer(path = ''): Promise<TokenIssuer> {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = new Date()
  const ca = createAuthorityCertificate({
    commonName: 'issuer-ca',
    key: pair.privateKey,
    publicKey: pair.publicKey,
    now,
    ttlSeconds: DAY_SECONDS,
  })
  const serving = createServingCertificate(
    { certificate: ca, key: pair.privateKey },
    { names: [], now, ttlSeconds: DAY_SECONDS },
  )
  const requests: string[] = []
  const answers = new Map<string, string | number>()
  const server = createServer({ cert: serving.certificate, key: serving.key })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  const issuer: TokenIssuer = {
    url,
    ca,
    requests,
    answers,
    keys: [issuerKey()],
    token: (claims, header) => tokenOf(issuer, claims, header),
    close: () => closed(server),
  }
  server.on('request', (request, response) => {
    const asked = request.url ?? ''
    requests.push(asked)
    const answer = answers.get(asked) ?? documentOf(issuer, asked, path) ?? 404
    if (answer === 0) return
    if (typeof answer === 'number') response.writeHead(answer, { location: '/elsewhere' }).end()
    else response.end(answer)
  })
  return issuer
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
}

function documentOf({ url, keys }: TokenIssuer, asked: string, path: string): string | undefined {
  if (asked === `${path}/.well-known/openid-configuration`)
    return JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` })
  if (asked !== `${path}/keys`) return undefined
  const published = keys.map(({ id, publicKey }) => {
    return { ...publicKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: 'ES256' }
  })
  return JSON.stringify({ keys: published })
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function tokenOf(
  { url, keys }: TokenIssuer,
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
): string {
  const [key] = keys
  if (key === undefined) throw new Error('the issuer has no key')
  const seconds = Math.floor(Date.now() / 1000)
  const body = { iss: url, aud: 'podless', exp: seconds + 3600, iat: seconds, ...claims }
  const input = `${encode({ alg: 'ES256', kid: key.id, ...header })}.${encode(body)}`
  const signature = sign('sha256', Buffer.from(input), {
    key: key.privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return `${input}.${signature.toString('base64url')}`
}

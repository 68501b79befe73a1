// Two hundred credentials with something wrong, sent to a real server: every one is refused, and neither the log nor the
// audit log holds what was sent.

import assert from 'node:assert/strict'
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import {
  createAuthorityCertificate,
  createClientCertificate,
  createServingCertificate,
  type KeyedCertificate,
} from '../../packages/identity/src/index.ts'
import { ApiClient } from '../harness/api-client.ts'
import { startServer, type TestServer } from '../harness/server.ts'

let server: TestServer
let good: { header: Record<string, unknown>; claims: Record<string, unknown>; token: string }
let gone: string
const lines: string[] = []

before(async () => {
  const take = (line: string): void => void lines.push(line)
  const audit = { policy: { rules: [{ level: 'RequestResponse' as const }] }, write: take }
  server = await startServer({ log: take, audit })
  const client = new ApiClient({ url: server.url, ca: server.ca, ...server.admin })
  const accounts = '/api/v1/namespaces/default/serviceaccounts'
  const tokenOf = async (name: string): Promise<string> => {
    const metadata = { name }
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
    await client.send({ method: 'POST', path: accounts, body: account })
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
    const answer = await client.send({ method: 'POST', path: `${accounts}/${name}/token`, body })
    return (answer.json().status as { token: string }).token
  }
  const token = await tokenOf('robot')
  const [header, claims] = token
    .split('.')
    .slice(0, 2)
    .map(part => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>)
  good = { header: header ?? {}, claims: claims ?? {}, token }
  gone = await tokenOf('leaver')
  await client.send({ method: 'DELETE', path: `${accounts}/leaver` })
  client.close()
})
after(() => server.close())

interface Sent {
  readonly authorization?: string | Buffer
  readonly certificate?: KeyedCertificate
  /** Bytes shown as a WebSocket's subprotocol, which unlike a header may be any. */
  readonly subprotocol?: Buffer
}

const BEARER_PROTOCOL = 'base64url.bearer.authorization.k8s.io.'

function headersOf({ authorization, subprotocol }: Sent): Record<string, string> {
  return {
    ...(authorization === undefined ? {} : { authorization: authorization.toString('latin1') }),
    ...(subprotocol === undefined
      ? {}
      : {
          upgrade: 'websocket',
          connection: 'upgrade',
          'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
          'sec-websocket-version': '13',
          'sec-websocket-protocol': `${BEARER_PROTOCOL}${subprotocol.toString('base64url')}, x`,
        }),
  }
}

async function status(credential: Sent): Promise<number> {
  const { certificate } = credential
  const sent = request(new URL('/api/v1/secrets', server.url), {
    agent: false,
    ca: server.ca,
    ...(certificate === undefined ? {} : { cert: certificate.certificate, key: certificate.key }),
    headers: headersOf(credential),
  })
  sent.end()
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    response.resume()
    return response.statusCode ?? 0
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return CUT
    throw error
  }
}

/** In place of a status: headers over the limit are not read to their end, the connection is cut. */
const CUT = 0

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function forge(header: object, claims: object, key: KeyObject = server.pki.tokenKey): string {
  const input = `${encode(header)}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

/** Tokens by what is wrong with them. */
function badTokens(): Map<string, string> {
  const { header, claims, token } = good
  const [head = '', body = '', signature = ''] = token.split('.')
  const bad = new Map<string, string>()
  const change = (name: string, more: object): unknown =>
    bad.set(name, forge(header, { ...claims, ...more }))
  for (const alg of ['none', 'None', 'NONE', '', 'RS256', 'PS256', 'ES384', 'HS512']) {
    bad.set(`alg ${alg}, unsigned`, `${encode({ ...header, alg })}.${body}.`)
    bad.set(`alg ${alg}, signed`, forge({ ...header, alg }, claims))
  }
  const spki = createPublicKey(server.pki.tokenKey).export({ type: 'spki', format: 'pem' })
  const input = `${encode({ ...header, alg: 'HS256' })}.${body}`
  const mac = createHmac('sha256', spki).update(input).digest('base64url')
  bad.set('HS256 with the public key', `${input}.${mac}`)
  for (const kid of ['', '../../sa.key', "' OR 1=1", '/dev/null', '\u0000', 'a'.repeat(500), 7, {}])
    bad.set(`kid ${JSON.stringify(kid)}`, forge({ ...header, kid }, claims))
  bad.set('crit', forge({ ...header, crit: ['exp'] }, claims))
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  bad.set('foreign key', forge(header, claims, stranger))
  bad.set('deleted ServiceAccount', gone)
  const now = Math.floor(Date.parse(new Date().toISOString()) / 1000)
  change('expired', { exp: now - 3600 })
  change('not yet valid', { nbf: now + 3600 })
  for (const exp of [undefined, '9999999999', null, {}]) change(`exp ${String(exp)}`, { exp })
  for (const iss of ['https://evil.example', '', null, undefined]) change(`iss ${iss}`, { iss })
  for (const aud of ['other', ['other'], [''], [7], 7, {}]) change(`aud ${String(aud)}`, { aud })
  for (const sub of ['system:serviceaccount:kube-system:robot', 'root', '', 7])
    change(`sub ${sub}`, { sub })
  const inner = claims['kubernetes.io'] as Record<string, unknown>
  const nested = { serviceaccount: { name: 'robot', uid: 'other' }, namespace: 'kube-system' }
  for (const [key, value] of Object.entries(nested))
    change(`other ${key}`, { 'kubernetes.io': { ...inner, [key]: value } })
  change('deleted Secret', { 'kubernetes.io': { ...inner, secret: { name: 's', uid: 'u' } } })
  change('deleted Pod', { 'kubernetes.io': { ...inner, pod: { name: 'p', uid: 'u' } } })
  change('no Kubernetes claims', { 'kubernetes.io': undefined })
  bad.set('oversize', `${head}.${'A'.repeat(20_000)}.${signature}`.slice(0, 30_000))
  bad.set('two parts', `${head}.${body}`)
  bad.set('four parts', `${token}.${signature}`)
  bad.set('blank inside', `${head}. ${body}.${signature}`)
  bad.set('base64 padding', `${head}.${body}.${signature}==`)
  // Each 4th character another; the very last one holds bits that mean nothing.
  for (let at = 0; at < token.length - 2; at += 4) {
    const other = token[at] === 'x' ? 'y' : 'x'
    bad.set(`character ${at}`, token.slice(0, at) + other + token.slice(at + 1))
  }
  return bad
}

const HEADERS: readonly string[] = [
  'Bearer',
  'Bearer ',
  'bearer SESAMEOPEN',
  'Bearer SESAMEOPEN SESAMEOPEN',
  'Basic U0VTQU1FT1BFTg==',
  'Digest username="SESAMEOPEN"',
  'Negotiate SESAMEOPEN',
  'SESAMEOPEN',
  'Bearer \u00ff\u00fe\u00fdSESAMEOPEN',
  `Bearer ${'SESAMEOPEN'.repeat(1000)}`,
  'Bearer ..',
  'Bearer a.b.c',
  'Bearer {"alg":"none"}',
  'Bearer null',
  'Bearer undefined',
  'Bearer\tSESAMEOPEN',
]

/** Bytes that no header carries. */
function oddBytes(): Map<string, Buffer> {
  const token = Buffer.from(good.token)
  const nul = Buffer.from([0])
  return new Map([
    ['NUL alone', nul],
    ['NUL before a token', Buffer.concat([nul, token])],
    ['NUL after a token', Buffer.concat([token, nul])],
    ['NUL within a token', Buffer.concat([token.subarray(0, 40), nul, token.subarray(40)])],
    ['a token, NUL, and another', Buffer.concat([token, nul, token])],
    ['line ends', Buffer.from(`${good.token}\r\nimpersonate-user: admin`)],
    ['no UTF-8', Buffer.from([0xff, 0xfe, 0x80, 0x2e, 0x80, 0x2e, 0x80])],
  ])
}

/** What looks like other kinds of tokens than those of ServiceAccounts. */
const OTHER_TOKENS: readonly string[] = [
  'abcdef.0123456789abcdef',
  'abcdef.0123456789abcdeg\u00df',
  'ABCDEF.0123456789ABCDEF',
  '../../.0123456789abcdef',
  'podless-join.default.0123456789.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
]

const DAY = 86_400

function badCertificates(): Map<string, KeyedCertificate> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const now = new Date()
  const common = { key: privateKey, publicKey, now, ttlSeconds: DAY }
  const user = { user: 'SESAMEOPEN', groups: ['system:masters'], now, ttlSeconds: DAY }
  const certificate = createAuthorityCertificate({ commonName: 'podless-ca', ...common })
  const stranger = { certificate, key: privateKey }
  const ours = server.pki.authority
  const shifted = (days: number): Date => new Date(now.getTime() + days * DAY * 1000)
  const itself = createAuthorityCertificate({ ...common, commonName: 'kubernetes-admin' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return new Map([
    ['of another authority with our name', createClientCertificate(stranger, user)],
    ['self-signed', { certificate: itself, key: pem }],
    ['expired', createClientCertificate(ours, { ...user, now: shifted(-9) })],
    ['not yet valid', createClientCertificate(ours, { ...user, now: shifted(9) })],
    ['for servers', createServingCertificate(ours, { names: [], now, ttlSeconds: DAY })],
    ['without a name', createClientCertificate(ours, { ...user, user: '' })],
  ])
}

test('every bad credential is refused, and none is logged', async () => {
  const sent = new Map<string, Sent>()
  const tokens = badTokens()
  for (const [name, token] of tokens) {
    // An HTTP client cannot send control characters; those within JSON are escaped there.
    sent.set(`token: ${name}`, { authorization: `Bearer ${token}` })
  }
  for (const [name, subprotocol] of oddBytes()) sent.set(`bytes: ${name}`, { subprotocol })
  for (const token of OTHER_TOKENS)
    sent.set(`token: ${token}`, { authorization: `Bearer ${token}` })
  for (const authorization of HEADERS) sent.set(`header: ${authorization}`, { authorization })
  for (const [name, certificate] of badCertificates()) sent.set(`cert: ${name}`, { certificate })
  assert.ok(sent.size >= 200, `${sent.size} credentials`)
  assert.equal(
    await status({ authorization: `Bearer ${good.token}` }),
    403,
    'the good one is known',
  )
  const accepted: string[] = []
  for (const [name, credential] of sent) {
    const code = await status(credential)
    const isToken = name.startsWith('token')
    if (code === CUT && name.includes('oversize')) continue
    if (code !== 401 && (isToken || code !== 403)) accepted.push(`${name.slice(0, 80)}: ${code}`)
  }
  assert.deepEqual(accepted, [])
  const log = lines.join('')
  assert.ok(log.includes('authentication failed'))
  for (const hidden of ['SESAMEOPEN', good.token, gone, ...tokens.values()])
    assert.ok(!log.includes(hidden), `the log holds ${hidden.slice(0, 40)}`)
})

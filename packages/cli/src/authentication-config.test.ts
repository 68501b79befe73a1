// --authentication-config: which files are taken, what is said about the others, and that a change is noticed.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createLog } from '@podless/api'
import { openIssuers } from './authentication-config.ts'

const directory = await mkdtemp(join(tmpdir(), 'podless-authentication-'))
after(() => rm(directory, { recursive: true, force: true }))
const path = join(directory, 'authentication.yaml')

const now = (): Date => new Date()
const HEAD = 'apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n'

async function open(text: string, lines: string[] = []) {
  await writeFile(path, text)
  const log = createLog({ write: line => lines.push(line), level: 'info', now })
  const issuers = await openIssuers(path, { log, now })
  assert.ok(issuers)
  return issuers
}

const wrong: readonly (readonly [string, RegExp])[] = [
  ['kind: Pod\n', /the file must have required property 'apiVersion'.*kind must be Authent/],
  [`${HEAD}jwt: {}\n`, /jwt must be array/],
  [`${HEAD}anonymous: { enabled: maybe }\n`, /anonymous\.enabled must be boolean/],
  [`${HEAD}jwks: []\n`, /the file has no field "jwks"; there are apiVersion, kind, jwt, anonymous/],
  [
    `${HEAD}jwt: [{ issuer: { url: x, audiences: [a] }, claimMappings: { username: { claim: sub, prefix: "" } } }]\n`,
    /jwt\[0\]\.issuer\.url: Invalid value: "x"/,
  ],
]

test('files that cannot be used are named, with the field', async () => {
  for (const [text, reason] of wrong) {
    await assert.rejects(open(text), error => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 64)
      assert.match(error.message, /^--authentication-config \/.*authentication\.yaml/)
      assert.match(error.message, reason)
      return true
    })
  }
  const log = createLog({ write: () => undefined, level: 'info', now })
  assert.equal(await openIssuers(undefined, { log, now }), undefined)
})

test('a change of the file is taken up, and one that is wrong changes nothing', async () => {
  const lines: string[] = []
  const issuers = await open(`${HEAD}anonymous: { enabled: true }\n`, lines)
  const stop = issuers.follow(10)
  const said = async (text: string): Promise<void> => {
    while (!lines.some(line => line.includes(text))) await new Promise(r => setTimeout(r, 5))
    lines.length = 0
  }
  assert.equal(issuers.authenticators.allowsAnonymous('/livez'), true)
  await writeFile(path, `${HEAD}anonymous: { enabled: false }\n`)
  await said('the authentication configuration was read again')
  assert.equal(issuers.authenticators.allowsAnonymous('/livez'), false)
  await writeFile(path, `${HEAD}anonymous: { enabled: perhaps }\n`)
  await said('the authentication configuration from before stays in force')
  assert.equal(issuers.authenticators.allowsAnonymous('/livez'), false)
  stop()
})

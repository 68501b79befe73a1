import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import { checkJoinToken, createJoinToken, joinSecretName, parseJoinToken } from './join-token.ts'

const VM = { name: 'app', namespace: 'vm', secretName: 'podless-vm-app', uid: 'u1' }
const EXPIRES = new Date('2030-01-01T00:15:00Z')
const BEFORE = new Date('2030-01-01T00:14:59Z')

/** As the server stores it: values in base64. */
function stored(object: object): KubeObject {
  const { stringData, ...rest } = object as { stringData: Record<string, string> } & KubeObject
  const data = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ])
  return { ...rest, data: Object.fromEntries(data) }
}

function made(): { token: string; object: KubeObject } {
  const { token, object } = createJoinToken(VM, EXPIRES)
  return { token, object: stored(object) }
}

test('a join token names its Secret, and the Secret does not hold the token', () => {
  const { token, object } = made()
  const parsed = parseJoinToken(token)
  assert(parsed)
  assert.equal(object.metadata.name, joinSecretName(parsed.id))
  assert.equal(object.metadata.namespace, parsed.namespace)
  assert(!JSON.stringify(object).includes(parsed.secret))
  assert.equal(checkJoinToken(parsed, object, BEFORE), 'valid')
})

test('checkJoinToken() knows expired tokens, to the moment', () => {
  const { token, object } = made()
  const parsed = parseJoinToken(token)
  assert(parsed)
  assert.equal(checkJoinToken(parsed, object, EXPIRES), 'expired')
  const broken = { ...object, data: { ...(object.data as object), expires: 'AAAA' } }
  assert.equal(checkJoinToken(parsed, broken, BEFORE), 'expired')
})

test('checkJoinToken() refuses the secret of another token, another type and no Secret', () => {
  const { token, object } = made()
  const parsed = parseJoinToken(token)
  const other = parseJoinToken(made().token)
  assert(parsed && other)
  assert.equal(checkJoinToken(other, object, BEFORE), 'unknown')
  assert.equal(checkJoinToken(parsed, { ...object, type: 'Opaque' }, BEFORE), 'unknown')
  assert.equal(checkJoinToken(parsed, undefined, BEFORE), 'unknown')
})

test('parseJoinToken() takes nothing else', () => {
  const { token } = made()
  for (const text of ['', 'podless-join.vm.x.y', `${token}x`, token.replace('vm', '../vm')])
    assert.equal(parseJoinToken(text), undefined, text)
})

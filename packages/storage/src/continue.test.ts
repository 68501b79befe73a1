// Continue tokens: what upstream writes, what is refused and in which words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ContinueError, decodeContinue, encodeContinue } from './continue.ts'

const PREFIX = '/registry/pods/'

test('a token is upstream’s JSON and comes back whole', () => {
  const token = encodeContinue(PREFIX, { revision: 42, after: '/registry/pods/ns/a' })
  assert.equal(
    Buffer.from(token, 'base64url').toString(),
    '{"v":"meta.k8s.io/v1","rv":42,"start":"ns/a\\u0000"}',
  )
  assert.deepEqual(decodeContinue(PREFIX, token), { revision: 42, after: '/registry/pods/ns/a' })
})

const segment = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,10}[a-z0-9])?$/)

test('decodeContinue() undoes encodeContinue() for every key', () => {
  fc.assert(
    fc.property(segment, segment, fc.integer({ min: 1 }), (namespace, name, revision) => {
      const token = { revision, after: `${PREFIX}${namespace}/${name}` }
      assert.deepEqual(decodeContinue(PREFIX, encodeContinue(PREFIX, token)), token)
    }),
  )
})

test('decodeContinue() of any text throws ContinueError or stays under the prefix', () => {
  const start = fc.oneof(
    fc.string(),
    fc.constantFrom('../a\0', 'a/../../b\0', '/a\0', './a\0', '//\0'),
  )
  const json = start.map(text => JSON.stringify({ v: 'meta.k8s.io/v1', rv: 1, start: text }))
  fc.assert(
    fc.property(fc.oneof(json, fc.string()), text => {
      try {
        const { after } = decodeContinue(PREFIX, Buffer.from(text).toString('base64url'))
        assert.ok(after.startsWith(PREFIX) && !after.includes('..'.concat('/')), after)
      } catch (error) {
        assert.ok(error instanceof ContinueError, String(error))
      }
    }),
  )
})

const refuse = (value: unknown, message: RegExp) => {
  const token = Buffer.from(JSON.stringify(value)).toString('base64url')
  assert.throws(() => decodeContinue(PREFIX, token), { name: 'ContinueError', message })
}

test('decodeContinue() says what is wrong in upstream’s words', () => {
  assert.throws(() => decodeContinue(PREFIX, 'not-a-token'), {
    message:
      "invalid continue token: continue key is not valid: invalid character '\\u009e' looking for beginning of value",
  })
  assert.throws(() => decodeContinue(PREFIX, 'a=b'), {
    message: /illegal base64 data at input byte 1/,
  })
  refuse({ v: 'v2', rv: 1, start: 'a\0' }, /server does not recognize this encoded version v2$/)
  refuse({ v: 'meta.k8s.io/v1', rv: 0, start: 'a\0' }, /incorrect encoded start resourceVersion/)
  refuse({ v: 'meta.k8s.io/v1', rv: 1, start: '' }, /encoded start key empty/)
  refuse({ v: 'meta.k8s.io/v1', rv: 1, start: '../secrets/a\0' }, /not valid: \.\.\/secrets/)
})

test('decodeContinue() accepts the token of an inconsistent continue', () => {
  const token = encodeContinue(PREFIX, { revision: -1, after: `${PREFIX}a` })
  assert.equal(decodeContinue(PREFIX, token).revision, -1)
})

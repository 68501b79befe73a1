import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pemBlocks } from './pem.ts'

test('pemBlocks() finds each block and passes over what has no end of its own', () => {
  const a = '-----BEGIN A-----\nYQ==\n-----END A-----'
  const text = `junk -----BEGIN B-----\n${a}\n-----END B-----\n-----BEGIN A-----\n-----END B-----\n${a}-----BEGIN A-----`
  const found = { type: 'A', pem: a, content: '\nYQ==\n' }
  assert.deepEqual(pemBlocks(text), [found, found])
  assert.deepEqual(pemBlocks(''), [])
})

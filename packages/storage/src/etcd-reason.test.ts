import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reasonOf } from './etcd-reason.ts'

test('reasonOf() leaves out what the gRPC library says around the reason', () => {
  const refused =
    '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: '
  const reasons = [refused, `${refused}.`, '5 NOT_FOUND: etcdserver: requested lease not found']
  assert.deepEqual([...reasons.map(text => new Error(text)), 'gone'].map(reasonOf), [
    'connect ECONNREFUSED 127.0.0.1:1',
    'connect ECONNREFUSED 127.0.0.1:1',
    'etcdserver: requested lease not found',
    'gone',
  ])
})

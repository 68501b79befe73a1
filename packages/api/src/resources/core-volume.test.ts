// A PersistentVolume is in exactly one place.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { create, find } from './rehearsal.ts'

const errorsOf = async (source: JsonObject): Promise<readonly string[]> => {
  const spec = { accessModes: ['ReadWriteOnce'], capacity: { storage: '1Gi' }, ...source }
  return (await create(find('persistentvolumes'), { spec })).errors
}

test('a PersistentVolume has one source, and a hostPath a path', async () => {
  const nfs = { server: 'a', path: '/' }
  assert.deepEqual(await errorsOf({ nfs }), [])
  assert.deepEqual(await errorsOf({}), ['spec: Required value: must specify a volume type'])
  assert.deepEqual(await errorsOf({ nfs, hostPath: { path: '/a' } }), [
    'spec.nfs: Forbidden: may not specify more than 1 volume type',
  ])
  assert.deepEqual(await errorsOf({ hostPath: {} }), ['spec.hostPath.path: Required value'])
})

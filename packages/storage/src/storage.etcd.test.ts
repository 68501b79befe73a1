// Storage's guarantees on etcd. One server for all tests: each begins by deleting what the one before has left.

import { after, before, describe } from 'node:test'
import type { Backend } from './backend.ts'
import { openEtcd } from './etcd.ts'
import { type EtcdProcess, etcdMissing, startEtcd } from './testing/etcd-process.ts'
import { PATIENT } from './testing/patient.ts'
import { runStorageSuite } from './testing/storage-suite.ts'

describe('etcd', { skip: etcdMissing }, () => {
  let etcd: EtcdProcess
  before(async () => {
    etcd = await startEtcd()
  })
  after(() => etcd?.dispose())

  runStorageSuite('etcd', async () => {
    const backend = await openEtcd({ endpoints: [etcd.endpoint], compaction: false, ...PATIENT })
    await deleteAll(backend)
    return backend
  })
})

async function deleteAll(backend: Backend): Promise<void> {
  const { entries } = await backend.list('/registry/')
  for (const { key, revision } of entries) await backend.delete(key, { ifRevision: revision })
}

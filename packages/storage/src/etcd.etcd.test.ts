// The etcd engine passes the suite against a real etcd. What is special to it (outages, TLS, wrong
// addresses) is in etcd-outage.etcd.test.ts.

import { after, before, describe } from 'node:test'
import { openEtcd } from './etcd.ts'
import { type EtcdProcess, etcdMissing, startEtcd } from './testing/etcd-process.ts'
import { PATIENT } from './testing/patient.ts'
import { runBackendSuite } from './testing/suite.ts'

describe('etcd', { skip: etcdMissing }, () => {
  let etcd: EtcdProcess
  before(async () => {
    etcd = await startEtcd()
  })
  after(() => etcd?.dispose())

  runBackendSuite('etcd', async () => ({
    backend: await openEtcd({ endpoints: [etcd.endpoint], compaction: false, ...PATIENT }),
  }))
})

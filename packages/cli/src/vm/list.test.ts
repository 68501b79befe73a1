import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type VmRecord, vmRecord, vmSecret } from '@podless/api'
import { type VmStatus, vmStatus } from './list.ts'
import { isEntryOf, type WorkloadEntry } from './vm-objects.ts'

const NOW = new Date('2030-01-02T00:00:00Z')

function vm(annotations: Record<string, string> = {}): VmRecord {
  const found = vmRecord(
    vmSecret({
      name: 'one',
      namespace: 'vm',
      annotations: { 'podless.dev/group': 'app', ...annotations },
    }),
  )
  assert(found)
  return found
}

function entry(parts: {
  annotations?: Record<string, string>
  labels?: Record<string, string>
  healthy?: 'False' | 'True'
}): WorkloadEntry {
  const { annotations = {}, labels = {}, healthy } = parts
  return {
    metadata: { name: 'app-10.0.0.1', namespace: 'vm', annotations, labels },
    spec: { address: '10.0.0.1' },
    ...(healthy === undefined
      ? {}
      : { status: { conditions: [{ type: 'Healthy', status: healthy }] } }),
  }
}

const CONNECTED = { 'istio.io/connectedAt': '2030-01-01T00:00:00Z' }
const PROBED = { ...CONNECTED, 'proxy.istio.io/health-checks-enabled': 'true' }
const DISCONNECTED = { ...CONNECTED, 'istio.io/disconnectedAt': '2030-01-01T12:00:00Z' }

const status = (record: VmRecord, found?: WorkloadEntry): VmStatus =>
  vmStatus(record, { entry: found, hasIstiod: true, now: NOW })

test('vmStatus() tells health from the WorkloadEntry and the joining', () => {
  const joined = vm({ 'podless.dev/joined': '2030-01-01T00:00:00Z' })
  const health = (record: VmRecord, found?: WorkloadEntry) => status(record, found).health
  assert.equal(health(vm()), 'never')
  assert.equal(health(joined), 'gone')
  assert.equal(health(joined, entry({ annotations: CONNECTED })), 'connected')
  assert.equal(health(joined, entry({ annotations: PROBED })), 'unhealthy')
  assert.equal(health(joined, entry({ annotations: PROBED, healthy: 'True' })), 'healthy')
  assert.equal(health(joined, entry({ annotations: PROBED, healthy: 'False' })), 'unhealthy')
  assert.equal(health(joined, entry({ annotations: DISCONNECTED, healthy: 'True' })), 'gone')
})

test('vmStatus() believes no entry that no istiod keeps up to date', () => {
  const joined = vm({ 'podless.dev/joined': '2029-12-01T00:00:00Z' })
  const found = entry({ annotations: PROBED, healthy: 'True' })
  const { health, lastSeen } = vmStatus(joined, { entry: found, hasIstiod: false, now: NOW })
  assert.equal(health, 'unknown')
  assert.equal(lastSeen, '2030-01-01T00:00:00.000Z')
})

test('vmStatus() shows the latest sign of life', () => {
  const record = vm({
    'podless.dev/joined': '2030-01-01T00:00:00Z',
    'podless.dev/renewed': '2030-01-01T06:00:00Z',
  })
  const seen = (found?: WorkloadEntry) => status(record, found).lastSeen
  assert.equal(seen(), '2030-01-01T06:00:00.000Z')
  assert.equal(seen(entry({ annotations: DISCONNECTED })), '2030-01-01T12:00:00.000Z')
  assert.equal(seen(entry({ annotations: CONNECTED })), NOW.toISOString())
  assert.equal(status(vm()).lastSeen, undefined)
})

test('isEntryOf() goes by the label, and by group and address without one', () => {
  const group = { 'istio.io/autoRegistrationGroup': 'app' }
  const addressed = vm({ 'podless.dev/address': '10.0.0.1' })
  assert.equal(isEntryOf(vm(), entry({ labels: { 'podless.dev/vm': 'one' } })), true)
  assert.equal(isEntryOf(addressed, entry({ labels: { 'podless.dev/vm': 'two' } })), false)
  assert.equal(isEntryOf(addressed, entry({ annotations: group })), true)
  assert.equal(isEntryOf(vm(), entry({ annotations: group })), false)
})

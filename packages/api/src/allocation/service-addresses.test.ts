import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import { ClusterIpAllocator } from './service-addresses.ts'

const first = (): number => 0

const service = (uid: string, clusterIP: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: uid, uid },
  spec: { clusterIP, clusterIPs: [clusterIP] },
})

test('allocate() never gives the network, the broadcast or a taken address', () => {
  const addresses = new ClusterIpAllocator('10.0.0.0/29', first)
  addresses.apply(service('a', '10.0.0.3'), false)
  const given = [1, 2, 3, 4].map(() => addresses.allocate('IPv4'))
  assert.deepEqual(
    given,
    ['10.0.0.2', '10.0.0.4', '10.0.0.5', '10.0.0.6'].map(ip => ({ ip })),
  )
  assert.deepEqual(addresses.allocate('IPv4'), { error: 'range is full' })
})

test('allocate() of one address refuses what is taken or out of range', () => {
  const addresses = new ClusterIpAllocator('10.0.0.0/24', first)
  assert.deepEqual(addresses.allocate('IPv4', '10.0.0.9'), { ip: '10.0.0.9' })
  assert.deepEqual(addresses.allocate('IPv4', '10.0.0.9'), {
    error: 'provided IP is already allocated',
  })
  assert.deepEqual(addresses.allocate('IPv4', '10.0.1.9'), {
    error: 'the provided network does not match the current range',
  })
})

test('an address is free again when its Service is gone, and only then', () => {
  const addresses = new ClusterIpAllocator('10.0.0.0/24', first)
  addresses.apply(service('a', '10.0.0.9'), false)
  addresses.apply(service('other', '10.0.0.9'), true)
  assert.ok('error' in addresses.allocate('IPv4', '10.0.0.9'))
  addresses.apply(service('a', '10.0.0.9'), true)
  assert.deepEqual(addresses.allocate('IPv4', '10.0.0.9'), { ip: '10.0.0.9' })
})

test('an address is only released by who holds it', () => {
  const addresses = new ClusterIpAllocator('10.0.0.0/24', first)
  addresses.apply(service('old', '10.0.0.9'), false)
  addresses.apply(service('old', '10.0.0.9'), true)
  assert.deepEqual(addresses.allocate('IPv4', '10.0.0.9', 'new'), { ip: '10.0.0.9' })
  // The deletion of the old one ends after its event.
  addresses.release('10.0.0.9', 'old')
  assert.ok('error' in addresses.allocate('IPv4', '10.0.0.9', 'third'))
})

test('a range that is none is refused with an example', () => {
  assert.throws(() => new ClusterIpAllocator('10.0.0.0', first), /such as 10\.96\.0\.0\/12/)
})

test('range is told without the bits of a host', () => {
  assert.equal(new ClusterIpAllocator('10.9.3.7/21', first).range, '10.9.0.0/21')
})

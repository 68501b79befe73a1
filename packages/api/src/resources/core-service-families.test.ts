// What a Service may say of its addresses, on a server whose range is IPv4.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonObject, StatusError } from '@podless/apimachinery'
import { ClusterIpAllocator } from '../allocation/service-addresses.ts'
import { objectsAt } from './reading.ts'
import { circumstances, create, find, make } from './rehearsal.ts'

const PORTS = [{ port: 8080 }]

/** What is wrong with a Service, without the head of the message. */
async function refusal(spec: JsonObject): Promise<string> {
  const ctx = circumstances()
  try {
    const { errors } = await create(find('services'), { spec: { ports: PORTS, ...spec } }, ctx)
    return errors.join(', ')
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    return error.message.replace('Service "a" is invalid: ', '')
  }
}

test('what is said of addresses fits together', async () => {
  const cases: readonly [spec: JsonObject, why: RegExp][] = [
    [{ clusterIPs: ['10.1.1.1'] }, /must be empty when `clusterIP` is not specified/],
    [{ clusterIP: '10.1.1.1', clusterIPs: ['10.1.1.2'] }, /first value must match `clusterIP`/],
    [{ clusterIP: 'None', clusterIPs: ['None', '10.1.1.1'] }, /'None' must be the first and only/],
    [{ clusterIP: '10.1.1.01' }, /spec.clusterIPs\[0\]: .*must not have leading 0s/],
    [{ clusterIP: '10.1.1.1', ipFamilies: ['IPv6'] }, /expected an IPv6 value as indicated by/],
    [{ ipFamilies: ['IPv4', 'IPv4'] }, /spec.ipFamilies\[1\]: Duplicate value: "IPv4"/],
    [{ ipFamilies: ['IPv4', 'IPv6'] }, /must be 'RequireDualStack' or 'PreferDualStack' when/],
  ]
  for (const [spec, why] of cases) assert.match(await refusal(spec), why)
})

test('a family that the server has no range for cannot be had, but by headless Services', async () => {
  assert.equal(
    await refusal({ ipFamilyPolicy: 'RequireDualStack' }),
    'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
  )
  assert.match(await refusal({ ipFamilies: ['IPv6'] }), /"IPv6": not configured on this cluster/)
  const { obj, errors } = await create(find('services'), { spec: { clusterIP: 'None' } })
  assert.deepEqual(errors, [])
  const { ipFamilies, ipFamilyPolicy } = obj.spec as JsonObject
  assert.deepEqual([ipFamilies, ipFamilyPolicy], [['IPv4', 'IPv6'], 'RequireDualStack'])
})

test('fields of load balancers are for load balancers', async () => {
  const spec = {
    clusterIP: 'None',
    selector: { app: 'shop' },
    loadBalancerClass: 'example.com/fast',
    loadBalancerSourceRanges: ['10.0.0.0/8'],
    healthCheckNodePort: 30_123,
    trafficDistribution: 'Near',
  }
  assert.equal((await refusal(spec)).split(', spec.').length, 4)
  assert.match(await refusal(spec), /spec.loadBalancerClass: Forbidden: may only be used when/)
})

test('what is of no use is warned of', () => {
  const services = find('services')
  const spec = { type: 'ClusterIP', externalIPs: ['198.51.100.7'], externalName: 'old.example.com' }
  assert.deepEqual(services.strategy.warnings?.(make(services, { spec }), undefined), [
    'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
    'spec.externalName is ignored when spec.type is not "ExternalName"',
  ])
})

test('ports of one Service ask for one number once for each protocol, or for any', async () => {
  const random = () => 0
  const ctx = circumstances({ addresses: new ClusterIpAllocator('10.3.0.0/24', random) })
  const ask = (ports: JsonObject[]) =>
    create(find('services'), { metadata: { uid: 'u' }, spec: { type: 'NodePort', ports } }, ctx)
  const [web, tls] = [
    { name: 'web', port: 80 },
    { name: 'tls', port: 443 },
  ]
  const { obj, errors } = await ask([web, tls])
  const numbers = objectsAt(obj, 'spec.ports').map(port => port.nodePort)
  assert.deepEqual([errors, new Set(numbers).size], [[], 2])
  const twice = [web, tls].map(port => ({ ...port, nodePort: 31_234 }))
  await assert.rejects(ask(twice), /spec.ports\[1\].nodePort: .*provided port is already allocated/)
})

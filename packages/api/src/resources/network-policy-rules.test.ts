// What of a NetworkPolicy is refused, in upstream's words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { create, find } from './rehearsal.ts'

const policies = () => find('networkpolicies', 'networking.k8s.io')

const errorsOf = async (rule: JsonObject): Promise<readonly string[]> => {
  const { errors } = await create(policies(), { spec: { podSelector: {}, ingress: [rule] } })
  return errors.map(text => text.replace('spec.ingress[0].', ''))
}

test('ports and ranges of a NetworkPolicy that make sense are taken', async () => {
  const ports = [{}, { port: 80 }, { port: 'http' }, { port: 8000, endPort: 9000 }]
  const ipBlock = { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.3.4/32'] }
  assert.deepEqual(await errorsOf({ ports, from: [{ ipBlock }] }), [])
  const six = { cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] }
  assert.deepEqual(await errorsOf({ from: [{ ipBlock: six }] }), [])
})

test('ports of a NetworkPolicy that make none are named one by one', async () => {
  const ports = [
    { protocol: 'ICMP' },
    { port: 70_000 },
    { port: 90, endPort: 80 },
    { port: 'http', endPort: 80 },
    { endPort: 80 },
  ]
  assert.deepEqual(await errorsOf({ ports }), [
    'ports[0].protocol: Unsupported value: "ICMP": supported values: "TCP", "UDP", "SCTP"',
    'ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive',
    'ports[2].endPort: Invalid value: 90: must be greater than or equal to `port`',
    'ports[3].endPort: Invalid value: 80: may not be specified when `port` is non-numeric',
    'ports[4].endPort: Invalid value: 80: may not be specified when `port` is not specified',
  ])
})

test('what a block excepts lies within it', async () => {
  const cidr = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'
  const except = ['10.0.0.0/8', '11.0.0.0/16', '2001:db8::/64', 'x']
  const from = [
    { ipBlock: {} },
    { ipBlock: { cidr: '10.0.0.0' } },
    { ipBlock: { cidr: '10.0.0.0/8', except } },
  ]
  const subset = 'must be a strict subset of `cidr`'
  assert.deepEqual(await errorsOf({ from }), [
    'from[0].ipBlock.cidr: Required value',
    `from[1].ipBlock.cidr: Invalid value: "10.0.0.0": ${cidr}`,
    `from[2].ipBlock.except[0]: Invalid value: "10.0.0.0/8": ${subset}`,
    `from[2].ipBlock.except[1]: Invalid value: "11.0.0.0/16": ${subset}`,
    `from[2].ipBlock.except[2]: Invalid value: "2001:db8::/64": ${subset}`,
    `from[2].ipBlock.except[3]: Invalid value: "x": ${cidr}`,
  ])
})

// Discovery's documents after changes: pieces that are kept say what a new server would say.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { builtinResources } from '../resources/index.ts'
import { Discovery } from './discovery.ts'
import { ServedGroups } from './served-groups.ts'

const leases = builtinResources().find(({ gvr }) => gvr.resource === 'leases')
assert.ok(leases)
const LEASES = leases

/** A custom resource in a group and version; `verbs` tells two editions of it apart. */
function custom(owner: string, group: string, version = 'v1', verbs = ['get']): Resource {
  return {
    ...LEASES,
    crd: owner,
    gvr: { group, version, resource: owner },
    verbs: verbs as Resource['verbs'],
  }
}

const discoveryOf = (registry: Registry): Discovery =>
  new Discovery(new ServedGroups(registry), () => 'here:1')
const shown = (discovery: Discovery): { etag: string; text: string } => {
  const { etag, bytes } = discovery.aggregated('groups')
  return { etag, text: bytes().toString() }
}

const change = fc.record({
  owner: fc.constantFrom('cups', 'mugs', 'jugs'),
  resources: fc.array(
    fc.record({
      group: fc.constantFrom('a.example', 'b.example'),
      version: fc.constantFrom('v1', 'v1beta1', 'v2'),
      verbs: fc.subarray(['get', 'list', 'watch']),
    }),
    { maxLength: 3 },
  ),
})

test('after any changes the aggregated document is the one a new server has', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), changes => {
      const registry = new Registry()
      registry.replace('', [LEASES])
      const discovery = discoveryOf(registry)
      for (const { owner, resources } of changes) {
        const before = shown(discovery)
        registry.replace(
          owner,
          resources.map(({ group, version, verbs }) => custom(owner, group, version, verbs)),
        )
        const after = shown(discovery)
        assert.deepEqual(after, shown(discoveryOf(registry)))
        assert.equal(after.etag === before.etag, after.text === before.text)
      }
    }),
  )
})

test('a change writes no group anew but its own', () => {
  let written = 0
  const counted = { ...custom('mugs', 'b.example') }
  Object.defineProperty(counted, 'namespaced', {
    get: () => {
      written += 1
      return true
    },
  })
  const registry = new Registry()
  const discovery = discoveryOf(registry)
  registry.replace('mugs', [counted])
  shown(discovery)
  const once = written
  assert.ok(once > 0)
  registry.replace('cups', [custom('cups', 'a.example')])
  assert.match(shown(discovery).text, /a\.example/)
  assert.equal(written, once)
  registry.replace('jugs', [custom('jugs', 'b.example')])
  assert.match(shown(discovery).text, /"jugs"/)
  assert.ok(written > once)
})

test('the core group has a document of its own, and each ends its line', () => {
  const registry = new Registry()
  registry.replace('', builtinResources())
  const discovery = discoveryOf(registry)
  const core = JSON.parse(discovery.aggregated('core').bytes().toString())
  assert.deepEqual(
    core.items.map(({ metadata }: { metadata: object }) => metadata),
    [{}],
  )
  assert.ok(!shown(discovery).text.includes('"metadata":{},"versions"'))
  assert.ok(shown(discovery).text.endsWith(']}\n'))
})

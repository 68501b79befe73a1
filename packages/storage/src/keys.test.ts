// The key layout, and the names that may not become keys.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidKeyError, listPrefix, objectKey, resourcePrefixOf } from './keys.ts'

test('objectKey() lays keys out as kube-apiserver does', () => {
  assert.equal(objectKey('/registry/pods', 'ns', 'a'), '/registry/pods/ns/a')
  assert.equal(objectKey('/registry/namespaces', '', 'a'), '/registry/namespaces/a')
  assert.equal(objectKey('/registry/x.io/ys', 'ns', 'a:b'), '/registry/x.io/ys/ns/a:b')
  assert.equal(listPrefix('/registry/pods'), '/registry/pods/')
  assert.equal(listPrefix('/registry/pods', 'ns'), '/registry/pods/ns/')
})

test('objectKey() refuses names that would leave their place', () => {
  for (const name of ['', '.', '..', 'a/b', '../a', 'a%2fb']) {
    assert.throws(() => objectKey('/registry/pods', 'ns', name), InvalidKeyError, name)
  }
  for (const namespace of ['..', 'a/b']) {
    assert.throws(() => objectKey('/registry/pods', namespace, 'a'), InvalidKeyError, namespace)
  }
})

test('resourcePrefixOf() tells the resource from the key alone', () => {
  const root = '/registry/'
  const cells: [string, string | undefined][] = [
    ['/registry/pods/ns/a', '/registry/pods/'],
    ['/registry/pods/', '/registry/pods/'],
    ['/registry/namespaces/a.b', '/registry/namespaces/'],
    ['/registry/services/specs/ns/a', '/registry/services/'],
    ['/registry/networking.istio.io/gateways/ns/a', '/registry/networking.istio.io/gateways/'],
    ['/registry/networking.istio.io/', undefined],
    ['/registry/', undefined],
    ['/registry/lone', undefined],
  ]
  for (const [key, expected] of cells) assert.equal(resourcePrefixOf(root, key), expected, key)
})

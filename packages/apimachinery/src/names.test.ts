// Names and metadata: accepted forms, upstream's sentences, and generated names.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatFieldError,
  generateName,
  isConfigMapKey,
  isDns1123Subdomain,
  isPathSegmentName,
  isPortName,
  isQualifiedName,
  nameIsDns1035Label,
  nameIsDnsLabel,
  nameIsDnsSubdomain,
  type ObjectMeta,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from './index.ts'

test('names of each kind are accepted and refused with upstream text', () => {
  assert.deepEqual(nameIsDnsLabel('a-1', false), [])
  assert.deepEqual(nameIsDnsLabel('has.dot', false), ['must not contain dots'])
  assert.deepEqual(nameIsDnsLabel('n'.repeat(64), false), ['must be no more than 63 characters'])
  assert.deepEqual(nameIsDnsSubdomain('a.b-c', false), [])
  assert.deepEqual(nameIsDnsSubdomain('gen-', true), [])
  assert.equal(nameIsDnsSubdomain('gen-', false).length, 1)
  assert.deepEqual(isDns1123Subdomain('Bad_Name'), [
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  ])
  assert.equal(nameIsDns1035Label('1a', false).length, 1)
  assert.deepEqual(isPathSegmentName('a/b%'), ["may not contain '/'", "may not contain '%'"])
  assert.deepEqual(isPathSegmentName('..'), ["may not be '..'"])
  assert.deepEqual(isConfigMapKey('..a'), ["must not start with '..'"])
  assert.deepEqual(isPortName('a--b'), ['must not contain consecutive hyphens'])
  assert.deepEqual(isQualifiedName('example.com/Name'), [])
  assert.equal(isQualifiedName('/x')[0], 'prefix part must be non-empty')
  assert.equal(isQualifiedName('').length, 2)
  assert.match(isQualifiedName('a/b/c')[0] ?? '', /with an optional DNS subdomain prefix/)
})

test('generateName() appends five of the allowed characters and keeps within 63', () => {
  assert.equal(
    generateName('web-', () => 0),
    'web-bbbbb',
  )
  const long = generateName('x'.repeat(100), below => below - 1)
  assert.equal(long.length, 63)
  assert.ok(long.endsWith('x99999'))
})

const meta = (over: ObjectMeta): ObjectMeta => ({ name: 'a', namespace: 'n', ...over })
const problems = (over: ObjectMeta, namespaced = true) =>
  validateObjectMeta(meta(over), { namespaced, qualifiedFinalizers: true }).map(formatFieldError)

test('validateObjectMeta() names each wrong field', () => {
  assert.deepEqual(problems({}), [])
  assert.deepEqual(problems({ name: '' }), [
    'metadata.name: Required value: name or generateName is required',
  ])
  assert.deepEqual(problems({ namespace: 'x' }, false), [
    'metadata.namespace: Forbidden: not allowed on this type',
  ])
  assert.deepEqual(problems({ annotations: { a: 'x'.repeat(262145) } }), [
    'metadata.annotations: Too long: may not be more than 262144 bytes',
  ])
  assert.deepEqual(problems({ annotations: { 'Example.COM/A': '' } }), [])
  assert.deepEqual(problems({ labels: { a: 'x'.repeat(64) } }), [
    `metadata.labels: Invalid value: "${'x'.repeat(64)}": must be no more than 63 bytes`,
  ])
  assert.deepEqual(problems({ finalizers: ['plain'] }), [
    'metadata.finalizers[0]: Invalid value: "plain": name is neither a standard finalizer name nor is it fully qualified',
  ])
  const owner = { apiVersion: 'v1', kind: 'Event', name: '', uid: 'u' }
  assert.equal(problems({ ownerReferences: [owner] }).length, 2)
})

test('validateObjectMetaUpdate() protects identity and a deletion under way', () => {
  const old = meta({ uid: 'u', resourceVersion: '1', deletionTimestamp: 't' })
  const changed = meta({
    uid: 'v',
    resourceVersion: '1',
    deletionTimestamp: 't',
    finalizers: ['example.com/more'],
  })
  assert.deepEqual(validateObjectMetaUpdate(changed, old).map(formatFieldError), [
    'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/more"}',
    'metadata.uid: Invalid value: "v": field is immutable',
  ])
  assert.deepEqual(validateObjectMetaUpdate(old, old), [])
  assert.equal(validateObjectMetaUpdate(meta({}), meta({})).length, 1)
})

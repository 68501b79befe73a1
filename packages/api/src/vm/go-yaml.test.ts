// goYaml() against text that istioctl printed for the same values.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseYaml } from '@podless/apimachinery'
import fc from 'fast-check'
import { goYaml } from './go-yaml.ts'

test('goYaml() quotes, folds and sorts as istioctl does', () => {
  const long = `${'a'.repeat(28)} ${'b'.repeat(35)} ${'c'.repeat(36)} ${'d'.repeat(14)}`
  const printed = goYaml({
    proxyMetadata: {
      ISTIO_METAJSON_LABELS: '{"app":"app"}',
      ISTIO_META_MESH_ID: 'mesh1',
      ISTIO_META_NETWORK: '',
      FOO: "it's a 'quote' <b> & x: y",
      LONG: long,
      HASH: 'a #b',
      NUM: '123',
      BOOL: 'true',
      DATE: '2001-01-01',
      ML: 'a\nb\n',
    },
    concurrency: 0,
    tracing: {},
    readinessProbe: { httpGet: { httpHeaders: [{ value: 'b', name: 'a' }], path: '/' } },
  })
  assert.equal(
    printed,
    `concurrency: 0
proxyMetadata:
  BOOL: "true"
  DATE: "2001-01-01"
  FOO: 'it''s a ''quote'' <b> & x: y'
  HASH: 'a #b'
  ISTIO_META_MESH_ID: mesh1
  ISTIO_META_NETWORK: ""
  ISTIO_METAJSON_LABELS: '{"app":"app"}'
  LONG: ${'a'.repeat(28)} ${'b'.repeat(35)} ${'c'.repeat(36)}
    ${'d'.repeat(14)}
  ML: |
    a
    b
  NUM: "123"
readinessProbe:
  httpGet:
    httpHeaders:
    - name: a
      value: b
    path: /
tracing: {}
`,
  )
})

test('goYaml() is read back as what was written', () => {
  const key = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,12}$/)
  const text = fc.string({ unit: 'grapheme-ascii' })
  const value = fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text, { maxLength: 3 }))
  fc.assert(
    fc.property(fc.dictionary(key, value, { noNullPrototype: true }), map => {
      assert.deepEqual(parseYaml(goYaml({ map }), { strict: true }).value, { map })
    }),
  )
})

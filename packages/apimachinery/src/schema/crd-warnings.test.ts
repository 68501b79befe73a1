// Which formats of a CRD are warned of, and that an update warns of new ones only.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json.ts'
import { crdWarnings } from './crd-warnings.ts'

const withFormats = (...formats: readonly [type: string, format: string][]): JsonObject => ({
  spec: {
    versions: formats.map(([type, format]) => ({
      schema: {
        openAPIV3Schema: { type: 'object', properties: { a: { anyOf: [{ type, format }] } } },
      },
    })),
  },
})

test('crdWarnings() names formats that no value is held to', () => {
  const known = withFormats(['string', 'date-time'], ['string', 'k8s-short-name'], ['', 'uuid'])
  assert.deepEqual(crdWarnings(known, undefined), [])
  const strange = withFormats(['string', 'quantity'], ['integer', 'byte'], ['object', 'date-time'])
  assert.deepEqual(crdWarnings(strange, undefined), [
    'unrecognized format "quantity"',
    'unrecognized format "byte"',
    'unrecognized format "date-time"',
  ])
  assert.deepEqual(crdWarnings(strange, withFormats(['string', 'quantity'], ['number', 'byte'])), [
    'unrecognized format "date-time"',
  ])
  assert.deepEqual(crdWarnings({}, undefined), [])
})

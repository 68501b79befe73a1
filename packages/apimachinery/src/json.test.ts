// Equality and cloning of JSON values.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneJson, equalJson, isObject, type JsonObject } from './json.ts'

test('equalJson() ignores key order and undefined properties', () => {
  assert.ok(equalJson({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1, d: undefined }))
  assert.ok(equalJson({ a: 1, d: undefined }, { a: 1 }))
  assert.ok(!equalJson({ a: 1 }, { a: 1, b: null }))
  assert.ok(!equalJson({ a: 1, b: null }, { a: 1 }))
  assert.ok(!equalJson([], {}))
})

test('equalJson() compares each value once, however deep the nesting', () => {
  const text = `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`
  assert.ok(equalJson(JSON.parse(text), JSON.parse(text)))
})

test('cloneJson() keeps an own __proto__ key a plain property', () => {
  const copy = cloneJson(JSON.parse('{"__proto__": {"x": 1}}') as JsonObject)
  assert.ok(isObject(copy) && Object.hasOwn(copy, '__proto__'))
  assert.equal((copy as { x?: number }).x, undefined)
})

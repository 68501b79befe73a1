// Tests of track-update.ts. Run by node:test; each write is stored and written again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../json.ts'
import type { ManagedFieldsEntry } from '../meta.ts'
import type { SchemaNode } from '../schema/node.ts'
import { trackUpdate } from './track-update.ts'

const text: SchemaNode = { type: 'string' }
const CONFIG_MAP: SchemaNode = {
  type: 'object',
  properties: new Map<string, SchemaNode>([
    ['data', { type: 'object', additionalProperties: text }],
    [
      'ports',
      {
        type: 'array',
        listType: 'map',
        listMapKeys: ['port', 'protocol'],
        items: {
          type: 'object',
          properties: new Map<string, SchemaNode>([
            ['port', { type: 'integer' }],
            ['protocol', { type: 'string', default: 'TCP' }],
            ['name', text],
          ]),
        },
      },
    ],
    ['tags', { type: 'array', listType: 'set', items: text }],
    ['rules', { type: 'array', items: text }],
    ['color', { type: 'object', mapType: 'atomic', additionalProperties: text }],
    ['status', { type: 'object', additionalProperties: text }],
    ['free', { type: 'object', preserveUnknownFields: true }],
    [
      'template',
      {
        type: 'object',
        presence: 'always',
        properties: new Map<string, SchemaNode>([
          ['items', { type: 'array', presence: 'always', listType: 'set', items: text }],
          ['name', { ...text, presence: 'always' }],
          ['count', { type: 'integer', presence: 'always' }],
        ]),
      },
    ],
  ]),
}

const NOW = new Date('2030-01-02T03:04:05.678Z')
const LATER = new Date('2030-01-02T03:04:06.000Z')

interface Step {
  live?: JsonObject
  manager?: string
  subresource?: string
  now?: Date
  resetFields?: string[][]
}

/** The object as it would be stored after a write. */
function store(updated: JsonObject, step: Step = {}): JsonObject {
  const metadata = { uid: 'u', ...(updated.metadata as JsonObject) }
  const object: JsonObject = { apiVersion: 'v1', kind: 'ConfigMap', ...updated, metadata }
  const managedFields = trackUpdate({
    schema: CONFIG_MAP,
    apiVersion: 'v1',
    live: undefined,
    updated: object,
    manager: 'creator',
    now: NOW,
    ...step,
  })
  const { managedFields: _, ...rest } = metadata as JsonObject
  return { ...object, metadata: managedFields === undefined ? rest : { ...rest, managedFields } }
}

function managers(object: JsonObject): ManagedFieldsEntry[] | undefined {
  return (object.metadata as { managedFields?: ManagedFieldsEntry[] }).managedFields
}

const fields = (object: JsonObject) =>
  Object.fromEntries((managers(object) ?? []).map(it => [it.manager, it.fieldsV1]))

test('trackUpdate of a create owns every field but the system ones', () => {
  const object = store({
    metadata: { name: 'a', labels: { l: '1' }, finalizers: ['x/y'] },
    data: { a: '1', b: '2' },
    ports: [{ port: 80, name: 'h' }],
    tags: ['t'],
    rules: ['r'],
    color: { r: '1' },
    free: { a: { b: [1] } },
    template: { items: ['i'], name: '', count: 0 },
  })
  assert.deepEqual(managers(object), [
    {
      manager: 'creator',
      operation: 'Update',
      apiVersion: 'v1',
      time: '2030-01-02T03:04:05Z',
      fieldsType: 'FieldsV1',
      fieldsV1: {
        'f:color': {},
        'f:data': { '.': {}, 'f:a': {}, 'f:b': {} },
        'f:free': { '.': {}, 'f:a': { '.': {}, 'f:b': {} } },
        'f:metadata': {
          'f:finalizers': { '.': {}, 'v:"x/y"': {} },
          'f:labels': { '.': {}, 'f:l': {} },
        },
        'f:ports': {
          '.': {},
          'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} },
        },
        'f:rules': {},
        'f:tags': { '.': {}, 'v:"t"': {} },
        'f:template': { 'f:items': { 'v:"i"': {} } },
      },
    },
  ])
})

test('trackUpdate keeps the entries and their times when nothing changed', () => {
  const live = store({ data: { a: '1' }, ports: [{ port: 80 }], rules: ['r'] })
  const again = store({ ...live }, { live, manager: 'other', now: LATER })
  assert.equal(managers(again), managers(live))
  const { managedFields: _, ...metadata } = live.metadata as JsonObject
  const without = { ...live, metadata }
  assert.equal(managers(store(without, { live, manager: 'other' })), managers(live))
})

test('trackUpdate gives changed fields to the writer and forgets removed ones', () => {
  const live = store({ data: { a: '1', b: '2', c: '3' } })
  const next = store(
    { ...live, data: { a: '1', b: 'two' } },
    { live, manager: 'editor', now: LATER },
  )
  assert.deepEqual(fields(next), {
    creator: { 'f:data': { '.': {}, 'f:a': {} } },
    editor: { 'f:data': { 'f:b': {} } },
  })
  assert.deepEqual(
    managers(next)?.map(it => it.time),
    ['2030-01-02T03:04:05Z', '2030-01-02T03:04:06Z'],
  )
  const last = store(
    { ...next, data: { b: 'two' } },
    { live: next, manager: 'remover', now: LATER },
  )
  assert.deepEqual(fields(last), {
    creator: { 'f:data': {} },
    editor: { 'f:data': { 'f:b': {} } },
  })
})

test('trackUpdate separates a manager by subresource and skips reset fields', () => {
  const live = store({ data: { a: '1' } })
  const next = store(
    { ...live, status: { up: 'yes' }, data: { a: '2' } },
    { live, manager: 'creator', subresource: 'status', resetFields: [['data'], ['metadata']] },
  )
  assert.deepEqual(
    managers(next)?.map(it => [it.manager, it.subresource, it.fieldsV1]),
    [
      ['creator', undefined, { 'f:data': { '.': {}, 'f:a': {} } }],
      ['creator', 'status', { 'f:status': { '.': {}, 'f:up': {} } }],
    ],
  )
})

test('trackUpdate resets on [] and [{}], and then tracks nothing', () => {
  const live = store({ data: { a: '1' } })
  for (const managedFields of [[], [{}]]) {
    const metadata = { ...(live.metadata as JsonObject), managedFields }
    const reset = store({ ...live, metadata, data: { a: '2' } }, { live })
    assert.equal(managers(reset), undefined)
    assert.equal(managers(store({ ...reset, data: { a: '3' } }, { live: reset })), undefined)
  }
})

test('trackUpdate takes readable managedFields from the request and ignores others', () => {
  const live = store({ data: { a: '1' } })
  const entry = {
    manager: 'given',
    operation: 'Update',
    apiVersion: 'v1',
    fieldsType: 'FieldsV1',
    fieldsV1: { 'f:data': { 'f:a': {} } },
  }
  const withEntries = (...managedFields: JsonObject[]) => ({
    ...live,
    metadata: { ...(live.metadata as JsonObject), managedFields },
  })
  assert.deepEqual(managers(store(withEntries(entry), { live })), [entry])
  const unreadable = { ...entry, fieldsV1: { nonsense: {} } }
  assert.equal(managers(store(withEntries(unreadable), { live })), managers(live))
})

test('trackUpdate merges the oldest of more than ten update managers', () => {
  let live = store({ data: { k0: '0' } }, { manager: 'm0' })
  for (let i = 1; i <= 11; i++) {
    const data = { ...(live.data as JsonObject), [`k${i}`]: '1' }
    const now = new Date(NOW.getTime() + i * 1000)
    live = store({ ...live, data }, { live, manager: `m${i}`, now })
  }
  const names = managers(live)?.map(it => it.manager)
  assert.equal(names?.length, 10)
  assert.equal(names?.[0], 'ancient-changes')
  assert.deepEqual(fields(live)['ancient-changes'], {
    'f:data': { '.': {}, 'f:k0': {}, 'f:k1': {}, 'f:k2': {} },
  })
})

test('trackUpdate keeps the entries of an object that does not fit its schema', () => {
  const live = store({ data: { a: '1' } })
  assert.equal(managers(store({ ...live, data: { a: 5 } }, { live })), managers(live))
  assert.equal(managers(store({ ...live, unknown: 1 }, { live })), managers(live))
})

test('trackUpdate owns duplicates of a list map as one', () => {
  const live = store({ ports: [{ port: 80, name: 'a' }] })
  const ports = [
    { port: 80, name: 'a' },
    { port: 80, name: 'b' },
  ]
  const next = store({ ...live, ports }, { live, manager: 'editor' })
  assert.deepEqual(fields(next), {
    creator: { 'f:ports': {} },
    editor: { 'f:ports': { 'k:{"port":80,"protocol":"TCP"}': {} } },
  })
})

// Tests of apply.ts. Run by node:test; an apply's result is stored and applied to again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cloneJson, type JsonObject } from '../json.ts'
import type { ManagedFieldsEntry } from '../meta.ts'
import type { SchemaNode } from '../schema/node.ts'
import { StatusError } from '../status.ts'
import { applyConfiguration } from './apply.ts'
import { trackUpdate } from './track-update.ts'

const text: SchemaNode = { type: 'string' }
const integer: SchemaNode = { type: 'integer' }
const fieldsOf = (fields: Record<string, SchemaNode>): SchemaNode => ({
  type: 'object',
  properties: new Map(Object.entries(fields)),
})
const SPEC = fieldsOf({
  cars: {
    type: 'array',
    listType: 'map',
    listMapKeys: ['id'],
    items: fieldsOf({
      id: text,
      seats: integer,
      tags: { type: 'array', listType: 'set', items: text },
    }),
  },
  doors: {
    type: 'array',
    listType: 'map',
    listMapKeys: ['side', 'number'],
    items: fieldsOf({ side: text, number: { ...integer, default: 1 }, open: { type: 'boolean' } }),
  },
  stops: { type: 'array', listType: 'set', items: text },
  crew: { type: 'array', items: fieldsOf({ name: text }) },
  engine: { ...fieldsOf({ kind: text, power: integer }), mapType: 'atomic' },
  livery: fieldsOf({ color: text, logo: text }),
  speed: integer,
  notes: { type: 'object', additionalProperties: text },
})
const TRAIN = fieldsOf({ spec: SPEC, status: fieldsOf({ at: text, late: { type: 'boolean' } }) })
const API = { schema: TRAIN, apiVersion: 'x.io/v1', kind: 'Train' }
const NOW = new Date('2030-01-02T03:04:05Z')
const LATER = new Date('2030-01-02T03:05:05Z')

interface Options {
  force?: boolean
  now?: Date
  subresource?: string
  metadata?: JsonObject
}

const train = (spec: JsonObject | undefined, metadata: JsonObject = {}): JsonObject => ({
  apiVersion: 'x.io/v1',
  kind: 'Train',
  metadata: { name: 'express', ...metadata },
  ...(spec === undefined ? {} : { spec }),
})

/** The stored object after an apply. */
function apply(
  live: JsonObject | undefined,
  manager: string,
  spec: JsonObject | undefined,
  { force = false, now = NOW, subresource = '', metadata = {} }: Options = {},
): JsonObject {
  const applied = train(spec, metadata)
  const request = { ...API, live, applied, manager, force, now, subresource }
  const { object, managedFields } = applyConfiguration(request)
  return stored(object, managedFields)
}

function stored(object: JsonObject, managedFields: ManagedFieldsEntry[] | undefined): JsonObject {
  const before: JsonObject = { uid: 'u', ...(object.metadata as JsonObject) }
  const { managedFields: _, ...metadata } = before
  return {
    ...object,
    metadata: managedFields === undefined ? metadata : { ...metadata, managedFields },
  }
}

function update(live: JsonObject, change: JsonObject, manager: string): JsonObject {
  const updated = { ...cloneJson(live), ...change }
  return stored(updated, trackUpdate({ ...API, live, updated, manager, now: LATER }))
}

function managers(object: JsonObject): ManagedFieldsEntry[] {
  return (object.metadata as { managedFields?: ManagedFieldsEntry[] }).managedFields ?? []
}

const owned = (object: JsonObject) =>
  Object.fromEntries(managers(object).map(it => [it.manager, it.fieldsV1]))

function refusal(run: () => unknown): StatusError {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error))
    return error
  }
  return assert.fail('applied')
}

test('apply creates, adds and merges list items by key', () => {
  const first = apply(undefined, 'ops', {
    cars: [{ id: 'a', seats: 40 }, { id: 'b' }],
    stops: ['york'],
  })
  assert.deepEqual(owned(first).ops, {
    'f:spec': {
      'f:cars': {
        'k:{"id":"a"}': { '.': {}, 'f:id': {}, 'f:seats': {} },
        'k:{"id":"b"}': { '.': {}, 'f:id': {} },
      },
      'f:stops': { 'v:"york"': {} },
    },
  })
  const second = apply(first, 'sales', { cars: [{ id: 'c' }, { id: 'a', tags: ['quiet'] }] })
  assert.deepEqual(second.spec, {
    cars: [{ id: 'c' }, { id: 'a', seats: 40, tags: ['quiet'] }, { id: 'b' }],
    stops: ['york'],
  })
})

test('apply removes what the manager gives up, unless someone else owns it', () => {
  const first = apply(undefined, 'ops', {
    cars: [{ id: 'a', seats: 40 }, { id: 'b' }],
    stops: ['york', 'leeds'],
    livery: { color: 'red' },
  })
  const shared = apply(first, 'maps', { stops: ['leeds', 'hull'] })
  const last = apply(shared, 'ops', { cars: [{ id: 'a' }] })
  assert.deepEqual(last.spec, { cars: [{ id: 'a' }], stops: ['leeds', 'hull'] })
})

test('apply names conflicts by manager and path', () => {
  const doors = [
    { side: 'l', open: true },
    { side: 'r', number: 2, open: true },
  ]
  const first = apply(undefined, 'doors', { doors, crew: [{ name: 'ann' }], engine: { power: 9 } })
  const live = update(first, { spec: { ...(first.spec as JsonObject), speed: 5 } }, 'editor')
  const closed = { doors: [{ side: 'l', number: 1, open: false }] }
  assert.deepEqual(refusal(() => apply(live, 'other', closed)).body, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message:
      'Apply failed with 1 conflict: conflict with "doors": .spec.doors[number=1,side="l"].open',
    reason: 'Conflict',
    details: {
      causes: [
        {
          reason: 'FieldManagerConflict',
          message: 'conflict with "doors"',
          field: '.spec.doors[number=1,side="l"].open',
        },
      ],
    },
    code: 409,
  })
  const all = { crew: [{ name: 'bob' }], engine: { kind: 'x' }, speed: 6 }
  assert.equal(
    refusal(() => apply(live, 'other', all)).message,
    'Apply failed with 3 conflicts: conflicts with "doors":\n- .spec.crew\n- .spec.engine\n' +
      'conflicts with "editor" using x.io/v1:\n- .spec.speed',
  )
  const forced = apply(live, 'other', all, { force: true })
  assert.deepEqual(forced.spec, { doors, ...all })
  assert.deepEqual(owned(forced).editor, undefined)
})

test('apply names the subresource of the manager it conflicts with', () => {
  const live = apply(undefined, 'ctl', { speed: 1 }, { subresource: 'status' })
  assert.equal(
    refusal(() => apply(live, 'other', { speed: 2 })).message,
    'Apply failed with 1 conflict: conflict with "ctl" with subresource "status": .spec.speed',
  )
})

test('apply of the same value shares ownership and leaves the times alone', () => {
  const first = apply(undefined, 'ops', { speed: 1 })
  const again = apply(first, 'ops', { speed: 1 }, { now: LATER })
  assert.deepEqual(again, first)
  const both = apply(first, 'sales', { speed: 1 }, { now: LATER })
  assert.deepEqual(
    managers(both).map(it => [it.manager, it.time]),
    [
      ['sales', undefined],
      ['ops', '2030-01-02T03:04:05Z'],
    ],
  )
})

test('apply over an object nobody tracked conflicts with before-first-apply', () => {
  const live = train({ speed: 1 }, { uid: 'u' })
  assert.equal(
    refusal(() => apply(live, 'ops', { speed: 2 })).message,
    'Apply failed with 1 conflict: conflict with "before-first-apply" using x.io/v1: .spec.speed',
  )
  const same = apply(live, 'ops', { speed: 1 })
  assert.deepEqual(Object.keys(owned(same)).sort(), ['before-first-apply', 'ops'])
})

test('apply by kubectl takes over what client-side apply wrote and keeps its annotation current', () => {
  const key = 'kubectl.kubernetes.io/last-applied-configuration'
  const lastApplied = JSON.stringify(train({ speed: 1, notes: { a: '1' } }))
  const created = train(
    { speed: 1, notes: { a: 'changed' } },
    { annotations: { [key]: lastApplied } },
  )
  const live = stored(
    created,
    trackUpdate({
      ...API,
      live: undefined,
      updated: created,
      manager: 'kubectl-client-side-apply',
      now: NOW,
    }),
  )
  assert.match(refusal(() => apply(live, 'ops', { speed: 2 })).message, /1 conflict/)
  const taken = apply(live, 'kubectl', { speed: 2 })
  assert.equal((taken.spec as JsonObject).speed, 2)
  const annotations = (taken.metadata as { annotations: Record<string, string> }).annotations
  assert.equal(
    annotations[key],
    '{"apiVersion":"x.io/v1","kind":"Train","metadata":{"name":"express"},"spec":{"speed":2}}\n',
  )
  assert.match(
    refusal(() => apply(live, 'kubectl', { speed: 2, notes: { a: 'x' } })).message,
    /1 conflict: .*: .spec.notes.a$/,
  )
})

const REFUSALS: [name: string, spec: JsonObject, why: string][] = [
  ['unknown field', { bogus: 1 }, '.spec.bogus: field not declared in schema'],
  ['wrong type', { speed: 'fast' }, '.spec.speed: expected numeric (int or float), got string'],
  [
    'duplicate key',
    { cars: [{ id: 'a' }, { id: 'a' }] },
    '.spec.cars: duplicate entries for key [id="a"]',
  ],
  [
    'duplicate item',
    { stops: ['york', 'york'] },
    '.spec.stops: duplicate entries for key [="york"]',
  ],
  [
    'missing key',
    { cars: [{ seats: 1 }] },
    '.spec.cars: element 0: associative list with keys has an element that omits all key fields ["id"] (and doesn\'t have default values for any key fields)',
  ],
]
for (const [name, spec, why] of REFUSALS) {
  test(`apply answers 500 to ${name}`, () => {
    const { body } = refusal(() => apply(undefined, 'ops', spec))
    assert.equal(body.code, 500)
    assert.equal(body.reason, undefined)
    const subject = '(/express; x.io/v1, Kind=Train)'
    assert.equal(body.message, `failed to create typed patch object ${subject}: ${why}`)
  })
}

test('apply answers 400 to another kind and to given managedFields', () => {
  const request = { ...API, live: undefined, manager: 'm', force: false, now: NOW }
  const tried = (applied: JsonObject) => {
    const { body } = refusal(() => applyConfiguration({ ...request, applied }))
    return `${body.code} ${body.message}`
  }
  assert.equal(tried({}), '400 invalid object type: /, Kind=')
  assert.equal(
    tried({ apiVersion: 'v1', kind: 'Secret' }),
    '400 invalid object type: /v1, Kind=Secret',
  )
  const given = train({}, { managedFields: [{}] })
  assert.equal(tried(given), '400 metadata.managedFields must be nil')
})

test('apply without fields drops the manager', () => {
  const live = apply(undefined, 'ops', { speed: 1 })
  const dropped = apply(live, 'ops', undefined)
  assert.deepEqual(managers(dropped), [])
})

test('apply neither takes nor changes the owner of fields the strategy resets', () => {
  const applied = { ...train({ speed: 1 }), status: { at: 'hull' } }
  const request = { ...API, live: undefined, applied, manager: 'm', force: false, now: NOW }
  const { managedFields } = applyConfiguration({ ...request, resetFields: [['status']] })
  assert.deepEqual(managedFields?.[0]?.fieldsV1, { 'f:spec': { 'f:speed': {} } })
})

test('apply leaves null where it emptied a container that is still applied empty', () => {
  const live = apply(undefined, 'ops', { livery: { color: 'red' }, speed: 1 })
  const emptied = apply(live, 'ops', { livery: {}, speed: 1 })
  assert.deepEqual(emptied.spec, { livery: null, speed: 1 })
})

/** Objects as a parser makes them: an equal one with another prototype may be kept in the place of what was applied. */
const PARSED = { noNullPrototype: true } as const
const car = (id: string) =>
  fc.record({ id: fc.constant(id), seats: fc.nat(2) }, { ...PARSED, requiredKeys: ['id'] })
// Containers are never applied empty: see the test above.
const spec: fc.Arbitrary<JsonObject> = fc.record(
  {
    speed: fc.nat(3),
    cars: fc
      .shuffledSubarray(['a', 'b', 'c'], { minLength: 1 })
      .chain(ids => fc.tuple(...ids.map(car)) as fc.Arbitrary<JsonObject[]>),
    stops: fc.shuffledSubarray(['york', 'leeds', 'hull'], { minLength: 1 }),
    crew: fc.subarray([{ name: 'ann' }, { name: 'bob' }], { minLength: 1 }),
    engine: fc.record({ kind: fc.constantFrom('x', 'y'), power: fc.nat(2) }, PARSED),
    livery: fc.record({ color: fc.constantFrom('r', 'g') }, PARSED),
    notes: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom('1', '2'), {
      ...PARSED,
      minKeys: 1,
    }),
  },
  { ...PARSED, requiredKeys: ['speed'] },
)

test('apply twice is apply once, and scalars and atomic values applied are there afterwards', () => {
  const steps = fc.array(fc.tuple(fc.constantFrom('m1', 'm2'), spec), { minLength: 1 })
  fc.assert(
    fc.property(steps, list => {
      let live: JsonObject | undefined
      for (const [manager, body] of list) {
        const before = JSON.stringify(live)
        const next: JsonObject = apply(live, manager, body, { force: true })
        assert.equal(JSON.stringify(live), before)
        assert.deepEqual(apply(next, manager, body, { now: LATER }), next)
        const result = next.spec as JsonObject
        for (const key of ['speed', 'crew', 'engine']) {
          if (body[key] !== undefined) assert.deepEqual(result[key], body[key])
        }
        live = next
      }
    }),
    { numRuns: 200 },
  )
})

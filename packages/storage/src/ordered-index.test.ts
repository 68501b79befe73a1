// The index against a plain map: same items, same order, and snapshots that stay as they were.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OrderedIndex } from './ordered-index.ts'

interface Item {
  readonly key: string
  readonly value: number
}

const bytewise = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

function expectedItems(model: Map<string, Item>, prefix: string, after?: string): Item[] {
  return [...model.values()]
    .filter(
      ({ key }) => key.startsWith(prefix) && (after === undefined || bytewise(after, key) < 0),
    )
    .sort((a, b) => bytewise(a.key, b.key))
}

const name = fc.oneof(
  fc.integer({ min: 0, max: 400 }).map(n => `n${n}`),
  fc.constantFrom('\u{1f600}', '\ufffd', 'é', 'z'),
)
const key = fc.tuple(fc.constantFrom('/r/a/', '/r/b/', '/r/'), name).map(parts => parts.join(''))
const step = fc.record({
  type: fc.constantFrom('set', 'set', 'set', 'delete', 'snapshot'),
  key,
  value: fc.nat(),
})

test('OrderedIndex() behaves as a sorted map under any sequence of writes and snapshots', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1500, size: 'max' }), key, (steps, after) => {
      const index = new OrderedIndex<Item>()
      const model = new Map<string, Item>()
      const snapshots: [ReturnType<typeof index.snapshot>, Map<string, Item>][] = []
      for (const { type, key, value } of steps) {
        const item = { key, value }
        if (type === 'snapshot') {
          if (snapshots.length < 5) snapshots.push([index.snapshot(), new Map(model)])
          continue
        }
        assert.equal(type === 'set' ? index.set(item) : index.delete(key), model.get(key))
        if (type === 'set') model.set(key, item)
        else model.delete(key)
      }
      assert.equal(index.size, model.size)
      for (const [snapshot, then] of [...snapshots, [index.snapshot(), model] as const]) {
        for (const prefix of ['/r/', '/r/a/', '/r/c/']) {
          assert.deepEqual([...snapshot.items(prefix)], expectedItems(then, prefix))
          const later = expectedItems(then, prefix, after)
          assert.deepEqual([...snapshot.items(prefix, after)], later)
          assert.equal(snapshot.count(prefix, after), later.length)
        }
        assert.equal(snapshot.get(after), then.get(after))
      }
    }),
    { numRuns: 60 },
  )
})

test('OrderedIndex() keeps its order over tens of thousands of keys', () => {
  const index = new OrderedIndex<Item>()
  for (let i = 0; i < 20_000; i++) {
    index.set({ key: `/r/${(i * 7919) % 20_011}`.padEnd(9, '0'), value: i })
  }
  const keys = [...index.snapshot().items('/r/')].map(item => item.key)
  assert.deepEqual(keys, keys.toSorted())
  assert.equal(new Set(keys).size, index.size)
  for (const key of keys.slice(100)) index.delete(key)
  assert.deepEqual([...index.snapshot().items('/r/')].length, 100)
})

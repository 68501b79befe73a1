// What the history still knows after it has forgotten: replay and earlier states against the full log.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { History, LoggedEvent } from './history.ts'
import { storedObject } from './stored-object.ts'
import { testBytes, testKey } from './testing/objects.ts'

const LIMITS = { eventsMax: 20, bytesMax: 1e9, windowMs: 1e9 }

function object(name: string, revision: number) {
  return storedObject(testKey({ name }), testBytes({ name, value: String(revision) }), revision)
}

test('since() and differences() agree with the full log, or say that they cannot', () => {
  const write = fc.record({
    name: fc.constantFrom('a', 'b', 'c'),
    deletes: fc.boolean(),
    more: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(write, { maxLength: 60 }), fc.nat(80), (writes, asked) => {
      const history = new History(10, LIMITS)
      const log: LoggedEvent[] = []
      const state = new Map<string, ReturnType<typeof object>>()
      let revision = 10
      for (const { name, deletes, more } of writes) {
        if (!more || log.length === 0) revision++
        const previous = state.get(name)
        if (deletes && previous === undefined) continue
        const current = deletes ? undefined : object(name, revision)
        if (current === undefined) state.delete(name)
        else state.set(name, current)
        const event = new LoggedEvent(revision, current, previous, 0)
        log.push(event)
        history.append(event)
      }
      const at = 10 + (asked % Math.max(revision - 9, 1))
      const later = log.filter(event => event.revision > at)
      assert.ok(history.size <= LIMITS.eventsMax)
      if (at < history.start) {
        assert.equal(history.since(at), undefined)
        assert.equal(history.differences(at), undefined)
        return
      }
      assert.deepEqual(history.since(at), later)
      const first = new Map(later.toReversed().map(event => [event.key, event.previous]))
      assert.deepEqual(new Map(history.differences(at)), new Map([...first]))
    }),
  )
})

test('the history drops what is over its bytes or its age', () => {
  const bytes = new History(1, { ...LIMITS, bytesMax: 2000 })
  const aged = new History(1, { ...LIMITS, windowMs: 50 })
  let previous = object('a', 1)
  for (let revision = 2; revision <= 12; revision++) {
    const current = object('a', revision)
    const event = new LoggedEvent(revision, current, previous, revision * 10)
    bytes.append(event)
    aged.append(event)
    previous = current
  }
  assert.ok(bytes.size > 0 && bytes.size < 6)
  assert.equal(aged.start, 6)
  aged.trim(1000)
  assert.equal(aged.size, 0)
  assert.equal(aged.start, 12)
})

test('what leaves a watch is made once for all watchers', () => {
  const event = new LoggedEvent(3, object('a', 3), object('a', 2), 0)
  assert.equal(event.left, event.left)
  assert.equal(event.left.object.bytes, event.left.object.bytes)
  assert.equal(event.entered, event.entered)
})

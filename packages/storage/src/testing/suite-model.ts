// The suite's part that compares an engine with the model, over seeded random requests. Called by
// suite.ts; calls model.ts.

import assert from 'node:assert/strict'
import type { Backend, WatchBatch } from '../backend.ts'
import { StorageError } from '../errors.ts'
import {
  EMPTY_MODEL,
  type ModelEvent,
  type ModelRequest,
  type ModelResponse,
  type ModelState,
  step,
  watched,
} from './model.ts'
import { type Random, seededRandom } from './random.ts'
import type { SuiteTests } from './suite.ts'
import { bytes, type Scene, text, watchUntil } from './suite-store.ts'

const SEEDS = [1, 2, 3, 4]
const REQUESTS = 250
const NAMES = ['a', 'a/1', 'a/2', 'ab', 'b/1', 'b/2', 'b/22', 'c']
const PREFIXES = ['', 'a', 'a/', 'b/', 'x']

export const modelTests: SuiteTests = {
  "random requests get the model's answers": async (scene, t) => {
    for (const seed of SEEDS) {
      t.diagnostic(`seed ${seed}`)
      const start = {
        ...scene,
        root: `${scene.root}${seed}/`,
        base: await scene.backend.revision(),
      }
      await compareRun(start, seed)
    }
  },

  'the history of concurrent writers explains every acknowledgement': async scene => {
    const { backend, root, base } = scene
    const acks = new Map<number, string>()
    await Promise.all(
      SEEDS.map(async seed => {
        const random = seededRandom(seed)
        for (let i = 0; i < 60; i++) {
          const ack = await randomWrite(backend, root, random, `${seed}-${i}`)
          if (ack === undefined) continue
          assert(!acks.has(ack.revision), `revision ${ack.revision} was given twice`)
          acks.set(ack.revision, ack.line)
        }
      }),
    )
    const until = await backend.revision()
    const batches = await watchUntil(backend, root, { after: base, until })
    const events = batches.flatMap(batch =>
      batch.events.map(event => [
        batch.revision,
        `${event.type} ${event.key} ${text(event.value)} after ${event.previousRevision ?? 0}`,
      ]),
    )
    assert.deepEqual(
      new Map(events as [number, string][]),
      new Map([...acks].sort(([a], [b]) => a - b)),
    )
  },
}

/** The engine may start at any revision; the model starts at 1. */
async function compareRun(scene: Scene, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const offset = scene.base - 1
  let state: ModelState = EMPTY_MODEL
  for (let i = 0; i < REQUESTS; i++) {
    const request = randomRequest(random, state)
    const [next, expected] = step(state, request)
    const actual = await ask(scene, request, offset)
    assert.deepEqual(actual, expected, `seed ${seed}, request ${i}: ${JSON.stringify(request)}`)
    state = next
  }
  for (const prefix of PREFIXES)
    await compareWatch(scene, state, prefix, random.below(state.revision))
  await compareWatch(scene, state, '', state.compacted)
}

async function compareWatch(
  { backend, root, base }: Scene,
  state: ModelState,
  prefix: string,
  after: number,
): Promise<void> {
  const offset = base - 1
  const expected = watched(state, prefix, after)
  const last = 'compacted' in expected ? state.revision : expected.at(-1)?.revision
  if (last === undefined) return
  const range = { after: after + offset, until: last + offset }
  try {
    const batches = await watchUntil(backend, root + prefix, range)
    assert.deepEqual(modelEvents(batches, root, offset), expected)
  } catch (error) {
    if (!(error instanceof StorageError && 'compacted' in expected)) throw error
    assert.equal(error.code, 'compacted')
    assert.equal(error.revision - offset, expected.compacted)
  }
}

function modelEvents(batches: readonly WatchBatch[], root: string, offset: number): ModelEvent[] {
  return batches.flatMap(batch =>
    batch.events.map(event => ({
      revision: batch.revision - offset,
      type: event.type,
      key: event.key.slice(root.length),
      ...(event.value && { value: text(event.value) ?? '' }),
      ...(event.previous && {
        previous: text(event.previous) ?? '',
        previousRevision: (event.previousRevision ?? 0) - offset,
      }),
    })),
  )
}

function randomRequest(random: Random, state: ModelState): ModelRequest {
  const key = random.pick(NAMES)
  const live = state.snapshots.get(state.revision)?.find(entry => entry.key === key)
  const right = live?.revision ?? 0
  const ifRevision = random.next() < 0.8 ? right : random.below(state.revision + 1)
  const past = Math.max(1, state.revision - random.below(12))
  const revision = random.next() < 0.05 ? state.revision + 1 : past
  const at = random.next() < 0.5 ? {} : { revision }
  const roll = random.next()
  if (roll < 0.4) return { type: 'put', key, value: `v${random.below(1e9)}`, ifRevision }
  if (roll < 0.5) return { type: 'delete', key, ifRevision }
  if (roll < 0.65) return { type: 'get', key, ...at }
  if (roll < 0.92) {
    const paging = random.next() < 0.5 ? {} : { after: random.pick(NAMES), limit: random.below(4) }
    return { type: 'list', prefix: random.pick(PREFIXES), ...paging, ...at }
  }
  if (roll < 0.96) return { type: 'revision' }
  return { type: 'compact', revision: Math.max(1, state.revision - random.below(20)) }
}

/** Sends the request under the scene's root and translates the answer into the model's terms. */
async function ask(scene: Scene, request: ModelRequest, offset: number): Promise<ModelResponse> {
  try {
    return await send(scene, request, offset)
  } catch (error) {
    if (!(error instanceof StorageError)) throw error
    const { code } = error
    const revision = error.revision === 0 ? 0 : error.revision - offset
    return { type: 'error', code, revision }
  }
}

async function send(
  { backend, root }: Scene,
  request: ModelRequest,
  offset: number,
): Promise<ModelResponse> {
  const at = 'revision' in request ? { revision: (request.revision ?? 0) + offset } : {}
  const rightRevision = (revision: number) => (revision === 0 ? 0 : revision + offset)
  switch (request.type) {
    case 'get': {
      const { entry, revision } = await backend.get(root + request.key, at)
      return {
        type: 'entry',
        entry: entry && modelEntry(entry, root, offset),
        revision: revision - offset,
      }
    }
    case 'list': {
      const { after, limit } = request
      const page = await backend.list(root + request.prefix, {
        ...at,
        ...(after !== undefined && { after: root + after }),
        ...(limit !== undefined && { limit }),
      })
      const entries = page.entries.map(entry => modelEntry(entry, root, offset))
      const { more, remaining = 0 } = page
      return { type: 'page', entries, more, remaining, revision: page.revision - offset }
    }
    case 'revision':
      return { type: 'revision', revision: (await backend.revision()) - offset }
    case 'put': {
      const ifRevision = rightRevision(request.ifRevision)
      const revision = await backend.put(root + request.key, bytes(request.value), { ifRevision })
      return { type: 'revision', revision: revision - offset }
    }
    case 'delete': {
      const ifRevision = rightRevision(request.ifRevision)
      const revision = await backend.delete(root + request.key, { ifRevision })
      return { type: 'revision', revision: revision - offset }
    }
    case 'compact':
      await backend.compact(request.revision + offset)
      return { type: 'done' }
    default:
      return request satisfies never
  }
}

function modelEntry(
  entry: { key: string; value: Uint8Array; revision: number },
  root: string,
  offset: number,
) {
  const value = text(entry.value) ?? ''
  return { key: entry.key.slice(root.length), value, revision: entry.revision - offset }
}

/** One write of a random key at its current revision. Undefined when another writer was faster. */
async function randomWrite(backend: Backend, root: string, random: Random, value: string) {
  const key = root + random.pick(NAMES)
  const { entry } = await backend.get(key)
  const ifRevision = entry?.revision ?? 0
  const isDelete = entry !== undefined && random.next() < 0.3
  try {
    const revision = isDelete
      ? await backend.delete(key, { ifRevision })
      : await backend.put(key, bytes(value), { ifRevision })
    const change = isDelete ? `delete ${key} undefined` : `put ${key} ${value}`
    const line = `${change} after ${ifRevision}`
    return { revision, line }
  } catch (error) {
    const isBeaten = error instanceof StorageError && error.code !== 'unavailable'
    if (!isBeaten) throw error
    return undefined
  }
}

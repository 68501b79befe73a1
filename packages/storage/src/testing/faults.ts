// A Backend that misbehaves as real ones do: slow calls, writes whose acknowledgement is lost,
// watches that break or lag. Wraps any engine in robustness tests; the seed decides everything, so
// a failing run can be repeated.

import type { Backend, WatchBatch } from '../backend.ts'
import { StorageError } from '../errors.ts'
import { type Random, seededRandom } from './random.ts'

export interface FaultOptions {
  readonly seed: number
  /** Turns of the event loop that a call may wait before and after the engine. Default 0. */
  readonly delayTurnsMax?: number
  /** Chance that a write or read never reaches the engine and throws unavailable. Default 0. */
  readonly refuse?: number
  /**
   * Chance that a write takes effect but throws unavailable: a crash between write and
   * acknowledgement. Default 0.
   */
  readonly loseAck?: number
  /**
   * Chance, for each batch, that the watch throws unavailable instead of delivering it. Default 0.
   */
  readonly dropWatch?: number
  /** Turns of the event loop that a watch may hold back each batch. Default 0. */
  readonly watchDelayTurnsMax?: number
}

/** A Backend over `backend` with faults, and a count of those that happened. */
export interface FaultyBackend extends Backend {
  readonly faults: { refused: number; acksLost: number; watchesDropped: number }
  /** From now on no faults happen; delays go on. */
  heal(): void
}

export function withFaults(backend: Backend, options: FaultOptions): FaultyBackend {
  const random = seededRandom(options.seed)
  const faults = { refused: 0, acksLost: 0, watchesDropped: 0 }
  let isHealed = false
  const happens = (chance = 0) => !isHealed && random.next() < chance

  async function call<T>(run: () => Promise<T>): Promise<T> {
    await turns(random, options.delayTurnsMax)
    if (happens(options.refuse)) {
      faults.refused++
      throw new StorageError('unavailable', { message: 'fault: the call did not get through' })
    }
    const result = await run()
    await turns(random, options.delayTurnsMax)
    return result
  }

  async function write<T>(run: () => Promise<T>): Promise<T> {
    const result = await call(run)
    if (!happens(options.loseAck)) return result
    faults.acksLost++
    throw new StorageError('unavailable', { message: 'fault: the acknowledgement was lost' })
  }

  async function* watch(
    prefix: string,
    watchOptions: { after: number; signal: AbortSignal },
  ): AsyncGenerator<WatchBatch> {
    for await (const batch of backend.watch(prefix, watchOptions)) {
      await turns(random, options.watchDelayTurnsMax)
      if (happens(options.dropWatch)) {
        faults.watchesDropped++
        throw new StorageError('unavailable', { message: 'fault: the watch broke' })
      }
      yield batch
    }
  }

  return {
    faults,
    heal: () => {
      isHealed = true
    },
    get: (key, readOptions) => call(() => backend.get(key, readOptions)),
    list: (prefix, readOptions) => call(() => backend.list(prefix, readOptions)),
    revision: readOptions => call(() => backend.revision(readOptions)),
    put: (key, value, writeOptions) => write(() => backend.put(key, value, writeOptions)),
    delete: (key, writeOptions) => write(() => backend.delete(key, writeOptions)),
    watch,
    compact: revision => call(() => backend.compact(revision)),
    close: () => backend.close(),
  }
}

async function turns(random: Random, max = 0): Promise<void> {
  if (max === 0) return
  for (let left = random.below(max + 1); left > 0; left--) {
    await new Promise<void>(resolve => setImmediate(resolve))
  }
}

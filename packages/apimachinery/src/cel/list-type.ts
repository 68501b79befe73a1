// Lists that Kubernetes treats as sets or as maps by key: their order does not count, and + merges.
// Called by schema-value.ts for x-kubernetes-list-type. Ref:
// apiserver/pkg/cel/common/valuesunstructured.go

import { escapeFieldName } from './field-name.ts'
import {
  ArrayList,
  CelDuration,
  type CelError,
  CelList,
  CelMap,
  CelTimestamp,
  type CelValue,
  equal,
} from './value.ts'

abstract class WrappedList extends CelList {
  override readonly intIndexOnly = true
  protected readonly items: CelList

  constructor(items: CelList) {
    super()
    this.items = items
  }

  get size(): number {
    return this.items.size
  }

  at(index: number): CelValue {
    return this.items.at(index)
  }
}

/** x-kubernetes-list-type=set: + is a union that keeps positions. */
export class SetList extends WrappedList {
  #keys: ReadonlySet<string> | undefined

  override equals(other: CelList): boolean | CelError {
    if (this.size !== other.size) return false
    const keys = this.#keySet()
    return [...other].every(value => keys.has(printKey(value)))
  }

  override add(other: CelList): CelValue {
    const all = [...this.items]
    const known = new Set(this.#keySet())
    for (const value of other) {
      const key = printKey(value)
      if (!known.has(key)) all.push(value)
      known.add(key)
    }
    return new SetList(new ArrayList(all))
  }

  #keySet(): ReadonlySet<string> {
    this.#keys ??= new Set([...this.items].map(printKey))
    return this.#keys
  }
}

/** x-kubernetes-list-type=map: + replaces elements with the same keys and appends the others. */
export class MapList extends WrappedList {
  readonly #keys: readonly string[]
  #byKey: ReadonlyMap<string, CelValue> | undefined

  /** `keys` are identifiers of the fields that tell elements apart. */
  constructor(items: CelList, keys: readonly string[]) {
    super(items)
    this.#keys = keys
  }

  override equals(other: CelList): boolean | CelError {
    if (this.size !== other.size) return false
    this.#byKey ??= new Map([...this.items].map(value => [this.#keyOf(value), value]))
    const seen = new Set<string>()
    for (const value of other) {
      const key = this.#keyOf(value)
      const mine = this.#byKey.get(key)
      const same = mine === undefined ? false : equal(mine, value)
      if (same !== true) return same
      seen.add(key)
    }
    return seen.size === this.#byKey.size
  }

  override add(other: CelList): CelValue {
    const all = [...this.items]
    const positions = new Map(all.map((value, i) => [this.#keyOf(value), i]))
    for (const value of other) {
      const position = positions.get(this.#keyOf(value))
      if (position === undefined) all.push(value)
      else all[position] = value
    }
    return new MapList(new ArrayList(all), this.#keys)
  }

  #keyOf(value: CelValue): string {
    if (!(value instanceof CelMap)) return ''
    return this.#keys.map(key => printKey(value.find(key))).join('\u0000')
  }
}

/** The identifiers of a map list's keys; ones that can not be escaped are kept as they are. */
export function keyIdentifiers(properties: readonly string[]): string[] {
  return properties.map(property => escapeFieldName(property) ?? property)
}

/** Equal values print alike, so that no element has to be compared with every other. */
function printKey(value: CelValue | undefined): string {
  if (value instanceof CelList) return `[${[...value].map(printKey).join()}]`
  if (value instanceof CelMap) {
    const entries = [...value.keys()].map(key => `${printKey(key)}:${printKey(value.find(key))}`)
    return `{${entries.sort().join()}}`
  }
  if (value instanceof CelDuration || value instanceof CelTimestamp) return `t${value.nanos}`
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

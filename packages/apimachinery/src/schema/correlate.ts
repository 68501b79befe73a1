// Pairs each value of an updated object with the value it replaces, so that errors in unchanged parts can be forgiven
// (ratcheting) and transition rules find oldSelf. Called by validate.ts and rules.ts.
// Ref: apiserver/pkg/cel/common/{equality,maplist}.go

import { equalJson, isObject, type JsonValue } from '../json.ts'
import type { SchemaNode } from './node.ts'
import { ANY_VALUE, NO_VALUE } from './structural.ts'

/** One value with its predecessor. Children are made when asked for; comparisons are remembered. */
export class Correlation {
  readonly value: JsonValue | undefined
  readonly old: JsonValue | undefined
  readonly #node: SchemaNode
  #unchanged: boolean | undefined
  #byKey: MapListIndex | undefined
  readonly #children = new Map<string | number, Correlation>()

  constructor(value: JsonValue | undefined, old: JsonValue | undefined, node: SchemaNode) {
    this.value = value
    this.old = old
    this.#node = node
  }

  /** True when nothing changed. Lists of type map compare item by key. */
  get unchanged(): boolean {
    this.#unchanged ??= this.#compare()
    return this.#unchanged
  }

  /** A field of an object, when both objects have it and the schema describes it. */
  field(name: string): Correlation | undefined {
    if (!isObject(this.value) || !isObject(this.old)) return undefined
    if (!Object.hasOwn(this.value, name) || !Object.hasOwn(this.old, name)) return undefined
    const node = this.#node.properties?.get(name) ?? this.#node.additionalProperties
    if (node === undefined || node === ANY_VALUE || node === NO_VALUE) return undefined
    return this.#child(name, this.value[name], this.old[name], node)
  }

  /** An item of a list of type map, when the old list has one of the same key. */
  item(index: number): Correlation | undefined {
    if (!Array.isArray(this.value) || !Array.isArray(this.old)) return undefined
    if (this.#node.listType !== 'map' || this.#node.items === undefined) return undefined
    this.#byKey ??= new MapListIndex(this.#node, this.old)
    const old = this.#byKey.get(this.value[index])
    return old === undefined
      ? undefined
      : this.#child(index, this.value[index], old, this.#node.items)
  }

  #child(
    key: string | number,
    value: JsonValue | undefined,
    old: JsonValue | undefined,
    node: SchemaNode,
  ): Correlation {
    const known = this.#children.get(key)
    if (known !== undefined) return known
    const child = new Correlation(value, old, node)
    this.#children.set(key, child)
    return child
  }

  /** Objects with a field the schema does not describe count as changed, whatever they hold. */
  #compare(): boolean {
    const { value, old } = this
    if (isObject(value) && isObject(old)) {
      const names = Object.keys(value)
      return (
        names.length === Object.keys(old).length &&
        names.every(name => this.field(name)?.unchanged === true)
      )
    }
    if (Array.isArray(value) && Array.isArray(old) && this.#node.listType === 'map') {
      if (value.length !== old.length) return false
      return value.every((_, i) => this.item(i)?.unchanged === true)
    }
    return equalJson(value ?? null, old ?? null)
  }
}

/** Finds the item of a list of type map that has the same keys as a given one; the first of several. */
export class MapListIndex {
  readonly #items = new Map<string, JsonValue>()
  readonly #keys: readonly string[]

  constructor(node: SchemaNode, items: readonly JsonValue[] | undefined) {
    this.#keys = node.listType === 'map' ? (node.listMapKeys ?? []) : []
    for (const item of items ?? []) {
      const key = this.#keyOf(item)
      if (key !== undefined && !this.#items.has(key)) this.#items.set(key, item)
    }
  }

  get(item: JsonValue | undefined): JsonValue | undefined {
    const key = this.#keyOf(item)
    return key === undefined ? undefined : this.#items.get(key)
  }

  #keyOf(item: JsonValue | undefined): string | undefined {
    if (!isObject(item) || this.#keys.length === 0) return undefined
    const values: JsonValue[] = []
    for (const key of this.#keys) {
      const value = Object.hasOwn(item, key) ? item[key] : undefined
      if (value === undefined || value === null || typeof value === 'object') return undefined
      values.push(value)
    }
    return JSON.stringify(values)
  }
}

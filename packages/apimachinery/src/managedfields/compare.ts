// What changed between two objects, as three field sets. It runs on every write: one walk over
// both, equal parts are left at once, and paths become text only where something differs. Called by
// track-update.ts and apply.ts. Ref: structured-merge-diff/typed/compare.go

import { equalJson, isObject, type JsonValue } from '../json.ts'
import { FieldSet } from './field-set.ts'
import { fieldElement, type PathElement } from './path-element.ts'
import { LIST, type ListDef, MAP, type MapDef, type TypeDef } from './type-def.ts'
import { childType, deduceKinds, handledKind, listItemElement } from './typed.ts'

export interface Comparison {
  readonly removed: FieldSet
  readonly modified: FieldSet
  readonly added: FieldSet
}

type Value = JsonValue | undefined

/**
 * A step of the path while it is only walked: the bare name of a field, or the element of a list
 * item.
 */
type Step = string | { readonly element: PathElement }

/** Compares two objects that fit their type. No field is in more than one of the three sets. */
export function compareTyped(old: JsonValue, next: JsonValue, type: TypeDef): Comparison {
  const walker = new CompareWalker()
  walker.compare(old, next, type)
  return walker
}

export function isSame(comparison: Comparison): boolean {
  return comparison.removed.isEmpty && comparison.modified.isEmpty && comparison.added.isEmpty
}

class CompareWalker implements Comparison {
  readonly removed = new FieldSet()
  readonly modified = new FieldSet()
  readonly added = new FieldSet()
  readonly #path: Step[] = []

  compare(old: Value, next: Value, type: TypeDef): void {
    if (old === next) return
    const oldKinds = deduceKinds(type, old)
    const nextKinds = deduceKinds(type, next)
    let isLeaf: boolean
    if (next === undefined) isLeaf = this.#handle(old, next, type, oldKinds)
    else if (old === undefined || oldKinds === nextKinds) {
      isLeaf = this.#handle(old, next, type, nextKinds)
    } else {
      this.#handle(old, next, type, oldKinds)
      isLeaf = this.#handle(old, next, type, nextKinds)
    }
    if (isLeaf) return
    if (old === undefined) this.#insert(this.added)
    else if (next === undefined) this.#insert(this.removed)
  }

  /** True when the value was compared as a whole. */
  #handle(old: Value, next: Value, type: TypeDef, kinds: number): boolean {
    switch (handledKind(kinds)) {
      case MAP: {
        const isLeaf = type.map.atomic || (isEmptyMap(old) && isEmptyMap(next))
        if (isLeaf) this.#leaf(old, next)
        else this.#map(old, next, type.map)
        return isLeaf
      }
      case LIST: {
        const isLeaf = type.list.atomic || (isEmptyList(old) && isEmptyList(next))
        if (isLeaf) this.#leaf(old, next)
        else if (!equalJson(old, next)) this.#list(old, next, type.list)
        return isLeaf
      }
      default:
        this.#leaf(old, next)
        return true
    }
  }

  #leaf(old: Value, next: Value): void {
    if (old === undefined) this.#insert(this.added)
    else if (next === undefined) this.#insert(this.removed)
    else if (!equalJson(old, next)) this.#insert(this.modified)
  }

  #map(old: Value, next: Value, map: MapDef): void {
    const left = isObject(old) ? old : undefined
    const right = isObject(next) ? next : undefined
    for (const key in left) {
      if (!Object.hasOwn(left, key) || left[key] === undefined) continue
      const other = right !== undefined && Object.hasOwn(right, key) ? right[key] : undefined
      this.#field(key, left[key], other, map, { hasOld: true, hasNext: right !== undefined })
    }
    for (const key in right) {
      if (!Object.hasOwn(right, key)) continue
      if (left !== undefined && Object.hasOwn(left, key) && left[key] !== undefined) continue
      this.#field(key, undefined, right[key], map, { hasOld: left !== undefined, hasNext: true })
    }
  }

  #field(
    key: string,
    old: Value,
    next: Value,
    map: MapDef,
    within: { hasOld: boolean; hasNext: boolean },
  ): void {
    if (old === next) return
    const type = childType(map, key)
    if (type === undefined) return
    const zero = map.fields.get(key)?.zero
    const left = old === undefined && within.hasOld ? zero : old
    const right = next === undefined && within.hasNext ? zero : next
    this.#path.push(key)
    this.compare(left, right, type)
    this.#path.pop()
  }

  #list(old: Value, next: Value, list: ListDef): void {
    const left = indexItems(list, old)
    const right = indexItems(list, next)
    for (const [element, items] of left) {
      this.#path.push({ element })
      this.#items(items, right.get(element) ?? [], list.element)
      this.#path.pop()
    }
    for (const [element, items] of right) {
      if (left.has(element)) continue
      this.#path.push({ element })
      this.#items([], items, list.element)
      this.#path.pop()
    }
  }

  /**
   * Items of one identity. Duplicates are owned as one: they are compared as a whole, before and
   * after.
   */
  #items(old: JsonValue[], next: JsonValue[], type: TypeDef): void {
    if (old.length <= 1 && next.length <= 1) this.compare(old[0], next[0], type)
    else if (old.length >= 2 && next.length >= 2) {
      if (!equalJson(old, next)) this.#insert(this.modified)
    } else if (old.length >= 2) {
      if (next.length > 0) this.compare(undefined, next[0], type)
      this.#insert(this.removed)
    } else {
      if (old.length > 0) this.compare(old[0], undefined, type)
      this.#insert(this.added)
    }
  }

  #insert(set: FieldSet): void {
    set.insert(
      this.#path.map(step => (typeof step === 'string' ? fieldElement(step) : step.element)),
    )
  }
}

function indexItems(list: ListDef, value: Value): Map<PathElement, JsonValue[]> {
  const index = new Map<PathElement, JsonValue[]>()
  for (const item of Array.isArray(value) ? value : []) {
    const element = listItemElement(list, item)
    const items = index.get(element)
    if (items === undefined) index.set(element, [item])
    else items.push(item)
  }
  return index
}

/** True for a map without members and for anything that is no map. */
export function isEmptyMap(value: Value): boolean {
  if (!isObject(value)) return true
  for (const key in value) if (value[key] !== undefined) return false
  return true
}

/** True for a list without items and for anything that is no list. */
export function isEmptyList(value: Value): boolean {
  return !Array.isArray(value) || value.length === 0
}

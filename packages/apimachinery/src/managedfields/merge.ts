// The two ways apply changes an object: merge what is applied into what is live, and take out
// fields given up. Called by apply.ts; calls typed.ts. Ref: structured-merge-
// diff/typed/{merge,remove}.go, fieldpath/set.go EnsureNamedFieldsAreMembers

import { isObject, type JsonObject, type JsonValue, setOwn } from '../json.ts'
import { isEmptyList, isEmptyMap } from './compare.ts'
import { EMPTY_SET, type FieldNode, FieldSet } from './field-set.ts'
import { fieldElement, fieldNameOf, type PathElement } from './path-element.ts'
import { LIST, type ListDef, MAP, type MapDef, type TypeDef } from './type-def.ts'
import { childType, deduceKinds, handledKind, listItemElement } from './typed.ts'

type Value = JsonValue | undefined

/**
 * The live value with the applied one merged in: applied leaves win, nothing is removed, and the
 * order of list items is the applied one where it says something. The result shares unchanged parts
 * with its sources.
 */
export function mergeTyped(live: Value, applied: Value, type: TypeDef): Value {
  if (applied === undefined) return live
  switch (handledKind(deduceKinds(type, applied))) {
    case MAP: {
      const isLeaf = type.map.atomic || (isEmptyMap(live) && isEmptyMap(applied))
      return isLeaf ? applied : mergeMaps(live, applied, type.map)
    }
    case LIST: {
      const isLeaf = type.list.atomic || (isEmptyList(live) && isEmptyList(applied))
      return isLeaf ? applied : mergeLists(live, applied, type.list)
    }
    default:
      return applied
  }
}

function mergeMaps(live: Value, applied: Value, map: MapDef): Value {
  const left = isObject(live) ? live : {}
  const right = isObject(applied) ? applied : {}
  const merged: JsonObject = {}
  for (const key of Object.keys(left)) {
    const other = Object.hasOwn(right, key) ? right[key] : undefined
    setMember(merged, key, left[key], other, map)
  }
  for (const key of Object.keys(right)) {
    if (!Object.hasOwn(left, key)) setMember(merged, key, undefined, right[key], map)
  }
  return isEmptyMap(merged) ? undefined : merged
}

function setMember(
  merged: JsonObject,
  key: string,
  live: Value,
  applied: Value,
  map: MapDef,
): void {
  const type = childType(map, key)
  const value = type === undefined ? live : mergeTyped(live, applied, type)
  if (value !== undefined) setOwn(merged, key, value)
}

interface Item {
  readonly element: PathElement
  readonly value: JsonValue
}

/**
 * Items both sides have stand in the applied order; items only one side has keep their place
 * between them.
 */
function mergeLists(live: Value, applied: Value, list: ListDef): Value {
  const left = itemsOf(list, live)
  const right = itemsOf(list, applied)
  const merged = new ListMerge(left, right, list).run()
  return merged.length > 0 ? merged : undefined
}

function itemsOf(list: ListDef, value: Value): Item[] {
  const items = Array.isArray(value) ? value : []
  return items.map(item => ({ element: listItemElement(list, item), value: item }))
}

class ListMerge {
  readonly #left: Item[]
  readonly #right: Item[]
  readonly #list: ListDef
  readonly #leftByElement = new Map<PathElement, JsonValue>()
  readonly #rightByElement = new Map<PathElement, JsonValue>()
  readonly #shared: PathElement[]
  readonly #done = new Set<PathElement>()
  readonly #merged: JsonValue[] = []

  constructor(left: Item[], right: Item[], list: ListDef) {
    this.#left = left
    this.#right = right
    this.#list = list
    for (const { element, value } of left) {
      // Duplicates cannot be merged with: null lets the applied item replace them.
      this.#leftByElement.set(element, this.#leftByElement.has(element) ? null : value)
    }
    for (const { element, value } of right) this.#rightByElement.set(element, value)
    this.#shared = right.map(it => it.element).filter(it => this.#leftByElement.has(it))
  }

  run(): JsonValue[] {
    let l = 0
    let r = 0
    let nextShared = this.#shared.shift()
    while (l < this.#left.length || r < this.#right.length) {
      const left = this.#left[l]
      const right = this.#right[r]
      if (left !== undefined && right !== undefined) {
        if (left.element === right.element) {
          this.#mergeItem(right.element)
          l += 1
          r += 1
          nextShared = this.#shared.shift()
          continue
        }
        const isShared = this.#rightByElement.has(left.element)
        if (isShared && nextShared !== undefined && nextShared !== left.element) {
          l += 1
          continue
        }
      }
      if (left !== undefined) {
        if (!this.#rightByElement.has(left.element)) {
          this.#merged.push(left.value)
          l += 1
          continue
        }
        if (this.#done.has(left.element)) l += 1
      }
      if (right !== undefined) {
        this.#mergeItem(right.element)
        r += 1
        if (nextShared === right.element) nextShared = this.#shared.shift()
      }
    }
    return this.#merged
  }

  #mergeItem(element: PathElement): void {
    this.#done.add(element)
    const live = this.#leftByElement.get(element)
    const value = mergeTyped(live, this.#rightByElement.get(element), this.#list.element)
    if (value !== undefined) this.#merged.push(value)
  }
}

/**
 * The value without the items and fields of a set. Containers left empty, and atomic ones entered,
 * become null.
 */
export function removeFields(value: JsonValue, fields: FieldSet, type: TypeDef): JsonValue {
  switch (handledKind(deduceKinds(type, value))) {
    case MAP:
      return isObject(value) && !type.map.atomic ? removeMembers(value, fields, type.map) : null
    case LIST:
      return Array.isArray(value) && !type.list.atomic
        ? removeItems(value, fields, type.list)
        : null
    default:
      return value
  }
}

function removeMembers(value: JsonObject, fields: FieldSet, map: MapDef): JsonObject | null {
  const kept: JsonObject = {}
  let count = 0
  for (const key of Object.keys(value)) {
    const node = fields.nodes.get(fieldElement(key))
    if (node?.member) continue
    const type = childType(map, key)
    const child = value[key] ?? null
    const left = node?.children && type ? removeFields(child, node.children, type) : child
    setOwn(kept, key, left)
    count += 1
  }
  return count > 0 ? kept : null
}

function removeItems(value: JsonValue[], fields: FieldSet, list: ListDef): JsonValue[] | null {
  const kept: JsonValue[] = []
  for (const item of value) {
    const node = fields.nodes.get(listItemElement(list, item))
    if (node?.member) continue
    kept.push(node?.children ? removeFields(item, node.children, list.element) : item)
  }
  return kept.length > 0 ? kept : null
}

/**
 * The set with every named field on the way to its paths added; keys of maps and list items are
 * not.
 */
export function withNamedParents(set: FieldSet, type: TypeDef | undefined): FieldSet {
  const nodes = new Map<PathElement, FieldNode>()
  for (const [element, node] of set.nodes) {
    if (node.children === undefined) {
      nodes.set(element, node)
      continue
    }
    const name = fieldNameOf(element)
    const takesMap = type !== undefined && (type.kinds & MAP) !== 0
    const takesList = type !== undefined && (type.kinds & LIST) !== 0
    const named = name !== undefined && takesMap && type.map.fields.has(name)
    const below =
      name !== undefined && takesMap
        ? childType(type.map, name)
        : element.startsWith('k:') && takesList
          ? type.list.element
          : undefined
    nodes.set(element, {
      member: node.member || named,
      children: withNamedParents(node.children, below),
    })
  }
  return nodes.size === 0 ? EMPTY_SET : new FieldSet(nodes)
}

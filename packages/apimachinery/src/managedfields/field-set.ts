// A set of field paths as a tree, its algebra, and its fieldsV1 JSON. Sets are immutable once
// shared: the operations return new sets and reuse unchanged subtrees. Called by the walkers and by
// apply.ts; calls path-element.ts. Ref: structured-merge-diff/fieldpath/{set,serialize}.go

import { formatGoFloat } from '../go-float.ts'
import type { JsonNumber } from '../int64.ts'
import { isObject, type JsonObject, setOwn } from '../json.ts'
import {
  FieldsFormatError,
  fieldElement,
  type PathElement,
  parseElement,
  printElement,
  sortElements,
} from './path-element.ts'

/** One path element below a set: a member of it, the parent of members, or both. */
export interface FieldNode {
  readonly member: boolean
  readonly children: FieldSet | undefined
}

const LEAF: FieldNode = Object.freeze({ member: true, children: undefined })

export class FieldSet {
  readonly nodes: Map<PathElement, FieldNode>

  constructor(nodes: Map<PathElement, FieldNode> = new Map()) {
    this.nodes = nodes
  }

  /** The set of these paths of plain field names. */
  static ofFields(...paths: readonly (readonly string[])[]): FieldSet {
    const set = new FieldSet()
    for (const path of paths) set.insert(path.map(fieldElement))
    return set
  }

  /** Adds a path to a set that nobody shares yet. The empty path, the whole object, is no field. */
  insert(path: readonly PathElement[]): void {
    let set: FieldSet = this
    for (const [depth, element] of path.entries()) {
      const node = set.nodes.get(element)
      if (depth === path.length - 1) {
        set.nodes.set(element, node === undefined ? LEAF : { ...node, member: true })
        return
      }
      const children = node?.children ?? new FieldSet()
      if (node?.children === undefined) {
        set.nodes.set(element, { member: node?.member ?? false, children })
      }
      set = children
    }
  }

  get isEmpty(): boolean {
    return this.nodes.size === 0
  }

  has(path: readonly PathElement[]): boolean {
    let set: FieldSet | undefined = this
    for (const [depth, element] of path.entries()) {
      const node: FieldNode | undefined = set.nodes.get(element)
      if (depth === path.length - 1) return node?.member ?? false
      set = node?.children
      if (set === undefined) return false
    }
    return false
  }

  union(other: FieldSet): FieldSet {
    if (other.isEmpty || other === this) return this
    if (this.isEmpty) return other
    const nodes = new Map(this.nodes)
    for (const [element, theirs] of other.nodes) {
      const ours = nodes.get(element)
      nodes.set(element, ours === undefined ? theirs : uniteNodes(ours, theirs))
    }
    return new FieldSet(nodes)
  }

  intersection(other: FieldSet): FieldSet {
    const nodes = new Map<PathElement, FieldNode>()
    for (const [element, ours] of this.nodes) {
      const theirs = other.nodes.get(element)
      if (theirs === undefined) continue
      const children =
        ours.children && theirs.children && ours.children.intersection(theirs.children)
      keep(nodes, element, ours.member && theirs.member, children)
    }
    return new FieldSet(nodes)
  }

  /**
   * Paths of this set that are not in the other. A parent in the other does not take its children
   * away.
   */
  difference(other: FieldSet): FieldSet {
    return this.without(other, false)
  }

  /** Paths of this set that are neither in the other nor below one of its paths. */
  recursiveDifference(other: FieldSet): FieldSet {
    return this.without(other, true)
  }

  private without(other: FieldSet, recursive: boolean): FieldSet {
    if (this.isEmpty || other.isEmpty) return this
    const nodes = new Map<PathElement, FieldNode>()
    let changed = false
    for (const [element, ours] of this.nodes) {
      const theirs = other.nodes.get(element)
      if (theirs === undefined) {
        nodes.set(element, ours)
        continue
      }
      const member = ours.member && !theirs.member
      const children = theirs.children
        ? ours.children?.without(theirs.children, recursive)
        : ours.children
      const kept = recursive && theirs.member ? undefined : children
      if (member === ours.member && kept === ours.children) nodes.set(element, ours)
      else {
        changed = true
        keep(nodes, element, member, kept)
      }
    }
    return changed ? new FieldSet(nodes) : this
  }

  equals(other: FieldSet): boolean {
    if (this === other) return true
    if (this.nodes.size !== other.nodes.size) return false
    for (const [element, ours] of this.nodes) {
      const theirs = other.nodes.get(element)
      if (theirs === undefined || ours.member !== theirs.member) return false
      if (!(ours.children ?? EMPTY_SET).equals(theirs.children ?? EMPTY_SET)) return false
    }
    return true
  }

  /**
   * Every path of the set: at each level its members first, then what lies below, both in
   * upstream's order.
   */
  paths(): PathElement[][] {
    const found: PathElement[][] = []
    collectPaths(this, [], found)
    return found
  }

  /** The fieldsV1 object of the set, keys in upstream's order. */
  toFieldsV1(): JsonObject {
    return writeFields(this, false)
  }

  /** Reads a fieldsV1 object. Throws FieldsFormatError when it is not one. */
  static fromFieldsV1(fields: JsonObject): FieldSet {
    return readFields(fields).children ?? EMPTY_SET
  }
}

export const EMPTY_SET = new FieldSet()

/** A path as conflicts print it: `.spec.ports[name="h"].port`. */
export function printPath(path: readonly PathElement[]): string {
  return path.map(element => printElement(element, printFloat)).join('')
}

/** Upstream reads the numbers of the fields that others own as float64. */
const printFloat = (value: JsonNumber): string => formatGoFloat(Number(value))

function keep(
  nodes: Map<PathElement, FieldNode>,
  element: PathElement,
  member: boolean,
  children: FieldSet | undefined,
): void {
  const inner = children?.isEmpty ? undefined : children
  if (member || inner !== undefined) nodes.set(element, { member, children: inner })
}

function uniteNodes(a: FieldNode, b: FieldNode): FieldNode {
  const children =
    a.children && b.children ? a.children.union(b.children) : (a.children ?? b.children)
  if (a.member || !b.member) return children === a.children ? a : { member: a.member, children }
  return { member: true, children }
}

function collectPaths(set: FieldSet, prefix: readonly PathElement[], found: PathElement[][]): void {
  const elements = sortElements(set.nodes.keys())
  for (const element of elements) {
    if (set.nodes.get(element)?.member) found.push([...prefix, element])
  }
  for (const element of elements) {
    const children = set.nodes.get(element)?.children
    if (children !== undefined) collectPaths(children, [...prefix, element], found)
  }
}

function writeFields(set: FieldSet, includeSelf: boolean): JsonObject {
  const fields: JsonObject = {}
  if (includeSelf) fields['.'] = {}
  for (const element of sortElements(set.nodes.keys())) {
    const node = set.nodes.get(element)
    if (node === undefined) continue
    const below = node.children === undefined ? {} : writeFields(node.children, node.member)
    setOwn(fields, element, below)
  }
  return fields
}

function readFields(fields: JsonObject): FieldNode {
  let member = false
  const nodes = new Map<PathElement, FieldNode>()
  for (const key of Object.keys(fields)) {
    if (key === '.') {
      member = true
      continue
    }
    const element = parseElement(key)
    if (element === undefined) continue
    const below = fields[key]
    if (!isObject(below)) throw new FieldsFormatError(`not an object: ${key}`)
    nodes.set(element, readFields(below))
  }
  if (nodes.size === 0) return LEAF
  return { member, children: new FieldSet(nodes) }
}

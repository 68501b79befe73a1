// Reads nested fields of objects whose kind promises a shape: a missing or odd field reads as nothing.
// Called by strategies and columns of resources/*; calls nothing.

import {
  isJsonNumber,
  isObject,
  type JsonNumber,
  type JsonObject,
  type JsonValue,
} from '@podless/apimachinery'

type Path = string | readonly string[]

/** The value at `a.b.c` (or a list of keys, where keys hold dots). */
export function valueAt(root: JsonValue | undefined, path: Path): JsonValue | undefined {
  let value = root
  for (const key of typeof path === 'string' ? path.split('.') : path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

/** A string, or '' where there is none. */
export function textAt(root: JsonValue | undefined, path: Path): string {
  const value = valueAt(root, path)
  return typeof value === 'string' ? value : ''
}

/** A number as it was sent, or undefined: for fields of type int64. */
export function int64At(root: JsonValue | undefined, path: Path): JsonNumber | undefined {
  const value = valueAt(root, path)
  return isJsonNumber(value) ? value : undefined
}

/** A number to calculate with, or undefined. An integer beyond 2^53 is rounded. */
export function numberAt(root: JsonValue | undefined, path: Path): number | undefined {
  const value = valueAt(root, path)
  return isJsonNumber(value) ? Number(value) : undefined
}

/** An object, or an empty one that belongs to nobody. */
export function objectAt(root: JsonValue | undefined, path: Path): JsonObject {
  const value = valueAt(root, path)
  return isObject(value) ? value : {}
}

/** A list, or an empty one that belongs to nobody. */
export function listAt(root: JsonValue | undefined, path: Path): readonly JsonValue[] {
  const value = valueAt(root, path)
  return Array.isArray(value) ? value : []
}

/** The objects of a list. */
export function objectsAt(root: JsonValue | undefined, path: Path): readonly JsonObject[] {
  return listAt(root, path).filter(isObject)
}

/** The strings of a list. */
export function textsAt(root: JsonValue | undefined, path: Path): readonly string[] {
  return listAt(root, path).filter(item => typeof item === 'string')
}

/** A map of strings. */
export function mapAt(root: JsonValue | undefined, path: Path): Readonly<Record<string, string>> {
  return objectAt(root, path) as Record<string, string>
}

/** The object at a key, made when absent. */
export function ensureObject(parent: JsonObject, key: string): JsonObject {
  const value = parent[key]
  if (isObject(value)) return value
  const made: JsonObject = {}
  parent[key] = made
  return made
}

/** Sets the fields that are absent or null. */
export function fillDefaults(target: JsonObject, defaults: Readonly<JsonObject>): void {
  for (const [key, value] of Object.entries(defaults)) target[key] ??= value
}

/** Sets the fields that are absent, null or the empty string, as Go defaults strings that are no pointers. */
export function fillEmpty(target: JsonObject, defaults: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(defaults)) {
    if ((target[key] ?? '') === '') target[key] = value
  }
}

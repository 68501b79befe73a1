// JSON values as TypeScript sees them, and the two helpers everything needs: clone and equality.
// Called from every package; calls nothing.

/** A bigint is an integer that no number holds exactly, within int64: int64.ts makes them. */
export type JsonPrimitive = string | number | bigint | boolean | null
export type JsonValue = JsonPrimitive | JsonObject | JsonValue[]
export interface JsonObject {
  [key: string]: JsonValue | undefined
}

/** True for a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A deep copy of a JSON value. Several times faster than structuredClone on API objects. */
export function cloneJson<T extends JsonValue | undefined>(value: T): T {
  if (Array.isArray(value)) return value.map(item => cloneJson(item)) as T
  if (!isObject(value)) return value
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) setOwn(copy, key, cloneJson(value[key]))
  return copy as T
}

/** Deep equality of JSON values; an undefined property equals an absent one. Key order does not count. */
export function equalJson(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]))
  }
  if (!isObject(a) || !isObject(b)) return false
  const undefinedInA = (key: string): boolean => !Object.hasOwn(a, key) || a[key] === undefined
  return subset(a, b) && Object.keys(b).every(key => b[key] === undefined || !undefinedInA(key))
}

/** Values are compared in one direction only: both would double the work at each level of nesting. */
function subset(a: JsonObject, b: JsonObject): boolean {
  for (const key of Object.keys(a)) {
    if (a[key] !== undefined && (!Object.hasOwn(b, key) || !equalJson(a[key], b[key]))) return false
  }
  return true
}

/** Sets an own property even when the key is `__proto__`, as user data may spell it. */
export function setOwn(target: JsonObject, key: string, value: JsonValue | undefined): void {
  if (key !== '__proto__') target[key] = value
  else
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    })
}

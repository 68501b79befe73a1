// The objects that mutating admission policies construct: Object{...}, Object.spec{...} and JSONPatch{...}. Declared by
// the checker and built by the interpreter when an expression was compiled with them; read as JSON by to-json.ts.
// Ref: apiserver/pkg/cel/mutation/{typeresolver,jsonpatch}.go, apiserver/pkg/cel/mutation/dynamic/objects.go

import { CelType, DYN, STRING } from './cel-type.ts'
import type { Declaration } from './declaration.ts'
import { CelError, CelList, CelMap, CelOpaque, type CelValue, equal } from './value.ts'

const OBJECT = 'Object'
const JSON_PATCH = 'JSONPatch'
const TEXT_FIELDS: ReadonlySet<string> = new Set(['op', 'path', 'from'])

const SIZELESS = { maxElements: 0, minBytes: 0 }
const anyField: Declaration = { ...SIZELESS, type: DYN }
const textField: Declaration = { ...SIZELESS, type: STRING }

/** The type of an operation of a JSON patch. */
const JSON_PATCH_TYPE = new CelType('struct', JSON_PATCH, [], {
  ...SIZELESS,
  type: DYN,
  field: name => {
    if (TEXT_FIELDS.has(name)) return textField
    return name === 'value' ? anyField : undefined
  },
})
/** The type of an apply configuration as a whole. */
const OBJECT_TYPE = objectType(OBJECT)

function objectType(name: string): CelType {
  return new CelType('struct', name, [], { ...SIZELESS, type: DYN, field: () => anyField })
}

/** The type of this name; `Object.a.b` is what belongs at field b of field a. */
export function patchType(name: string): CelType | undefined {
  if (name === JSON_PATCH) return JSON_PATCH_TYPE
  if (name === OBJECT) return OBJECT_TYPE
  return name.startsWith(`${OBJECT}.`) ? objectType(name) : undefined
}

/** What such an expression makes. Its fields can be counted on but not selected. */
export class PatchObject extends CelOpaque {
  readonly type: CelType
  readonly fields: ReadonlyMap<string, CelValue>

  constructor(type: CelType, fields: ReadonlyMap<string, CelValue>) {
    super()
    this.type = type
    this.fields = fields
  }

  equals(other: CelOpaque): boolean {
    if (!(other instanceof PatchObject) || other.type.name !== this.type.name) return false
    if (other.fields.size !== this.fields.size) return false
    return [...this.fields].every(([name, value]) => {
      const theirs = other.fields.get(name)
      return theirs !== undefined && equal(value, theirs) === true
    })
  }
}

/** Makes an object of its fields; the texts of an operation of a JSON patch are texts. */
export function patchObject(
  type: CelType,
  fields: ReadonlyMap<string, CelValue>,
): PatchObject | CelError {
  for (const [name, value] of type.name === JSON_PATCH ? fields : []) {
    if (TEXT_FIELDS.has(name) && typeof value !== 'string') {
      return new CelError(`unexpected type for JSONPatchType '${name}' field`)
    }
  }
  return new PatchObject(type, fields)
}

/**
 * Objects whose type is not named after the fields that lead to them, said in upstream's words. The value of a JSON
 * patch's operation may begin anywhere.
 */
export function misnamedObjects(value: unknown): string[] {
  if (!(value instanceof PatchObject)) return []
  if (value.type.name === JSON_PATCH) return misnamedObjects(value.fields.get('value'))
  return misnamedBelow(value, [value.type.name])
}

function misnamedBelow(value: CelValue, path: readonly string[]): string[] {
  if (value instanceof PatchObject) {
    const expected = path.join('.')
    const own =
      value.type.name === expected
        ? []
        : [
            `unexpected type name ${JSON.stringify(value.type.name)}, expected ${JSON.stringify(expected)}, which matches field name path from root Object type`,
          ]
    const nested = [...value.fields].flatMap(([name, field]) =>
      misnamedBelow(field, [...path, name]),
    )
    return [...own, ...nested]
  }
  return contentsOf(value).flatMap(item => misnamedBelow(item, path))
}

function contentsOf(value: CelValue): CelValue[] {
  if (value instanceof CelMap) return [...value.keys()].map(key => value.find(key) ?? null)
  return value instanceof CelList ? [...value] : []
}

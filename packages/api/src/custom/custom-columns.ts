// The table columns of a custom resource, from its CRD's printer columns. Pure; called by resource-from-crd.ts.
// Ref: apiextensions-apiserver/pkg/registry/customresource/tableconvertor/tableconvertor.go

import {
  compileJsonPath,
  isJsonNumber,
  isObject,
  type JsonObject,
  type JsonPath,
  type JsonValue,
  printGo,
} from '@podless/apimachinery'
import type { Column } from '../resource.ts'
import { ageOf, NAME } from '../resources/columns.ts'

export interface PrinterColumn extends JsonObject {
  name: string
  type: Column['type']
  format?: string
  description?: string
  priority?: number
  jsonPath: string
}

/** The columns a CRD version asks for; without any, the name and the age. */
export function customColumns(own: readonly PrinterColumn[] | undefined): readonly Column[] {
  if (own === undefined || own.length === 0) return [NAME, creationColumn]
  return [NAME, ...own.map(columnOf)]
}

const creationColumn: Column = columnOf({
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
})

function columnOf({ name, type, format, description, priority, jsonPath }: PrinterColumn): Column {
  let find: JsonPath | undefined
  return {
    name,
    type,
    ...(format === undefined ? {} : { format }),
    description:
      description ?? `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    ...(priority === undefined ? {} : { priority }),
    cell: (obj, now) => {
      find ??= finderOf(jsonPath)
      return cellOf(find(obj) ?? [], type, now)
    },
  }
}

/** A path that does not parse, stored before it was checked, finds nothing. */
function finderOf(jsonPath: string): JsonPath {
  const compiled = compileJsonPath(jsonPath)
  return compiled.ok ? compiled.find : () => undefined
}

function cellOf(values: readonly JsonValue[], type: Column['type'], now: Date): JsonValue {
  const value = values[0]
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
      return typeof value === 'number'
        ? Math.trunc(value)
        : typeof value === 'bigint'
          ? value
          : null
    case 'number':
      return isJsonNumber(value) ? Number(value) : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'string':
      return values.length > 1 || isObject(value) || Array.isArray(value)
        ? JSON.stringify(values.length > 1 ? values : value)
        : printGo(value)
    case 'date':
      return typeof value === 'string' ? ageOf(value, now) : null
  }
}

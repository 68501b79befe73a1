// The cells of a CRD's additionalPrinterColumns and the values of its selectable fields. Called by the registry.
// Ref: apiextensions-apiserver/pkg/registry/customresource/tableconvertor/tableconvertor.go

import { formatGoFloat } from '../go-float.ts'
import { isJsonNumber } from '../int64.ts'
import type { JsonValue } from '../json.ts'
import { compileJsonPath, simplePath } from './json-path.ts'
import { sortedText } from './sorted-json.ts'

/** One cell. `age` words a timestamp: "5m", or "<invalid>" when it is none. */
export type CellPrinter = (object: JsonValue, age: (timestamp: string) => string) => JsonValue

/** Makes the printer of a column; undefined when its path does not parse, and then the column is not shown. */
export function printerCell(type: string, jsonPath: string): CellPrinter | undefined {
  const path = compileJsonPath(jsonPath)
  if (!path.ok) return undefined
  return (object, age) => {
    const value = path.find(object)?.[0]
    if (value === undefined) return null
    return type === 'string' ? printText(value) : (CELLS[type]?.(value, age) ?? null)
  }
}

/** The text a fieldSelector compares; empty where there is no value. */
export function selectableFieldValue(jsonPath: string): (object: JsonValue) => string {
  const find = simplePath(jsonPath)
  return object => {
    const value = find(object)
    return value === undefined || value === null ? '' : printText(value)
  }
}

type Cell = (value: JsonValue, age: (timestamp: string) => string) => JsonValue | undefined

const CELLS: Readonly<Record<string, Cell>> = {
  integer: value =>
    typeof value === 'number' ? Math.trunc(value) : typeof value === 'bigint' ? value : undefined,
  number: value => (isJsonNumber(value) ? Number(value) : undefined),
  boolean: value => (typeof value === 'boolean' ? value : undefined),
  date: (value, age) => (typeof value === 'string' ? age(value) : undefined),
}

function printText(value: JsonValue): string {
  if (value === null) return '<no value>'
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? String(value) : formatGoFloat(value)
  return typeof value === 'object' ? sortedText(value) : String(value)
}

// kubectl's view: a Table made of a resource's printer columns. Called by respond.ts and watch-frame.ts.
// Ref: apiserver/pkg/endpoints/handlers/response.go asTable, apimachinery/pkg/apis/meta/v1/types.go Table

import { badRequest, type JsonObject, type JsonValue, type KubeObject } from '@podless/apimachinery'
import type { Column } from '../resource.ts'
import { type MetaVersion, partialMetadata } from './partial-metadata.ts'

export interface TableOptions {
  /** The table's own metadata: the list's, or the one object's resourceVersion. */
  readonly metadata: JsonObject
  /** Metadata (default), Object or None; anything else is 400. */
  readonly includeObject: string
  readonly now: Date
  /** v1 unless given. */
  readonly version?: MetaVersion | undefined
}

type RowObject = (obj: KubeObject, version: MetaVersion) => JsonObject | null

const ROW_OBJECT: Readonly<Record<string, RowObject>> = {
  '': partialMetadata,
  Metadata: partialMetadata,
  Object: obj => obj,
  None: () => null,
}

/** Throws 400 for an includeObject that says nothing known. */
export function checkIncludeObject(includeObject: string): void {
  if (Object.hasOwn(ROW_OBJECT, includeObject)) return
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(includeObject)}: must be 'Metadata', 'Object', 'None', or empty`,
  )
}

export function tableOf(
  columns: readonly Column[],
  objects: readonly KubeObject[],
  options: TableOptions,
): JsonObject {
  const { metadata, includeObject, now, version = 'v1' } = options
  checkIncludeObject(includeObject)
  const rowObject = ROW_OBJECT[includeObject] ?? partialMetadata
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${version}`,
    metadata,
    columnDefinitions: columns.map(columnDefinition),
    rows: objects.map(obj => ({
      cells: cellsOf(columns, obj, now),
      object: rowObject(obj, version),
    })),
  }
}

function columnDefinition({ name, type, format, description, priority }: Column): JsonObject {
  return { name, type, format: format ?? '', description, priority: priority ?? 0 }
}

function cellsOf(columns: readonly Column[], obj: KubeObject, now: Date): JsonValue[] {
  return columns.map(column => column.cell(obj, now) ?? null)
}

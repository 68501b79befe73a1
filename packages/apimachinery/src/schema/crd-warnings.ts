// What a CRD may say but should not: formats that no value is held to. Called by the strategy of
// customresourcedefinitions. Ref: apiextensions-apiserver/pkg/registry/customresourcedefinition/strategy.go

import type { JsonObject } from '../json.ts'
import { effectiveFormat } from './formats.ts'
import { subSchema, subSchemas, textOf, walkSchema } from './raw-schema.ts'

/** Texts for the Warning header of a write; what `old` said already is not said again. */
export function crdWarnings(crd: JsonObject, old: JsonObject | undefined): string[] {
  const before = old === undefined ? new Set<string>() : unrecognizedFormats(old)
  return [...unrecognizedFormats(crd)]
    .filter(format => !before.has(format))
    .map(format => `unrecognized format ${JSON.stringify(format)}`)
}

function unrecognizedFormats(crd: JsonObject): Set<string> {
  const found = new Set<string>()
  for (const version of subSchemas(subSchema(crd, 'spec') ?? {}, 'versions')) {
    const root = subSchema(subSchema(version, 'schema') ?? {}, 'openAPIV3Schema')
    for (const schema of root === undefined ? [] : walkSchema(root)) {
      const format = textOf(schema, 'format')
      if (format !== '' && effectiveFormat([textOf(schema, 'type')], format) === '')
        found.add(format)
    }
  }
  return found
}

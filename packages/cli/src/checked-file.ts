// A YAML file in an API's shape, checked against a JSON Schema: what --audit-policy and --authentication-config name.
// Called by audit-log.ts and authentication-config.ts. What is wrong is said field by field.

import { readFile } from 'node:fs/promises'
import { parseYaml } from '@podless/apimachinery'
import type { ErrorObject, Schema } from 'ajv'
import { CliError, EXIT } from './exit.ts'

export interface CheckedFileOptions {
  /** The flag that names the file, for messages. */
  readonly flag: string
  readonly schema: Schema
  /** What the document is called where no field is meant. */
  readonly document: string
  /** Better words for errors that the schema's own do not explain; undefined for all others. */
  readonly explain?: (error: ErrorObject, place: string) => string | undefined
}

/** Reads and checks a file. Throws a usage error that names what is wrong and what may be. */
export async function readCheckedFile<T>(path: string, options: CheckedFileOptions): Promise<T> {
  const { flag, schema, document, explain } = options
  let value: unknown
  try {
    value = parseYaml(await readFile(path), { strict: true }).value
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CliError(EXIT.usage, `${flag} ${path} cannot be read: ${why}`, { cause: error })
  }
  const { compileSchema } = await import('./json-schema.ts')
  const validate = compileSchema<T>(schema)
  if (validate(value)) return value
  const problems = (validate.errors ?? []).map(error => {
    const place = placeOf(error.instancePath, document)
    return explain?.(error, place) ?? describe(error, place)
  })
  throw new CliError(EXIT.usage, `${flag} ${path}: ${problems.join('; ')}`)
}

/** `/rules/0/level` as `rules[0].level`. */
function placeOf(instancePath: string, document: string): string {
  const parts = instancePath.split('/').slice(1)
  const text = parts.map(part => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('')
  return text === '' ? document : text.replace(/^\./, '')
}

function describe({ keyword, params, parentSchema, message }: ErrorObject, place: string): string {
  if (keyword === 'additionalProperties') {
    const known = Object.keys((parentSchema?.properties ?? {}) as object).join(', ')
    return `${place} has no field ${JSON.stringify(params.additionalProperty)}; there are ${known}`
  }
  if (keyword === 'enum')
    return `${place} must be one of ${(params.allowedValues as string[]).join(', ')}`
  if (keyword === 'const') return `${place} must be ${String(params.allowedValue)}`
  return `${place} ${message}`
}

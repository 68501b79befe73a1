// podless up --config FILE: the same settings as the flags, in YAML, checked against a JSON Schema that editors can use.
// Called by commands/up.ts; flags and PODLESS_* variables win over the file.

import { readFile } from 'node:fs/promises'
import { isObject, parseYaml } from '@podless/apimachinery'
import type { ErrorObject } from 'ajv'
import schema from './config.schema.json' with { type: 'json' }
import { CliError, EXIT } from './exit.ts'

/** Flag names in camelCase to their values, as commander gives them. */
export type FileSettings = Readonly<Record<string, string | readonly string[]>>

/** Reads and checks a settings file. Throws a usage error that names the setting and what it may be. */
export async function readConfigFile(path: string): Promise<FileSettings> {
  let value: unknown
  try {
    value = parseYaml(await readFile(path), { strict: true }).value
  } catch (error) {
    throw new CliError(EXIT.usage, `--config ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
  // A file of comments alone.
  if (value === null || value === undefined) return {}
  const { compileSchema } = await import('./json-schema.ts')
  const validate = compileSchema(schema)
  if (!validate(value))
    throw new CliError(
      EXIT.usage,
      `--config ${path}: ${(validate.errors ?? []).map(describe).join('; ')}`,
    )
  return isObject(value)
    ? Object.fromEntries(
        Object.entries(value).map(([name, setting]) => [camelCase(name), textOf(setting)]),
      )
    : {}
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
const camelCase = (name: string): string =>
  name.replaceAll(/-([a-z])/g, (_match, letter: string) => letter.toUpperCase())
const textOf = (setting: unknown): string | readonly string[] =>
  Array.isArray(setting) ? setting.map(String) : String(setting)

function describe({ keyword, instancePath, params, message }: ErrorObject): string {
  if (keyword === 'additionalProperties') {
    const known = Object.keys(schema.properties).join(', ')
    return `there is no setting ${JSON.stringify(params.additionalProperty)}; there are ${known}`
  }
  const name = instancePath.slice(1)
  if (keyword === 'enum')
    return `${name} must be one of ${(params.allowedValues as string[]).join(', ')}`
  return `${name === '' ? 'the file' : name} ${message}`
}

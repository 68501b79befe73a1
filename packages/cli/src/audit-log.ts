// podless up --audit-log FILE --audit-policy FILE: opens the log and reads its policy, checked against a JSON Schema.
// Called by up.ts; what is recorded of a request is the api package's business.

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  type AuditFile,
  type AuditPolicy,
  DEFAULT_AUDIT_POLICY,
  type Log,
  openAuditFile,
} from '@podless/api'
import { parseYaml } from '@podless/apimachinery'
import type { ErrorObject } from 'ajv'
import schema from './audit-policy.schema.json' with { type: 'json' }
import { CliError, EXIT } from './exit.ts'

export interface AuditLogOptions {
  readonly auditLog?: string
  readonly auditPolicy?: string
  /** MiB. */
  readonly auditLogMaxsize: string
  readonly auditLogMaxbackup: string
}

export interface AuditLog {
  readonly policy: AuditPolicy
  readonly file: AuditFile
}

const MEBIBYTE = 1024 * 1024

/** Undefined when there is to be no log. Throws a CliError for a policy or file that cannot be used. */
export async function openAuditLog(
  options: AuditLogOptions,
  log: Log,
): Promise<AuditLog | undefined> {
  const { auditLog, auditPolicy } = options
  if (auditLog === undefined) {
    if (auditPolicy === undefined) return undefined
    throw new CliError(EXIT.usage, '--audit-policy needs --audit-log: the file to write to')
  }
  const policy = auditPolicy === undefined ? DEFAULT_AUDIT_POLICY : await readPolicy(auditPolicy)
  const bytesMax = wholeNumber('--audit-log-maxsize', options.auditLogMaxsize, 1) * MEBIBYTE
  const filesMax = wholeNumber('--audit-log-maxbackup', options.auditLogMaxbackup, 0)
  try {
    const onError = (error: unknown): void => log.error('the audit log is incomplete', error)
    const file = await openAuditFile({ path: resolve(auditLog), bytesMax, filesMax, onError })
    return { policy, file }
  } catch (error) {
    throw new CliError(
      EXIT.cannotCreate,
      `--audit-log ${auditLog} cannot be written: ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/** Reads and checks a policy. Throws a usage error that names what is wrong and what may be. */
export async function readPolicy(path: string): Promise<AuditPolicy> {
  let value: unknown
  try {
    value = parseYaml(await readFile(path), { strict: true }).value
  } catch (error) {
    throw new CliError(EXIT.usage, `--audit-policy ${path} cannot be read: ${messageOf(error)}`, {
      cause: error,
    })
  }
  const { Ajv } = await import('ajv')
  const validate = new Ajv({ allErrors: true, verbose: true }).compile<AuditPolicy>(schema)
  if (validate(value)) return value
  const problems = (validate.errors ?? []).map(describe)
  throw new CliError(EXIT.usage, `--audit-policy ${path}: ${problems.join('; ')}`)
}

/** `/rules/0/level` as `rules[0].level`. */
function placeOf(instancePath: string): string {
  const parts = instancePath.split('/').slice(1)
  const text = parts.map(part => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join('')
  return text === '' ? 'the policy' : text.replace(/^\./, '')
}

function describe({ keyword, instancePath, params, parentSchema, message }: ErrorObject): string {
  const place = placeOf(instancePath)
  if (keyword === 'additionalProperties') {
    const known = Object.keys((parentSchema?.properties ?? {}) as object).join(', ')
    return `${place} has no field ${JSON.stringify(params.additionalProperty)}; there are ${known}`
  }
  if (keyword === 'enum')
    return `${place} must be one of ${(params.allowedValues as string[]).join(', ')}`
  if (keyword === 'const') return `${place} must be ${String(params.allowedValue)}`
  if (keyword === 'not')
    return `${place} is about nonResourceURLs or about resources and namespaces, not both`
  if (keyword === 'pattern' && place.includes('nonResourceURLs'))
    return `${place} must be a path, with * at its end at most`
  return `${place} ${message}`
}

function wholeNumber(flag: string, text: string, least: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) >= least) return Number(text)
  throw new CliError(EXIT.usage, `${flag} must be a whole number of at least ${least}`)
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

// podless up --audit-log FILE --audit-policy FILE: opens the log and reads its policy, checked against a JSON Schema.
// Called by up.ts; what is recorded of a request is the api package's business.

import { resolve } from 'node:path'
import {
  type AuditFile,
  type AuditPolicy,
  DEFAULT_AUDIT_POLICY,
  type Log,
  openAuditFile,
} from '@podless/api'
import type { ErrorObject } from 'ajv'
import schema from './audit-policy.schema.json' with { type: 'json' }
import { readCheckedFile } from './checked-file.ts'
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
  return await readCheckedFile<AuditPolicy>(path, {
    flag: '--audit-policy',
    schema,
    document: 'the policy',
    explain,
  })
}

function explain({ keyword }: ErrorObject, place: string): string | undefined {
  if (keyword === 'not')
    return `${place} is about nonResourceURLs or about resources and namespaces, not both`
  return keyword === 'pattern' && place.includes('nonResourceURLs')
    ? `${place} must be a path, with * at its end at most`
    : undefined
}

function wholeNumber(flag: string, text: string, least: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) >= least) return Number(text)
  throw new CliError(EXIT.usage, `${flag} must be a whole number of at least ${least}`)
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

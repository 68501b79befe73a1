// The options of every verb, from a query string or a body: ListOptions, GetOptions, CreateOptions, UpdateOptions,
// PatchOptions, DeleteOptions, TableOptions. Called by verbs and respond.ts. A value of the wrong form is 400 with
// Go's text, a forbidden combination 422. Ref: apimachinery/pkg/apis/meta/{v1,internalversion}/validation,
// apimachinery/pkg/runtime/conversion.go

import * as z from 'zod/mini'
import {
  type FieldError,
  forbiddenField,
  formatFieldError,
  invalidValue,
  notSupported,
  required,
} from './field-error.ts'
import { type FieldSelector, parseFieldSelector } from './field-selectors.ts'
import { isInt64, type JsonNumber } from './int64.ts'
import type { JsonObject } from './json.ts'
import { validateFieldManager } from './object-meta.ts'
import { type LabelSelector, parseLabelSelector } from './selectors.ts'
import { badRequest, invalid } from './status.ts'
import { ParseError, parseGoDurationMs, parseInt64 } from './strconv.ts'

// --- values of a query: the first of each name counts, but for dryRun

/** strconv.ParseInt's refusal becomes the schema's issue, whose message is the client's. */
const goInt64 = z.pipe(
  z.string(),
  z.transform((text, ctx) => {
    try {
      return Number(parseInt64(text))
    } catch (error) {
      if (!(error instanceof ParseError)) throw error
      ctx.issues.push({ code: 'custom', message: error.message, input: text })
      return z.NEVER
    }
  }),
)
/** Only "0" and "false" are false; the empty string is true. */
const goBool = z.pipe(
  z.string(),
  z.transform(text => text !== '0' && text.toLowerCase() !== 'false'),
)
const text = z._default(z.string(), '')

type Query = Readonly<Record<string, string>>

function decode<T extends z.ZodMiniType>(schema: T, query: URLSearchParams): z.output<T> {
  const first: Record<string, string> = {}
  for (const [name, value] of query) if (!Object.hasOwn(first, name)) first[name] = value
  const result = z.safeParse(schema, first satisfies Query)
  if (result.success) return result.data
  throw badRequest(result.error.issues[0]?.message ?? 'invalid query')
}

function refuseInvalid(kind: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', errors)
}

// --- list and watch

const listQuery = z.object({
  labelSelector: text,
  fieldSelector: text,
  watch: z.optional(goBool),
  allowWatchBookmarks: z.optional(goBool),
  resourceVersion: text,
  resourceVersionMatch: text,
  timeoutSeconds: z.optional(goInt64),
  limit: z.optional(goInt64),
  continue: text,
  sendInitialEvents: z.optional(goBool),
})

export interface ListOptions {
  readonly labelSelector: LabelSelector
  readonly fieldSelector: FieldSelector
  readonly watch: boolean
  readonly allowWatchBookmarks: boolean
  /** '' when the request has none. */
  readonly resourceVersion: string
  readonly resourceVersionMatch: '' | 'Exact' | 'NotOlderThan'
  readonly timeoutSeconds?: number
  /** 0 for no limit. */
  readonly limit: number
  readonly continue: string
  readonly sendInitialEvents?: boolean
}

/** Options of list, watch and deletecollection. Throws 400 or 422. */
export function parseListOptions(query: URLSearchParams): ListOptions {
  const raw = decode(listQuery, query)
  const options: ListOptions = {
    labelSelector: parseLabelSelector(raw.labelSelector),
    fieldSelector: parseFieldSelector(raw.fieldSelector),
    watch: raw.watch ?? false,
    allowWatchBookmarks: raw.allowWatchBookmarks ?? false,
    resourceVersion: raw.resourceVersion,
    resourceVersionMatch: raw.resourceVersionMatch as ListOptions['resourceVersionMatch'],
    limit: raw.limit ?? 0,
    continue: raw.continue,
    ...(raw.timeoutSeconds === undefined ? {} : { timeoutSeconds: raw.timeoutSeconds }),
    ...(raw.sendInitialEvents === undefined ? {} : { sendInitialEvents: raw.sendInitialEvents }),
  }
  refuseInvalid('ListOptions', options.watch ? watchErrors(options) : listErrors(options))
  return options
}

const MATCH = 'resourceVersionMatch'
const forbiddenMatch = (why: string) => forbiddenField(MATCH, why)
const WITH_CONTINUE = 'resourceVersionMatch is forbidden when continue is provided'

function listErrors(options: ListOptions): FieldError[] {
  const errors: FieldError[] = []
  const match: string = options.resourceVersionMatch
  if (match !== '') {
    if (options.resourceVersion === '') {
      errors.push(
        forbiddenMatch('resourceVersionMatch is forbidden unless resourceVersion is provided'),
      )
    }
    if (options.continue !== '') errors.push(forbiddenMatch(WITH_CONTINUE))
    if (match !== 'Exact' && match !== 'NotOlderThan') {
      errors.push(notSupported(MATCH, match, ['Exact', 'NotOlderThan', '']))
    }
    if (match === 'Exact' && options.resourceVersion === '0') {
      errors.push(
        forbiddenMatch('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
      )
    }
  }
  if (options.sendInitialEvents !== undefined) {
    errors.push(forbiddenField('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  }
  return errors
}

function watchErrors(options: ListOptions): FieldError[] {
  const errors: FieldError[] = []
  const match: string = options.resourceVersionMatch
  const initial = options.sendInitialEvents !== undefined
  // Such a watch begins with the objects there are, as one with sendInitialEvents does.
  // Ref: apimachinery/pkg/apis/meta/internalversion/defaults.go SetListOptionsDefaults
  const startsNow = options.resourceVersion === '' || options.resourceVersion === '0'
  if (match === '' && !initial && startsNow && options.continue !== '') {
    errors.push(forbiddenMatch(WITH_CONTINUE))
  }
  if (initial && match !== 'NotOlderThan') {
    errors.push(
      forbiddenMatch('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'),
    )
  }
  if (match === '') return errors
  if (!initial) {
    errors.push(
      forbiddenMatch(
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      ),
    )
  }
  if (match !== 'NotOlderThan') errors.push(notSupported(MATCH, match, ['NotOlderThan']))
  if (options.continue !== '') errors.push(forbiddenMatch(WITH_CONTINUE))
  return errors
}

// --- get

const getQuery = z.object({ resourceVersion: text })

export interface GetOptions {
  readonly resourceVersion: string
}

export function parseGetOptions(query: URLSearchParams): GetOptions {
  return decode(getQuery, query)
}

// --- create, update, patch

const writeQuery = z.object({
  force: z.optional(goBool),
  fieldManager: text,
  fieldValidation: text,
})

export type FieldValidation = '' | 'Ignore' | 'Warn' | 'Strict'

export interface WriteOptions {
  readonly dryRun: boolean
  /** '' when the request names none: managerName then derives one. */
  readonly fieldManager: string
  /** '' when the request does not say, which means Warn. */
  readonly fieldValidation: FieldValidation
}
export type CreateOptions = WriteOptions
export type UpdateOptions = WriteOptions
export interface PatchOptions extends WriteOptions {
  readonly force?: boolean
}

/** Options of a POST. Throws 422. */
export function parseCreateOptions(query: URLSearchParams): CreateOptions {
  return parseWriteOptions('CreateOptions', query)
}

/** Options of a PUT. Throws 422. */
export function parseUpdateOptions(query: URLSearchParams): UpdateOptions {
  return parseWriteOptions('UpdateOptions', query)
}

function parseWriteOptions(kind: string, query: URLSearchParams): WriteOptions {
  const raw = decode(writeQuery, query)
  refuseInvalid(kind, writeErrors(raw, query))
  return writeOptions(raw, query)
}

/** Options of a PATCH; an apply must name its field manager, and only an apply may force. Throws 422. */
export function parsePatchOptions(query: URLSearchParams, apply: boolean): PatchOptions {
  const raw = decode(writeQuery, query)
  const errors: FieldError[] = []
  if (apply && raw.fieldManager === '') {
    errors.push(required('fieldManager', 'is required for apply patch'))
  }
  if (!apply && raw.force !== undefined) {
    errors.push(forbiddenField('force', 'may not be specified for non-apply patch'))
  }
  refuseInvalid('PatchOptions', [...errors, ...writeErrors(raw, query)])
  return {
    ...writeOptions(raw, query),
    ...(raw.force === undefined ? {} : { force: raw.force }),
  }
}

type RawWrite = z.output<typeof writeQuery>

const writeOptions = (raw: RawWrite, query: URLSearchParams): WriteOptions => ({
  dryRun: query.has('dryRun'),
  fieldManager: raw.fieldManager,
  fieldValidation: raw.fieldValidation as FieldValidation,
})

const FIELD_VALIDATIONS = ['', 'Ignore', 'Strict', 'Warn']

function writeErrors(raw: RawWrite, query: URLSearchParams): FieldError[] {
  const errors = [
    ...validateFieldManager(raw.fieldManager, 'fieldManager'),
    ...dryRunErrors(query.getAll('dryRun')),
  ]
  if (!FIELD_VALIDATIONS.includes(raw.fieldValidation)) {
    errors.push(notSupported('fieldValidation', raw.fieldValidation, FIELD_VALIDATIONS))
  }
  return errors
}

function dryRunErrors(values: readonly string[]): FieldError[] {
  if (values.every(value => value === 'All')) return []
  return [notSupported('dryRun', [...values], ['All'])]
}

// --- delete

const deleteQuery = z.object({
  gracePeriodSeconds: z.optional(goInt64),
  orphanDependents: z.optional(goBool),
  propagationPolicy: z.optional(z.string()),
  ignoreStoreReadErrorWithClusterBreakingPotential: z.optional(goBool),
  uid: text,
  resourceVersion: text,
})

export type PropagationPolicy = 'Foreground' | 'Background' | 'Orphan'

export interface DeleteOptions {
  readonly dryRun: boolean
  readonly gracePeriodSeconds?: number
  /** The older spelling of propagationPolicy. */
  readonly orphanDependents?: boolean
  readonly propagationPolicy?: PropagationPolicy
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
}

/** Options of a DELETE without a body. Throws 400 or 422. */
export function parseDeleteOptions(query: URLSearchParams): DeleteOptions {
  const { uid, resourceVersion, ...raw } = decode(deleteQuery, query)
  const preconditions = {
    ...(uid === '' ? {} : { uid }),
    ...(resourceVersion === '' ? {} : { resourceVersion }),
  }
  return deleteOptions({
    ...raw,
    dryRun: query.getAll('dryRun'),
    preconditions: uid === '' && resourceVersion === '' ? undefined : preconditions,
  })
}

// A body's null counts as absent, as for every optional field of Go's.
const absent = <T extends z.ZodMiniType>(schema: T) =>
  z.pipe(
    z.optional(z.nullable(schema)),
    z.transform(value => value ?? undefined),
  )
const unreadable = (what: string, field: string, type: string): string =>
  `json: cannot unmarshal ${what} into Go struct field DeleteOptions.${field} of type ${type}`
const goField = (field: string, type: string) => ({
  error: (issue: { readonly input?: unknown }) => unreadable(jsonKind(issue.input), field, type),
})
/** Rounded where a number cannot hold it: nothing is calculated with it. */
const int64Field = (field: string) =>
  z.pipe(
    z.custom<JsonNumber>(isInt64, {
      error: ({ input }) =>
        unreadable(typeof input === 'number' ? `number ${input}` : jsonKind(input), field, 'int64'),
    }),
    z.transform(Number),
  )
const boolField = (field: string) => z.boolean(goField(field, 'bool'))
const stringField = (field: string, type: string) => z.string(goField(field, type))

const deleteBody = z.object({
  dryRun: absent(z.array(stringField('dryRun', 'string'), goField('dryRun', '[]string'))),
  gracePeriodSeconds: absent(int64Field('gracePeriodSeconds')),
  orphanDependents: absent(boolField('orphanDependents')),
  propagationPolicy: absent(stringField('propagationPolicy', 'v1.DeletionPropagation')),
  ignoreStoreReadErrorWithClusterBreakingPotential: absent(
    boolField('ignoreStoreReadErrorWithClusterBreakingPotential'),
  ),
  preconditions: absent(
    z.object(
      {
        uid: absent(stringField('preconditions.uid', 'types.UID')),
        resourceVersion: absent(stringField('preconditions.resourceVersion', 'string')),
      },
      goField('preconditions', 'v1.Preconditions'),
    ),
  ),
})

function jsonKind(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  return typeof value
}

/** Options of a DELETE that has a body, already decoded as a DeleteOptions object. Throws 400 or 422. */
export function deleteOptionsFromBody(body: JsonObject): DeleteOptions {
  const result = z.safeParse(deleteBody, body)
  if (!result.success) throw badRequest(result.error.issues[0]?.message ?? 'invalid body')
  const { dryRun = [], preconditions, ...raw } = result.data
  return deleteOptions({ ...raw, dryRun, preconditions: withoutUndefined(preconditions) })
}

interface RawDelete {
  readonly dryRun: readonly string[]
  readonly gracePeriodSeconds?: number | undefined
  readonly orphanDependents?: boolean | undefined
  readonly propagationPolicy?: string | undefined
  readonly ignoreStoreReadErrorWithClusterBreakingPotential?: boolean | undefined
  readonly preconditions: { readonly uid?: string; readonly resourceVersion?: string } | undefined
}

function deleteOptions(raw: RawDelete): DeleteOptions {
  refuseInvalid('DeleteOptions', deleteErrors(raw))
  const { gracePeriodSeconds, orphanDependents, preconditions } = raw
  const propagationPolicy = raw.propagationPolicy as PropagationPolicy | undefined
  return {
    dryRun: raw.dryRun.length > 0,
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(orphanDependents === undefined ? {} : { orphanDependents }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(preconditions === undefined ? {} : { preconditions }),
  }
}

function withoutUndefined(
  preconditions: { uid: string | undefined; resourceVersion: string | undefined } | undefined,
): RawDelete['preconditions'] {
  if (preconditions === undefined) return undefined
  const { uid, resourceVersion } = preconditions
  return {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  }
}

const POLICIES = ['Foreground', 'Background', 'Orphan']
const UNSAFE = 'ignoreStoreReadErrorWithClusterBreakingPotential'

function deleteErrors(raw: RawDelete): FieldError[] {
  const errors: FieldError[] = []
  const policy = raw.propagationPolicy
  if (raw.orphanDependents !== undefined && policy !== undefined) {
    const detail = 'orphanDependents and deletionPropagation cannot be both set'
    errors.push(invalidValue('propagationPolicy', policy, detail))
  }
  if (policy !== undefined && !POLICIES.includes(policy)) {
    errors.push(notSupported('propagationPolicy', policy, [...POLICIES, 'nil']))
  }
  errors.push(...dryRunErrors(raw.dryRun))
  if (raw.ignoreStoreReadErrorWithClusterBreakingPotential === true) {
    for (const other of [
      'propagationPolicy',
      'orphanDependents',
      'gracePeriodSeconds',
      'preconditions',
    ] as const) {
      if (raw[other] === undefined) continue
      errors.push(invalidValue(UNSAFE, true, `cannot be set together with .${other}`))
    }
  }
  return errors
}

// --- tables and the whole request

const tableQuery = z.object({ includeObject: text })

export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** What a Table carries beside its cells; Metadata unless asked. Throws 400. */
export function parseTableOptions(query: URLSearchParams): { includeObject: IncludeObject } {
  const { includeObject } = decode(tableQuery, query)
  if (includeObject === '') return { includeObject: 'Metadata' }
  if (includeObject === 'None' || includeObject === 'Metadata' || includeObject === 'Object') {
    return { includeObject }
  }
  const detail = "must be 'Metadata', 'Object', 'None', or empty"
  const error = formatFieldError(invalidValue('includeObject', includeObject, detail))
  throw badRequest(`Unable to convert to Table as requested: ${error}`)
}

/** The `timeout` parameter of any request but a watch, in milliseconds; undefined when absent. Throws 400. */
export function parseTimeoutMs(query: URLSearchParams): number | undefined {
  const value = query.get('timeout')
  if (value === null || value === '') return undefined
  try {
    return parseGoDurationMs(value)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw badRequest(`invalid timeout specified in the request URL - ${error.message}`)
  }
}

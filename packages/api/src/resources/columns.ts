// Cells of the tables that `kubectl get` prints: the standard columns and how values are written in them.
// Called by resources/*; calls reading.ts. Ref: kubernetes/pkg/printers/internalversion/printers.go

import {
  isJsonNumber,
  type JsonNumber,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import type { Column } from '../resource.ts'
import { mapAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

/** The first column of every table. */
export const NAME: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description:
    'The name of the object, unique for its kind within a namespace, or within the whole server for kinds that have none. It is chosen once, by the client or from generateName, and stays.',
  cell: obj => obj.metadata.name ?? '',
}

/** The last column of most tables. */
export const AGE: Column = {
  name: 'Age',
  type: 'string',
  description:
    "How long ago the server stored the object for the first time, by the server's own clock. Clients cannot set it, and it says nothing about the order of writes made at about the same time.",
  cell: (obj, now) => ageOf(obj.metadata.creationTimestamp, now),
}

interface ColumnOptions {
  readonly type?: Column['type']
  /** 1 for columns shown by `-o wide` only. */
  readonly priority?: number
}

/** When it was made: what lists show of kinds that have no columns of their own. */
export const CREATED_AT: Column = {
  name: 'Created At',
  type: 'date',
  description: AGE.description,
  cell: obj => obj.metadata.creationTimestamp ?? null,
}

/** A column of one's own making. */
export function column(
  name: string,
  description: string,
  cell: Column['cell'],
  options: ColumnOptions = {},
): Column {
  const { type = 'string', priority } = options
  return { name, type, description, cell, ...(priority === undefined ? {} : { priority }) }
}

/** A column that shows one string field. */
export const textColumn = (name: string, path: string, description: string, priority?: number) =>
  column(name, description, obj => textAt(obj, path), priority === undefined ? {} : { priority })

/** A column that shows one number field, 0 when it is not set. Some kinds of upstream call theirs a string. */
export const countColumn = (
  name: string,
  path: string,
  description: string,
  type: Column['type'] = 'integer',
) => column(name, description, obj => countAt(obj, path), { type })

function countAt(obj: KubeObject, path: string): JsonNumber {
  const value = valueAt(obj, path)
  return isJsonNumber(value) ? value : 0
}

/** A column that shows one boolean field. */
export const flagColumn = (name: string, path: string, description: string, priority?: number) =>
  column(name, description, obj => valueAt(obj, path) === true, {
    type: 'boolean',
    ...(priority === undefined ? {} : { priority }),
  })

/** How long ago a timestamp was: `5m12s`, or `<unknown>` when there is none. */
export function ageOf(timestamp: JsonValue | undefined, now: Date): string {
  if (typeof timestamp !== 'string' || timestamp === '') return '<unknown>'
  return humanDuration(now.getTime() - Date.parse(timestamp))
}

/** A duration in the two largest units that matter. Ref: apimachinery/pkg/util/duration/duration.go HumanDuration */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000)
  if (Number.isNaN(seconds) || seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  const minutes = Math.trunc(seconds / 60)
  const hours = Math.trunc(seconds / 3600)
  const days = Math.trunc(hours / 24)
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return twoUnits(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  if (hours < 8) return twoUnits(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (hours < 192) return twoUnits(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.trunc(days / 365)
  return days < 2920 ? twoUnits(years, 'y', days % 365, 'd') : `${years}y`
}

const twoUnits = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`

const NONE = '<none>'

/** `a=b,c=d` in key order, `<none>` when empty. */
export function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.keys(labels).sort()
  return pairs.length === 0 ? NONE : pairs.map(key => `${key}=${labels[key]}`).join(',')
}

const SET_OPERATORS: Readonly<Record<string, string>> = { In: 'in', NotIn: 'notin' }

/** A label selector object as one line, `<none>` when it selects everything. */
export function formatSelector(selector: JsonValue | undefined): string {
  if (selector === undefined || selector === null) return NONE
  const labels = mapAt(selector, 'matchLabels')
  const terms = Object.keys(labels).map(key => ({ key, text: `${key}=${labels[key]}` }))
  for (const expression of objectsAt(selector, 'matchExpressions')) {
    const key = textAt(expression, 'key')
    const operator = textAt(expression, 'operator')
    const values = [...textsAt(expression, 'values')].sort().join(',')
    const set = SET_OPERATORS[operator]
    const unary = operator === 'DoesNotExist' ? `!${key}` : key
    terms.push({ key, text: set === undefined ? unary : `${key} ${set} (${values})` })
  }
  terms.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
  return terms.length === 0 ? NONE : terms.map(({ text }) => text).join(',')
}

/** `a,b + 2 more...`, `<none>` when empty. */
export function formatFirst(items: readonly string[], shown: number): string {
  if (items.length === 0) return NONE
  const list = items.slice(0, shown).join(',')
  return items.length > shown ? `${list} + ${items.length - shown} more...` : list
}

/** The columns Containers and Images of everything that has a pod template. */
export function containerColumns(path: string): readonly Column[] {
  const names = (field: string) => (obj: KubeObject) =>
    objectsAt(obj, path)
      .map(container => textAt(container, field))
      .join(',')
  return [
    column('Containers', 'Names of each container in the template.', names('name'), {
      priority: 1,
    }),
    column('Images', 'Images referenced by each container in the template.', names('image'), {
      priority: 1,
    }),
  ]
}

/** The column Selector of everything that selects pods by a selector object. */
export const selectorColumn = (path: string): Column =>
  column(
    'Selector',
    'The selector that finds the pods.',
    obj => formatSelector(valueAt(obj, path)),
    {
      priority: 1,
    },
  )

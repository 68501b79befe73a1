// Events, in the core group and as the events.k8s.io view of the same stored objects. Part of core.ts and events.ts.
// Ref: kubernetes/pkg/apis/core/validation/events.go, kubernetes/pkg/apis/events/v1/conversion.go

import {
  equalJson,
  type FieldError,
  invalidValue,
  isDns1123Subdomain,
  isQualifiedName,
  type JsonValue,
  type KubeObject,
  required,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { ageOf, column, NAME } from './columns.ts'
import { numberAt, objectAt, textAt, valueAt } from './reading.ts'

/** Events are gone an hour after their last write, as with kube-apiserver's default --event-ttl. */
export const EVENT_TTL_SECONDS = 3600
const TEXT_BYTES_MAX = 128
const MESSAGE_BYTES_MAX = 1024

/** Field names of the view on the left, of the stored core Event on the right. */
const RENAMED: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
]

function rename(obj: KubeObject, from: 0 | 1): void {
  for (const pair of RENAMED) {
    const [source, target] = from === 0 ? pair : ([pair[1], pair[0]] as const)
    if (obj[source] === undefined) continue
    obj[target] = obj[source]
    delete obj[source]
  }
}

/** Always written by Go's encoder of the core type. */
function fillCoreShape(obj: KubeObject): void {
  obj.involvedObject ??= {}
  obj.source ??= {}
  for (const field of ['firstTimestamp', 'lastTimestamp', 'eventTime']) obj[field] ??= null
  for (const field of ['reportingComponent', 'reportingInstance']) obj[field] ??= ''
}

/** An events.k8s.io Event becomes the core Event that is stored. */
export function toCoreEvent(obj: KubeObject): void {
  rename(obj, 0)
  obj.apiVersion = 'v1'
  fillCoreShape(obj)
}

/** A stored core Event becomes the events.k8s.io view. */
export function fromCoreEvent(obj: KubeObject): void {
  rename(obj, 1)
  obj.apiVersion = 'events.k8s.io/v1'
  for (const field of ['note', 'reportingController', 'reportingInstance']) {
    if (obj[field] === '') delete obj[field]
  }
}

/** Reads a field of either shape: selectors and rules run on both. */
const either = (obj: KubeObject, core: string, view: string): JsonValue | undefined =>
  valueAt(obj, core) ?? valueAt(obj, view)
const eitherText = (obj: KubeObject, core: string, view: string): string => {
  const value = either(obj, core, view)
  return typeof value === 'string' ? value : ''
}

const hasEventTime = (obj: KubeObject): boolean => textAt(obj, 'eventTime') !== ''

function namespaceErrors(obj: KubeObject): FieldError[] {
  const about = eitherText(obj, 'involvedObject.namespace', 'regarding.namespace')
  const own = obj.metadata.namespace ?? ''
  const path = 'involvedObject.namespace'
  const wrong = (value: string) => [invalidValue(path, value, 'does not match event.namespace')]
  if (!hasEventTime(obj)) {
    if (about === '') return own === '' || own === 'default' ? [] : wrong('')
    return own === about ? [] : wrong(about)
  }
  return about === '' && own !== 'default' && own !== 'kube-system' ? wrong('') : []
}

/** What events with an eventTime must say besides. `controller` is how this version calls the reporter. */
function newStyleErrors(obj: KubeObject, controller: string): FieldError[] {
  const errors: FieldError[] = []
  const reporter = eitherText(obj, 'reportingComponent', 'reportingController')
  if (reporter === '') errors.push(required(controller))
  for (const text of isQualifiedName(reporter))
    errors.push(invalidValue(controller, reporter, text))
  for (const field of ['reportingInstance', 'action', 'reason']) {
    const value = textAt(obj, field)
    if (value === '') errors.push(required(field))
    if (Buffer.byteLength(value) > TEXT_BYTES_MAX) {
      errors.push(invalidValue(field, '', `can have at most ${TEXT_BYTES_MAX} characters`))
    }
  }
  if (Buffer.byteLength(eitherText(obj, 'message', 'note')) > MESSAGE_BYTES_MAX) {
    errors.push(invalidValue('message', '', `can have at most ${MESSAGE_BYTES_MAX} characters`))
  }
  return errors
}

function commonErrors(obj: KubeObject, controller: string): FieldError[] {
  const own = obj.metadata.namespace ?? ''
  return [
    ...namespaceErrors(obj),
    ...(hasEventTime(obj) ? newStyleErrors(obj, controller) : []),
    ...isDns1123Subdomain(own).map(text => invalidValue('namespace', own, text)),
  ]
}

function viewErrors(obj: KubeObject): FieldError[] {
  const errors = commonErrors(obj, 'reportingController')
  const repeats = numberAt(obj, 'series.count')
  if (repeats !== undefined && repeats < 2) {
    errors.push(invalidValue('series.count', '', 'should be at least 2'))
  }
  if (!hasEventTime(obj)) errors.push(required('eventTime'))
  const type = textAt(obj, 'type')
  if (type !== 'Normal' && type !== 'Warning') {
    errors.push(invalidValue('type', '', `has invalid value: ${type}`))
  }
  const unset = 'needs to be unset'
  if (textAt(obj, 'deprecatedFirstTimestamp') !== '') {
    errors.push(invalidValue('firstTimestamp', '', unset))
  }
  if (textAt(obj, 'deprecatedLastTimestamp') !== '') {
    errors.push(invalidValue('lastTimestamp', '', unset))
  }
  if ((numberAt(obj, 'deprecatedCount') ?? 0) !== 0) errors.push(invalidValue('count', '', unset))
  if (Object.keys(objectAt(obj, 'deprecatedSource')).length > 0) {
    errors.push(invalidValue('source', '', unset))
  }
  return errors
}

const FROZEN_FIELDS = [
  ['involvedObject', 'regarding'],
  ['reason', 'reason'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingController', 'reportingController'],
  ['reportingInstance', 'reportingInstance'],
  ['action', 'action'],
  ['related', 'related'],
  ['type', 'type'],
] as const

/** The new API allows only `series` to change. */
function viewUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  return FROZEN_FIELDS.flatMap(([path, field]) =>
    equalJson(obj[field] ?? null, old[field] ?? null)
      ? []
      : [invalidValue(path, obj[field] ?? null, 'field is immutable')],
  )
}

const coreStrategy: Strategy = {
  allowCreateOnUpdate: true,
  validate: obj => commonErrors(obj, 'reportingComponent'),
  validateUpdate: obj => commonErrors(obj, 'reportingComponent'),
}

const viewStrategy: Strategy = {
  allowCreateOnUpdate: true,
  validate: viewErrors,
  validateUpdate: (obj, old) => [
    ...commonErrors(obj, 'reportingController'),
    ...viewUpdateErrors(obj, old),
  ],
}

const about = (field: string) => (obj: KubeObject) =>
  eitherText(obj, `involvedObject.${field}`, `regarding.${field}`)

const ABOUT_FIELDS = [
  'kind',
  'namespace',
  'name',
  'uid',
  'apiVersion',
  'resourceVersion',
  'fieldPath',
]

const reporterOf = (obj: KubeObject): string =>
  eitherText(obj, 'source.component', 'deprecatedSource.component') ||
  eitherText(obj, 'reportingComponent', 'reportingController')

const selectable = (prefix: string) => ({
  ...Object.fromEntries(ABOUT_FIELDS.map(field => [`${prefix}.${field}`, about(field)])),
  reason: (obj: KubeObject) => textAt(obj, 'reason'),
  reportingComponent: (obj: KubeObject) =>
    eitherText(obj, 'reportingComponent', 'reportingController'),
  type: (obj: KubeObject) => textAt(obj, 'type'),
})

function lastSeen(obj: KubeObject, now: Date): string {
  const series = valueAt(obj, 'series.lastObservedTime')
  const last = either(obj, 'lastTimestamp', 'deprecatedLastTimestamp')
  return ageOf(series ?? last ?? firstTime(obj), now)
}

const firstTime = (obj: KubeObject): JsonValue | undefined =>
  either(obj, 'firstTimestamp', 'deprecatedFirstTimestamp') ?? valueAt(obj, 'eventTime')

const timesSeen = (obj: KubeObject): number => {
  const counted = either(obj, 'count', 'deprecatedCount')
  return numberAt(obj, 'series.count') ?? (typeof counted === 'number' && counted > 0 ? counted : 1)
}

function sourceText(obj: KubeObject): string {
  const host =
    eitherText(obj, 'source.host', 'deprecatedSource.host') || textAt(obj, 'reportingInstance')
  return host === '' ? reporterOf(obj) : `${reporterOf(obj)}, ${host}`
}

const WIDE = { priority: 1 }
const columns = [
  column('Last Seen', 'How long ago it happened last.', lastSeen),
  column('Type', 'Normal or Warning.', obj => textAt(obj, 'type')),
  column('Reason', 'Why it happened, in one word.', obj => textAt(obj, 'reason')),
  column('Object', 'What it happened to.', obj => {
    const name = about('name')(obj)
    const kind = about('kind')(obj).toLowerCase()
    return name === '' ? kind : `${kind}/${name}`
  }),
  column('Subobject', 'The part it happened to.', about('fieldPath'), WIDE),
  column('Source', 'Who reports it.', sourceText, WIDE),
  column('Message', 'What happened, in a sentence.', obj =>
    eitherText(obj, 'message', 'note').trim(),
  ),
  column(
    'First Seen',
    'How long ago it happened first.',
    (obj, now) => ageOf(firstTime(obj), now),
    WIDE,
  ),
  column('Count', 'How often it happened.', timesSeen, WIDE),
  { ...NAME, priority: 1 },
]

const common = {
  kind: 'Event',
  plural: 'events',
  shortNames: ['ev'],
  keyPrefix: '/registry/events',
  columns,
}

export const coreEvents: Resource = builtin({
  ...common,
  group: '',
  strategy: coreStrategy,
  selectableFields: { ...selectable('involvedObject'), source: reporterOf },
  more: { ttlSeconds: EVENT_TTL_SECONDS },
})

export const groupedEvents: Resource = builtin({
  ...common,
  group: 'events.k8s.io',
  strategy: viewStrategy,
  selectableFields: {
    ...selectable('regarding'),
    reportingController: obj => eitherText(obj, 'reportingComponent', 'reportingController'),
  },
  more: {
    ttlSeconds: EVENT_TTL_SECONDS,
    onRead: fromCoreEvent,
    onStore: toCoreEvent,
    errorGroup: '',
  },
})

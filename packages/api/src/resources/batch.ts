// The group batch: Jobs and CronJobs. Stored and validated; nothing runs them. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/batch/v1/defaults.go, kubernetes/pkg/apis/batch/validation

import {
  type FieldError,
  immutableField,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import {
  AGE,
  ageOf,
  column,
  containerColumns,
  humanDuration,
  NAME,
  selectorColumn,
  textColumn,
} from './columns.ts'
import { scheduleProblem, timeZoneProblem } from './cron-schedule.ts'
import {
  generatedSelectorErrors,
  jobSelectorErrors,
  jobSpecErrors,
  ownLabels,
} from './job-rules.ts'
import { notNegative } from './pod-rules.ts'
import { defaultTemplate } from './pod-template.ts'
import { workloadWarnings } from './pod-warnings.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  listAt,
  mapAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'

const GROUP = 'batch'
const CRON_NAME_MAX = 52

function defaultJobSpec(spec: JsonObject): void {
  if (spec.completions === undefined && spec.parallelism === undefined) {
    fillDefaults(spec, { completions: 1 })
  }
  fillDefaults(spec, { parallelism: 1, suspend: false })
  if (valueAt(spec, 'backoffLimitPerIndex') === undefined) fillDefaults(spec, { backoffLimit: 6 })
  fillEmpty(spec, { completionMode: 'NonIndexed' })
  fillEmpty(spec, {
    podReplacementPolicy:
      valueAt(spec, 'podFailurePolicy') === undefined ? 'TerminatingOrFailed' : 'Failed',
  })
  defaultTemplate(spec)
}

const UID_LABEL = 'batch.kubernetes.io/controller-uid'

/** A Job that brings no selector of its own selects its pods by its uid. */
function selectOwnPods(obj: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  if (spec.manualSelector === true) return
  const metadata = ensureObject(ensureObject(spec, 'template'), 'metadata')
  fillDefaults(ensureObject(metadata, 'labels'), ownLabels(obj))
  const labels = ensureObject(ensureObject(spec, 'selector'), 'matchLabels')
  fillDefaults(labels, { [UID_LABEL]: obj.metadata.uid ?? '' })
}

/** A Job without labels has those of its pods. Ref: kubernetes/pkg/apis/batch/v1/defaults.go SetDefaults_Job */
function takeTemplateLabels(obj: KubeObject): void {
  const labels = mapAt(obj, 'spec.template.metadata.labels')
  const own = obj.metadata.labels ?? {}
  if (Object.keys(own).length === 0 && Object.keys(labels).length > 0) {
    obj.metadata.labels = { ...labels }
  }
}

const specErrors = (obj: KubeObject): FieldError[] => [
  ...jobSpecErrors(objectAt(obj, 'spec'), 'spec'),
  ...jobSelectorErrors(obj),
]
const jobErrors = (obj: KubeObject): FieldError[] => [
  ...generatedSelectorErrors(obj),
  ...specErrors(obj),
]

const condition = (obj: KubeObject, type: string): boolean =>
  objectsAt(obj, 'status.conditions').some(
    entry => textAt(entry, 'type') === type && textAt(entry, 'status') === 'True',
  )

function jobStatus(obj: KubeObject): string {
  if (condition(obj, 'Complete')) return 'Complete'
  if (condition(obj, 'Failed')) return 'Failed'
  if (obj.metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (condition(obj, 'Suspended')) return 'Suspended'
  if (condition(obj, 'FailureTarget')) return 'FailureTarget'
  return condition(obj, 'SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running'
}

function completions(obj: KubeObject): string {
  const done = numberAt(obj, 'status.succeeded') ?? 0
  const wanted = numberAt(obj, 'spec.completions')
  if (wanted !== undefined) return `${done}/${wanted}`
  const parallelism = numberAt(obj, 'spec.parallelism') ?? 0
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`
}

function duration(obj: KubeObject, now: Date): string {
  const start = textAt(obj, 'status.startTime')
  if (start === '') return ''
  const end = textAt(obj, 'status.completionTime')
  return humanDuration((end === '' ? now.getTime() : Date.parse(end)) - Date.parse(start))
}

const KEEPS_PODS =
  'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning'

const jobs = builtin({
  group: GROUP,
  kind: 'Job',
  plural: 'jobs',
  categories: ['all'],
  strategy: {
    hasGeneration: true,
    orphansDependents: true,
    deletionWarnings: ({ propagationPolicy, orphanDependents }) =>
      propagationPolicy === undefined && orphanDependents === undefined ? [KEEPS_PODS] : [],
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      defaultJobSpec(spec)
      fillDefaults(spec, { manualSelector: false })
      takeTemplateLabels(obj)
    },
    prepareForCreate: obj => {
      selectOwnPods(obj)
      takeTemplateLabels(obj)
    },
    warnings: workloadWarnings('spec.template'),
    validate: jobErrors,
    validateUpdate: (obj, old) => [
      // NOTE: upstream looks at the spec twice, and clients see what is wrong with it twice.
      ...jobErrors(obj),
      ...specErrors(obj),
      ...['spec.completions', 'spec.selector', 'spec.template', 'spec.completionMode'].flatMap(
        path =>
          valueAt(old, 'spec.suspend') === true && path === 'spec.template'
            ? []
            : immutableField(valueAt(obj, path), valueAt(old, path), path),
      ),
    ],
  },
  status: true,
  selectableFields: {
    'status.successful': obj => String(numberAt(obj, 'status.succeeded') ?? 0),
  },
  columns: [
    NAME,
    column('Status', 'How it stands.', jobStatus),
    column('Completions', 'How many of its runs succeeded.', completions),
    column('Duration', 'How long it took.', duration),
    AGE,
    ...containerColumns('spec.template.spec.containers'),
    selectorColumn('spec.selector'),
  ],
})

const CONCURRENCY = ['Allow', 'Forbid', 'Replace']

const CRON_AMOUNTS = [
  'startingDeadlineSeconds',
  'successfulJobsHistoryLimit',
  'failedJobsHistoryLimit',
]

function cronJobErrors(obj: KubeObject): FieldError[] {
  const errors = CRON_AMOUNTS.flatMap(field => notNegative(obj, `spec.${field}`))
  const schedule = textAt(obj, 'spec.schedule')
  const problem = schedule === '' ? undefined : scheduleProblem(schedule)
  if (schedule === '') errors.push(required('spec.schedule'))
  else if (problem !== undefined) errors.push(invalidValue('spec.schedule', schedule, problem))
  const zone = valueAt(obj, 'spec.timeZone')
  const lost = typeof zone === 'string' ? timeZoneProblem(zone) : undefined
  if (lost !== undefined) errors.push(invalidValue('spec.timeZone', zone, lost))
  const policy = textAt(obj, 'spec.concurrencyPolicy')
  if (!CONCURRENCY.includes(policy)) {
    errors.push(notSupported('spec.concurrencyPolicy', policy, CONCURRENCY))
  }
  const name = obj.metadata.name ?? ''
  if (name.length > CRON_NAME_MAX) {
    errors.push(
      invalidValue('metadata.name', name, `must be no more than ${CRON_NAME_MAX} characters`),
    )
  }
  const spec = objectAt(obj, 'spec.jobTemplate.spec')
  const path = 'spec.jobTemplate.spec'
  return [...errors, ...madeSelectorErrors(spec, path), ...jobSpecErrors(spec, path)]
}

/** The selector of each Job is made when the Job is. */
function madeSelectorErrors(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  if (isObject(spec.selector)) {
    const detail = '`selector` will be auto-generated'
    errors.push(invalidValue(`${path}.selector`, spec.selector, detail))
  }
  if (spec.manualSelector !== true) return errors
  return [...errors, notSupported(`${path}.manualSelector`, true, ['nil', 'false'])]
}

const cronJobs = builtin({
  group: GROUP,
  kind: 'CronJob',
  plural: 'cronjobs',
  shortNames: ['cj'],
  categories: ['all'],
  strategy: {
    hasGeneration: true,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillEmpty(spec, { concurrencyPolicy: 'Allow' })
      fillDefaults(spec, {
        suspend: false,
        successfulJobsHistoryLimit: 3,
        failedJobsHistoryLimit: 1,
      })
      const job = ensureObject(ensureObject(spec, 'jobTemplate'), 'spec')
      defaultTemplate(job)
    },
    warnings: workloadWarnings('spec.jobTemplate.spec.template'),
    validate: cronJobErrors,
    validateUpdate: cronJobErrors,
  },
  status: true,
  columns: [
    NAME,
    textColumn('Schedule', 'spec.schedule', 'When it runs, as cron writes it.'),
    column('Timezone', 'Where the schedule is.', obj => textAt(obj, 'spec.timeZone') || '<none>'),
    column(
      'Suspend',
      'Whether it pauses.',
      obj => (valueAt(obj, 'spec.suspend') === true ? 'True' : 'False'),
      { type: 'boolean' },
    ),
    column('Active', 'How many jobs run.', obj => listAt(obj, 'status.active').length, {
      type: 'integer',
    }),
    column('Last Schedule', 'How long ago it ran.', (obj, now) => {
      const last = textAt(obj, 'status.lastScheduleTime')
      return last === '' ? '<none>' : ageOf(last, now)
    }),
    AGE,
    ...containerColumns('spec.jobTemplate.spec.template.spec.containers'),
    selectorColumn('spec.jobTemplate.spec.selector'),
  ],
})

export const batchResources: readonly Resource[] = [cronJobs, jobs]

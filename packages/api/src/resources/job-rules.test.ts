// What is refused of Jobs, CronJobs and their schedules.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { scheduleProblem, timeZoneProblem } from './cron-schedule.ts'
import { create, find, update } from './rehearsal.ts'

const template: JsonObject = {
  spec: { restartPolicy: 'Never', containers: [{ name: 'run', image: 'shop:1' }] },
}
const errorsOf = async (spec: JsonObject): Promise<string[]> =>
  (await create(find('jobs', 'batch'), { metadata: { uid: 'u1' }, spec: { template, ...spec } }))
    .errors

test('a schedule has five fields in their bounds, or is one word', () => {
  const good = ['*/15 0-6 1,15 * mon-fri', '5/10 * * * *', '0 0 1 JAN ?', '@daily', '@every 90m']
  for (const text of good) assert.equal(scheduleProblem(text), undefined, text)
  const bad: Readonly<Record<string, string>> = {
    '0 0 * *': 'expected exactly 5 fields, found 4: [0 0 * *]',
    '0 24 * * *': 'end of range (24) above maximum (23): 24',
    '0 0 0 * *': 'beginning of range (0) below minimum (1): 0',
    '40-20 * * * *': 'beginning of range (40) beyond end of range (20): 40-20',
    '*/0 * * * *': 'step of range should be a positive number: */0',
    '1-2-3 * * * *': 'too many hyphens: 1-2-3',
    '1/2/3 * * * *': 'too many slashes: 1/2/3',
    'noon * * * *': 'failed to parse int from noon: strconv.Atoi: parsing "noon": invalid syntax',
    '@soon': 'unrecognized descriptor: @soon',
    'TZ=UTC 0 0 * * *': 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
  }
  for (const [text, why] of Object.entries(bad)) assert.equal(scheduleProblem(text), why, text)
  assert.match(scheduleProblem('@every soon') ?? '', /^failed to parse duration @every soon: /)
})

test('a time zone is one of those with a name', () => {
  assert.equal(timeZoneProblem('Asia/Kolkata'), undefined)
  assert.equal(timeZoneProblem('Asia/Nowhere'), 'unknown time zone Asia/Nowhere')
  assert.match(timeZoneProblem('local') ?? '', /must be an explicit time zone/)
})

test('wishes about the index of pods need pods that have one', async () => {
  assert.deepEqual(await errorsOf({ backoffLimitPerIndex: 2 }), [
    'spec.backoffLimitPerIndex: Invalid value: 2: requires indexed completion mode',
  ])
  const indexed = { completionMode: 'Indexed', backoffLimitPerIndex: 2, maxFailedIndexes: 9 }
  assert.deepEqual(await errorsOf({ ...indexed, completions: 4 }), [
    'spec.maxFailedIndexes: Invalid value: 9: must be less than or equal to completions',
  ])
})

test('rules about failures say what they are about', async () => {
  const rules = [
    { action: 'FailIndex', onExitCodes: { operator: 'In', values: [4, 0, 4] } },
    { action: 'Ignore' },
  ]
  const path = 'spec.podFailurePolicy.rules'
  assert.deepEqual(await errorsOf({ podFailurePolicy: { rules } }), [
    `${path}[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`,
    `${path}[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator`,
    `${path}[0].onExitCodes.values[2]: Duplicate value: 4`,
    `${path}[0].onExitCodes.values: Invalid value: [4,0,4]: must be ordered`,
    `${path}[1]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required`,
  ])
})

test("a selector is the server's, or all the client's", async () => {
  const own = await errorsOf({ selector: { matchLabels: { app: 'shop' } } })
  assert.match(own[0] ?? '', /`selector` not auto-generated/)
  const manual = { manualSelector: true, selector: { matchLabels: { app: 'shop' } } }
  assert.deepEqual(await errorsOf(manual), [
    'spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`',
  ])
  const labeled = { ...template, metadata: { labels: { app: 'shop' } } }
  const { obj, errors } = await create(find('jobs', 'batch'), {
    spec: { ...manual, template: labeled },
  })
  assert.deepEqual([errors, obj.metadata.labels], [[], { app: 'shop' }])
  const moved = { ...manual, selector: { matchLabels: { app: 'till' } }, template: labeled }
  const { errors: after } = await update(find('jobs', 'batch'), obj, { spec: moved })
  assert.equal(after.filter(text => text.endsWith('field is immutable')).length, 1)
})

test('a CronJob leaves selectors to its Jobs', async () => {
  const spec = { template, manualSelector: true, selector: { matchLabels: { app: 'shop' } } }
  const { errors } = await create(find('cronjobs', 'batch'), {
    spec: { schedule: '@hourly', jobTemplate: { spec }, failedJobsHistoryLimit: -2 },
  })
  assert.deepEqual(errors, [
    'spec.failedJobsHistoryLimit: Invalid value: -2: must be greater than or equal to 0',
    'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels":{"app":"shop"}}: `selector` will be auto-generated',
    'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
  ])
})

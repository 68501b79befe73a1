// Says of each FlowSchema whether the priority level that it names is there, in its condition Dangling.
// Started by start-loops.ts. Ref: apiserver/pkg/util/flowcontrol/apf_controller.go presyncFlowSchemaStatus

import { isObject, type KubeObject } from '@podless/apimachinery'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { timestamp } from '../writing/write.ts'
import { type Condition, setCondition } from './condition.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

/** Any change of any of them asks for one look at all: there are a few dozen. */
const ALL = 'all'

interface FlowSchemaStatusOptions {
  readonly objects: Objects
  readonly flowSchemas: Resource
  readonly priorityLevels: Resource
  readonly log: Log
}

/** Starts the loop. */
export function startFlowSchemaStatus(options: FlowSchemaStatusOptions): Loop {
  const { objects, flowSchemas, priorityLevels, log } = options
  return startLoop({
    name: 'flow-schema-status',
    cacher: objects.storage.cacher,
    prefixes: [prefixOf(flowSchemas, ''), prefixOf(priorityLevels, '')],
    keysOf: () => [ALL],
    reconcile: async () => {
      for (const schema of objects.listShared(flowSchemas)) {
        if (isSaid(schema, wantedOf(schema, options))) continue
        await objects.change(flowSchemas, '', schema.metadata.name ?? '', live =>
          say(live, wantedOf(live, options), timestamp(objects.now())),
        )
      }
    },
    log,
  })
}

function wantedOf(
  { spec }: KubeObject,
  { objects, priorityLevels }: FlowSchemaStatusOptions,
): Condition {
  const reference = isObject(spec) ? spec.priorityLevelConfiguration : undefined
  const name = isObject(reference) && typeof reference.name === 'string' ? reference.name : ''
  const isThere = objects.getShared(priorityLevels, '', name) !== undefined
  const subject = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(name)}`
  return {
    type: 'Dangling',
    status: isThere ? 'False' : 'True',
    reason: isThere ? 'Found' : 'NotFound',
    message: `${subject} ${isThere ? 'and it exists' : 'but there is no such object'}`,
  }
}

function conditionsOf({ status }: KubeObject): readonly Condition[] {
  const conditions = isObject(status) ? status.conditions : undefined
  return Array.isArray(conditions) ? (conditions as Condition[]) : []
}

function isSaid(schema: KubeObject, wanted: Condition): boolean {
  return conditionsOf(schema).some(
    ({ type, status, reason, message }) =>
      type === wanted.type &&
      status === wanted.status &&
      reason === wanted.reason &&
      message === wanted.message,
  )
}

function say(schema: KubeObject, wanted: Condition, now: string): void {
  const conditions = setCondition(conditionsOf(schema), wanted, now)
  schema.status = { ...(isObject(schema.status) ? schema.status : {}), conditions }
}

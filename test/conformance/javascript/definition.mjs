// The custom resource of the JavaScript suite, and waiting for what comes a little later. Used by main.mjs and checks.mjs.

import { setTimeout as sleep } from 'node:timers/promises'

/** Only against a wait in vain: other suites may have the machine meanwhile. */
const TIMEOUT_MS = 120_000

/** Repeats until `probe` neither throws nor returns false. */
export async function eventually(what, probe) {
  const deadline = performance.now() + TIMEOUT_MS
  let cause
  while (performance.now() < deadline) {
    try {
      if ((await probe()) !== false) return
    } catch (error) {
      cause = error
    }
    await sleep(50)
  }
  throw new Error(`not within ${TIMEOUT_MS} ms: ${what}`, { cause })
}

/** Widgets of the suite's own group, with a default, a maximum and a status. */
export async function createDefinition({ definitions, custom, group, namespace }) {
  const openAPIV3Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { size: { type: 'integer', _default: 3, maximum: 10 } },
      },
      status: { type: 'object', properties: { phase: { type: 'string' } } },
    },
  }
  const names = { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' }
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }
  await definitions.createCustomResourceDefinition({
    body: {
      metadata: { name: `widgets.${group}` },
      spec: {
        group,
        names,
        scope: 'Namespaced',
        versions: [{ ...version, subresources: { status: {} } }],
      },
    },
  })
  await eventually('the definition is served', () =>
    custom.listNamespacedCustomObject({ group, version: 'v1', namespace, plural: 'widgets' }),
  )
}

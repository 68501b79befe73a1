// Judges an API server with @kubernetes/client-node, the JavaScript client. Called by `run`; calls checks.mjs.
// Takes any KUBECONFIG of an administrator, works in a random namespace and API group and removes both.

import { randomBytes } from 'node:crypto'
import {
  ApiextensionsV1Api,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
} from '@kubernetes/client-node'
import { CHECKS } from './checks.mjs'
import { createDefinition } from './definition.mjs'

const config = new KubeConfig()
config.loadFromDefault()
const namespace = `conformance-${randomBytes(4).toString('hex')}`
const suite = {
  config,
  namespace,
  group: `${namespace}.example.com`,
  core: config.makeApiClient(CoreV1Api),
  apps: config.makeApiClient(AppsV1Api),
  custom: config.makeApiClient(CustomObjectsApi),
  definitions: config.makeApiClient(ApiextensionsV1Api),
  objects: KubernetesObjectApi.makeApiClient(config),
}

let failed = 0
await suite.core.createNamespace({ body: { metadata: { name: namespace } } })
try {
  await createDefinition(suite)
  for (const [name, check] of Object.entries(CHECKS)) {
    const started = performance.now()
    try {
      await check(suite)
      process.stdout.write(`ok   ${name} (${Math.round(performance.now() - started)} ms)\n`)
    } catch (error) {
      failed += 1
      process.stdout.write(`FAIL ${name}: ${error.stack}\n`)
    }
  }
} finally {
  await suite.definitions.deleteCustomResourceDefinition({ name: `widgets.${suite.group}` })
  await suite.core.deleteNamespace({ name: namespace })
}
process.stdout.write(`javascript: ${Object.keys(CHECKS).length} checks, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

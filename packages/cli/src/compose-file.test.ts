// docker-compose.yml, checked where there is no container engine: its shape, its start order, and that every podless
// command in it is one. test/conformance/mesh/compose.test.ts runs what it runs.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type JsonObject, parseYaml } from '@podless/apimachinery'
import { Ajv } from 'ajv'
import { istiodSettings } from './istio/env.ts'

const ROOT = join(import.meta.dirname, '../../..')
const MAIN = join(import.meta.dirname, 'main.ts')

const TEXTS = { type: 'array', items: { type: 'string' }, minItems: 1 }
const DURATION = { type: 'string', pattern: '^[0-9]+(ms|s|m)$' }

/** The part of the format that the file uses; anything else in it is a slip of the pen until it is added here. */
const SCHEMA = {
  type: 'object',
  required: ['name', 'services', 'volumes'],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    volumes: { type: 'object', additionalProperties: { type: 'null' } },
    services: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['healthcheck', 'restart'],
        oneOf: [{ required: ['image'] }, { required: ['build'] }],
        // A shared network brings its own name and ports.
        dependencies: {
          network_mode: {
            not: { anyOf: ['hostname', 'ports', 'networks'].map(name => ({ required: [name] })) },
          },
        },
        properties: {
          image: { type: 'string', pattern: ':.+$' },
          build: {
            type: 'object',
            required: ['context', 'dockerfile'],
            additionalProperties: false,
            properties: { context: { type: 'string' }, dockerfile: { type: 'string' } },
          },
          hostname: { type: 'string' },
          working_dir: { type: 'string' },
          user: { type: 'string' },
          entrypoint: TEXTS,
          command: TEXTS,
          environment: { type: 'object', additionalProperties: { type: 'string' } },
          ports: { ...TEXTS, items: { type: 'string', pattern: '^127\\.0\\.0\\.1:\\d+:\\d+$' } },
          volumes: { ...TEXTS, items: { type: 'string', pattern: '^[^:]+:/[^:]*(:ro)?$' } },
          network_mode: { type: 'string', pattern: '^service:.+$' },
          networks: {
            type: 'object',
            additionalProperties: { type: 'object', properties: { aliases: TEXTS } },
          },
          depends_on: {
            type: 'object',
            additionalProperties: {
              type: 'object',
              required: ['condition'],
              properties: {
                condition: {
                  enum: ['service_started', 'service_healthy', 'service_completed_successfully'],
                },
              },
            },
          },
          healthcheck: {
            type: 'object',
            additionalProperties: false,
            properties: {
              disable: { const: true },
              test: TEXTS,
              interval: DURATION,
              timeout: DURATION,
              retries: { type: 'integer', minimum: 1 },
            },
          },
          restart: { enum: ['unless-stopped', 'on-failure'] },
        },
      },
    },
  },
}

interface Service {
  readonly build?: object
  readonly image?: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly network_mode?: string
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly disable?: true; readonly test?: readonly string[] }
  readonly restart: string
}

const file = (): JsonObject =>
  parseYaml(readFileSync(join(ROOT, 'docker-compose.yml')), { strict: true }).value as JsonObject
const services = (): [string, Service][] =>
  Object.entries(file().services as unknown as Record<string, Service>)

/** podless's own image brings its health check; every other service has to state one. */
const withImageHealthCheck = (composed: JsonObject): JsonObject => {
  const podless = { ...((composed.services as JsonObject).podless as JsonObject), healthcheck: {} }
  return { ...composed, services: { ...(composed.services as JsonObject), podless } }
}

test('the compose file has the shape of one, and wrong files have not', () => {
  const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: false }).compile(
    SCHEMA,
  )
  const right = withImageHealthCheck(file())
  assert.ok(validate(right), JSON.stringify(validate.errors, undefined, 2))
  const etcd = (right.services as JsonObject).etcd as JsonObject
  const wrongs: JsonObject[] = [
    { ...etcd, comand: ['etcd'] },
    { ...etcd, image: 'etcd' },
    { ...etcd, ports: ['2379:2379'] },
    { ...etcd, network_mode: 'service:podless', hostname: 'etcd' },
  ]
  for (const wrong of wrongs) {
    const services = { ...(right.services as JsonObject), etcd: wrong }
    assert.ok(!validate({ ...right, services }), JSON.stringify(wrong))
  }
})

test('services start in an order that ends, on conditions their dependencies can meet', () => {
  const all = new Map(services())
  const seen = new Set<string>()
  const visit = (name: string, path: readonly string[]): void => {
    assert.ok(!path.includes(name), [...path, name].join(' -> '))
    if (seen.has(name)) return
    for (const [other, { condition }] of Object.entries(all.get(name)?.depends_on ?? {})) {
      const wanted = all.get(other)
      assert.ok(wanted, `${name} depends on ${other}`)
      const isDone = condition === 'service_completed_successfully'
      assert.equal(isDone, wanted.restart === 'on-failure', `${name}: ${other} ${condition}`)
      if (condition === 'service_healthy')
        assert.ok(wanted.healthcheck?.disable === undefined, `${other} tells no health`)
      visit(other, [...path, name])
    }
    seen.add(name)
  }
  for (const name of all.keys()) visit(name, [])
  for (const [name, { network_mode: mode, depends_on: on = {} }] of all) {
    const shared = mode?.replace('service:', '')
    if (shared === undefined) continue
    assert.ok(all.has(shared), `${name} shares the network of ${shared}`)
    assert.ok(name.startsWith('prepare-') || Object.hasOwn(on, shared), name)
  }
})

test('every podless command in the compose file is one, with flags it has', () => {
  const ours = services().filter(([, service]) => service.build !== undefined)
  assert.ok(ours.length >= 5)
  for (const [name, { command = ['up'] }] of ours) {
    const flag = command.findIndex(word => word.startsWith('-'))
    const words = command.slice(0, flag < 0 ? command.length : flag)
    const { status, stdout } = spawnSync(process.execPath, [MAIN, ...words, '--help'], {
      encoding: 'utf8',
    })
    assert.equal(status, 0, name)
    assert.match(stdout, new RegExp(`^Usage: podless ${words.slice(0, 2).join(' ')}`), name)
    for (const word of command.slice(words.length)) {
      const long = word.split('=')[0] ?? ''
      assert.ok(stdout.includes(`${long} <`), `${name}: ${words.join(' ')} has no ${long}`)
    }
  }
})

test('istiod has the environment and flags that podless istio env prints', () => {
  const istiod = new Map(services()).get('istiod')
  const settings = istiodSettings({
    revision: 'default',
    clusterId: 'Kubernetes',
    name: 'istiod-0',
    istiodKubeconfig: '/mesh/istiod.kubeconfig',
    single: true,
  })
  assert.deepEqual(istiod?.environment, settings.env)
  assert.deepEqual(
    istiod?.command?.slice(1).flatMap(word => word.split('=')),
    settings.args,
  )
})

test('files of the checkout that containers mount are there, and shell scripts parse', () => {
  const mounted = services()
    .flatMap(([, service]) => service.volumes ?? [])
    .map(volume => volume.split(':')[0] ?? '')
    .filter(source => source.startsWith('.'))
  assert.ok(mounted.length > 0)
  for (const source of new Set(mounted)) {
    assert.ok(existsSync(join(ROOT, source)), source)
    if (source.endsWith('.sh'))
      assert.equal(spawnSync('sh', ['-n', join(ROOT, source)]).status, 0, source)
  }
})

// docker-compose.yml, checked where there is no container engine: its shape, its start order, who sees what, and that
// every podless command in it is one. Each check is shown a broken copy too. compose.test.ts runs what the file runs.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseYaml } from '@podless/apimachinery'
import { Ajv } from 'ajv'
import schema from './compose-file.schema.json' with { type: 'json' }
import { istiodSettings } from './istio/env.ts'

const ROOT = join(import.meta.dirname, '../../..')
const MAIN = join(import.meta.dirname, 'main.ts')

interface Service {
  image: string
  build?: { dockerfile: string; target?: string }
  command?: string[]
  environment?: Record<string, string | number>
  volumes?: string[]
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  network_mode?: string
  networks?: readonly string[] | Record<string, object>
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { disable?: true; test?: string[] }
  restart?: string
}
interface Compose {
  services: Record<string, Service>
  networks: Record<string, { internal?: boolean }>
  volumes: Record<string, null>
}
/** What is wrong with a file; empty when nothing is. */
type Check = (compose: Compose) => readonly string[]

/** The file as Compose reads it when none of its variables is set. */
function composeFile(): Compose {
  let text = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
  // A default may hold another variable: the innermost are replaced first.
  const variable = /\$\{\w+:-([^${}]*)\}/g
  while (variable.test(text)) text = text.replaceAll(variable, '$1')
  const { value } = parseYaml(Buffer.from(text), { strict: true })
  return value as unknown as Compose
}

const servicesOf = (compose: Compose): [string, Service][] => Object.entries(compose.services)
/** A step that ends; every other service goes on and says whether it is well. */
const isStep = (service: Service | undefined): boolean => service?.restart === undefined
const isVm = (service: Service): boolean => service.build?.target === 'vm'
const networksOf = ({ networks = ['default'] }: Service): readonly string[] =>
  Array.isArray(networks) ? networks : Object.keys(networks)

const validate = new Ajv({ allErrors: true, allowUnionTypes: true, strict: false }).compile(schema)
const checkShape: Check = compose =>
  validate(compose)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)

/** The lines of the stage that a service is built from: the one named by target, else the last. */
function stageOf({ build }: Service): string | undefined {
  if (build === undefined) return undefined
  const stages = readFileSync(join(ROOT, build.dockerfile), 'utf8').split(/^(?=FROM )/m)
  const { target } = build
  return target === undefined
    ? stages.at(-1)
    : stages.find(stage => stage.split('\n')[0]?.endsWith(` AS ${target}`))
}

const checkHealth: Check = compose =>
  servicesOf(compose).flatMap(([name, service]) => {
    const { build, healthcheck } = service
    const stage = stageOf(service)
    if (build !== undefined && stage === undefined) return [`${name}: no stage ${build.target}`]
    const test = healthcheck?.test ?? /^HEALTHCHECK /m.exec(stage ?? '') ?? undefined
    if (isStep(service))
      return healthcheck?.disable === true ? [] : [`${name} ends, but a check would wait for it`]
    return test === undefined || healthcheck?.disable === true ? [`${name} tells no health`] : []
  })

/** All that has started before a service does. Throws on a circle. */
function startedBefore(compose: Compose, name: string, path: readonly string[] = []): Set<string> {
  if (path.includes(name)) throw new Error(`circle: ${[...path, name].join(' -> ')}`)
  const before = new Set<string>()
  for (const other of Object.keys(compose.services[name]?.depends_on ?? {})) {
    before.add(other)
    for (const one of startedBefore(compose, other, [...path, name])) before.add(one)
  }
  return before
}

const checkOrder: Check = compose =>
  servicesOf(compose).flatMap(([name, { network_mode: mode, depends_on: on = {} }]) => {
    const problems: string[] = []
    for (const [other, { condition }] of Object.entries(on)) {
      if (compose.services[other] === undefined) problems.push(`${name}: there is no ${other}`)
      const wanted = isStep(compose.services[other])
        ? 'service_completed_successfully'
        : 'service_healthy'
      if (condition !== wanted) problems.push(`${name}: ${other} is never ${condition}`)
    }
    try {
      const before = startedBefore(compose, name)
      const shared = mode?.replace('service:', '')
      if (shared !== undefined && !before.has(shared))
        problems.push(`${name} shares the network of ${shared}, which may not run yet`)
    } catch (error) {
      problems.push(String(error))
    }
    return problems
  })

/** The words after podless in a container's command; an image of ours has up as its default. */
function podlessWords({ image, command = ['up'] }: Service): readonly string[] | undefined {
  if (!image.startsWith('podless')) return undefined
  return command.slice(command.indexOf('podless') + 1)
}

const checkCommands: Check = compose =>
  servicesOf(compose).flatMap(([name, service]) => {
    const words = podlessWords(service)
    if (words === undefined) return []
    const flag = words.findIndex(word => word.startsWith('-'))
    const command = words.slice(0, flag < 0 ? words.length : flag)
    const args = [MAIN, ...command, '--help']
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    const path = command.slice(0, 2).join(' ')
    if (!stdout.startsWith(`Usage: podless ${path} `)) return [`${name}: no command ${path}`]
    const flags = words.slice(command.length).map(word => word.split('=')[0] ?? '')
    const twins = Object.keys(service.environment ?? {})
    return [
      ...flags.filter(long => !stdout.includes(`${long} <`)),
      ...twins.filter(twin => !stdout.replaceAll(/\s+/g, ' ').includes(`env: ${twin})`)),
    ].map(unknown => `${name}: podless ${path} has no ${unknown}`)
  })

const checkHardening: Check = compose => [
  ...servicesOf(compose).flatMap(([name, service]) => {
    const isHard =
      service.cap_drop?.includes('ALL') && service.security_opt?.includes('no-new-privileges:true')
    return isHard ? [] : [`${name} may do more than it needs`]
  }),
  ...(compose.services.podless?.read_only === true ? [] : ['podless may write its own program']),
]

/** Who sees each volume: keys of the server, istiod's rights and VMs' tokens stay apart. */
const SEEN_BY: Readonly<Record<string, (name: string, service: Service) => boolean>> = {
  'etcd-data': name => name === 'etcd',
  'podless-data': name => name === 'podless' || name.startsWith('prepare-'),
  istiod: name => name === 'istiod' || name === 'prepare-istiod',
  'echo-a': name => name === 'prepare-vms' || name === 'echo-a',
  'echo-b': name => name === 'prepare-vms' || name === 'echo-b',
}

/** Of another path a volume would take over no owner, and the step that fills it may not write there. */
const checkMountPoints: Check = compose =>
  servicesOf(compose).flatMap(([name, service]) => {
    if (service.image !== 'podless') return []
    const made = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8').match(/^RUN mkdir .*$/m)?.[0]
    return (service.volumes ?? [])
      .map(volume => volume.split(':')[1] ?? '')
      .filter(path => made?.split(' ').includes(path) !== true)
      .map(path => `${name}: the image has no ${path}`)
  })

const checkVolumes: Check = compose => [
  ...checkMountPoints(compose),
  ...servicesOf(compose).flatMap(([name, service]) =>
    (service.volumes ?? []).flatMap(volume => {
      const [source = '', , mode] = volume.split(':')
      if (SEEN_BY[source]?.(name, service) !== true) return [`${name} sees ${source}`]
      const isReader = name === 'istiod' || isVm(service)
      return isReader && mode !== 'ro' ? [`${name} may write ${source}`] : []
    }),
  ),
  ...Object.keys(SEEN_BY)
    .filter(name => !Object.hasOwn(compose.volumes, name))
    .map(name => `no volume ${name}`),
]

const checkNetworks: Check = compose => [
  ...servicesOf(compose).flatMap(([name, service]) => {
    const { network_mode: mode } = service
    if (mode === 'service:podless') return isStep(service) ? [] : [`${name} lives in the server`]
    if (mode !== undefined) return [`${name} shares the network of ${mode}`]
    const isNear = networksOf(service).includes('store')
    return isNear && name !== 'etcd' && name !== 'podless' ? [`${name} reaches etcd`] : []
  }),
  ...(networksOf(compose.services.etcd as Service).join() === 'store' ? [] : ['etcd is in reach']),
  ...(compose.networks.store?.internal === true ? [] : ['etcd reaches the outside']),
]

/** Each check with copies of the file that it must refuse. */
const CHECKS: readonly (readonly [string, Check, readonly ((file: Compose) => unknown)[]])[] = [
  [
    'has the shape of a compose file',
    checkShape,
    [
      ({ services }) => Object.assign(services.etcd ?? {}, { comand: ['etcd'] }),
      ({ services }) => Object.assign(services.etcd ?? {}, { image: 'etcd' }),
      ({ services }) => Object.assign(services.podless ?? {}, { ports: ['6443:6443'] }),
      ({ services }) => Object.assign(services['prepare-vms'] ?? {}, { hostname: 'vms' }),
    ],
  ],
  [
    'has a health check for every service that goes on',
    checkHealth,
    [
      ({ services }) => delete services.istiod?.healthcheck,
      ({ services }) => delete services['prepare-vms']?.healthcheck,
      ({ services }) => Object.assign(services['echo-a']?.build ?? {}, { target: 'istio' }),
      ({ services }) => Object.assign(services['echo-b']?.build ?? {}, { target: 'wm' }),
    ],
  ],
  [
    'starts its services in an order that ends, on conditions that can come true',
    checkOrder,
    [
      ({ services }) =>
        Object.assign(services.etcd ?? {}, {
          depends_on: { 'prepare-vms': { condition: 'service_completed_successfully' } },
        }),
      ({ services }) =>
        Object.assign(services.istiod?.depends_on ?? {}, {
          'prepare-istiod': { condition: 'service_healthy' },
        }),
      ({ services }) =>
        Object.assign(services.istiod?.depends_on ?? {}, {
          postgres: { condition: 'service_healthy' },
        }),
      ({ services }) => delete services['prepare-istiod']?.depends_on,
    ],
  ],
  [
    'runs only commands of podless that exist, with flags and variables they have',
    checkCommands,
    [
      ({ services }) => services['prepare-vms']?.command?.splice(1, 1, 'ready'),
      ({ services }) => services['prepare-istiod']?.command?.push('--sever=x'),
      ({ services }) => services['echo-a']?.command?.push('--port=1'),
      ({ services }) => Object.assign(services.podless?.environment ?? {}, { PODLESS_ADVERT: '' }),
    ],
  ],
  [
    'gives no service more rights than it needs',
    checkHardening,
    [
      ({ services }) => delete services.etcd?.cap_drop,
      ({ services }) => delete services['prepare-vms']?.security_opt,
      ({ services }) => delete services.podless?.read_only,
    ],
  ],
  [
    "keeps the server's keys, istiod's kubeconfig and the VMs' bundles apart",
    checkVolumes,
    [
      ({ services }) => services['echo-a']?.volumes?.push('istiod:/istiod:ro'),
      ({ services }) => services.istiod?.volumes?.push('podless-data:/data:ro'),
      ({ services }) => Object.assign(services['echo-b'] ?? {}, { volumes: ['echo-b:/mesh'] }),
      ({ services }) => services['echo-b']?.volumes?.push('echo-a:/mesh/echo-a:ro'),
      ({ services }) => services['prepare-vms']?.volumes?.push('echo-a:/mesh/echo-c'),
      ({ volumes }) => delete volumes.istiod,
    ],
  ],
  [
    'lets only the server reach etcd',
    checkNetworks,
    [
      ({ services }) => Object.assign(services.istiod ?? {}, { networks: ['store'] }),
      ({ services }) => delete services.etcd?.networks,
      ({ services }) => Object.assign(services['echo-a'] ?? {}, { network_mode: 'service:etcd' }),
      ({ services }) => Object.assign(services.istiod ?? {}, { network_mode: 'service:podless' }),
      ({ networks }) => delete networks.store?.internal,
    ],
  ],
]

for (const [title, check, breaks] of CHECKS)
  test(`docker-compose.yml ${title}`, () => {
    assert.deepEqual(check(composeFile()), [])
    for (const [index, spoil] of breaks.entries()) {
      const broken = structuredClone(composeFile())
      spoil(broken)
      assert.notDeepEqual(broken, composeFile(), `break ${index} changes nothing`)
      assert.notDeepEqual(check(broken), [], `break ${index} goes unseen: ${spoil}`)
    }
  })

test('istiod has the environment and flags that podless istio env prints', () => {
  const istiod = composeFile().services.istiod
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

test('files that the images are made of are there, and their shell scripts parse', () => {
  const dockerfile = readFileSync(join(ROOT, 'deploy/Dockerfile'), 'utf8')
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    ([, sources = '']) => sources.split(' '),
  )
  assert.ok(copied.some(source => source.endsWith('.sh')))
  for (const source of copied) {
    assert.ok(existsSync(join(ROOT, source)), source)
    if (source.endsWith('.sh'))
      assert.equal(spawnSync('sh', ['-n', join(ROOT, source)]).status, 0, source)
  }
})

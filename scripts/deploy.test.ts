// Proves what can be proved of deploy/ without a container engine: what is copied exists, settings are real, and the
// image's command and health check run, with its folders mapped to this machine's.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseYaml } from '../packages/apimachinery/src/index.ts'

const root = join(import.meta.dirname, '..')
const BUNDLE = 'packages/cli/dist/main.js'
const INSTALLED = '/usr/lib/podless/'
const COMMAND = 'deploy/podless.sh'

interface Instruction {
  readonly name: string
  readonly text: string
}

function dockerfile(): readonly Instruction[] {
  const lines = readFileSync(join(root, 'deploy/Dockerfile'), 'utf8')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
  return lines.map(line => {
    const cut = line.indexOf(' ')
    return { name: line.slice(0, cut), text: line.slice(cut + 1).trim() }
  })
}

/** An instruction of the last stage, which is the server's. */
function jsonOf(name: string): readonly string[] {
  const found = dockerfile().findLast(instruction => instruction.name === name)
  return JSON.parse(found?.text.replace(/^.*?CMD (?=\[)/, '') ?? '[]') as string[]
}

/** The PODLESS_* variables that `podless up` reads. */
function knownVariables(): ReadonlySet<string> {
  const help = spawnSync(process.execPath, ['packages/cli/src/main.ts', 'up', '--help'], {
    cwd: root,
    encoding: 'utf8',
  }).stdout
  return new Set(help.replaceAll(/\n\s+/g, ' ').match(/PODLESS_\w+/g))
}

const variablesIn = (path: string): readonly string[] => [
  ...new Set(readFileSync(join(root, path), 'utf8').match(/PODLESS_[A-Z_]+(?=[=:])/g)),
]

test('every file the image copies from the checkout exists', () => {
  for (const { text } of dockerfile().filter(({ name }) => name === 'COPY')) {
    const sources = text.split(' ').slice(0, -1)
    if (sources[0]?.startsWith('--from=')) continue
    for (const source of sources) assert.ok(existsSync(join(root, source)), source)
  }
})

test('the image runs as a user without rights, and its stages are named as they are used', () => {
  const instructions = dockerfile()
  assert.equal(instructions.findLast(({ name }) => name === 'USER')?.text, 'node')
  const stages = instructions.flatMap(({ name, text }) =>
    name === 'FROM' ? (/ AS (\w+)$/.exec(text)?.slice(1) ?? []) : [],
  )
  for (const { text } of instructions.filter(({ text: copy }) => copy.startsWith('--from=')))
    assert.ok(stages.includes(/^--from=(\w+)/.exec(text)?.[1] ?? ''), text)
})

test('image, compose file and unit set variables that podless reads', () => {
  const known = knownVariables()
  assert.ok(known.size > 8)
  for (const path of ['deploy/Dockerfile', 'docker-compose.yml', 'deploy/systemd/podless.service'])
    for (const variable of variablesIn(path)) assert.ok(known.has(variable), `${path}: ${variable}`)
})

interface Service {
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly volumes?: readonly string[]
  readonly depends_on?: Readonly<Record<string, unknown>>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

test('the compose file names services, volumes and files that are there', () => {
  const file = readFileSync(join(root, 'docker-compose.yml'))
  const { services, volumes } = parseYaml(file, { strict: true }).value as unknown as Compose
  for (const [name, service] of Object.entries(services)) {
    if (service.build !== undefined)
      assert.ok(existsSync(join(root, service.build.context, service.build.dockerfile)), name)
    for (const volume of service.volumes ?? []) {
      const [source = ''] = volume.split(':')
      const found = source.startsWith('.')
        ? existsSync(join(root, source))
        : Object.hasOwn(volumes, source)
      assert.ok(found, `${name}: ${volume}`)
    }
    for (const other of Object.keys(service.depends_on ?? {}))
      assert.ok(Object.hasOwn(services, other), `${name} depends on ${other}`)
  }
})

/** Starts a command of the image here and waits for the line that says it is ready. */
async function startImage(data: string): Promise<{ child: ChildProcess; port: string }> {
  assert.deepEqual(jsonOf('ENTRYPOINT'), ['podless'])
  const script = readFileSync(join(root, COMMAND), 'utf8').replace(INSTALLED, `${root}/`)
  const path = `${dirname(process.execPath)}:${process.env.PATH}`
  const settings = { PODLESS_DATA: data, PODLESS_BIND: '0.0.0.0', PODLESS_PORT: '0' }
  const child = spawn('sh', ['-c', script, 'podless', ...jsonOf('CMD')], {
    env: { ...process.env, ...settings, PATH: path },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, port: /127\.0\.0\.1:(\d+)/.exec(line.toString())?.[1] ?? '' }
}

const skip = existsSync(join(root, BUNDLE)) ? false : `there is no ${BUNDLE}: npm run bundle`

test('the image’s command serves, its health check tells, SIGTERM ends it with 0', {
  skip,
}, async () => {
  const data = await mkdtemp(join(tmpdir(), 'podless-image-'))
  const { child, port } = await startImage(data)
  const health = (to: string): number | null =>
    spawnSync(process.execPath, jsonOf('HEALTHCHECK').slice(1), {
      env: { ...process.env, PODLESS_PORT: to },
    }).status
  try {
    assert.equal(health(port), 0)
    assert.equal(health('1'), 1)
  } finally {
    child.kill('SIGTERM')
  }
  const [code] = (await once(child, 'exit')) as [number | null]
  assert.equal(code, 0)
  await rm(data, { recursive: true, force: true })
})

// `podless mesh up` end to end, with the real istiod, pilot-agent and Envoy, and VMs in network namespaces: what a mesh is
// for, and that it goes on through deaths of its parts. Skips with the reason where programs or rights are missing.

import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isAlive } from '../../../packages/cli/src/mesh/processes.ts'
import { missingPrograms, until } from '../../harness/child-process.ts'
import { bootstrapTemplate } from '../istiod/mesh-files.ts'
import { noNetworkReason } from '../istiod/mesh-network.ts'
import { meshCommand, networkLeftovers, RunningMesh } from './running-mesh.ts'

const SKIP =
  missingPrograms('pilot-discovery', 'pilot-agent', 'envoy', 'istioctl', 'kubectl') ||
  noNetworkReason() ||
  (bootstrapTemplate() === undefined && "absent: Envoy's bootstrap template of Istio")
const ENTRIES = '/apis/networking.istio.io/v1/namespaces/demo/workloadentries'
const ROUTES = '/apis/networking.istio.io/v1/namespaces/demo/virtualservices'
const REQUESTS = 200
/** A tenth of them, five standard deviations to each side. */
const [TENTH_MIN, TENTH_MAX] = [1, 41]
const CONVERGENCE_ROUNDS = 11
/** A grace period, a debounce and a busy machine. */
const LONG_MS = 120_000

const denyFirst = {
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'deny-a', namespace: 'demo' },
  spec: {
    selector: { matchLabels: { app: 'echo-b' } },
    action: 'DENY',
    rules: [{ from: [{ source: { principals: ['cluster.local/ns/demo/sa/echo-a'] } }] }],
  },
}

/** A host of the mesh whose endpoints are the WorkloadEntries with a label. */
const paymentsOnB = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: 'payments', namespace: 'demo' },
  spec: {
    hosts: ['payments.example.com'],
    location: 'MESH_INTERNAL',
    resolution: 'STATIC',
    ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
    workloadSelector: { labels: { app: 'echo-b' } },
  },
}

const route = (http: object): object => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'echo-b', namespace: 'demo' },
  spec: { hosts: ['echo-b'], http: [http] },
})

const weighted = route({
  route: [
    { destination: { host: 'echo-b' }, weight: 90 },
    { destination: { host: 'echo-c' }, weight: 10 },
  ],
})

async function untilCall(
  mesh: RunningMesh,
  [caller, callee]: readonly [string, string],
  status: number,
): Promise<void> {
  await until(
    `${caller} gets ${status} of ${callee}`,
    async () => (await mesh.call(caller, callee)).status === status || undefined,
    { timeoutMs: LONG_MS },
  )
}

/** Milliseconds from sending a route to the first request that Envoy answers by it, for each of some routes. */
async function convergence(mesh: RunningMesh): Promise<readonly number[]> {
  const times: number[] = []
  for (let round = 0; round < CONVERGENCE_ROUNDS; round += 1) {
    const status = 460 + round
    const sent = performance.now()
    const answer = await mesh.client.send({
      method: 'PATCH',
      path: `${ROUTES}/echo-b?fieldManager=test&force=true`,
      headers: { 'content-type': 'application/apply-patch+yaml' },
      body: JSON.stringify(route({ directResponse: { status } })),
    })
    assert(answer.status < 300, answer.bytes.toString())
    await until(
      `Envoy answers ${status}`,
      async () => (await mesh.call('echo-a', 'echo-b')).status === status || undefined,
      { timeoutMs: LONG_MS, everyMs: 1 },
    )
    times.push(performance.now() - sent)
  }
  return times.sort((one, other) => one - other)
}

/** Kills a component, and waits until the supervisor has it ready again under another pid. */
async function killAndAwaitRestart(mesh: RunningMesh, name: string): Promise<void> {
  const pid = await mesh.pidOf(name)
  process.kill(pid, 'SIGKILL')
  await until(
    `${name} is started again`,
    async () => {
      const { components } = await mesh.status()
      const one = components.find(component => component.name === name)
      return (one?.state === 'ready' && one.process?.pid !== pid) || undefined
    },
    { timeoutMs: LONG_MS },
  )
}

describe('podless mesh up', { skip: SKIP }, () => {
  let mesh: RunningMesh
  let failed = false

  before(async () => {
    mesh = await RunningMesh.make()
  })
  after(async () => {
    if (failed) process.stderr.write(`logs are kept in ${mesh.folder}\n`)
    await mesh.close({ keep: failed })
  })
  /** Later steps stand on earlier ones: after a failure the rest would only repeat it. */
  const step = (name: string, test: (say: (text: string) => void) => Promise<void>): void => {
    it(name, async t => {
      if (failed) {
        t.skip('an earlier step failed')
        return
      }
      failed = true
      await test(text => t.diagnostic(text))
      failed = false
    })
  }

  step('brings up everything, to the first mTLS request', async say => {
    await mesh.up(['--vms', '3'])
    say(`time to the first mTLS request: ${mesh.firstRequestMs} ms`)
    assert.equal(mesh.firstIdentity, 'spiffe://cluster.local/ns/demo/sa/echo-a')
    const { ready, components } = await mesh.status()
    assert(ready)
    assert.deepEqual(components.map(one => one.name).sort(), [
      'echo-a agent',
      'echo-a app',
      'echo-a renewer',
      'echo-b agent',
      'echo-b app',
      'echo-b renewer',
      'echo-c agent',
      'echo-c app',
      'echo-c renewer',
      'istiod',
      'podless',
    ])
    assert(components.every(one => one.state === 'ready'))
  })

  step('refuses a second mesh of the same folder, and leaves the first alone', async () => {
    const { code, stderr } = await meshCommand(['up', '--data', mesh.data])
    assert.equal(code, 73, stderr)
    assert.match(stderr, /runs already .*podless mesh down/)
    assert.equal((await mesh.call('echo-a', 'echo-b')).status, 200)
  })

  step("shows the callee its caller's SPIFFE id", async () => {
    await untilCall(mesh, ['echo-c', 'echo-b'], 200)
    const { answer } = await mesh.call('echo-c', 'echo-b')
    const certificate = answer.headers?.['x-forwarded-client-cert'] ?? ''
    assert.match(certificate, /By=spiffe:\/\/cluster\.local\/ns\/demo\/sa\/echo-b;/)
    assert.match(certificate, /URI=spiffe:\/\/cluster\.local\/ns\/demo\/sa\/echo-c$/)
  })

  step('a ServiceEntry with a workloadSelector reaches the VM of a plain Service', async () => {
    await mesh.kubectl(['apply', '-f', '-'], paymentsOnB)
    await untilCall(mesh, ['echo-a', 'payments.example.com'], 200)
    for (const host of ['payments.example.com', 'echo-b']) {
      const { answer } = await mesh.call('echo-a', host)
      assert.equal(answer.app, 'echo-b')
      assert.match(answer.headers?.['x-forwarded-client-cert'] ?? '', /\/sa\/echo-a$/)
    }
  })

  step('an AuthorizationPolicy denies one caller and no other', async () => {
    await mesh.kubectl(['apply', '-f', '-'], denyFirst)
    await untilCall(mesh, ['echo-a', 'echo-b'], 403)
    assert.equal((await mesh.call('echo-c', 'echo-b')).status, 200)
    await mesh.kubectl(['delete', '-n', 'demo', 'authorizationpolicy', 'deny-a'])
    await untilCall(mesh, ['echo-a', 'echo-b'], 200)
  })

  step('a VirtualService shifts a tenth of the requests', async say => {
    await mesh.kubectl(['apply', '-f', '-'], weighted)
    await until(
      'the other service gets some',
      async () => (await mesh.tally('echo-a', 'echo-b', 20))['echo-c'],
      { timeoutMs: LONG_MS },
    )
    const { 'echo-b': most = 0, 'echo-c': few = 0 } = await mesh.tally('echo-a', 'echo-b', REQUESTS)
    say(`of ${REQUESTS} requests, echo-b got ${most} and echo-c ${few}`)
    assert.equal(most + few, REQUESTS)
    assert(few >= TENTH_MIN && few <= TENTH_MAX, `${few} of ${REQUESTS}`)
  })

  step('a change of config is soon served by Envoy', async say => {
    const times = await convergence(mesh)
    const [least = 0, median = 0, most = 0] = [0, times.length >> 1, times.length - 1].map(i =>
      Math.round(times[i] ?? 0),
    )
    say(
      `from apply to Envoy's answer by it: median ${median} ms, ${least} to ${most} (istiod waits 100 ms for more)`,
    )
    await mesh.kubectl(['delete', '-n', 'demo', 'virtualservice', 'echo-b'])
    await untilCall(mesh, ['echo-a', 'echo-b'], 200)
  })

  step('a killed VM leaves the endpoints', async () => {
    assert.equal((await mesh.call('echo-a', 'echo-c')).status, 200)
    for (const part of ['agent', 'app'])
      process.kill(-(await mesh.pidOf(`echo-c ${part}`)), 'SIGKILL')
    await until(
      'its WorkloadEntry is gone',
      async () => {
        const { bytes } = await mesh.client.send({ path: ENTRIES })
        return !bytes.toString().includes('"name":"echo-c-') || undefined
      },
      { timeoutMs: LONG_MS },
    )
    await untilCall(mesh, ['echo-a', 'echo-c'], 503)
    const { components } = await mesh.status()
    assert.equal(components.find(one => one.name === 'echo-c agent')?.state, 'ended')
  })

  step('kill -9 of server and istiod breaks no traffic, and both come back', async say => {
    const answers = new Map<number, number>()
    let running = true
    const traffic = (async () => {
      while (running) {
        const { status } = await mesh.call('echo-a', 'echo-b')
        answers.set(status, (answers.get(status) ?? 0) + 1)
      }
    })()
    await killAndAwaitRestart(mesh, 'podless')
    await killAndAwaitRestart(mesh, 'istiod')
    await mesh.kubectl(['apply', '-f', '-'], denyFirst)
    running = false
    await traffic
    // The policy may have reached Envoy within the last requests.
    answers.delete(403)
    say(`requests through both deaths: ${answers.get(200)}`)
    assert.deepEqual([...answers.keys()], [200])
    await untilCall(mesh, ['echo-a', 'echo-b'], 403)
  })

  step('mesh down ends everything and may be said twice', async () => {
    const { components, supervisor } = await mesh.status()
    const { code, stderr } = await meshCommand(['down', '--data', mesh.data])
    assert.equal(code, 0, stderr)
    for (const one of components)
      assert(one.process === undefined || !isAlive(one.process), one.name)
    assert(!isAlive(supervisor))
    const exitCode = await until('mesh up has ended', () => mesh.supervisor.exitCode ?? undefined)
    assert.equal(exitCode, 0, mesh.supervisor.log())
    assert.deepEqual(networkLeftovers(mesh.data), [])
    assert.equal((await meshCommand(['down', '--data', mesh.data])).code, 0)
    assert.equal((await meshCommand(['status', '--data', mesh.data])).code, 69)
  })
})

describe('podless mesh up --detach', { skip: SKIP }, () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'podless-mesh-'))
  })
  after(async () => {
    await meshCommand(['down', '--data', folder])
    await rm(folder, { recursive: true, force: true })
  })

  it('names the component that failed, its last words and the fix, and leaves nothing', async () => {
    const programs = join(folder, 'programs')
    await mkdir(programs)
    const fake = join(programs, 'pilot-discovery')
    await writeFile(fake, '#!/bin/sh\necho no config for me >&2\nexit 3\n')
    await chmod(fake, 0o755)
    const { code, stderr } = await meshCommand(
      ['up', '--detach', '--data', folder, '--port', '0'],
      {
        PATH: `${programs}:${process.env.PATH}`,
        PODLESS_BOOTSTRAP_TEMPLATE: bootstrapTemplate() ?? '',
      },
    )
    assert.equal(code, 69)
    assert.match(stderr, /istiod ended with code 3/)
    assert.match(stderr, /no config for me/)
    assert.match(stderr, /to mend it: /)
    assert.deepEqual(networkLeftovers(folder), [])
  })

  it('returns once the mesh is up, which goes on without it', async () => {
    const up = await meshCommand(['up', '--detach', '--data', folder, '--port', '0'])
    assert.equal(up.code, 0, up.stderr)
    const { code, stdout } = await meshCommand(['status', '--data', folder])
    assert.equal(code, 0)
    assert.match(stdout, /^echo-b agent +\d+ +ready/m)
  })

  it('is cleared away also when its supervisor was killed', async () => {
    const { stdout } = await meshCommand(['status', '--data', folder, '--output', 'json'])
    const { supervisor, components } = JSON.parse(stdout) as Awaited<
      ReturnType<RunningMesh['status']>
    >
    process.kill(supervisor.pid, 'SIGKILL')
    await until('its supervisor is gone', () => !isAlive(supervisor) || undefined)
    const status = await meshCommand(['status', '--data', folder])
    assert.match(status.stdout, /nothing looks after this mesh: .*podless mesh down/)
    assert.equal((await meshCommand(['down', '--data', folder])).code, 0)
    for (const one of components)
      assert(one.process === undefined || !isAlive(one.process), one.name)
    assert.deepEqual(networkLeftovers(folder), [])
  })
})

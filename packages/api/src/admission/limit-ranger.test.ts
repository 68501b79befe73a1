// LimitRanges from outside: what pods get, and which pods and claims are refused in whose words.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { serverForFile } from '../../../../test/harness/server-for-file.ts'
import { objectAt, objectsAt } from '../resources/reading.ts'

const { admin: client } = await serverForFile()

const post = async (path: string, body: JsonObject): Promise<JsonObject> =>
  (await client.send({ method: 'POST', path: `/api/v1/${path}`, body })).json()

async function limitedNamespace(name: string, limits: JsonObject[]): Promise<string> {
  await post('namespaces', { metadata: { name } })
  await post(`namespaces/${name}/limitranges`, { metadata: { name: 'l' }, spec: { limits } })
  return `namespaces/${name}`
}

const container = (name: string, resources: JsonObject): JsonObject => ({
  name,
  image: 'b',
  resources,
})
const podOf = (containers: JsonObject[]): JsonObject => ({
  metadata: { name: 'p' },
  spec: { containers },
})

test('containers get what they do not say, and an annotation tells it', async () => {
  const namespace = await limitedNamespace('given', [
    { type: 'Container', default: { cpu: '2', memory: '64Mi' }, defaultRequest: { cpu: '100m' } },
  ])
  const made = await post(
    `${namespace}/pods`,
    podOf([container('a', {}), container('b', { requests: { cpu: '1', memory: '1Mi' } })]),
  )
  const [a, b] = objectsAt(made, 'spec.containers').map(entry => entry.resources)
  assert.deepEqual(a, {
    limits: { cpu: '2', memory: '64Mi' },
    requests: { cpu: '100m', memory: '64Mi' },
  })
  assert.deepEqual(objectAt(b, 'requests'), { cpu: '1', memory: '1Mi' })
  assert.equal(
    objectAt(made, 'metadata.annotations')['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a; cpu, memory limit for container b',
  )
})

const REFUSED: readonly [what: string, limit: JsonObject, asked: JsonObject[], why: string][] = [
  [
    'small',
    { type: 'Container', min: { cpu: '50m' } },
    [{ requests: { cpu: '10m' } }],
    'minimum cpu usage per Container is 50m, but request is 10m',
  ],
  [
    'large',
    { type: 'Container', max: { memory: '1Gi' } },
    [{ limits: { memory: '2048Mi' } }],
    'maximum memory usage per Container is 1Gi, but limit is 2Gi',
  ],
  [
    'wide',
    { type: 'Container', maxLimitRequestRatio: { cpu: '2' } },
    [{ requests: { cpu: '1' }, limits: { cpu: '3' } }],
    'cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000',
  ],
  [
    'many',
    { type: 'Pod', max: { cpu: '1' }, min: { memory: '1Mi' } },
    [{ limits: { cpu: '600m' } }, { limits: { cpu: '600m' } }],
    '[minimum memory usage per Pod is 1Mi.  No request is specified, maximum cpu usage per Pod is 1, but limit is 1200m]',
  ],
]

for (const [what, limit, asked, why] of REFUSED) {
  test(`a pod is refused: ${why}`, async () => {
    const namespace = await limitedNamespace(what, [limit])
    const containers = asked.map((resources, index) => container(`c${index}`, resources))
    const refused = await post(`${namespace}/pods`, podOf(containers))
    assert.equal(refused.message, `pods "p" is forbidden: ${why}`)
    assert.equal(refused.code, 403)
  })
}

test('a claim within the bounds is stored, one above them refused', async () => {
  const namespace = await limitedNamespace('claims', [
    { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
  ])
  const claim = (name: string, storage: string) =>
    post(`${namespace}/persistentvolumeclaims`, {
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
    })
  assert.equal((await claim('fits', '2Gi')).kind, 'PersistentVolumeClaim')
  assert.equal(
    (await claim('huge', '3Gi')).message,
    'persistentvolumeclaims "huge" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
  )
})

// How many existing pods are looked at, for how long, and which of them first.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '@podless/apimachinery'
import { existingPodWarnings } from './existing-pods.ts'

const BASELINE = { level: 'baseline', version: 'latest' } as const
const TOLD =
  'existing pods in namespace "n" violate the new PodSecurity enforce level "baseline:latest"'

const badPod = (name: string, controller?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    ...(controller === undefined
      ? {}
      : {
          ownerReferences: [
            {
              apiVersion: 'apps/v1',
              kind: 'ReplicaSet',
              name: 'r',
              uid: controller,
              controller: true,
            },
          ],
        }),
  },
  spec: { hostPID: true, containers: [] },
})

const warningsFor = (pods: readonly KubeObject[], elapsedMs: () => number = () => 0) =>
  existingPodWarnings({ list: () => pods, count: () => pods.length, elapsedMs }, 'n', BASELINE)

test('no more than 3000 pods are looked at', async () => {
  const pods = Array.from({ length: 3001 }, (_, index) => badPod(`p${index}`))
  assert.deepEqual(await warningsFor(pods), [
    'new PodSecurity enforce level only checked against the first 3000 of 3001 existing pods',
    TOLD,
    'p0 (and 2999 other pods): host namespaces',
  ])
  assert.equal((await warningsFor(pods.slice(1)))[0], TOLD)
})

test('after a second the rest is left alone', async () => {
  let looks = 0
  const clock = (): number => {
    looks += 1
    return looks * 400
  }
  const pods = ['a', 'b', 'c', 'd', 'e'].map(name => badPod(name))
  assert.deepEqual(await warningsFor(pods, clock), [
    'new PodSecurity enforce level only checked against the first 3 of 5 existing pods',
    TOLD,
    'a (and 2 other pods): host namespaces',
  ])
})

test('copies of a pod come after one of each kind', async () => {
  const copies = Array.from({ length: 3000 }, (_, index) => badPod(`copy${index}`, 'one'))
  const lone = {
    ...badPod('lone'),
    spec: {
      hostNetwork: true,
      hostPID: true,
      containers: [],
      volumes: [{ name: 'v', hostPath: {} }],
    },
  }
  const texts = await warningsFor([...copies, lone])
  assert.equal(texts.at(-1), 'lone: host namespaces, hostPath volumes')
  assert.equal(texts.at(-2), 'copy0 (and 2998 other pods): host namespaces')
})

test('pods that keep the level are not mentioned', async () => {
  const fine = { ...badPod('fine'), spec: { containers: [] } }
  assert.deepEqual(await warningsFor([fine]), [])
})

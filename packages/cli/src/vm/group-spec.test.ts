import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CliError } from '../exit.ts'
import { groupPatch } from './group-spec.ts'

test('groupPatch() fills what istioctl needs of a new group', () => {
  assert.deepEqual(groupPatch({ group: 'app' }, true), {
    metadata: { labels: { app: 'app' } },
    template: { serviceAccount: 'default' },
  })
})

test('groupPatch() changes only what was given of an existing group', () => {
  assert.deepEqual(groupPatch({ group: 'app' }, false), { metadata: {}, template: {} })
  assert.deepEqual(
    groupPatch({ group: 'app', port: ['http:80', 'grpc=90'], labels: ['a=b,c=d=e'] }, false),
    {
      metadata: { labels: { a: 'b', c: 'd=e' } },
      template: { ports: { http: 80, grpc: 90 } },
    },
  )
})

test('groupPatch() replaces a probe of another kind', () => {
  const { probe } = groupPatch({ group: 'app', probe: 'http:80/ready' }, false)
  assert.deepEqual(probe, {
    initialDelaySeconds: 1,
    periodSeconds: 5,
    httpGet: { path: '/ready', port: 80 },
    tcpSocket: null,
    grpc: null,
    exec: null,
  })
})

test('groupPatch() names the flag it cannot read', () => {
  const refuse = (options: object, flag: RegExp): void =>
    assert.throws(
      () => groupPatch({ group: 'app', ...options }, true),
      (error: unknown) => error instanceof CliError && flag.test(error.message),
    )
  for (const port of ['http', 'http:0', 'http:65536', ':80']) refuse({ port: [port] }, /^--port/)
  for (const probe of ['http', 'tcp:80/x', 'http:99999']) refuse({ probe }, /^--probe/)
  refuse({ labels: ['novalue'] }, /^--labels/)
})

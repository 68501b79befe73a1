import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requestInfo } from './request-info.ts'

const table: readonly [
  method: string,
  target: string,
  expected: Partial<ReturnType<typeof requestInfo>>,
][] = [
  ['GET', '/api/v1/pods', { isResource: true, verb: 'list', resource: 'pods', namespace: '' }],
  ['GET', '/api/v1/pods?watch=1', { verb: 'watch' }],
  ['GET', '/api/v1/pods?watch=false', { verb: 'list' }],
  ['GET', '/api/v1/pods?watch=maybe', { verb: 'watch' }],
  [
    'GET',
    '/api/v1/namespaces/a/pods/b',
    { verb: 'get', namespace: 'a', resource: 'pods', name: 'b' },
  ],
  ['GET', '/api/v1/namespaces/a/pods/b?watch=true', { verb: 'get', name: 'b' }],
  [
    'GET',
    '/api/v1/watch/namespaces/a/pods/b',
    { verb: 'watch', namespace: 'a', resource: 'pods', name: 'b', legacyWatch: true },
  ],
  [
    'GET',
    '/api/v1/namespaces/a',
    { verb: 'get', resource: 'namespaces', namespace: 'a', name: 'a' },
  ],
  [
    'PUT',
    '/api/v1/namespaces/a/finalize',
    { verb: 'update', resource: 'namespaces', subresource: 'finalize', name: 'a' },
  ],
  ['PUT', '/api/v1/namespaces/a/status', { resource: 'namespaces', subresource: 'status' }],
  [
    'POST',
    '/api/v1/namespaces/a/serviceaccounts/b/token',
    { verb: 'create', subresource: 'token', name: 'b' },
  ],
  [
    'DELETE',
    '/apis/apps/v1/namespaces/a/deployments',
    { verb: 'deletecollection', group: 'apps', version: 'v1' },
  ],
  ['DELETE', '/apis/apps/v1/namespaces/a/deployments/d', { verb: 'delete', name: 'd' }],
  [
    'PATCH',
    '/apis/x.io/v1/things/t/status',
    { verb: 'patch', group: 'x.io', subresource: 'status', name: 't' },
  ],
  ['GET', '/api/v1/namespaces/a/pods/b%2Fc', { name: 'b', subresource: 'c' }],
  ['GET', '/api/v1/namespaces/a/services/s/proxy/x/y', { subresource: 'proxy', rest: ['x', 'y'] }],
  ['GET', '/api/v1//namespaces', { isResource: true, resource: '' }],
  ['GET', '/api/v1/namespaces//secrets/s', { isResource: true, resource: '', name: '' }],
  ['GET', '//api/v1/configmaps', { resource: 'configmaps' }],
  ['GET', '/api/v1/configmaps/', { verb: 'list', resource: 'configmaps', name: '' }],
  ['GET', '/apis/apps', { isResource: false, path: '/apis/apps', verb: 'get' }],
  ['GET', '/api/v1', { isResource: false }],
  ['GET', '/readyz?verbose', { isResource: false, path: '/readyz' }],
  ['OPTIONS', '/api/v1/pods', { verb: 'options' }],
]

for (const [method, target, expected] of table) {
  test(`requestInfo() reads ${method} ${target}`, () => {
    const info = requestInfo(method, target)
    for (const [field, value] of Object.entries(expected)) {
      assert.deepEqual(info[field as keyof typeof info], value, field)
    }
  })
}

test('requestInfo() never throws on a path that cannot be decoded', () => {
  assert.equal(requestInfo('GET', '/api/v1/pods/%zz').name, '%zz')
})

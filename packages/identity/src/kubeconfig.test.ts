import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { kubeconfig } from './kubeconfig.ts'

const OPTIONS = {
  name: 'podless',
  server: 'https://127.0.0.1:6443',
  ca: 'CA PEM\n',
  user: { certificate: 'CERT PEM\n', key: 'KEY PEM\n' },
}
const b64 = (text: string) => Buffer.from(text).toString('base64')

describe('kubeconfig()', () => {
  it('writes block style with inline credentials', () => {
    assert.equal(
      kubeconfig({ ...OPTIONS, namespace: 'istio-system' }),
      `apiVersion: v1
kind: Config
clusters:
- name: podless
  cluster:
    certificate-authority-data: ${JSON.stringify(b64('CA PEM\n')).slice(1, -1)}
    server: https://127.0.0.1:6443
users:
- name: podless
  user:
    client-certificate-data: ${b64('CERT PEM\n')}
    client-key-data: ${b64('KEY PEM\n')}
contexts:
- name: podless
  context:
    cluster: podless
    user: podless
    namespace: istio-system
current-context: podless
`,
    )
  })

  it('writes a token, and the same as JSON', () => {
    const user = { token: 'a.b.c' }
    assert.match(kubeconfig({ ...OPTIONS, user }), /^ {4}token: a\.b\.c$/m)
    const json = JSON.parse(kubeconfig({ ...OPTIONS, user, format: 'json' }))
    assert.deepEqual(json.users, [{ name: 'podless', user }])
    assert.equal(json['current-context'], 'podless')
    assert.deepEqual(json.contexts[0].context, { cluster: 'podless', user: 'podless' })
  })

  it('quotes what YAML would read as something else', () => {
    for (const name of [
      'no',
      'true',
      '1.5',
      '12',
      '',
      'a: b',
      'a #b',
      '- x',
      '*',
      'a\nb',
      'null:',
    ]) {
      const text = kubeconfig({ ...OPTIONS, name })
      assert.ok(text.endsWith(`current-context: ${JSON.stringify(name)}\n`), name)
    }
  })
})

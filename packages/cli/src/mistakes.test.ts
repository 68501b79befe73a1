// Mistakes people make on the command line: each ends with its code and one line that names the fix, never with a stack.
// None of these needs a server; server-client.test.ts has what comes of one that does not answer.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { kubeconfig } from '@podless/identity'

const MAIN = join(import.meta.dirname, 'main.ts')
const folder = await mkdtemp(join(tmpdir(), 'podless-mistakes-'))
after(() => rm(folder, { recursive: true, force: true }))
const at = (name: string): string => join(folder, name)

await writeFile(at('typo.yaml'), 'prot: 1\n')
await writeFile(at('broken.yaml'), 'port: [\n')
await writeFile(at('keys'), 'k1:abc\n')
await chmod(at('keys'), 0o600)

await writeFile(at('ca.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
await mkdir(at('foreign/pki'), { recursive: true })
await writeFile(at('foreign/pki/ca.crt'), 'no certificate')
await writeFile(
  at('nowhere'),
  kubeconfig({ name: 'x', server: 'https://10.0.0.0.1:1', ca: 'CA', user: { token: 't' } }),
)

const UP = ['up', '--port', '0', '--data', at('data')]
const ETCD = [...UP, '--store', 'etcd']
const KEYED = ['--etcd-cafile', at('ca.pem'), '--etcd-certfile', at('keys')]

const MISTAKES: readonly (readonly [args: readonly string[], code: number, says: RegExp])[] = [
  [['upp'], 64, /unknown command 'upp' \(Did you mean up\?\); podless COMMAND --help/],
  [['up', '--prot', '1'], 64, /unknown option '--prot' \(Did you mean --port\?\); /],
  [['up', 'now'], 64, /too many arguments for 'up'/],
  [['up', '--store', 'mysql'], 64, /Allowed choices are embedded, etcd; /],
  [['vm', 'add'], 64, /missing required argument 'name'; /],
  [['up', '--port', 'abc'], 64, /--port: a port is a number/],
  [['up', '--data', ''], 64, /--data.*Name a folder/],
  [['up', '--port', '0', '--data', MAIN], 73, /main\.ts cannot be made: it is a file; .*--data/],
  // The kernel lets nobody make a folder there.
  [['up', '--port', '0', '--data', '/proc/x'], 73, /\/proc\/x cannot be made: .*--data/],
  [[...UP, '--advertise', 'h:99999'], 64, /--advertise: an address is written HOST:PORT/],
  [[...UP, '--service-cluster-ip-range', 'x'], 64, /an IPv4 range from \/8 to \/30, such as/],
  [[...UP, '--service-resolver', 'a=h:1'], 64, /write it as NAME\.NAMESPACE=HOST:PORT/],
  [[...UP, '--service-resolver', 'a.b=h:0'], 64, /--service-resolver: .*HOST:PORT/],
  [[...ETCD, '--etcd-endpoints', ','], 64, /--etcd-endpoints.*Write URLs/],
  [[...ETCD, '--etcd-endpoints', 'ftp://h:1'], 64, /Write URLs such as http:/],
  [[...UP, '--config', at('typo.yaml')], 64, /there is no setting "prot"; there are data, bind/],
  [[...UP, '--config', at('broken.yaml')], 64, /--config .*broken\.yaml cannot be read: yaml: /],
  [[...UP, '--audit-policy', at('typo.yaml')], 64, /--audit-policy needs --audit-log/],
  [[...UP, '--encryption-key-file', at('keys')], 64, /line 1: a key is written NAME:BASE64/],
  [[...ETCD, '--etcd-cafile', at('ca.pem')], 64, /--etcd-cafile,.* hold no PEM files that fit/],
  [[...ETCD, ...KEYED, '--etcd-keyfile', at('keys')], 64, /hold no PEM files that fit together/],
  [[...ETCD, ...KEYED], 64, /go together/],
  [[...ETCD, '--etcd-certfile', at('keys')], 64, /--etcd-keyfile need --etcd-cafile too/],
  [['up', '--port', '0', '--data', at('foreign')], 65, /ca\.key beside it; restore both from/],
  [['vm', 'list', '--kubeconfig', at('nowhere')], 65, /names no server URL in its current/],
  [['kubeconfig', 'admin', '--data', at('none')], 65, /holds no keys yet; .*podless up.*--data/],
  [['kubeconfig', 'ann', '--server', 'foo'], 64, /Write a URL such as https:/],
  [['kubeconfig', 'ann', '--namespace', 'Bad_N'], 64, /--namespace "Bad_N": a lowercase RFC 1123/],
  [['kubeconfig', 'system:serviceaccount:x'], 64, /system:serviceaccount:NAMESPACE:NAME/],
  [['istio', 'install', '--discovery-address', 'istiod'], 64, /Write HOST:PORT, such as/],
  [['istio', 'install', '--trust-domain', '_x_'], 64, /Write a domain, such as cluster\.local/],
  [['vm', 'add', 'Bad_Name'], 64, /"Bad_Name" cannot name a VM; use up to 50 of/],
  [['vm', 'add', 'a', '--group', 'Bad_G'], 64, /--group "Bad_G": a lowercase RFC 1123/],
  [['vm', 'add', 'a', '--service-account', 'S!'], 64, /--service-account "S!": /],
  [['vm', 'add', 'a', '--network', 'n!'], 64, /--network "n!": a valid label must be/],
  [['vm', 'add', 'a', '--server', 'foo'], 64, /Write a URL such as https:/],
  [['vm', 'list', '--data', at('none')], 65, /there is no .*admin\.kubeconfig; podless up writes/],
  [['vm', 'list', '--kubeconfig', MAIN], 65, /main\.ts cannot be read \(yaml: .*; podless up/],
  [['rotate', 'all'], 64, /there is no "all" to rotate; there are ca, serving, token-key/],
  [['migrate'], 64, /--encryption-key-file is needed/],
  [['mesh', 'up', '--vms', '1'], 64, /--vms "1": give a number from 2 to 9/],
  [['mesh', 'status', '--data', at('none')], 69, /no mesh of .* runs; podless mesh up starts one/],
]

for (const [args, code, says] of MISTAKES)
  test(`podless ${args.join(' ').replaceAll(folder, '').replaceAll(MAIN, 'main.ts')}`, () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [MAIN, ...args], {
      encoding: 'utf8',
      // Only against a command that never ends.
      timeout: 120_000,
    })
    assert.equal(status, code, stderr)
    assert.match(stderr, /^podless: .*\n$/, 'one line')
    assert.match(stderr, says)
    assert.equal(stdout, '')
  })

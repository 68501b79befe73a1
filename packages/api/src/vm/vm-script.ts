// The script that a join is answered with: it carries every file of the VM and puts it where it belongs. Files travel in
// base64, so nothing in them can end a here-document or be run. Called by vm-pages.ts; the parts are in scripts/.

import { readFileSync } from 'node:fs'
import type { Bundle } from './bundle.ts'
import type { VmRecord } from './vm-record.ts'

export interface JoinParts {
  readonly vm: VmRecord
  readonly bundle: Bundle
  readonly rootCa: string
  readonly istioToken: string
  readonly credential: string
}

interface InstalledFile {
  /** Below the VM's root, without a leading slash. */
  readonly path: string
  readonly mode: string
  readonly text: string
}

const script = (name: string): string =>
  readFileSync(new URL(`scripts/${name}`, import.meta.url), 'utf8')

const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`

/** A POSIX shell script: run as root it installs and starts, with --prefix DIR it only writes. */
export function joinScript(parts: JoinParts): string {
  const puts = filesOf(parts).map(
    ({ path, mode, text }) =>
      `put ${path} ${mode} <<'PODLESS'\n${wrapped(Buffer.from(text).toString('base64'))}PODLESS\n`,
  )
  // A function that is called in the last line: a script cut short on its way does nothing.
  return script('install.sh').replace('  : FILES\n', () => puts.join(''))
}

/** A script that says what went wrong. */
export function failureScript(message: string): string {
  return `printf 'podless: %s\\n' ${quoted(message)} >&2\nexit 1\n`
}

const wrapped = (text: string): string => text.replaceAll(/.{1,76}/g, line => `${line}\n`)

function filesOf({ vm, bundle, rootCa, istioToken, credential }: JoinParts): InstalledFile[] {
  const settings = [
    `PODLESS_SERVER=${quoted(vm.server)}`,
    `PODLESS_VM=${quoted(vm.name)}`,
    `PODLESS_NAMESPACE=${quoted(vm.namespace)}`,
  ]
  return [
    { path: 'etc/podless/vm.env', mode: '644', text: `${settings.join('\n')}\n` },
    { path: 'etc/podless/ca.crt', mode: '644', text: rootCa },
    { path: 'etc/podless/hosts', mode: '644', text: bundle.hosts },
    { path: 'etc/podless/root-cert.pem', mode: '644', text: bundle['root-cert.pem'] },
    { path: 'etc/certs/root-cert.pem', mode: '644', text: bundle['root-cert.pem'] },
    { path: 'etc/istio/config/mesh', mode: '644', text: bundle['mesh.yaml'] },
    { path: 'var/lib/istio/envoy/cluster.env', mode: '644', text: bundle['cluster.env'] },
    { path: 'var/lib/podless/istio-token', mode: '600', text: istioToken },
    { path: 'var/lib/podless/credential', mode: '600', text: credential },
    ...['agent.sh', 'renew.sh'].map(name => ({
      path: `var/lib/podless/${name}`,
      mode: '755',
      text: script(name),
    })),
    ...['podless-agent.service', 'podless-renew.service', 'podless-renew.timer'].map(name => ({
      path: `etc/systemd/system/${name}`,
      mode: '644',
      text: script(name),
    })),
  ]
}

// The programs of Istio and Envoy that a mesh runs, and where each comes from. Called by up.ts before anything starts, and by
// doctor/doctor.ts.

import { accessSync, constants, existsSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { CliError, EXIT } from '../exit.ts'

const RELEASE = 'github.com/istio/istio/releases'

/** Where people find each; the images carry them in /usr/local/bin. */
const SOURCES: Readonly<Record<string, string>> = {
  'pilot-discovery':
    'istiod itself: copy /usr/local/bin/pilot-discovery out of the image istio/pilot',
  'pilot-agent':
    'copy /usr/local/bin/pilot-agent out of the image istio/proxyv2, or install istio-sidecar.deb',
  envoy:
    'copy /usr/local/bin/envoy out of the image istio/proxyv2, or take a build from envoyproxy.io',
  ip: 'the package iproute2',
  curl: 'the package curl, with which VMs join',
  istioctl: `an Istio release (${RELEASE}); or give the CRDs with --from`,
}

/** Where Istio's packages for VMs put Envoy's bootstrap template, and where its source keeps it. */
const TEMPLATE_INSTALLED = '/var/lib/istio/envoy/envoy_bootstrap_tmpl.json'
const TEMPLATE_IN_SOURCE = 'istio/tools/packaging/common/envoy_bootstrap.json'

export interface MeshPrograms {
  readonly pilotDiscovery: string
  readonly pilotAgent: string
  readonly envoy: string
  readonly bootstrapTemplate: string
}

export interface Wanted {
  /** The CRDs come from elsewhere, so istioctl is not needed. */
  readonly from?: string
  readonly bootstrapTemplate?: string
}

/** Paths of all of them. Throws a CliError that lists every missing one with its source. */
export function findPrograms({ from, bootstrapTemplate }: Wanted): MeshPrograms {
  const names = Object.keys(SOURCES).filter(name => name !== 'istioctl' || from === undefined)
  const found = new Map(names.map(name => [name, findProgram(name)]))
  const missing = names.filter(name => found.get(name) === undefined)
  const lines = missing.map(name => `  ${name}: ${SOURCES[name]}`)
  const template = bootstrapTemplate ?? findTemplate(found.get('pilot-agent'))
  if (template === undefined || !existsSync(template))
    lines.push(
      `  Envoy's bootstrap template ${template ?? TEMPLATE_INSTALLED}: the same file in the image istio/proxyv2; name yours with --bootstrap-template`,
    )
  if (lines.length > 0)
    throw new CliError(
      EXIT.unavailable,
      ['these are missing, put them on PATH:', ...lines, 'docs/mesh.md says more'].join('\n'),
    )
  return {
    pilotDiscovery: found.get('pilot-discovery') ?? '',
    pilotAgent: found.get('pilot-agent') ?? '',
    envoy: found.get('envoy') ?? '',
    bootstrapTemplate: template ?? '',
  }
}

/** The first file of that name on PATH that may be run. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map(folder => join(folder, name)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function findTemplate(agent: string | undefined): string | undefined {
  const beside = agent === undefined ? [] : [join(dirname(realpathSync(agent)), '..')]
  const places = [TEMPLATE_INSTALLED, ...beside.map(folder => join(folder, TEMPLATE_IN_SOURCE))]
  return places.find(path => existsSync(path))
}

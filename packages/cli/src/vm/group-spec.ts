// A WorkloadGroup's spec from command-line options. Called by add.ts.
// Ref: istio/istioctl/pkg/workload/workload.go createCommand; networking/v1alpha3/workload_group.proto

import type { JsonObject } from '@podless/apimachinery'
import { CliError, EXIT } from '../exit.ts'

export interface GroupOptions {
  readonly group: string
  readonly port?: readonly string[]
  readonly labels?: readonly string[]
  readonly serviceAccount?: string
  readonly network?: string
  readonly probe?: string
}

/** What the options say about a group, as a merge patch: what they leave out stays. */
export function groupPatch(options: GroupOptions, isNew: boolean): JsonObject {
  const { serviceAccount, network, probe } = options
  const ports = portsOf(options.port ?? [])
  const labels = { ...(isNew ? { app: options.group } : {}), ...labelsOf(options.labels ?? []) }
  return {
    // istioctl fails on a group that lacks these two.
    metadata: Object.keys(labels).length === 0 ? {} : { labels },
    template: {
      ...(isNew ? { serviceAccount: 'default' } : {}),
      ...(serviceAccount === undefined ? {} : { serviceAccount }),
      ...(Object.keys(ports).length === 0 ? {} : { ports }),
      ...(network === undefined ? {} : { network }),
    },
    ...(probe === undefined ? {} : { probe: { ...(isNew ? {} : NO_PROBE), ...probeOf(probe) } }),
  }
}

function portsOf(texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    texts.map(text => {
      const [, name = '', port = ''] = /^([a-z0-9][a-z0-9-]*)[:=](\d{1,5})$/.exec(text) ?? []
      const number = Number(port)
      if (number > 0 && number < 65_536) return [name, number]
      throw new CliError(
        EXIT.usage,
        `--port ${JSON.stringify(text)}: write it as NAME:PORT, such as http:8080`,
      )
    }),
  )
}

function labelsOf(texts: readonly string[]): Record<string, string> {
  const pairs = texts.flatMap(text => text.split(','))
  return Object.fromEntries(
    pairs.map(pair => {
      const cut = pair.indexOf('=')
      if (cut > 0) return [pair.slice(0, cut), pair.slice(cut + 1)]
      throw new CliError(EXIT.usage, `--labels ${JSON.stringify(pair)}: write it as KEY=VALUE`)
    }),
  )
}

/** Exactly one kind may be set, so a patch takes the others away. */
const NO_PROBE: JsonObject = { httpGet: null, tcpSocket: null, grpc: null, exec: null }

/** http:8080/healthz, tcp:5432 or grpc:9000. */
function probeOf(text: string): JsonObject {
  const [, kind = '', digits = '', path = ''] =
    /^(http|tcp|grpc):(\d{1,5})(\/\S*)?$/.exec(text) ?? []
  const port = Number(digits)
  const check: Readonly<Record<string, JsonObject>> = {
    http: { httpGet: { path: path === '' ? '/' : path, port } },
    tcp: { tcpSocket: { port } },
    grpc: { grpc: { port } },
  }
  const found = check[kind]
  if (found !== undefined && port > 0 && port < 65_536 && (path === '' || kind === 'http'))
    return { initialDelaySeconds: 1, periodSeconds: 5, ...found }
  throw new CliError(
    EXIT.usage,
    `--probe ${JSON.stringify(text)}: write it as http:PORT/PATH, tcp:PORT or grpc:PORT`,
  )
}

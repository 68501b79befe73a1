// The command line of `podless up`. The work is in ../up.ts, loaded when the command runs.

import type { Command } from 'commander'
import { dataOption, option, storeOptions } from '../options.ts'

const LIMITS: readonly (readonly [name: string, what: string, limit: string])[] = [
  ['max-requests-per-user', 'requests of one user at once', '600'],
  ['max-watches-per-user', 'open watches of one user', '2000'],
  ['max-connections-per-address', 'connections from one address', '2000'],
  ['max-connections-per-user', 'connections of one user', '1000'],
]
const variableOf = (name: string): string => name.toUpperCase().replaceAll('-', '_')

export function addUp(root: Command): void {
  const command = root.command('up').description('serve until interrupted')
  const options = [
    dataOption(),
    option('--config <file>', 'settings from a YAML file; flags win over it', 'CONFIG'),
    option('--bind <address>', 'address to listen on', 'BIND').default('127.0.0.1'),
    option('--port <n>', 'port to listen on, 0 for a free one', 'PORT').default('6443'),
    option(
      '--advertise <host:port>',
      'where clients reach the server, if not at bind and port',
      'ADVERTISE',
    ),
    ...storeOptions(),
    option(
      '--service-cluster-ip-range <cidr>',
      'range for ClusterIPs',
      'SERVICE_CLUSTER_IP_RANGE',
    ).default('10.96.0.0/12'),
    ...LIMITS.map(([name, what, limit]) =>
      option(`--${name} <n>`, `${what}, 0 for no limit`, variableOf(name)).default(limit),
    ),
    option(
      '--authentication-config <file>',
      'issuers of tokens to believe, as an AuthenticationConfiguration; read again when it changes',
      'AUTHENTICATION_CONFIG',
    ),
    option('--audit-log <file>', 'record requests in this file', 'AUDIT_LOG'),
    option('--audit-policy <file>', 'which, as an audit.k8s.io/v1 Policy', 'AUDIT_POLICY'),
    option('--audit-log-maxsize <mib>', 'rotate it over this size', 'AUDIT_LOG_MAXSIZE').default(
      '100',
    ),
    option('--audit-log-maxbackup <n>', 'old files to keep', 'AUDIT_LOG_MAXBACKUP').default('10'),
    option('--log-level <level>', 'what goes to stderr', 'LOG_LEVEL')
      .choices(['debug', 'info', 'warn', 'error'])
      .default('warn'),
    option(
      '--service-resolver <name.namespace=host:port...>',
      'where webhooks reach a Service, repeatable',
      'SERVICE_RESOLVER',
    ),
  ]
  for (const item of options) command.addOption(item)
  command.action(async (_options, self: Command) => {
    const { up } = await import('../up.ts')
    const { readConfigFile } = await import('../config-file.ts')
    const { config } = self.opts<{ config?: string }>()
    const fromFile = config === undefined ? {} : await readConfigFile(config)
    await up({ ...self.opts(), ...withoutGiven(fromFile, self) })
  })
}

/** The file's settings that neither the command line nor the environment gives. */
function withoutGiven(
  settings: Readonly<Record<string, unknown>>,
  command: Command,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).filter(
      ([name]) => !['cli', 'env'].includes(command.getOptionValueSource(name) ?? ''),
    ),
  )
}

// The one executable: reads the command line and runs a command. Commands are in commands/, one a file.

import { Command, CommanderError, Option } from 'commander'
import { CliError, EXIT } from './exit.ts'

/** Adds an option whose twin in the environment is PODLESS_NAME. */
function option(flags: string, description: string, variable: string): Option {
  return new Option(flags, description).env(`PODLESS_${variable}`)
}

const dataOption = (): Option =>
  option('--data <dir>', 'folder for keys and data', 'DATA').default('.podless')

function program(): Command {
  const root = new Command('podless')
    .description('A Kubernetes API server with no cluster behind it.')
    .showHelpAfterError('(podless COMMAND --help shows what there is)')
    .configureOutput({ writeErr: text => process.stderr.write(text) })
    .exitOverride()
  addUp(root)
  addKubeconfig(root)
  return root
}

function addUp(root: Command): void {
  root
    .command('up')
    .description('serve until interrupted')
    .addOption(dataOption())
    .addOption(option('--bind <address>', 'address to listen on', 'BIND').default('127.0.0.1'))
    .addOption(option('--port <n>', 'port to listen on, 0 for a free one', 'PORT').default('6443'))
    .addOption(
      option(
        '--advertise <host:port>',
        'where clients reach the server, when not at bind and port',
        'ADVERTISE',
      ),
    )
    .addOption(
      option('--store <engine>', 'where objects are kept', 'STORE')
        .choices(['embedded', 'etcd'])
        .default('embedded'),
    )
    .addOption(
      option(
        '--etcd-endpoints <urls>',
        'etcd servers, comma-separated, for --store etcd',
        'ETCD_ENDPOINTS',
      ).default('http://127.0.0.1:2379'),
    )
    .addOption(
      option('--etcd-cafile <file>', "CA that signed etcd's certificate (PEM)", 'ETCD_CAFILE'),
    )
    .addOption(
      option('--etcd-certfile <file>', 'client certificate for etcd (PEM)', 'ETCD_CERTFILE'),
    )
    .addOption(option('--etcd-keyfile <file>', 'key of that certificate (PEM)', 'ETCD_KEYFILE'))
    .addOption(
      option(
        '--service-cluster-ip-range <cidr>',
        'range for ClusterIPs',
        'SERVICE_CLUSTER_IP_RANGE',
      ).default('10.96.0.0/12'),
    )
    .option(
      '--service-resolver <name.namespace=host:port...>',
      'where webhooks reach a Service (repeatable, PODLESS_SERVICE_RESOLVER)',
    )
    .addOption(
      option('--log-level <level>', 'debug, info, warn or error', 'LOG_LEVEL')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('warn'),
    )
    .action(async options => {
      const { up } = await import('./commands/up.ts')
      await up(options)
    })
}

function addKubeconfig(root: Command): void {
  root
    .command('kubeconfig')
    .argument('<who>', 'admin, istiod, a user name, or system:serviceaccount:NAMESPACE:NAME')
    .description('print a kubeconfig')
    .addOption(dataOption())
    .option('--group <name...>', 'groups of the user (repeatable)')
    .addOption(
      option('--ttl <duration>', 'how long the credentials last, such as 1h or 30d', 'TTL'),
    )
    .addOption(option('--server <url>', 'server URL to write', 'SERVER'))
    .option('--namespace <name>', 'default namespace of the context')
    .action(async (who, options) => {
      const { kubeconfig } = await import('./commands/kubeconfig.ts')
      await kubeconfig(who, options)
    })
}

async function main(): Promise<void> {
  try {
    await program().parseAsync()
  } catch (error) {
    process.exitCode = report(error)
  }
}

/** One line on stderr that says what is wrong and what to do, and the exit code for it. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof CliError) {
    process.stderr.write(`podless: ${error.message}\n`)
    return error.code
  }
  process.stderr.write(
    `podless: unexpected error: ${error instanceof Error ? error.stack : String(error)}\n`,
  )
  return EXIT.internal
}

await main()

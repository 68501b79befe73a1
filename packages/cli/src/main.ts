// The one executable: reads the command line and runs a command. Commands are in commands/, one a file.

import { Command, CommanderError } from 'commander'
import packageJson from '../package.json' with { type: 'json' }
import { addBackup } from './commands/backup.ts'
import { addDoctor } from './commands/doctor.ts'
import { addHelp } from './commands/help.ts'
import { addIstio } from './commands/istio.ts'
import { addKubeconfig } from './commands/kubeconfig.ts'
import { addMesh } from './commands/mesh.ts'
import { addMigrate } from './commands/migrate.ts'
import { addRbac } from './commands/rbac.ts'
import { addRestore } from './commands/restore.ts'
import { addRotate } from './commands/rotate.ts'
import { addUp } from './commands/up.ts'
import { addVm } from './commands/vm.ts'
import { addTwins } from './environment-twins.ts'
import { CliError, EXIT } from './exit.ts'

function program(): Command {
  const root = new Command('podless')
    .description('A Kubernetes API server with no cluster behind it.')
    .version(packageJson.version)
    // Said by report(), in one line.
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
  for (const add of [
    addUp,
    addKubeconfig,
    addIstio,
    addVm,
    addMesh,
    addRbac,
    addRotate,
    addMigrate,
    addBackup,
    addRestore,
    addDoctor,
    addHelp,
  ])
    add(root)
  addTwins(root, process.env)
  return root
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
  if (error instanceof CommanderError) return reportUsage(error)
  const isOurs = error instanceof CliError
  const text = isOurs
    ? error.message
    : `unexpected error: ${error instanceof Error ? error.stack : String(error)}`
  process.stderr.write(`podless: ${text}\n`)
  return isOurs ? error.code : EXIT.internal
}

/** Help and the version are printed by then; a wrong command line is said as every failure is. */
function reportUsage({ code, exitCode, message }: CommanderError): number {
  if (exitCode === 0) return EXIT.ok
  if (code === 'commander.help') return EXIT.usage
  const what = message.replace(/^error: /, '').replaceAll(/\.?\n/g, ' ')
  process.stderr.write(`podless: ${what.replace(/\.$/, '')}; podless COMMAND --help shows more\n`)
  return EXIT.usage
}

await main()

// The command line of `podless migrate`. The work is in ../migrate.ts, loaded when the command runs.

import type { Command } from 'commander'
import type { MigrateOptions } from '../migrate.ts'
import { dataOption, outputOption, storeOptions } from '../options.ts'

export function addMigrate(root: Command): void {
  const command = root
    .command('migrate')
    .description('encrypt every Secret in the store with the first key of the key file')
  for (const item of [dataOption(), ...storeOptions(), outputOption()]) command.addOption(item)
  command.action(async (options: MigrateOptions) => {
    const { migrate } = await import('../migrate.ts')
    await migrate(options)
  })
}

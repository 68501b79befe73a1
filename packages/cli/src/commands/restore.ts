// The command line of `podless restore`. The work is in ../restore.ts, loaded when the command runs.

import type { Command } from 'commander'
import { dataOption, outputOption } from '../options.ts'
import type { RestoreOptions } from '../restore.ts'

export function addRestore(root: Command): void {
  const command = root
    .command('restore')
    .description('make a data folder of what podless backup wrote; start podless up on it then')
    .argument('<backup>', 'the folder that podless backup made')
    .option('--force', 'put it in the place of a data folder; that one is kept beside it')
  for (const item of [dataOption(), outputOption()]) command.addOption(item)
  command.action(async (folder: string, options: RestoreOptions) => {
    const { restore } = await import('../restore.ts')
    await restore(folder, options)
  })
}

// The command line of `podless doctor`. The work is in ../doctor/doctor.ts, loaded when the command runs.

import type { Command } from 'commander'
import type { DoctorOptions } from '../doctor/doctor.ts'
import { hostAndPort } from '../option-values.ts'
import { dataOption, kubeconfigOption, option, outputOption, storeOptions } from '../options.ts'

export function addDoctor(root: Command): void {
  const command = root
    .command('doctor')
    .description('check the data folder, the keys and the server; changes nothing')
  const advertise = option(
    '--advertise <host:port>',
    'where clients reach the server: its certificate has to name it',
    'ADVERTISE',
  ).argParser(hostAndPort)
  const options = [
    ...[dataOption(), kubeconfigOption(), advertise],
    ...storeOptions().filter(item => item.long !== '--encryption-key-file'),
    outputOption(),
  ]
  for (const item of options) command.addOption(item)
  command.action(async (options: DoctorOptions) => {
    const { doctor } = await import('../doctor/doctor.ts')
    await doctor(options)
  })
}

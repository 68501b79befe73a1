// Options that several commands share, with the name of their twin in the environment. Used by commands/*; those of all others
// are named by environment-twins.ts.

import { Option } from 'commander'
import { etcdEndpoints, folder, serverUrl } from './option-values.ts'

/** An option whose value may also come from PODLESS_<variable>. The command line wins. */
export function option(flags: string, description: string, variable: string): Option {
  return new Option(flags, description).env(`PODLESS_${variable}`)
}

/** The data folder, for every command that reads or writes one. */
export const dataOption = (): Option =>
  option('--data <dir>', 'folder for keys and data', 'DATA').argParser(folder).default('.podless')

/** Another server than the one of the data folder. */
export const kubeconfigOption = (): Option =>
  option(
    '--kubeconfig <file>',
    'kubeconfig of the server to talk to, instead of --data',
    'KUBECONFIG',
  )

/** The address to write down for others, when this machine reaches the server elsewhere. */
export const serverOption = (description: string): Option =>
  option('--server <url>', description, 'SERVER').argParser(serverUrl)

export const revisionOption = (): Option =>
  option('--revision <name>', "istiod's revision", 'REVISION').default('default')

export const clusterOption = (): Option =>
  option('--cluster-id <name>', 'name of this server in the mesh', 'CLUSTER_ID').default(
    'Kubernetes',
  )

/** --output json on a command that prints data. */
export const outputOption = (): Option =>
  option('-o, --output <format>', 'how to print', 'OUTPUT')
    .choices(['json', 'text'])
    .default('text')

export const storeOption = (): Option =>
  option('--store <engine>', 'where objects are kept', 'STORE')
    .choices(['embedded', 'etcd'])
    .default('embedded')

/** Where objects are kept, and how, for every command that opens the store itself. */
export const storeOptions = (): Option[] => [
  storeOption(),
  option('--etcd-endpoints <urls>', 'etcd servers, comma-separated', 'ETCD_ENDPOINTS')
    .argParser(etcdEndpoints)
    .default('http://127.0.0.1:2379'),
  option('--etcd-cafile <file>', "CA that signed etcd's certificate (PEM)", 'ETCD_CAFILE'),
  option('--etcd-certfile <file>', 'client certificate for etcd (PEM)', 'ETCD_CERTFILE'),
  option('--etcd-keyfile <file>', 'key of that certificate (PEM)', 'ETCD_KEYFILE'),
  option(
    '--encryption-key-file <file>',
    'encrypt Secrets in the store; NAME:BASE64 of 32 bytes a line, the first encrypts',
    'ENCRYPTION_KEY_FILE',
  ),
]

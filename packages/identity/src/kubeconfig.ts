// Renders a kubeconfig with everything inline, as the CLI prints it and `podless up` writes admin.kubeconfig.
// Block style, one scalar a line, so that the simplest reader copes. Calls nothing.

/** How the user of a kubeconfig proves who it is. PEM texts or a bearer token. */
export type KubeconfigUser =
  | { readonly certificate: string; readonly key: string }
  | { readonly token: string }

export interface KubeconfigOptions {
  /** Names the context, the cluster and the user. */
  readonly name: string
  readonly server: string
  /** PEM of the authority the server's certificate comes from. */
  readonly ca: string
  readonly user: KubeconfigUser
  readonly namespace?: string
  readonly format?: 'yaml' | 'json'
}

/** The text of a kubeconfig. It holds credentials: write it 0600. */
export function kubeconfig(options: KubeconfigOptions): string {
  const { name, server, namespace, user, format = 'yaml' } = options
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { 'certificate-authority-data': base64(options.ca), server } }],
    users: [{ name, user: credentials(user) }],
    contexts: [
      {
        name,
        context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) },
      },
    ],
    'current-context': name,
  }
  if (format === 'json') return `${JSON.stringify(config, undefined, 2)}\n`
  return `${lines(config, '').join('\n')}\n`
}

function credentials(user: KubeconfigUser): Record<string, string> {
  return 'token' in user
    ? { token: user.token }
    : {
        'client-certificate-data': base64(user.certificate),
        'client-key-data': base64(user.key),
      }
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

type Node = string | { readonly [key: string]: Node } | readonly Node[]

/** Maps, lists of maps and strings in block style: all a kubeconfig has. */
function lines(node: { readonly [key: string]: Node }, indent: string): string[] {
  return Object.entries(node).flatMap(([key, value]) => {
    if (typeof value === 'string') return [`${indent}${key}: ${scalar(value)}`]
    if (!isList(value)) return [`${indent}${key}:`, ...lines(value, `${indent}  `)]
    return [`${indent}${key}:`, ...value.flatMap(item => listItem(item, indent))]
  })
}

function listItem(item: Node, indent: string): string[] {
  if (typeof item === 'string' || isList(item)) return [`${indent}- ${JSON.stringify(item)}`]
  const [first = '', ...rest] = lines(item, `${indent}  `)
  return [`${indent}- ${first.trimStart()}`, ...rest]
}

const isList = (node: Exclude<Node, string>): node is readonly Node[] => Array.isArray(node)

/** Plain where YAML 1.1 and 1.2 both read the same string, else quoted as JSON, which is YAML too. */
function scalar(value: string): string {
  const plain = /^[A-Za-z_/][\w./:@+=-]*$/.test(value) && !value.endsWith(':')
  const reserved = /^(?:y|n|yes|no|on|off|true|false|null)$/i.test(value)
  return plain && !reserved ? value : JSON.stringify(value)
}

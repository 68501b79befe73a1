// Serves from memory until interrupted, for trying requests by hand.
// Usage: node test/harness/serve.ts [PORT [NAME.NAMESPACE=HOST:PORT...]]

import { startServer } from './server.ts'

const [port = '0', ...resolver] = process.argv.slice(2)
const serviceResolver = Object.fromEntries(
  resolver.map(entry => entry.split('=') as [string, string]),
)
const server = await startServer({ port: Number(port), serviceResolver })
process.stdout.write(`${server.url} KUBECONFIG=${server.kubeconfig}\n`)

// Serves from memory until interrupted, for trying requests by hand. Usage: node test/harness/serve.ts [PORT]

import { startServer } from './server.ts'

const server = await startServer({ port: Number(process.argv[2] ?? 0) })
process.stdout.write(`${server.url} KUBECONFIG=${server.kubeconfig}\n`)

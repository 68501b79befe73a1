// The app on a VM of capture.test.ts, started with its name and a port: answers with its name and the caller's certificate.

import { createServer } from 'node:http'

const [name, port] = process.argv.slice(2)

createServer(({ headers }, response) => {
  const certificate = headers['x-forwarded-client-cert'] ?? ''
  response.setHeader('content-type', 'application/json')
  response.end(`${JSON.stringify({ app: name, certificate })}\n`)
}).listen(Number(port), '0.0.0.0')

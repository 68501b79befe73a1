// What a client is told whose bytes are no HTTP/1.1 request. Called by server.ts; never reaches the handler chain.
// Ref: Go's net/http (*conn).serve

import type { Socket } from 'node:net'
import { endSoon } from './linger.ts'

/** The parser's code -> the answer. A parser's error without a row is a plain 400; anything else is a connection's end. */
const ANSWERS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_INVALID_TRANSFER_ENCODING: '501 Unsupported transfer encoding',
}
const PARSER_ERROR = 'HPE_'
/** Sockets whose answer is on its way. */
const answered = new WeakSet<Socket>()

/** Answers with a status line and the same as text, and ends the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  const { code = '' } = error
  // Whatever else a client sends after its first mistake is one more to the parser.
  if (answered.has(socket) && code.startsWith(PARSER_ERROR)) return
  const { _httpMessage: underWay } = socket as Socket & { _httpMessage?: unknown }
  const isAnswered = underWay !== undefined && underWay !== null
  if (!code.startsWith(PARSER_ERROR) || !socket.writable || isAnswered) {
    socket.destroy()
    return
  }
  const status = Object.hasOwn(ANSWERS, code) ? ANSWERS[code] : '400 Bad Request'
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close`
  answered.add(socket)
  endSoon(socket, `${head}\r\n\r\n${status}`)
}

// The wire, as protocol/spec/wire.md has it: a connection, its one stream, and frames in both directions.

import { noise } from '@chainsafe/libp2p-noise'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { WebSocket } from 'ws'

const STREAM = '/undertone/relay/1'
const WINDOW_BYTES = 256 * 1024
const FRAME_BYTES_MAX = 262_144
const ANSWER_WAIT_MAX_MS = 30_000

// What libp2p expects, and node has of itself from version 22 on.
globalThis.WebSocket ??= WebSocket
Promise.withResolvers ??= () => {
  const deferred = {}
  deferred.promise = new Promise((resolve, reject) => Object.assign(deferred, { resolve, reject }))
  return deferred
}

// --- Structures: the schema, and "Decoding" in README.md

const schema = new protobuf.Root().loadSync(
  fileURLToPath(new URL('../../protocol/proto/relay.proto', import.meta.url)), { keepCase: true })
const OBJECTS = { longs: BigInt, enums: String, defaults: true, oneofs: true }

/** The bytes of a message of the schema. */
export function encode (name, fields) {
  const type = schema.lookupType(`undertone.v1.${name}`)
  return type.encode(type.fromObject(fields)).finish()
}

/** A message of the schema: fields by their names there, numbers of 64 bits as BigInt. Throws where it does not decode. */
export function decode (name, bytes) {
  const type = schema.lookupType(`undertone.v1.${name}`)
  checkWireTypes(type, bytes)
  return type.toObject(type.decode(bytes), OBJECTS)
}

// Most libraries, as this one, skip a known field that has another wire type than its own; the specification refuses it.
function checkWireTypes (type, bytes) {
  const reader = protobuf.Reader.create(bytes)
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    const field = type.fieldsById[tag >>> 3]?.resolve()
    const nested = field?.resolvedType instanceof protobuf.Type
    const own = nested ? 2 : protobuf.types.basic[field?.type] ?? 0 // an enumeration is a number
    if (field !== undefined && own !== (tag & 7)) throw new Error(`${field.name} has another wire type`)
    if (nested) checkWireTypes(field.resolvedType, reader.bytes())
    else reader.skipType(tag & 7)
  }
}

// --- Framing

/** A frame with its length before it. */
export function frame (fields) {
  const body = encode('Frame', fields)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  return Buffer.concat([length, body])
}

/** Frames out of chunks, which begin and end anywhere. */
export async function * frames (chunks) {
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk.subarray()])
    while (rest.length >= 4) {
      const length = rest.readUInt32BE()
      if (length > FRAME_BYTES_MAX) throw new Error(`a frame of ${length} bytes`)
      if (rest.length < 4 + length) break
      yield decode('Frame', rest.subarray(4, 4 + length))
      rest = rest.subarray(4 + length)
    }
  }
  if (rest.length > 0) throw new Error('the stream ended inside a frame')
}

// --- Connections

/** What a relay says to a request that it does not carry out. */
export class Refusal extends Error {
  constructor ({ code, text, retry_after_ms }) {
    super(`${code}: ${text}`)
    this.code = code
    this.retryAfterMs = retry_after_ms
  }
}

/** A connection to a relay. Questions are asked by `ask`; what comes without a question waits for `next`. */
export class Connection {
  #host; #stream; #reading
  #requests = 0n
  #open = new Map() // what was asked and is not answered, by its number
  #came = []        // frames that answer nothing
  #waiting = []     // who waits for one of these

  /** Dials `address`, which ends in /p2p/ and the relay's key; `seed` is that of the device's Ed25519 key. */
  static async open (address, seed) {
    const connection = new Connection()
    connection.key = await generateKeyPairFromSeed('Ed25519', seed)
    connection.#host = await createLibp2p({
      privateKey: connection.key,
      transports: [tcp(), webSockets()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux({ streamOptions: { initialStreamWindowSize: WINDOW_BYTES, maxStreamWindowSize: WINDOW_BYTES } })],
      connectionMonitor: { enabled: false } // it would open streams for pings
    })
    const peer = await connection.#host.dial(multiaddr(address)) // fails where noise proves another key
    connection.relay = peer.remotePeer.publicKey.raw
    connection.#stream = await peer.newStream(STREAM, { negotiateFully: true })
    connection.#reading = connection.#read()
    return connection
  }

  /** The device's id: its public key, which noise proves to the relay. */
  get device () { return this.key.publicKey.raw }

  /** Sends a question; the answer must be of the kind `expected`, or a refusal, which is thrown. */
  async ask (question, expected) {
    const request = ++this.#requests
    const answer = Promise.withResolvers()
    this.#open.set(request, answer)
    try {
      this.tell({ request, ...question })
      const came = await this.#inTime(answer)
      if (came.body === 'refusal') throw new Refusal(came.refusal)
      if (came.body === expected) return came[expected]
      throw this.#end(new Error(`${came.body} answers ${Object.keys(question)}`))
    } finally {
      this.#open.delete(request)
    }
  }

  /** Sends a frame that asks nothing. */
  tell (fields) { this.#stream.send(frame(fields)) }

  /** The next frame that answers nothing: a delivery, or a goodbye. */
  async next () {
    if (this.#came.length > 0) return this.#came.shift()
    const waits = Promise.withResolvers()
    this.#waiting.push(waits)
    return this.#inTime(waits)
  }

  /** The last frame, and the end of the connection. */
  async close () {
    this.tell({ goodbye: {} })
    await this.#stream.close()
    await this.#reading
    await this.#host.stop()
  }

  async #read () {
    try {
      for await (const came of frames(this.#stream)) this.#take(came)
      this.#end()
    } catch (error) {
      this.#end(error)
    }
  }

  #inTime ({ promise }) {
    const timer = setTimeout(() => this.#end(new Error('nothing came')), ANSWER_WAIT_MAX_MS)
    return promise.finally(() => clearTimeout(timer))
  }

  #take (came) {
    if (came.request !== 0n) this.#open.get(came.request)?.resolve(came)
    else if (this.#waiting.length > 0) this.#waiting.shift().resolve(came)
    else this.#came.push(came)
  }

  #end (error = new Error('the connection ended')) {
    for (const waits of [...this.#open.values(), ...this.#waiting.splice(0)]) waits.reject(error)
    this.#stream.abort(error)
    return error
  }
}

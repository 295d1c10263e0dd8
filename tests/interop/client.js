// What a client computes: tokens.md, receipts.md, and signatures and sealed blobs out of crypto.md and identity.md.

import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { ed25519 } from '@noble/curves/ed25519.js'
import { blake3 } from '@noble/hashes/blake3.js'
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { decode, encode } from './wire.js'

const VERSION = 1
const SUITE = 1
const ENVELOPE_TTL_MAX_MS = 1_814_400_000n // 21 days
const bytes = (...parts) => Buffer.concat(parts.map(part => Buffer.from(part)))
const u64 = number => { const out = Buffer.alloc(8); out.writeBigUInt64BE(BigInt(number)); return out }
const u32 = number => { const out = Buffer.alloc(4); out.writeUInt32BE(number); return out }

// --- Signatures (crypto.md)

const message = (label, body) => bytes(`undertone v1 ${label}`, [0], body)

/** A `Signed`: `key` signs `body` under `undertone v1 LABEL`. */
export async function sign (key, label, body) {
  return { body, signature: await key.sign(message(label, body)) }
}

/** Strictly, as crypto.md has it: what RFC 8032 checks without cofactors, and neither A nor R is of small order. */
export async function verify (key, label, { body, signature }) {
  try {
    const points = [key, signature.subarray(0, 32)].map(point => ed25519.Point.fromBytes(point, true))
    if (points.some(point => point.isSmallOrder())) return false
    return await publicKeyFromRaw(key).verify(message(label, body), signature)
  } catch {
    return false // no points
  }
}

// --- Delivery tokens (tokens.md)

/** A mailbox as its owner makes it: an id, and the secret that all its tokens follow from. */
export const newMailbox = () => ({ mailbox: randomBytes(16), secret: randomBytes(32), epoch: 1 })

/** A step of a token; it lets through what `limits` don't forbid. */
export const step = (limits = {}) =>
  ({ handle: randomBytes(8), rights: 0x03, classes: 0x07, not_after_ms: 0n, per_minute: 0, ...limits })

/** A token is a path of steps and a key; the owner begins with the mailbox's secret and no step. */
export function extend ({ path = [], key }, step) {
  const { handle, rights, classes, not_after_ms, per_minute } = step
  const fixed = bytes(handle, [rights, classes], u64(not_after_ms), u32(per_minute))
  return { path: [...path, step], key: blake3(fixed, { key }) }
}

/** A recipient of a payload in a publish: the path, and a proof that whoever publishes holds the token. */
export function recipient ({ mailbox, epoch }, { path, key }, { publishId, payload, relay, expiryMs }) {
  const proof = blake3(bytes(publishId, blake3(payload), relay, u64(expiryMs)), { key })
  return { mailbox, epoch, path, proof }
}

// --- Publishing, and the relay's receipt (receipts.md)

/** Publishes one payload to one mailbox. The receipt that the relay signed for it: as it came, and what it says. */
export async function publish (connection, address, token, payload) {
  const publishId = randomBytes(16)
  const expiryMs = BigInt(Date.now()) + ENVELOPE_TTL_MAX_MS
  const open = { recipients: [recipient(address, token, { publishId, payload, relay: connection.relay, expiryMs })] }
  const items = [{ payload, class: 0, expiry_ms: expiryMs, route: { open } }]
  const { receipt } = await connection.ask({ publish: { publish_id: publishId, items } }, 'published')
  const results = await readReceipt(receipt, connection.relay, publishId, items)
  return { receipt, result: results[0][0] }
}

/** The results of each item for each recipient, if the receipt is the relay's, and for this publish. */
export async function readReceipt (receipt, relay, publishId, items) {
  if (receipt === null || !await verify(relay, 'custody receipt', receipt)) throw new Error('not signed by the relay')
  const said = decode('CustodyReceipt', receipt.body)
  const same = said.version === VERSION && said.suite === SUITE && publishId.equals(said.publish_id) &&
    said.items.length === items.length && said.items.every((item, index) =>
      Buffer.from(blake3(items[index].payload)).equals(item.payload_hash) &&
      item.recipients.length === items[index].route.open.recipients.length)
  if (!same) throw new Error('a receipt for something else')
  return said.items.map(item => item.recipients.map(readResult))
}

// A number that the schema has no name for stays a number.
const known = name => typeof name === 'string' && !name.endsWith('_UNSPECIFIED')

function readResult (result) {
  const denied = result.code === 'RESULT_CODE_DENIED'
  if (!known(result.code) || (denied && !known(result.reason))) throw new Error('a malformed result')
  return result
}

// --- Sealed blobs, as bundles and prekeys lie at a relay (identity.md)

export const BUNDLE = 0x10
export const PREKEY = 0x11
const AEAD = ['chacha20-poly1305', { authTagLength: 16 }]

/** Seals a `Signed` for whoever knows `access`: the locator and the bundle key. */
export function seal (kind, { locator, key }, signed) {
  const header = Buffer.from([VERSION, SUITE, kind])
  const nonce = randomBytes(12)
  const plain = encode('Signed', signed)
  const cipher = createCipheriv(AEAD[0], key, nonce, AEAD[1])
  cipher.setAAD(bytes(header, locator), { plaintextLength: plain.length })
  return bytes(header, nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag())
}

/** The `Signed` in a sealed blob. Throws where it is another kind of blob, or does not open. */
export function open (kind, { locator, key }, blob) {
  const [header, nonce] = [blob.subarray(0, 3), blob.subarray(3, 15)]
  if (!header.equals(Buffer.from([VERSION, SUITE, kind]))) throw new Error('another kind of blob')
  const decipher = createDecipheriv(AEAD[0], key, nonce, AEAD[1])
  decipher.setAuthTag(blob.subarray(-16))
  decipher.setAAD(bytes(header, locator), { plaintextLength: blob.length - 31 })
  return decode('Signed', bytes(decipher.update(blob.subarray(15, -16)), decipher.final()))
}

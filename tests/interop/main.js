// Two strangers at a relay: one has a mailbox there, the other one publishes to it. Prints a line of JSON for each step.
//
//     node main.js /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW…

import { randomBytes } from 'node:crypto'
import { BUNDLE, PREKEY, extend, newMailbox, open, publish, seal, sign, step, verify } from './client.js'
import { Connection, Refusal, decode, encode } from './wire.js'

const hex = bytes => Buffer.from(bytes).toString('hex')
const print = (step, facts) => console.log(JSON.stringify({ step, ...facts }))
const inADay = () => BigInt(Date.now() + 86_400_000)
const facts = ({ code, reason, held_until_ms }) =>
  ({ code, ...(code === 'RESULT_CODE_DENIED' ? { reason } : { held: held_until_ms > BigInt(Date.now()) }) })

/** Connects, and greets. */
async function connect (address) {
  const connection = await Connection.open(address, randomBytes(32))
  const { version } = await connection.ask({ hello: { version_min: 1, version_max: 1 } }, 'welcome')
  print('welcome', { device: hex(connection.device), relay: hex(connection.relay), version })
  return connection
}

/** Registers a mailbox, and has what comes delivered here. */
async function attach (owner, mailbox) {
  const { generation } = await owner.ask({ register: mailbox }, 'registered')
  const acks = [{ class: 0 }, { class: 1 }]
  const credits = [{ class: 0, messages: 256, bytes: 1_048_576 }, { class: 1, messages: 128, bytes: 131_072 }]
  const attached = await owner.ask({ attach: { mailbox: mailbox.mailbox, generation, acks, credits } }, 'attached')
  const same = generation.equals(attached.generation)
  print('attached', { generation: generation.length, same, checkpoint: attached.checkpoint !== null })
}

/** One publishes, and the other has it delivered; after the acknowledgement the relay knows that it was fetched. */
async function deliver (owner, mailbox, sender) {
  const issued = extend({ key: mailbox.secret }, step()) // the owner gives this away, on some other way;
  const token = extend(issued, step({ classes: 0x01, per_minute: 60 })) // who has it may narrow it
  const payload = Buffer.from('only the two of them know what this means')
  const { receipt, result } = await publish(sender, mailbox, token, payload)
  print('published', { ...facts(result), body: hex(receipt.body), signature: hex(receipt.signature) })
  const forged = { ...receipt, body: Buffer.concat([receipt.body, Buffer.from([0x28, 0x00])]) } // a field that nobody knows
  print('signed', {
    'by the relay': await verify(sender.relay, 'custody receipt', receipt),
    'by the owner': await verify(owner.device, 'custody receipt', receipt),
    'as something else': await verify(sender.relay, 'bundle', receipt),
    'with a field more': await verify(sender.relay, 'custody receipt', forged)
  })
  print('again', facts((await publish(sender, mailbox, token, payload)).result))
  const { deliver } = await owner.next()
  print('delivered', { class: deliver.class, seq: Number(deliver.seq), payload: deliver.payload.toString() })
  // A client stores what came, and then says so.
  await owner.ask({ ack: { class: deliver.class, through: deliver.seq } }, 'done')
  print('acknowledged', facts((await publish(sender, mailbox, token, payload)).result))
  return token
}

/** Every way in which a token can be bad, and what the relay's receipt says of it. */
async function denied (owner, mailbox, sender, token) {
  const issue = limits => extend({ key: mailbox.secret }, step(limits))
  const [taken, invitation] = [issue(), issue({ classes: 0x01, not_after_ms: inADay() })]
  const { handle, not_after_ms } = invitation.path[0]
  await owner.ask({ revoke_token: { mailbox: mailbox.mailbox, epoch: 1, handles: [taken.path[0].handle] } }, 'done')
  await owner.ask({ put_introduction: { mailbox: mailbox.mailbox, handle, uses: 1, not_after_ms } }, 'done')
  const tries = {
    'another mailbox': [{ ...mailbox, mailbox: randomBytes(16) }, token],
    'another epoch': [{ ...mailbox, epoch: 2 }, token],
    'another key': [mailbox, { ...token, key: randomBytes(32) }],
    'a step widened': [mailbox, { ...token, path: token.path.map(step => ({ ...step, per_minute: 0 })) }],
    'taken back': [mailbox, extend(taken, step())],
    'its time is over': [mailbox, issue({ not_after_ms: 1n })],
    'for presence only': [mailbox, issue({ rights: 0x02 })],
    'for another class': [mailbox, issue({ classes: 0x02 })],
    'an invitation as it is': [mailbox, invitation],
    'whoever answers an invitation': [mailbox, extend(invitation, step())],
    'the next one': [mailbox, extend(invitation, step())]
  }
  for (const [what, [address, bad]] of Object.entries(tries)) {
    print('token', { what, ...facts((await publish(sender, address, bad, Buffer.from(what))).result) })
  }
}

/** A bundle and a prekey, put by one and fetched by the other, who gets each prekey once. */
async function bundle (owner, sender) {
  const [locator, key] = [randomBytes(32), randomBytes(32)]
  const access = { locator, key } // what a contact is told
  const prekey = encode('Prekey', { version: 1, suite: 1, device: owner.device, key: randomBytes(32) })
  const signed = await sign(owner.key, 'prekey', prekey)
  // What is in the bundle is nothing to the relay: here it stands for one.
  const blob = seal(BUNDLE, access, { body: Buffer.from('stands for a bundle'), signature: randomBytes(64) })
  await owner.ask({ put_bundle: { locator, bundle: blob } }, 'done')
  const left = await owner.ask(
    { put_prekeys: { locator, batch: 1, prekeys: [seal(PREKEY, access, signed)] } }, 'prekeys_left')
  print('put', { left: left.left, batch: Number(left.batch) })
  const got = await sender.ask({ get_bundle: { locator } }, 'bundle')
  const opened = open(PREKEY, access, got.prekey)
  print('fetched', {
    bundle: open(BUNDLE, access, got.bundle).body.toString(),
    prekey: decode('Prekey', opened.body).device.equals(owner.device) && await verify(owner.device, 'prekey', opened)
  })
  print('fetched again', { prekey: (await sender.ask({ get_bundle: { locator } }, 'bundle')).prekey.length })
}

/** Requests that are refused; the connection stays. */
async function refusals (owner, mailbox, sender) {
  const { mailbox: id } = mailbox
  const tries = {
    'a mailbox of 15 bytes': [owner, { register: { ...mailbox, mailbox: id.subarray(1) } }],
    'a frame without a body': [owner, {}],
    'the mailbox of somebody else': [sender, { attach: { mailbox: id } }],
    'another secret for the same epoch': [owner, { register: { ...mailbox, secret: randomBytes(32) } }],
    'a locator that nobody wrote': [sender, { get_bundle: { locator: randomBytes(32) } }]
  }
  for (const [what, [who, asked]] of Object.entries(tries)) {
    const error = await who.ask(asked, 'nothing').catch(error => error)
    if (!(error instanceof Refusal)) throw error
    print('refused', { what, code: error.code })
  }
  const { nonce } = await owner.ask({ ping: { nonce: 5 } }, 'pong')
  print('pong', { nonce: Number(nonce) })
}

const [address] = process.argv.slice(2)
const [owner, sender, mailbox] = [await connect(address), await connect(address), newMailbox()]
await attach(owner, mailbox)
const token = await deliver(owner, mailbox, sender)
await denied(owner, mailbox, sender, token)
await bundle(owner, sender)
await refusals(owner, mailbox, sender)
await owner.close()
await sender.close()
print('end')

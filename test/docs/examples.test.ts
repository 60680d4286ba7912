/** Each example does what it says it shows, as often as it is run, and leaves nothing behind. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from './root.ts'

const RUN_MS_MAX = 30_000
/** Not the folder of `npm run example`: someone may be using that while the tests run. */
const COMPILED = join(ROOT, '.cache', 'examples-test')

/** Lines that must be printed, in this order; others may stand between them. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  '01-first-event': ['The request is done.', "The session knows: { service: 'haircut' }"],
  '02-handoff': [
    'About billing: the refund for "my invoice is wrong" is on its way.',
    'About repairs: a technician looks at "the boiler drips" tomorrow.',
    'The log of the second request:',
    '  spine.call.requested',
    '  spine.step.recorded by intake',
    '  spine.session.patched by intake',
    '  spine.delivery.completed by intake',
    '  spine.delivery.completed by repairs',
  ],
  '03-crash': [
    'The request has failed after 3 attempts.',
    'Charges: 1, mails: 0',
    "Dead letter of 'checkout': the mail server does not answer",
    'After the redrive the request is done.',
    'Charges: 1, mails: 1 (receipt 1 over 30 euros)',
  ],
  '04-gather': [
    'Lisbon: sunny, visa not needed',
    'Offers: train 80, coach 35',
    'Missing: ferry (late), airline (failed)',
    'Confirmed by train and coach',
    '  @gather#0 until "all"',
    '  @gather#1 until "settled"',
    '  @gather#1 ran out of time',
    '  @gather#2 until {"quorum":2}',
  ],
  '05-join': [
    'Day 1: the order is done, and nobody ships it.',
    'Day 2: ship from shelf B7, paid 50 euros.',
    'Day 2: shipping is joining',
    'Day 2: still missing order.packed: tell the shop.',
  ],
  '07-approval': [
    'Monday, version 1:',
    '  Ann waits; the process ends.',
    'Tuesday, version 2:',
    '  Paid 120 euros to Ann, thanks to Mia.',
    '  Reminder: Bob waits for an approval.',
    '  Nobody answered for Bob: on to the head of support.',
    'Checked: Ann, Bob. Paid: Ann.',
  ],
  '08-preemption': [
    'Two topics, two slots:',
    '  Replied to "my house is flooded" (critical).',
    '  Meanwhile 2 topics wait or run.',
    '  whales: sources asked 1 times, summary 1.',
    '  bees: sources asked 1 times, summary 2.',
    '  The log says: research made room for the flood.',
    'A request that becomes urgent while it waits:',
    '  First: reply to "a question". Then: reply to "hello".',
  ],
  '09-freshness': [
    'A correction:',
    '  Booked: Ann Monday',
    'A thanks:',
    '  Booked: Ann Monday, Bob Friday',
    'The log says why:',
    '  booking gave up record 6, overtaken by record 8.',
  ],
  '10-budget': [
    'A question for $1:',
    '  research on bees: $0.4 more is beyond its $0.3; it answers with what it has.',
    '  Spent so far: $0.75. The desk waits for more.',
    '  The desk has about 3 findings; there was $0.25 left before.',
    '  done: $0.95 and 9500 tokens.',
    'The log says:',
    '  spine.budget.exhausted {"unit":"usd","limit":0.3,"spent":0.15,"wanted":0.4,"command":"read more#0"}',
    '  spine.budget.exhausted {"unit":"usd","limit":1,"spent":0.75,"wanted":0.5,"command":"summarise#0"}',
    '  spine.budget.raised {"amounts":{"usd":0.5},"why":"the customer agreed"}',
  ],
  '12-cancel': [
    'A trip to Rome, cancelled:',
    '  hotel: the search was told to stop',
    '  The request is cancelled.',
    '  flight: the payment that had begun is through',
    '  After the cancel the log has: spine.step.recorded (flight)',
    'A trip to Turin, with a deadline:',
    '  The request is open. Nobody hosts: rail',
    '  The request is expired.',
  ],
  '13-operations': [
    '  open; offering: held, held until customer.known',
    'The server is back:',
    '  sent: a kettle for 30 euros',
    '  done',
    'She clicked twice:',
    '  done',
    'The audit heard: 2 offer.wanted, 1 customer.known, 1 offer.made',
  ],
  '14-protection': [
    'Seven texts, and a service that allows three in a moment:',
    '  seven is rate limited',
    '  done; at most 3 requests at once',
    'The service is down:',
    '  ten waits: breaker open',
    '  it is back: done, done, done; dead letters: 0',
    '  the log says: open, then one is let through',
    'A fan-out of 16 that is told to come back later:',
    '  done: 16 pages',
  ],
  '15-exclusive': [
    'Two customers, six entries, all at once:',
    '  Ann: 10:00 haircut, 12:00 holiday, 20:00 party',
    '  Ben: 10:00 haircut, 12:00 holiday, 20:00 party',
    '  calendars written at once: 2',
    "The haircut agent is paused; a party and a haircut are wanted on Cas's day:",
    '  the party: done',
    '  the haircut: open, agent paused',
    '  Cas: 10:00 haircut, 20:00 party',
  ],
  '06-route': [
    'When do you open? → auto-reply: At nine.',
    'Does it fit my boiler? → specialist: Probably. I have looked it up: yes.',
    'My kitchen is under water! → person: I call you back in a minute.',
    'The specialist is on holiday.',
    'Does it fit my boiler? → person: I call you back in a minute.',
    'What the log says of the decisions:',
    '  0.97 → auto-reply',
    '  0.71 → specialist (auto-reply: below)',
    '  null → person (auto-reply: no number, specialist: no number)',
    '  0.71 → person (auto-reply: below, specialist: paused)',
  ],
}

const names = readdirSync(join(ROOT, 'examples'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.replace(/\.ts$/, ''))

describe('examples', () => {
  beforeAll(() => {
    rmSync(COMPILED, { recursive: true, force: true })
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const project = join(ROOT, 'tsconfig.examples.json')
    const options = [compiler, '-p', project, '--outDir', COMPILED, '--pretty', 'false']
    const { status, stdout } = spawnSync(process.execPath, options, { cwd: ROOT, encoding: 'utf8' })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  }, RUN_MS_MAX)

  it('are all described here', () => {
    expect(Object.keys(SHOWN).sort()).toEqual([...names].sort())
  })

  for (const [name, lines] of Object.entries(SHOWN)) {
    it(`${name} shows what it is about, twice in a row`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'spine-example-'))
      try {
        for (const _time of ['first', 'second']) {
          const { status, stdout, stderr } = run(name, folder)
          expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' })
          const printed = stdout.split('\n')
          expect(printed.filter((line) => lines.includes(line))).toEqual(lines)
          expect(readdirSync(folder)).toEqual([])
        }
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  }
})

/** Started in a folder of its own, which is also where it finds room for temporary files. */
function run(name: string, folder: string) {
  return spawnSync(process.execPath, [join(COMPILED, `${name}.js`)], {
    cwd: folder,
    encoding: 'utf8',
    timeout: RUN_MS_MAX,
    env: { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder },
  })
}

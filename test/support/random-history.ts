/** Random logs that a correct process could have written, for properties of the fold. Shrinks to a short history. */
import * as fc from 'fast-check'
import type { DeliveryRecords, LogBuilder, RegistrationOptions } from './log-builder.ts'
import type { DeliveryView, StateView } from './state-view.ts'

/** Three numbers from which one record is chosen, given what is open at that moment. */
export type Choice = readonly [action: number, first: number, second: number]

export const randomChoices = (maxLength = 40): fc.Arbitrary<readonly Choice[]> =>
  fc.array(fc.tuple(fc.nat(999), fc.nat(999), fc.nat(999)), { minLength: 5, maxLength, size: 'max' })

const AGENTS = ['ann', 'ben', 'cas', 'dot']
const TYPES = ['a.happened', 'b.happened', 'c.happened']
const PRIORITIES = ['critical', 'high', 'normal', 'low', 'background'] as const
const SESSIONS = ['s1', 's2']
const ORDERS = ['default', 'session', 'key', 'none']
const STEPS = ['one#0', 'two#0', 'three#0']
const UNTILS = ['all', 'settled', { quorum: 1 }, { quorum: 2 }] as const
/** A branch that is a function, and a step inside it. */
const IN_BRANCH = ['@gather#0/a#0', '@gather#0/a/one#0']
const FAILURE_MODES = ['skip', 'block', 'park'] as const

const pick = <Item>(list: readonly Item[], number: number): Item => list[number % list.length] as Item

/** Writes one record for each choice; `view` is asked for what is open. */
export function writeHistory(log: LogBuilder, view: () => StateView, choices: readonly Choice[]): void {
  const shared = choices.length % 2 === 1 ? { exclusive: 'x' } : {}
  for (const name of AGENTS.slice(0, 3)) log.register(name, { on: TYPES.slice(0, 2), ...shared })
  const ended: DeliveryRecords[] = []
  let state = view()
  for (const choice of choices) {
    const before = new Set(state.deliveries.map(({ id }) => id))
    // A redrive opens a delivery again.
    const gone = ended.filter(({ id }) => !before.has(id))
    writeOne(log, state, gone, choice)
    state = view()
    const after = new Set(state.deliveries.map(({ id }) => id))
    for (const id of before) if (!after.has(id)) ended.push(named(log, id))
  }
}

function named(log: LogBuilder, id: string): DeliveryRecords {
  const slash = id.indexOf('/')
  return log.delivery(Number(id.slice(0, slash)), id.slice(slash + 1))
}

function writeOne(
  log: LogBuilder,
  state: StateView,
  ended: readonly DeliveryRecords[],
  [action, first, second]: Choice,
): void {
  const open = state.deliveries
  const startable = open.filter(({ status }) => status === 'ready')
  const kind = action % 100
  if (kind < 18 && Math.floor(action / 100) === 3) return void putBehindOrAdmit(log, first, second)
  if (kind < 18 || open.length === 0) return void publish(log, state, first, second)
  if (kind < 24) return void register(log, first, second)
  if (kind < 26) return void log.remove(pick(AGENTS, first))
  if (kind < 28) return void log.rename(pick(AGENTS, first), pick(AGENTS, second))
  if (kind < 30) return void pauseOrResume(log, first, second)
  if (kind < 31) return void log.claim(`owner ${first % 3}`)
  if (kind < 35) return void log.start(pick(AGENTS, first), { session: pick(SESSIONS, second) })
  if (kind < 36 && second % 2 === 0) return void budget(log, pick(state.requests, first).id, second)
  if (kind < 36) return void log.prioritize(pick(state.requests, first).id, pick(PRIORITIES, second))
  if (kind < 37) return void log.cancelRequest(pick(state.requests, first).id)
  if (kind < 39) return void log.expireRequest(pick(state.requests, first).id, 1)
  if (kind < 46 && state.deadLetters.length > 0)
    return void dealWith(named(log, pick(state.deadLetters, first).id), second)
  if (kind < 52 && ended.length > 0) return void work(pick(ended, first), undefined, action, second)
  if (kind < 56) return void fromOutside(named(log, pick(open, first).id), second)
  const waiting = open.filter(
    ({ status, missing }) => status === 'joining' || status === 'delayed' || missing.length > 0,
  )
  if (kind < 70 && waiting.length > 0) return void byOwner(log, pick(waiting, first), second)
  if (startable.length === 0) return void log.claim('waker')
  const delivery = pick(startable, first)
  if (second % 7 === 5) return void spend(log, named(log, delivery.id), second)
  work(named(log, delivery.id), delivery, action, second)
}

/** What is said of a request's money; what is reserved is in the runs. */
function budget(log: LogBuilder, request: string, second: number): void {
  if (second % 3 === 0) log.giveBudget(request, 10)
  else if (second % 3 === 1) log.raiseBudget(request, 2)
  else log.tellLow(request)
}

/** A run starts what costs, or tells what it did cost; which start that was is a guess that is often right. */
function spend(log: LogBuilder, run: DeliveryRecords, second: number): void {
  const kind = Math.floor(second / 7) % 6
  const start = Math.max(1, log.head - (second % 3))
  if (kind < 2) run.startCosted(pick(STEPS, second), 1 + (second % 3), kind === 0)
  else if (kind === 2) run.step(pick(STEPS, second), { reserved: start, spent: { usd: second % 4 } })
  else if (kind === 3) run.returnBudget(start)
  else if (kind === 4) run.pauseForBudget(pick(STEPS, second))
  else run.refuse(pick(STEPS, second))
}

function publish(log: LogBuilder, { requests }: StateView, first: number, second: number): void {
  const joins = requests.length > 0 && second % 5 === 0
  log.event(pick(TYPES, first), {
    session: pick(SESSIONS, second),
    ...(second % 3 === 0 ? { key: `k${first % 2}` } : {}),
    ...(second % 4 === 0 ? { deadline: 10_000 + second } : {}),
    ...(second % 3 === 1 ? { priority: pick(PRIORITIES, first + second) } : {}),
    ...(second % 11 === 0 ? { due: 60_000 + second } : {}),
    ...(joins ? { request: pick(requests, first).id } : {}),
  })
}

function register(log: LogBuilder, first: number, second: number): void {
  const on = TYPES.filter((_, index) => (second >> index) % 2 === 1)
  const onFailure = pick(FAILURE_MODES, first + second)
  const options = { on, order: pick(ORDERS, second), version: `${first % 3}`, onFailure }
  const exclusive = (first + second) % 3 === 0 ? { exclusive: pick(['x', 'y'], first) } : {}
  const protection = pick(PROTECTIONS, second)
  log.register(pick(AGENTS, first), { ...options, ...exclusive, ...pick(TERMS, Math.floor(first / 8)), ...protection })
}

const PROTECTIONS: readonly Partial<RegistrationOptions>[] = [
  {},
  {},
  { breaker: { failures: 1, withinMs: 50, cooldownMs: 10 } },
  { breaker: { failures: 2, withinMs: 50, cooldownMs: 10 }, rate: { limit: 2, perMs: 20 } },
]

/** What subscriptions ask beyond the events themselves; most ask nothing. */
const TERMS: readonly Partial<RegistrationOptions>[] = [
  {},
  { on: TYPES, join: { per: 'request' } },
  { on: TYPES, join: { per: 'session', withinMs: 50, atLeast: 2 } },
  { on: TYPES.slice(1), join: { per: 'session' }, observes: true },
  { on: TYPES.slice(0, 2), join: { per: 'request', withinMs: 20 }, after: TYPES.slice(1) },
  { after: TYPES.slice(0, 2) },
  { after: TYPES.slice(1) },
  { after: TYPES.slice(0, 2), priority: 'high' },
  { observes: true },
  { priority: 'low' },
  { freshness: { newer: TYPES.slice(0, 1), then: 'hold' } },
  { freshness: { newer: TYPES.slice(1), then: 'hold' } },
  { freshness: { newer: TYPES, then: 'cancel' } },
  { freshness: { newer: TYPES.slice(0, 2), then: 'restart' } },
  { on: ['*'] },
  { on: ['*'], observes: true, after: TYPES.slice(2) },
]

function dealWith(letter: DeliveryRecords, second: number): void {
  if (second % 4 === 0) letter.discard()
  else letter.redrive()
}

function pauseOrResume(log: LogBuilder, first: number, second: number): void {
  const name = pick(AGENTS, first)
  const act = second % 6
  if (act === 0) log.pauseAgent(name)
  else if (act === 1) log.resumeAgent(name)
  else if (act === 2) log.putBehind(name)
  else if (act === 3) admit(log, name, first)
  else if (act === 4) log.closeBreaker(name)
  else log.openBreaker(name, 80_000 + second, second % 5 === 0 ? 1 + (first % log.head) : undefined)
}

function putBehindOrAdmit(log: LogBuilder, first: number, second: number): void {
  if (second % 3 === 0) admit(log, pick(AGENTS, first), Math.floor(second / 3))
  else log.putBehind(pick(AGENTS, first))
}

/** The events of the last few records. */
function admit(log: LogBuilder, name: string, first: number): void {
  const after = Math.max(0, log.head - 1 - (first % 9))
  const sequences = Array.from({ length: log.head - after }, (_, index) => after + index + 1)
  log.admit(
    name,
    log.head,
    sequences.filter((sequence) => TYPES.includes(log.at(sequence).type)),
  )
}

function fromOutside(delivery: DeliveryRecords, second: number): void {
  if (second % 7 === 3) delivery.skip(1)
  else if (second % 7 === 5) delivery.take(1)
  else if (second % 7 === 6) delivery.supersede(1)
  else if (second % 2 === 0) delivery.cancel()
  else delivery.expire()
}

/** What the owner writes about what gathers, or lacks an event; sometimes too late. */
function byOwner(log: LogBuilder, { id, missing, status }: DeliveryView, second: number): void {
  const delivery = named(log, id)
  if (status === 'delayed' && second % 4 !== 0) return void delivery.endDelay()
  if (missing.length > 0) return void delivery.matchAfter(pick(missing, second), 1)
  if (second % 3 === 0) return void delivery.skip()
  delivery.endJoin()
}

/** A gather over anything that the run has asked for, other gathers included, or will ask for. */
function gather(run: DeliveryRecords, delivery: DeliveryView | undefined, action: number, second: number): void {
  const known = delivery?.run?.commands.map(({ name }) => name) ?? []
  const branches = [...known, ...STEPS, '@gather#0/a#0'].filter((_, index) => (action >> (index % 5)) % 2 === 0)
  const until = pick(UNTILS, action)
  run.gather(`@gather#${known.filter((name) => /^@gather#\d+$/.test(name)).length}`, [...new Set(branches)], {
    until,
    ...(second % 2 === 0 ? { onLate: 'finish' } : {}),
    ...(second % 3 === 0 ? { due: 50_000 + second } : {}),
    ...(action % 5 === 0 && typeof until === 'string' ? { atLeast: 1 } : {}),
  })
}

/** A run waits for an event, or the owner ends such a wait, sometimes a second time. */
function wait(run: DeliveryRecords, delivery: DeliveryView | undefined, action: number, second: number): void {
  const known = delivery?.run?.commands.filter(({ kind }) => kind === 'wait') ?? []
  const type = pick(TYPES, second)
  const name = known.length === 0 ? `@wait ${type}#0` : pick(known, action).name
  if (known.length > 0 && action % 3 === 0) return void run.matchWait(name, 1)
  if (known.length > 0 && action % 3 === 1) return void run.expireWait(name)
  run.openWait(`@wait ${type}#${known.length}`, type, {
    ...(second % 2 === 0 ? { due: 70_000 + second } : {}),
    ...(second % 4 === 1 ? { cause: 1, match: { text: 'a' } } : {}),
  })
}

/** What a run writes. For one that has ended (`delivery` undefined) it is a late record, of any kind. */
function work(run: DeliveryRecords, delivery: DeliveryView | undefined, action: number, second: number): void {
  const open = delivery?.run?.commands.filter(({ ended }) => ended === 0) ?? []
  const timer = open.find(({ kind }) => kind === 'sleep')
  const calls = delivery?.run?.commands.filter(({ kind }) => kind === 'call').length ?? 0
  if (second % 9 === 6) return void wait(run, delivery, action, second)
  if (second % 9 === 7) return void gather(run, delivery, action, second)
  if (second % 9 === 8) return void run.step(pick(IN_BRANCH, action), { failed: second % 4 === 0 })
  if (timer !== undefined && second % 4 === 1) return void run.fire(timer.name)
  switch (Math.floor(action / 100) % 10) {
    case 0:
      if (second % 5 === 3) return void run.route('@route#0', pick(AGENTS, second))
      return void run.step(pick(STEPS, second), {
        failed: second % 4 === 0,
        ...(second % 3 === 0 ? { keep: true } : {}),
        basis: 1,
        version: '1',
      })
    case 1:
      return void run.startEffect(pick(STEPS, second))
    case 2:
    case 3:
      return void run.call(`@call#${calls}`, pick(AGENTS, second), {
        ...(second % 2 === 0 ? { deadline: 20_000 + second } : {}),
        ...(second % 3 === 0 ? { budget: { usd: 3 } } : {}),
      })
    case 4:
      if (timer !== undefined) return void run.fire(timer.name)
      return void run.sleep(`@sleep#${delivery?.run?.commands.length ?? 0}`, 30_000 + second)
    case 5:
      return void run.complete()
    case 6:
      return void run.handOff(pick(AGENTS, second))
    case 7:
      return void run.retry((delivery?.attempt ?? 0) + 1, 40_000 + second)
    case 8:
      if (second % 5 === 1) return void run.preempt(1, second % 2 === 0 ? (delivery?.generation ?? 0) + 1 : undefined)
      if (second % 5 === 0) return void run.restart((delivery?.generation ?? 0) + (second % 2))
      return void (second % 3 === 0 ? run.pause() : run.die(second % 4 === 1 ? 'SPINE_KEY_PARKED' : undefined))
    default:
      if (second % 3 === 0) return void run.start(second % 2 === 0 ? pick(SESSIONS, action) : undefined)
      return void run.emit(pick(TYPES, second), second % 2 === 0 ? { session: pick(SESSIONS, second) } : {})
  }
}

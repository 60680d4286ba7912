import type { LogRecord, NewRecord } from '../../event/record.ts'
import { encodeOwn, type Json } from '../../kernel/json.ts'
import type { Commit, Engine } from '../engine.ts'
import type { EngineUnderTest, Storage } from './index.ts'

/** A fresh log with an open engine on it, for the length of one test. Whatever the test opens is closed behind it. */
export async function onFreshLog(
  { create }: EngineUnderTest,
  test: (engine: Engine, storage: Storage) => Promise<void>,
): Promise<void> {
  await onFreshStorage({ create }, async (storage) => {
    const engine = storage.engine()
    await engine.open()
    await test(engine, storage)
  })
}

/** The same before anything was opened. */
export async function onFreshStorage(
  { create }: EngineUnderTest,
  test: (storage: Storage) => Promise<void>,
): Promise<void> {
  const storage = await create()
  // A test that fails must not leave a lock, a thread or a timer to the tests after it.
  const given = new Set<Engine>()
  const watched: Storage = {
    engine: () => {
      const engine = storage.engine()
      given.add(engine)
      return engine
    },
    remove: () => storage.remove(),
  }
  try {
    await test(watched)
  } finally {
    await Promise.allSettled([...given].map((engine) => engine.close()))
    await storage.remove()
  }
}

/** Closes an engine and opens one on the same log. */
export async function reopened(engine: Engine, storage: Storage): Promise<Engine> {
  await engine.close()
  const next = storage.engine()
  await next.open()
  return next
}

export function record(data: Json, header: Partial<NewRecord> = {}): NewRecord {
  return {
    time: 1_000,
    type: 'thing.happened',
    session: 's',
    request: 'r',
    key: 's',
    cause: 0,
    hops: 0,
    ...header,
    data: encodeOwn(data),
  }
}

export function commit(id: string, count = 1, more: Partial<Commit> = {}): Commit {
  return { id, records: Array.from({ length: count }, (_, index) => record({ id, index })), ...more }
}

/** All that is retained, page by page. */
export async function everything(engine: Engine): Promise<readonly LogRecord[]> {
  const all = [...(await engine.read({ limit: 100 }))]
  for (;;) {
    const last = all.at(-1)
    const page = last === undefined ? [] : await engine.read({ after: last.sequence, limit: 100 })
    if (page.length === 0) return all
    all.push(...page)
  }
}

export function sequencesOf(records: readonly LogRecord[]): readonly number[] {
  return records.map(({ sequence }) => sequence)
}

/** `first` to `last`, without a gap. */
export function dense(first: number, last: number): readonly number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index)
}
